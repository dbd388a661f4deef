/** What `jeton run` does by default about the end of a prompt: held-out prose, cut where prompts end. */
import { createRandom } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { type RatioParts, ratioOfSums, type Sample, wholeValue } from "../../reproduce/index.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../sampling/options.ts";
import { type Healing, healings, healPrompt } from "./heal-prompt.ts";

/** Where a prompt ends: within a word, behind its last letter, behind the space that follows. */
export const cutKinds = ["inside a word", "at a word's end", "behind a space"] as const;
export type CutKind = (typeof cutKinds)[number];

/** What is written greedily at one cut. */
export interface HealedCut {
  readonly kind: CutKind;
  /** The text up to the end of the next whole word. */
  readonly next: string;
  readonly texts: Readonly<Record<Healing, string>>;
}

/** No prompt is shorter, so that the model knows what the text is about. */
const minPromptLength = 80;
/** No prompt is longer, so that each fits into the context of a small model. */
const maxPromptLength = 1500;
const minWordLength = 4;

/**
 * Continues a text from cuts of each kind, which the seed chooses.
 *
 * @param count cuts of each kind
 */
export async function measureHealing(
  model: LoadedModel,
  text: string,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<HealedCut[]> {
  const random = createRandom(seed, "words", text);
  const words = [...text.matchAll(/\p{L}+(?= )/gu)].filter(
    ({ 0: word, index }) =>
      index >= minPromptLength && index <= maxPromptLength && word.length >= minWordLength,
  );
  // The last words leave no whole word behind them.
  const chosen = random.shuffle(words.slice(0, -2)).slice(0, count * cutKinds.length);
  const sampling = resolveSampling(model, { greedy: true });
  const found: HealedCut[] = [];
  for (const [at, { 0: word, index }] of chosen.entries()) {
    const kind = cutKinds[at % cutKinds.length]!;
    const inside = 1 + random.integer(word.length - 1);
    const places = { "inside a word": inside, "at a word's end": word.length };
    const end = index + (kind === "behind a space" ? word.length + 1 : places[kind]);
    const texts = {} as Record<Healing, string>;
    for (const healing of healings) {
      const { ids, rest } = await healPrompt(model, text.slice(0, end), { healing, sampling });
      const begunText = new TextDecoder().decode(rest, { stream: true });
      texts[healing] = (await complete(model, ids, { greedy: true, maxTokens: 8, begunText })).text;
    }
    found.push({ kind, next: /^\P{L}*\p{L}+/u.exec(text.slice(end))![0], texts });
  }
  return found;
}

/** Whether a text goes on with a whole word. */
export function writesWord(text: string, next: string): boolean {
  return text.startsWith(next) && !/^\p{L}/u.test(text.slice(next.length));
}

/** Words right in % by text, with one way of healing; `"other"`: what exact healing writes in another text. */
export function shareOfWords(
  texts: readonly (readonly HealedCut[])[],
  method: Healing | "other",
  kinds: readonly CutKind[] = cutKinds,
): Sample {
  return ratioOfSums(
    texts.map((cuts, text): RatioParts => {
      const others = texts[(text + Math.ceil(texts.length / 2)) % texts.length]!;
      const own = cuts.filter(({ kind }) => kinds.includes(kind));
      const elsewhere = others.filter(({ kind }) => kinds.includes(kind));
      const hits = own.filter(({ next, texts: written }, at) =>
        writesWord(
          method === "other" ? elsewhere[at % elsewhere.length]!.texts.exact : written[method],
          next,
        ),
      );
      return { sum: 100 * hits.length, weight: own.length };
    }),
  );
}

/** Words right in %, by way of healing, over all cuts and over each kind. */
export function describeHealing(texts: readonly (readonly HealedCut[])[]): Record<string, unknown> {
  const shares = (kinds: readonly CutKind[]): Record<Healing, number> =>
    Object.fromEntries(
      healings.map((healing) => [healing, wholeValue(shareOfWords(texts, healing, kinds))]),
    ) as Record<Healing, number>;
  return {
    words: shares(cutKinds),
    byKind: Object.fromEntries(cutKinds.map((kind) => [kind, shares([kind])])),
    cuts: texts.flat().length,
  };
}

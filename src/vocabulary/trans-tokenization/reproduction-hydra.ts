/** The second headline: one body with two vocabularies, which reads one language and writes the other. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import { complete, score } from "../../generate/index.ts";
import { type RatioParts, type ReproductionContext, ratioOfSums } from "../../reproduce/index.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import type { SentencePair } from "../read-text.ts";
import { transfer } from "../transfer.ts";
import { type Hydra, openHydra, writeHydra } from "./hydra.ts";
import { transTokenization } from "./trans-tokenization.ts";

/** The tokenizer of a target language. */
export function trainTarget(pairs: readonly SentencePair[]): ReturnType<typeof trainTokenizer> {
  return trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 3000,
    texts: pairs.map((pair) => pair.target),
    specialTokens: ["<s>", "</s>"],
  });
}

/** Each source sentence with the translation of another. */
export function shufflePairs(seed: number, pairs: readonly SentencePair[]): SentencePair[] {
  const targets = createRandom(seed, "shuffled-pairs").shuffle(pairs.map(({ target }) => target));
  return pairs.map(({ source }, at) => ({ source, target: targets[at]! }));
}

/** Captions that are scored. */
const captions = 200;

/** Bits of German captions after the English ones that they translate, and after others. */
export async function measureHydra(
  context: ReproductionContext<"hydra-translates">,
  language: Readonly<Record<"pairs" | "heldOutPairs", readonly SentencePair[]>>,
  minCount: number,
): Promise<void> {
  const { pairs } = language;
  const heldOut = language.heldOutPairs.slice(0, captions);
  const after = async (hydra: Hydra, shift: number): Promise<RatioParts[]> => {
    const parts: RatioParts[] = [];
    for (const [at, { target }] of heldOut.entries()) {
      context.signal.throwIfAborted();
      const { source } = heldOut[(at + shift) % heldOut.length]!;
      const { logProbability, bytes } = await score(hydra.model, target, {
        prefix: promptOf(hydra, source),
      });
      parts.push({ sum: -logProbability / Math.LN2, weight: bytes });
    }
    return parts;
  };
  await using hydra = await hydraOf(context, "pairs", pairs, minCount);
  context.progress("Hydra: captions");
  const own = await after(hydra, 0);
  const other = await after(hydra, 1);
  const written: Record<string, string> = {};
  for (const { source } of heldOut.slice(0, 3)) {
    const prompt = promptOf(hydra, source);
    written[source] = (await complete(hydra.model, prompt, { maxTokens: 24, greedy: true })).text;
  }
  await using mixed = await hydraOf(
    context,
    "shuffled",
    shufflePairs(context.seed, pairs),
    minCount,
  );
  context.progress("Hydra: captions, shuffled pairs");
  context.report("hydra-translates", {
    measured: ratioOfSums(own),
    baseline: ratioOfSums(other),
    baselineName: "after another caption",
    control: ratioOfSums(await after(mixed, 0)),
    details: { written },
  });
}

/** The English caption on a line, in the body's first language. */
function promptOf(hydra: Hydra, caption: string): number[] {
  const { tokenizer, offset } = hydra.vocabularies.get("english")!;
  const begin = tokenizer.bosTokenId;
  return [
    ...(begin === undefined ? [] : [begin + offset]),
    ...hydra.encode("english", `${caption}\n`),
  ];
}

/** A Hydra of the bundled model's vocabulary and a German one, whose head it writes with. */
async function hydraOf(
  context: ReproductionContext,
  name: string,
  pairs: readonly SentencePair[],
  minCount: number,
): Promise<Hydra> {
  context.progress(`Hydra: ${name}`);
  const folder = await context.folder("hydra", { name, minCount, pairs: pairs.length });
  const at = (part: string): string => join(folder, part);
  for (const part of ["tokenizer", "german", "hydra"]) {
    await rm(at(part), { recursive: true, force: true });
  }
  await saveTokenizer(at("tokenizer"), await trainTarget(pairs));
  const english = await context.model();
  const method = transTokenization({ pairs, minCount });
  await transfer(english, at("tokenizer"), method, { out: at("german"), seed: context.seed });
  await writeHydra(at("hydra"), [
    { name: "german", folder: at("german") },
    { name: "english", folder: english },
  ]);
  return openHydra(at("hydra"), { head: "german", threads: 2 });
}

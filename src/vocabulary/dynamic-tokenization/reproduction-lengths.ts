/** How much shorter sequences get, by language and by the number of merges. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import {
  meanOf,
  type PlotPoint,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  statisticOf,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { readTokenForms, type TokenForms } from "../token-forms.ts";
import { mergeBatch } from "./merge-batch.ts";

type Context = ReproductionContext<"shorter-sequences" | "worse-served-more" | "calibrated-budget">;

const batchSize = 32;
/** Words of any script: letters with their marks. */
export const words: RegExp =
  /'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+/u;
/** Languages of Parallel UD that put spaces between words. */
const languages = ["ar", "de", "en", "es", "fi", "fr", "hi", "id", "ko", "pl", "ru"] as const;
const budgets = [0, 10, 20, 50, 100, 200, Number.POSITIVE_INFINITY] as const;
/** The share of the possible reduction at which the paper sees nearly no loss. */
export const share = 40;

/** Measures lengths; gives the curves of GPT-2's tokenizer by language. */
export async function measureLengths(
  context: Context,
): Promise<ReadonlyMap<string, readonly PlotPoint[]>> {
  const batches = context.quick ? 2 : 10;
  const pud = await context.data("text/pud");
  const sentences = async (language: string): Promise<string[]> =>
    (await readFile(join(pud, `${language}.txt`), "utf8"))
      .split("\n")
      .filter((line) => line !== "");
  const o200k = readTokenForms(
    await loadTokenizer(await context.data("tokenizers/o200k_base.tiktoken")),
  );
  const saved: Record<string, number> = {};
  const single: number[] = [];
  for (const language of languages) {
    context.progress(`merging ${language}`);
    const lines = (await sentences(language)).slice(0, batches * batchSize);
    const base = lengthAt(o200k, lines, 0);
    saved[language] = 100 - (100 * lengthAt(o200k, lines, Number.POSITIVE_INFINITY)) / base;
    single.push(100 - (100 * lengthAt(o200k, lines, 1)) / base);
  }
  context.report("shorter-sequences", {
    measured: meanOf(Object.values(saved)),
    control: meanOf(single),
    details: saved,
  });
  const gpt2 = readTokenForms(
    await loadTokenizer(await context.data("tokenizers/gpt2/tokenizer.json")),
  );
  const lines = new Map<string, readonly string[]>();
  for (const language of ["en", "de", "ko"]) {
    lines.set(language, (await sentences(language)).slice(0, batches * batchSize));
  }
  reportWorseServed(context, gpt2, lines);
  reportBudget(context, gpt2, {
    german: await sentences("de"),
    english: await sentences("en"),
    batches,
  });
  const curves = new Map<string, PlotPoint[]>();
  for (const [language, own] of lines) {
    context.progress(`curve ${language}`);
    const points = budgets.map((merges) => ({
      x: merges === Number.POSITIVE_INFINITY ? "words" : String(merges),
      y: lengthAt(gpt2, own, merges) / own.length,
    }));
    curves.set(language, points);
  }
  return curves;
}

/** Tokens saved in Korean beside English, by sentences; the control shuffles the words of English ones. */
function reportWorseServed(
  context: Context,
  vocabulary: TokenForms,
  lines: ReadonlyMap<string, readonly string[]>,
): void {
  const random = createRandom(context.seed, "shuffled-words");
  const english = lines.get("en")!;
  const shuffled = english.map((line) => random.shuffle(line.split(" ")).join(" "));
  const savedIn = (texts: readonly string[]): Sample => {
    const base = lengthsAt(vocabulary, texts, 0);
    const merged = lengthsAt(vocabulary, texts, 100);
    return ratioOfSums(base.map((weight, at) => ({ sum: 100 * (weight - merged[at]!), weight })));
  };
  context.report("worse-served-more", {
    measured: savedIn(lines.get("ko")!),
    baseline: savedIn(english),
    baselineName: "English",
    control: savedIn(shuffled),
  });
}

/** A budget that is found on some German sentences and used on others, batch by batch. */
function reportBudget(
  context: Context,
  vocabulary: TokenForms,
  texts: Readonly<{ german: readonly string[]; english: readonly string[]; batches: number }>,
): void {
  const { german, english, batches } = texts;
  const half = Math.floor(batches / 2) || 1;
  const known = german.slice(0, half * batchSize);
  const fresh = german.slice(-batches * batchSize);
  const merges = budgetFor(vocabulary, known, share);
  const foreign = budgetFor(vocabulary, english.slice(0, half * batchSize), share);
  const groups = Array.from({ length: batches }, (_, at) =>
    fresh.slice(at * batchSize, (at + 1) * batchSize),
  );
  const distanceOf = (budget: number): Sample =>
    statisticOf(
      groups.map((group) => reductionAt(vocabulary, group, budget)),
      (some) => Math.abs(sumOf(some) / some.length - share),
    );
  context.report("calibrated-budget", {
    measured: distanceOf(merges),
    control: distanceOf(foreign),
    details: { merges, english: foreign },
  });
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Tokens of texts that are merged in batches. */
function lengthAt(vocabulary: TokenForms, texts: readonly string[], merges: number): number {
  return sumOf(lengthsAt(vocabulary, texts, merges));
}

/** Tokens of each text. */
function lengthsAt(vocabulary: TokenForms, texts: readonly string[], merges: number): number[] {
  const { tokenizer, forms } = vocabulary;
  const lengths: number[] = [];
  for (let at = 0; at < texts.length; at += batchSize) {
    const batch = texts
      .slice(at, at + batchSize)
      .map((text) =>
        Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false }), (id) => forms[id] ?? id),
      );
    const { sequences } = mergeBatch(batch, { merges, boundary: words });
    for (const sequence of sequences) lengths.push(sequence.length);
  }
  return lengths;
}

/** Reduction in percent of what merging up to whole words gives. */
function reductionAt(vocabulary: TokenForms, texts: readonly string[], merges: number): number {
  const base = lengthAt(vocabulary, texts, 0);
  const least = lengthAt(vocabulary, texts, Number.POSITIVE_INFINITY);
  return (100 * (base - lengthAt(vocabulary, texts, merges))) / (base - least);
}

/** The fewest merges that give at least this reduction. */
function budgetFor(vocabulary: TokenForms, texts: readonly string[], wanted: number): number {
  let low = 0;
  let high = 1;
  while (reductionAt(vocabulary, texts, high) < wanted) high *= 2;
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if (reductionAt(vocabulary, texts, middle) < wanted) low = middle;
    else high = middle;
  }
  return high;
}

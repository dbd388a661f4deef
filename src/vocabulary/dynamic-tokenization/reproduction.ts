/**
 * Measures dynamic tokenization: how much shorter sequences get and what reading them costs a frozen
 * model, and how well an index finds the next token in a vocabulary of a million.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import {
  defineReproduction,
  type Plot,
  type PlotPoint,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { spellTokens } from "../hypernetwork.ts";
import { formOfText, readTokenForms, type TokenForms } from "../token-forms.ts";
import { readWholeModel, type WholeModel } from "../whole-model.ts";
import { DirectionIndex, searchExactly } from "./direction-index.ts";
import { type ContinuationQuestion, meanRows, openDynamicModel } from "./dynamic-model.ts";
import { mergeBatch } from "./merge-batch.ts";

const claims = [
  {
    id: "shorter-sequences",
    text: "Tokens saved when merging up to whole words, mean over 11 languages of Parallel UD with the multilingual tokenizer o200k, batches of 32",
    paper: "more than 20 % on average over 14 languages of XNLI, XLM-R",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 20,
    partly: 10,
  },
  {
    id: "worse-served-more",
    text: "Tokens saved with 100 merges, GPT-2's tokenizer, batches of 32: Korean against English",
    paper: "the more a tokenizer cuts a language apart, the more there is to gain",
    unit: "%",
    direction: "higher",
    effect: "difference",
    reproduced: 10,
    partly: 2,
  },
  {
    id: "calibrated-budget",
    text: "A budget of merges found on other text for 40 % of the possible reduction: distance of what it reaches from 40 % (German, in which there is enough to merge)",
    paper: "budgets are found on one part of the data and used on the other",
    unit: "points",
    direction: "lower",
    effect: "value",
    reproduced: 5,
    partly: 10,
  },
  {
    id: "reading-merged-prompts",
    text: "Share of what a prompt is worth that is left at 40 % of the possible reduction, rows as means: bits that the prompt saves on its continuation (jeton-nano, held-out chapters of Gibbon), merged against not merged",
    paper: "almost unchanged up to 40 % (Mistral-7B with a hypernetwork)",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 90,
    partly: 60,
  },
  {
    id: "rows-matter",
    text: "The same after prompts merged up to whole words: rows that are means against rows of other tokens, drawn at random",
    paper: "predicted rows are what makes merging possible",
    unit: "bits/byte",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.01,
    partly: 1.001,
  },
  {
    id: "index-recall",
    text: "The best of a million tokens is among the 20 that the index gives when it looks into 5 % of its groups (queries: hidden states of jeton-nano)",
    paper: "generation through an approximate index is possible; no recall is reported",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 90,
    partly: 70,
    fullOnly: true,
  },
  {
    id: "index-speed",
    text: "Time of a product with all rows over that of the index, median over queries, one thread",
    paper: "fast generation with a vocabulary of a million; no such ratio is reported",
    unit: "times",
    direction: "higher",
    effect: "value",
    reproduced: 5,
    partly: 2,
    fullOnly: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const batchSize = 32;
/** Words of any script: letters with their marks. */
const words: RegExp =
  /'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+/u;
/** Languages of Parallel UD that put spaces between words. */
const languages = ["ar", "de", "en", "es", "fi", "fr", "hi", "id", "ko", "pl", "ru"] as const;
const budgets = [0, 10, 20, 50, 100, 200, Number.POSITIVE_INFINITY] as const;
/** The share of the possible reduction at which the paper sees nearly no loss. */
const share = 40;

export const reproduction: Reproduction = defineReproduction({
  system: "dynamic-tokenization",
  claims,
  async run(context): Promise<Plot> {
    const batches = context.quick ? 1 : 4;
    const pud = await context.data("text/pud");
    const sentences = async (language: string): Promise<string[]> =>
      (await readFile(join(pud, `${language}.txt`), "utf8"))
        .split("\n")
        .filter((line) => line !== "");

    const o200k = readTokenForms(
      await loadTokenizer(await context.data("tokenizers/o200k_base.tiktoken")),
    );
    const saved: Record<string, number> = {};
    for (const language of languages) {
      context.progress(`merging ${language}`);
      const lines = (await sentences(language)).slice(0, batches * batchSize);
      saved[language] =
        100 - (100 * lengthAt(o200k, lines, Number.POSITIVE_INFINITY)) / lengthAt(o200k, lines, 0);
    }
    const values = Object.values(saved);
    context.report("shorter-sequences", {
      measured: values.reduce((sum, value) => sum + value, 0) / values.length,
      details: saved,
    });

    const gpt2 = readTokenForms(
      await loadTokenizer(await context.data("tokenizers/gpt2/tokenizer.json")),
    );
    const curves = new Map<string, PlotPoint[]>();
    for (const language of ["en", "de", "ko"] as const) {
      context.progress(`curve ${language}`);
      const lines = (await sentences(language)).slice(0, batches * batchSize);
      const points = budgets.map((merges) => ({
        x: merges === Number.POSITIVE_INFINITY ? "words" : String(merges),
        y: lengthAt(gpt2, lines, merges) / lines.length,
      }));
      curves.set(language, points);
    }
    const savedAt100 = (language: string): number => {
      const points = curves.get(language)!;
      return 100 - (100 * points[budgets.indexOf(100)]!.y) / points[0]!.y;
    };
    context.report("worse-served-more", {
      measured: savedAt100("ko"),
      baseline: savedAt100("en"),
      baselineName: "English",
      details: Object.fromEntries(curves),
    });

    const german = await sentences("de");
    const known = german.slice(0, batches * batchSize);
    const fresh = german.slice(-batches * batchSize);
    const budget = budgetFor(gpt2, known, share);
    const reached = reductionAt(gpt2, fresh, budget);
    context.report("calibrated-budget", {
      measured: Math.abs(reached - share),
      details: { merges: budget, reached },
    });

    await context.part(async () => {
      const model = await readWholeModel(await context.model());
      await measureReading(context, model);
      if (!context.quick) await measureIndex(context, model);
    });
    return {
      title: "Sequences under dynamic tokenization",
      panels: [
        {
          title: "tokens of a sentence, GPT-2's tokenizer, batches of 32",
          kind: "line",
          x: { title: "merges", scale: "category" },
          y: { title: "tokens", zero: true },
          series: [...curves].map(([name, points]) => ({ name, points })),
        },
      ],
    };
  },
});

/** Tokens of texts that are merged in batches. */
function lengthAt(vocabulary: TokenForms, texts: readonly string[], merges: number): number {
  const { tokenizer, forms } = vocabulary;
  let length = 0;
  for (let at = 0; at < texts.length; at += batchSize) {
    const batch = texts
      .slice(at, at + batchSize)
      .map((text) =>
        Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false }), (id) => forms[id] ?? id),
      );
    const { sequences } = mergeBatch(batch, { merges, boundary: words });
    for (const sequence of sequences) length += sequence.length;
  }
  return length;
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

/** What reading merged prompts costs. */
async function measureReading(context: Context, model: WholeModel): Promise<void> {
  const { quick, seed, signal } = context;
  const gibbon = await context.data("text/gibbon");
  // The chapters that jeton-nano has not been trained on.
  const text = await readFile(join(gibbon, "09_Chapter_IX.txt"), "utf8");
  const questions: ContinuationQuestion[] = text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
    .filter((paragraph) => paragraph.length > 500)
    .slice(0, quick ? 8 : 32)
    .map((paragraph) => {
      const cut = paragraph.indexOf(" ", 300);
      const end = paragraph.indexOf(" ", cut + 120);
      return { prompt: paragraph.slice(0, cut), continuation: paragraph.slice(cut, end) };
    });
  const bytes = questions.reduce(
    (sum, { continuation }) => sum + Buffer.byteLength(continuation),
    0,
  );
  const bits = (logProbabilities: readonly number[]): number =>
    -logProbabilities.reduce((sum, value) => sum + value, 0) / (Math.LN2 * bytes);
  await using dynamic = await openDynamicModel(model);
  const total = (lengths: readonly number[]): number =>
    lengths.reduce((sum, length) => sum + length, 0);

  const tokens = questions.map(({ prompt }) => dynamic.tokenize(prompt));
  const lengthWith = (merges: number): number =>
    total(
      mergeBatch(tokens, { merges, boundary: words }).sequences.map((sequence) => sequence.length),
    );
  const [base, least] = [lengthWith(0), lengthWith(Number.POSITIVE_INFINITY)];
  let merges = 1;
  while ((100 * (base - lengthWith(merges))) / (base - least) < share) merges++;

  const readAt = async (limit: number): Promise<{ bits: number; tokens: number }> => {
    signal.throwIfAborted();
    context.progress(`reading prompts with ${limit} merges`);
    const scored = await dynamic.score(questions, { merges: limit, boundary: words });
    return { bits: bits(scored.logProbabilities), tokens: total(scored.lengths) };
  };
  const plain = await readAt(0);
  const merged = await readAt(merges);
  const whole = await readAt(Number.POSITIVE_INFINITY);
  // What the continuations cost without any prompt.
  const alone = await dynamic.score(
    questions.map(({ continuation }) => ({ prompt: "", continuation })),
    { merges: 0 },
  );
  const nothing = bits(alone.logProbabilities);
  context.report("reading-merged-prompts", {
    measured: (100 * (nothing - merged.bits)) / (nothing - plain.bits),
    details: {
      merges,
      "no prompt": nothing,
      plain,
      merged,
      "whole words": whole,
      cache: dynamic.cacheUse,
    },
  });

  // The same prompts, with merged tokens that have the rows of other tokens.
  const { vocabulary, tables, config } = model.source;
  const rowOf = (id: number): Float32Array =>
    tables.embedding.subarray(id * config.width, (id + 1) * config.width);
  await using foreign = await openDynamicModel(model, {
    predict: async (forms) =>
      forms.map((form) =>
        rowOf(
          vocabulary.ids.get(form) ??
            createRandom(seed, "foreign", form).integer(config.vocabularySize),
        ),
      ),
  });
  const options = { merges: Number.POSITIVE_INFINITY, boundary: words };
  const scored = await foreign.score(questions, options);
  context.report("rows-matter", {
    measured: whole.bits,
    baseline: bits(scored.logProbabilities),
    baselineName: "rows of other tokens",
  });
}

/** Tokens of the large vocabulary. */
const largeSize = 1_000_000;
/** Groups of the index, and how many of them are looked into. */
const partitions = 256;
const probes = 13;

/** How well and how fast an index finds what the whole product finds. */
async function measureIndex(context: Context, model: WholeModel): Promise<void> {
  const { seed, signal } = context;
  const { vocabulary, tables, config } = model.source;
  const gibbon = await context.data("text/gibbon");
  const names = (await readdir(gibbon)).sort();
  const texts: string[] = [];
  for (const name of names) texts.push(await readFile(join(gibbon, name), "utf8"));
  const forms = substringsOf(texts, largeSize);
  context.progress(`predicting rows of ${forms.length} tokens`);
  const spellings = spellTokens(vocabulary, forms).map((spelling) => spelling ?? [0]);
  const head = { embedding: tables.head ?? tables.embedding };
  const rows = meanRows(head, spellings, config.width).embedding;
  context.progress(`indexing ${forms.length} rows`);
  const index = new DirectionIndex(rows, config.width, { partitions, seed, signal });

  await using dynamic = await openDynamicModel(model);
  const held = texts[names.findIndex((name) => name.startsWith("09_"))]!;
  const prompts = Array.from({ length: 32 }, (_, place) =>
    held.slice(2000 + 200 * place, 2200 + 200 * place).replace(/\s+/g, " "),
  );
  const queries = await dynamic.lastHidden(prompts.map((prompt) => dynamic.tokenize(prompt)));
  let best = 0;
  let shared = 0;
  const times: { exact: number[]; index: number[] } = { exact: [], index: [] };
  let scanned = 0;
  for (const [place, query] of queries.entries()) {
    context.progress("searching", place + 1, queries.length);
    const began = performance.now();
    const exact = searchExactly(rows, config.width, query, 20);
    const middle = performance.now();
    const found = index.search(query, 20, { probes });
    times.exact.push(middle - began);
    times.index.push(performance.now() - middle);
    const ids = new Set(found.ids);
    if (ids.has(exact.ids[0]!)) best++;
    shared += exact.ids.filter((id) => ids.has(id)).length;
    scanned += found.scanned / forms.length;
  }
  const median = (list: readonly number[]): number =>
    [...list].sort((a, b) => a - b)[list.length >> 1]!;
  context.report("index-recall", {
    measured: (100 * best) / queries.length,
    details: {
      tokens: forms.length,
      "recall of 20": shared / queries.length / 20,
      "share of rows looked at": scanned / queries.length,
    },
  });
  context.report("index-speed", {
    measured: median(times.exact) / median(times.index),
    details: { milliseconds: { exact: median(times.exact), index: median(times.index) } },
  });
}

/** Distinct substrings of the words of texts, then pairs of words, until there are enough. */
function substringsOf(texts: readonly string[], wanted: number): string[] {
  const pattern = new RegExp(words.source, "gu");
  const found = new Set<string>();
  for (const text of texts) {
    for (const [word] of text.matchAll(pattern)) found.add(formOfText(word));
  }
  const whole = [...found];
  for (const word of whole) {
    for (let start = 0; start < word.length && found.size < wanted; start++) {
      for (let end = start + 1; end <= word.length && found.size < wanted; end++) {
        found.add(word.slice(start, end));
      }
    }
  }
  for (let step = 1; found.size < wanted && step < whole.length; step++) {
    for (let at = 0; at + step < whole.length && found.size < wanted; at++) {
      found.add(whole[at]! + whole[at + step]!);
    }
  }
  return [...found];
}

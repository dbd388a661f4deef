/**
 * Measures dynamic tokenization: how much shorter sequences get and what reading them costs a frozen
 * model, and how well an index finds the next token in a vocabulary of a million.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import {
  defineReproduction,
  type Plot,
  type PlotPoint,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { compile, float32, matmul, topK, trace } from "../../tensor/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { spellTokens } from "../hypernetwork.ts";
import { formOfText, readTokenForms, type TokenForms } from "../token-forms.ts";
import { createDirectionIndex, searchExactly } from "./direction-index.ts";
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
    text: "The best of a million tokens is among the 20 that the index gives when it looks into 2 % of its groups, besides the longest 2 % of the rows (queries: hidden states of jeton-nano)",
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
    text: "Time of a search of all rows over that of the index at that setting, medians over queries, one thread; all rows by whichever is faster, a loop like the index's or the engine's product",
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

    let uses: readonly IndexUse[] = [];
    await context.part(async () => {
      await using model = await loadModel(await context.model(), { format: "f32" });
      await measureReading(context, model);
      if (!context.quick) uses = await measureIndex(context, model);
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
        ...(uses.length === 0 ? [] : [indexPanel(uses)]),
      ],
    };
  },
});

function indexPanel(uses: readonly IndexUse[]): Plot["panels"][number] {
  const line = (name: string, read: (use: IndexUse) => number) => ({
    name,
    points: uses.map((use) => ({ x: use.rows, y: read(use) })),
  });
  return {
    title: "an index of a million tokens",
    kind: "line",
    x: { title: "rows looked at, percent" },
    y: { title: "found, percent" },
    series: [line("the best", ({ best }) => best), line("the best 20", ({ found }) => found)],
  };
}

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

/** A chapter that jeton-nano has not been trained on. */
const readChapter = "09_Chapter_IX.txt";

/** What reading merged prompts costs. */
async function measureReading(context: Context, model: LoadedModel): Promise<void> {
  const { quick, seed, signal } = context;
  const gibbon = await context.data("text/gibbon");
  const text = await readFile(join(gibbon, readChapter), "utf8");
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
  const { vocabulary, tables, config } = dynamic.source;
  const rowOf = (id: number): Float32Array =>
    tables.embedding.subarray(id * config.hiddenSize, (id + 1) * config.hiddenSize);
  await using foreign = await openDynamicModel(model, {
    predict: async (forms) =>
      forms.map((form) =>
        rowOf(
          vocabulary.ids.get(form) ?? createRandom(seed, "foreign", form).integer(config.vocabSize),
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
/** Tokens that are asked for. */
const shortlist = 20;
/** Shares of the groups that are looked into; the claims are about `usualShare`. */
const probedShares = [0.005, 0.01, 0.02, 0.05, 0.2] as const;
const usualShare = 0.02;

/** What an index finds and costs with some share of its groups. */
interface IndexUse {
  /** In percent. */
  readonly groups: number;
  /** In percent of all rows, those that every search looks at included. */
  readonly rows: number;
  /** Percent of the queries whose best token is found. */
  readonly best: number;
  /** Percent of the best tokens that are found, as many as are asked for. */
  readonly found: number;
  /** Median over the queries. */
  readonly milliseconds: number;
}

/** How well and how fast an index finds what the whole product finds. */
async function measureIndex(context: Context, model: LoadedModel): Promise<IndexUse[]> {
  const { seed, signal } = context;
  await using dynamic = await openDynamicModel(model);
  const { vocabulary, tables, config } = dynamic.source;
  const { hiddenSize } = config;
  const gibbon = await context.data("text/gibbon");
  const names = (await readdir(gibbon)).sort();
  const texts: string[] = [];
  for (const name of names) texts.push(await readFile(join(gibbon, name), "utf8"));
  const forms = stretchesOf(texts, largeSize);
  context.progress(`predicting rows of ${forms.length} tokens`);
  const spellings = spellTokens(vocabulary, forms).map((spelling) => spelling ?? [0]);
  const head = { embedding: tables.head ?? tables.embedding };
  const rows = meanRows(head, spellings, hiddenSize).embedding;
  context.progress(`indexing ${forms.length} rows`);
  const began = performance.now();
  const index = await createDirectionIndex(rows, hiddenSize, { seed, signal });
  const buildSeconds = (performance.now() - began) / 1000;

  // Not the chapter of the other claims.
  const prompts = names.flatMap((name, place) => {
    if (!isHeldOutChapter(name) || name === readChapter) return [];
    const text = texts[place]!.replace(/\s+/g, " ");
    return Array.from({ length: 32 }, (_, part) =>
      text.slice(2000 + 200 * part, 2200 + 200 * part),
    );
  });
  const queries = await dynamic.lastHidden(prompts.map((prompt) => dynamic.tokenize(prompt)));
  const product = await openProduct(rows, hiddenSize, shortlist);
  const exact: Int32Array[] = [];
  const times: Record<"engine" | "loop", number[]> = { engine: [], loop: [] };
  try {
    for (const [place, query] of queries.entries()) {
      signal.throwIfAborted();
      context.progress("searching all rows", place + 1, queries.length);
      times.engine.push(await timed(() => product.search(query)));
      times.loop.push(
        await timed(() => exact.push(searchExactly(rows, hiddenSize, query, shortlist).ids)),
      );
    }
  } finally {
    await product.release();
  }

  const uses: IndexUse[] = [];
  for (const share of probedShares) {
    context.progress(`searching ${100 * share} % of the groups`);
    const probes = Math.ceil(share * index.partitions);
    const milliseconds: number[] = [];
    let [best, shared, scanned] = [0, 0, 0];
    for (const [place, query] of queries.entries()) {
      milliseconds.push(
        await timed(() => {
          const found = index.search(query, shortlist, { probes });
          if (found.ids.includes(exact[place]![0]!)) best++;
          shared += exact[place]!.filter((id) => found.ids.includes(id)).length;
          scanned += found.scanned;
        }),
      );
    }
    const percent = (count: number, of: number): number => (100 * count) / (queries.length * of);
    uses.push({
      groups: 100 * share,
      rows: percent(scanned, forms.length),
      best: percent(best, 1),
      found: percent(shared, shortlist),
      milliseconds: median(milliseconds),
    });
  }
  const usual = uses[probedShares.indexOf(usualShare)]!;
  context.report("index-recall", {
    measured: usual.best,
    details: { tokens: forms.length, queries: queries.length, groups: index.partitions, uses },
  });
  const milliseconds = { engine: median(times.engine), loop: median(times.loop) };
  context.report("index-speed", {
    measured: Math.min(milliseconds.engine, milliseconds.loop) / usual.milliseconds,
    details: { "all rows, milliseconds": milliseconds, index: usual.milliseconds, buildSeconds },
  });
  return uses;
}

async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[list.length >> 1]!;
}

/** The best rows by a product of the engine with all of them, on one thread. */
async function openProduct(rows: Float32Array, width: number, count: number) {
  const types = { rows: float32(["rows", width]), query: float32([1, width]) };
  const graph = trace(types, ({ rows: all, query }) => ({
    ids: topK(matmul(query, all, { transposeB: true }), count).indices,
  }));
  // Inline: the rows would be copied into a worker.
  const program = await compile(graph, { threads: 1, inline: true, spinning: false });
  const shape = [rows.length / width, width];
  return {
    search: (query: Float32Array) =>
      program.run({ rows: { data: rows, shape }, query: { data: query, shape: [1, width] } }),
    release: () => program.release(),
  };
}

/**
 * Distinct words of texts, then all stretches of their letters, then the words of two and more that
 * follow one another, until there are enough.
 */
function stretchesOf(texts: readonly string[], wanted: number): string[] {
  const pattern = new RegExp(words.source, "gu");
  const running = texts.map((text) =>
    Array.from(text.matchAll(pattern), ([word]) => formOfText(word)),
  );
  const found = new Set(running.flat());
  for (const word of [...found]) {
    for (let start = 0; start < word.length && found.size < wanted; start++) {
      for (let end = start + 1; end <= word.length && found.size < wanted; end++) {
        found.add(word.slice(start, end));
      }
    }
  }
  for (let length = 2; found.size < wanted && length < 10; length++) {
    for (const list of running) {
      for (let at = 0; at + length <= list.length && found.size < wanted; at++) {
        found.add(list.slice(at, at + length).join(""));
      }
    }
  }
  return [...found];
}

/**
 * Measures data mixture inference where the truth is known: tokenizers trained here on random
 * mixtures, attacked with other text of the same kinds.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createRandom, type Random } from "../../core/index.ts";
import {
  defineReproduction,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { encodeUtf8 } from "../decoders/byte-alphabet.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import {
  type InferMixtureOptions,
  type InferredMixture,
  inferMixture,
} from "./data-mixture-inference.ts";
import { loadMergeList, type ReadMergeListOptions, readMergeList } from "./merge-list.ts";

const claims = [
  {
    id: "languages",
    text: "Shares of 5 languages (Bible verses, 1,000 merges, other verses than in training): log10 of the mean squared error",
    paper: -7.3,
    unit: "log10 MSE",
    direction: "lower",
    effect: "value",
    reproduced: -5,
    partly: -4,
  },
  {
    id: "prose-and-code",
    text: "Shares of prose (history, encyclopedia) and code (Python, Java, jeton's own TypeScript), 2,000 merges: log10 of the mean squared error",
    paper: "-6.46 for 5 programming languages, -3.41 for 5 English domains",
    unit: "log10 MSE",
    direction: "lower",
    effect: "value",
    reproduced: -5,
    partly: -4,
  },
  {
    id: "domains",
    text: "Shares of history, encyclopedia, Python and Java, 125 kB of each code sample: log10 of the mean squared error",
    paper: -3.41,
    unit: "log10 MSE",
    direction: "lower",
    effect: "value",
    reproduced: -3.41,
    partly: -2.5,
  },
  {
    id: "beats-baselines",
    text: "Orders of magnitude between its mean squared error and that of the best baseline (languages)",
    paper: "2 to 5 orders",
    unit: "log10 MSE",
    direction: "lower",
    effect: "difference",
    reproduced: 2,
    partly: 1,
  },
  {
    id: "pair-slack",
    text: "A slack for each competing pair beside that of each merge lowers the error (languages, ablation)",
    paper: "part of the method, not reported alone",
    unit: "log10 MSE",
    direction: "lower",
    effect: "difference",
    reproduced: 0.1,
    partly: 0,
  },
  {
    id: "noise",
    text: "Share given to a sample of noise (letters drawn at random) beside the five languages: slack weighed against merged pairs, as is done here, against slack weighed against all pairs, as published",
    paper: "not in the paper: the weighing is ours",
    unit: "%",
    direction: "lower",
    effect: "difference",
    reproduced: 5,
    partly: 1,
  },
  {
    id: "byte-shares",
    text: "Turning shares of pairs into shares of bytes lowers the error (languages, ablation)",
    paper: "part of the method, not reported alone",
    unit: "log10 MSE",
    direction: "lower",
    effect: "difference",
    reproduced: 0.1,
    partly: 0,
  },
  {
    id: "right-words",
    text: "Cutting text as the tokenizer does matters: error with its own words against text that is not cut into words",
    paper: "required, not reported alone",
    unit: "log10 MSE",
    direction: "lower",
    effect: "difference",
    reproduced: 1,
    partly: 0.3,
  },
  {
    id: "shifted-sample",
    text: "Attacked with other books than those trained on (languages): log10 of the mean squared error",
    paper: "robust to shifted samples",
    unit: "log10 MSE",
    direction: "lower",
    effect: "value",
    reproduced: -4,
    partly: -3,
  },
  {
    id: "omitted-category",
    text: "Without a sample of the largest category the list is visibly not explained: its slack, in multiples of the full answer's",
    paper: "unexplained merges rise",
    unit: "ratio",
    direction: "higher",
    effect: "value",
    reproduced: 2,
    partly: 1.2,
  },
  {
    id: "uncertainty",
    text: "Share of the true values within two reported standard errors (languages)",
    paper: "not in the paper: the error bars are ours",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 85,
    partly: 70,
  },
  {
    id: "published-tokenizers",
    text: "GPT-2, Llama 2, Mistral and Claude ordered by their share of code as the paper orders them (Kendall's tau; no ground truth, small samples)",
    paper: "GPT-2 0.7 %, Llama 19.2 %, Mistral 25.8 %, Claude 57.5 %",
    unit: "tau",
    direction: "higher",
    effect: "value",
    reproduced: 0.99,
    partly: 0.6,
    fullOnly: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** Documents of one category. */
interface Corpus {
  readonly name: string;
  readonly documents: readonly string[];
}

/** A tokenizer of known mixture, and samples to attack it with. */
interface Experiment {
  readonly truth: readonly number[];
  readonly trainingBytes: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer;
  readonly samples: readonly Corpus[];
}

export const reproduction: Reproduction = defineReproduction({
  system: "data-mixture-inference",
  claims,
  async run(context) {
    const { quick, seed } = context;
    const merges = quick ? 300 : 1000;
    const mixtures = quick ? 2 : 20;
    const parts = quick ? 3 : 4;
    const bible = await loadBible(context);

    const languages: { experiment: Experiment; answer: InferredMixture; error: number }[] = [];
    for (let number = 0; number < mixtures; number++) {
      context.progress("languages", number, mixtures);
      const experiment = await sampleExperiment(
        createRandom(seed, "languages", number),
        bible,
        merges,
      );
      const answer = await attack(context, experiment, {
        parts,
        trainingBytes: experiment.trainingBytes,
      });
      languages.push({
        experiment,
        answer,
        error: squaredError(sharesOf(answer), experiment.truth),
      });
    }
    context.report("languages", {
      ...summarize(languages.map(({ error }) => error)),
      ...baselineOf(
        "a uniform mixture",
        languages.map(({ experiment: { truth } }) => uniform(truth)),
      ),
      details: {
        mixtures,
        merges,
        bytesOfSample: languages[0]!.answer.shares.map((share) => share.sampleBytes),
      },
    });

    const covered = languages.flatMap(({ answer, experiment: { truth } }) =>
      answer.shares.map(
        ({ share, standardError }, i) => Math.abs(share - truth[i]!) <= 2 * standardError!,
      ),
    );
    context.report("uncertainty", {
      measured: (covered.filter(Boolean).length / covered.length) * 100,
      details: { shares: covered.length, parts },
    });

    await compareWithBaselines(context, languages.slice(0, quick ? 2 : 10), bible, merges);
    await ablate(context, languages.slice(0, quick ? 1 : 5));
    await shiftSamples(context, bible, merges, quick ? 1 : 6);
    await context.part(() => measureProseAndCode(context, merges, mixtures));
    if (!quick) await context.part(() => readPublishedTokenizers(context));

    return {
      title: "Data mixture inference: shares read from the merges of tokenizers trained here",
      panels: [
        {
          title: `Five languages, ${mixtures} mixtures`,
          kind: "scatter",
          x: { title: "true share" },
          y: { title: "inferred share" },
          series: bible.map(({ name }, i) => ({
            name,
            points: languages.map(({ answer, experiment }) => ({
              x: experiment.truth[i]!,
              y: answer.shares[i]!.share,
            })),
          })),
        },
      ],
    };
  },
});

/** The languages' baselines, each as good as it can be made from the same samples. */
async function compareWithBaselines(
  context: Context,
  languages: readonly { readonly experiment: Experiment; readonly error: number }[],
  corpora: readonly Corpus[],
  merges: number,
): Promise<void> {
  const truths = languages.map(({ experiment }) => experiment.truth);
  const efficiencies: number[][] = [];
  const classified: number[][] = [];
  for (const [number, { experiment }] of languages.entries()) {
    context.progress("baselines", number, languages.length);
    efficiencies.push(await measureEfficiency(experiment, merges));
    classified.push(classifyTokens(experiment));
  }
  const random = createRandom(context.seed, "random-baseline");
  const errors = {
    random: truths.map((truth) => squaredError(sampleShares(random, truth.length), truth)),
    uniform: truths.map(uniform),
    "encoding efficiency": truths.map((truth, i) =>
      squaredError(predictFromOthers(efficiencies, truths, i), truth),
    ),
    "token classification": truths.map((truth, i) => squaredError(classified[i]!, truth)),
    "token classification, fitted": truths.map((truth, i) =>
      squaredError(predictFromOthers(classified, truths, i), truth),
    ),
  };
  const means = Object.entries(errors).map(([name, values]) => [name, meanLog(values)] as const);
  const [baselineName, baseline] = means.reduce((best, next) => (next[1] < best[1] ? next : best));
  context.report("beats-baselines", {
    measured: meanLog(languages.map(({ error }) => error)),
    baseline,
    baselineName,
    details: { ...Object.fromEntries(means), categories: corpora.map(({ name }) => name) },
  });
}

async function ablate(
  context: Context,
  languages: readonly {
    readonly experiment: Experiment;
    readonly answer: InferredMixture;
    readonly error: number;
  }[],
): Promise<void> {
  const without: Record<"pair-slack" | "byte-shares" | "right-words", number[]> = {
    "pair-slack": [],
    "byte-shares": [],
    "right-words": [],
  };
  const unexplained: number[] = [];
  const details: unknown[] = [];
  const noise: Record<"merge" | "pair", number[]> = { merge: [], pair: [] };
  const published: number[] = [];
  for (const [number, { experiment, answer }] of languages.entries()) {
    context.progress("ablations", number, languages.length);
    const { truth, samples } = experiment;
    const errorOf = async (options: InferMixtureOptions, list?: ReadMergeListOptions) =>
      squaredError(
        sharesOf(await attack(context, experiment, { parts: 1, ...options }, list)),
        truth,
      );
    without["pair-slack"].push(await errorOf({ pairSlack: false }));
    without["byte-shares"].push(await errorOf({ byteShares: false }));
    without["right-words"].push(await errorOf({}, { steps: [] }));

    published.push(await errorOf({ slackPer: "pair" }));
    const stranger = { name: "noise", documents: sampleNoise(createRandom(context.seed, "noise")) };
    const more = { ...experiment, samples: [...samples, stranger] };
    for (const slackPer of ["merge", "pair"] as const) {
      const found = await attack(context, more, { parts: 1, slackPer });
      noise[slackPer].push(100 * found.shares.at(-1)!.share);
    }

    const largest = truth.indexOf(Math.max(...truth));
    const fewer = { ...experiment, samples: samples.filter((_, i) => i !== largest) };
    const partial = await attack(context, fewer, { parts: 1 });
    unexplained.push(partial.violation / answer.violation);
    details.push({
      omitted: samples[largest]!.name,
      share: truth[largest],
      slack: [answer.violation, partial.violation],
      missingMerges: [answer.missingMerges.length, partial.missingMerges.length],
    });
  }
  const measured = meanLog(languages.map(({ error }) => error));
  const baselineNames = {
    "pair-slack": "slack of merges alone",
    "byte-shares": "shares of pairs",
    "right-words": "text not cut into words",
  };
  for (const id of ["pair-slack", "byte-shares", "right-words"] as const) {
    const baseline = meanLog(without[id]);
    context.report(id, { measured, baseline, baselineName: baselineNames[id] });
  }
  context.report("noise", {
    measured: mean(noise.merge),
    baseline: mean(noise.pair),
    baselineName: "as published",
    details: { "error without noise": { here: measured, "as published": meanLog(published) } },
  });
  context.report("omitted-category", {
    measured: Math.exp(mean(unexplained.map(Math.log))),
    details: { mixtures: details },
  });
}

/** Trains on the first half of each book and attacks with the second: other chapters. */
async function shiftSamples(
  context: Context,
  corpora: readonly Corpus[],
  merges: number,
  mixtures: number,
): Promise<void> {
  const errors: number[] = [];
  for (let number = 0; number < mixtures; number++) {
    context.progress("shifted samples", number, mixtures);
    const random = createRandom(context.seed, "shifted", number);
    const experiment = await sampleExperiment(random, corpora, merges, { shuffled: false });
    const answer = await attack(context, experiment, { parts: 1 });
    errors.push(squaredError(sharesOf(answer), experiment.truth));
  }
  context.report("shifted-sample", summarize(errors));
}

async function measureProseAndCode(
  context: Context,
  fewest: number,
  mixtures: number,
): Promise<void> {
  const history = { name: "history", documents: await loadHistory(context) };
  const encyclopedia = { name: "encyclopedia", documents: await loadEncyclopedia(context) };
  const python = { name: "Python", documents: await loadPython(context) };
  const java = { name: "Java", documents: await loadJava(context) };
  const typescript = { name: "TypeScript", documents: await loadTypeScript() };
  const join = (name: string, parts: readonly Corpus[]): Corpus => ({
    name,
    documents: parts.flatMap(({ documents }) => documents),
  });
  const settings = [
    {
      id: "prose-and-code",
      corpora: [join("prose", [history, encyclopedia]), join("code", [python, java, typescript])],
      merges: 2 * fewest,
      count: mixtures,
    },
    {
      id: "domains",
      corpora: [history, encyclopedia, python, java],
      merges: fewest,
      count: Math.ceil(mixtures / 4),
    },
  ] as const;
  for (const { id, corpora, merges, count } of settings) {
    const errors: number[] = [];
    const truths: (readonly number[])[] = [];
    for (let number = 0; number < count; number++) {
      context.progress(id, number, count);
      const random = createRandom(context.seed, id, number);
      const experiment = await sampleExperiment(random, corpora, merges);
      errors.push(
        squaredError(sharesOf(await attack(context, experiment, { parts: 1 })), experiment.truth),
      );
      truths.push(experiment.truth);
    }
    context.report(id, {
      ...summarize(errors),
      ...baselineOf("a uniform mixture", truths.map(uniform)),
      details: {
        mixtures: count,
        merges,
        characters: Object.fromEntries(
          corpora.map(({ name, documents }) => [name, documents.join("").length]),
        ),
      },
    });
  }
}

/**
 * The published tokenizers of the data folder, with the categories that it allows. The samples are
 * small and old-fashioned (history for books, biomedicine for academia), so that only large
 * differences mean something.
 */
async function readPublishedTokenizers(context: Context): Promise<void> {
  const cutLines = async (name: string): Promise<string[]> =>
    groupLines(await readFile(await context.data(name), "utf8"));
  const categories: Corpus[] = [
    { name: "web (reviews, mail, forums)", documents: await cutLines("text/ud/en-ewt-dev.txt") },
    { name: "code (Python)", documents: await loadPython(context) },
    { name: "books (history)", documents: (await loadHistory(context)).slice(0, 4000) },
    { name: "academic (biomedicine)", documents: await cutLines("retrieval/chunking/pubmed.md") },
    { name: "encyclopedia", documents: await loadEncyclopedia(context) },
    { name: "finance", documents: await cutLines("retrieval/chunking/finance.md") },
  ];
  for (const language of ["de", "es", "fr", "ru", "zh", "ar", "hi", "ko", "pl", "tr"]) {
    categories.push({ name: language, documents: await cutLines(`text/pud/${language}.txt`) });
  }
  const merges = 1000;
  const folders = ["gpt2", "llama-2", "mistral-v0.2", "claude-1"];
  const paperCode = [0.7, 19.2, 25.8, 57.5];
  const code: number[] = [];
  const details: Record<string, unknown> = {};
  for (const [number, folder] of folders.entries()) {
    context.progress("published tokenizers", number, folders.length);
    const path = await context.data(`tokenizers/${folder}/tokenizer.json`);
    const list = await loadMergeList(path, { maxMerges: merges });
    const infer = (slackPer: "merge" | "pair"): Promise<InferredMixture> =>
      inferMixture(
        list,
        categories.map(({ name, documents }) => ({ name, texts: documents })),
        { parts: 1, slackPer, signal: context.signal },
      );
    const percentOf = ({ shares }: InferredMixture): Record<string, number> =>
      Object.fromEntries(shares.map(({ name, share }) => [name, Number((share * 100).toFixed(1))]));
    const answer = await infer("merge");
    code.push(answer.shares[1]!.share);
    details[folder] = {
      percent: percentOf(answer),
      asPublished: percentOf(await infer("pair")),
      slackPerMillion: Math.round(answer.violation),
      violatedMerges: answer.violatedMerges,
      missingMerges: answer.missingMerges.length,
      droppedEntries: answer.droppedEntries,
    };
  }
  context.report("published-tokenizers", {
    measured: kendall(code, paperCode),
    details: { merges, ...details },
  });
}

/** Trains a tokenizer on a random mixture of halves of the corpora; the other halves attack it. */
async function sampleExperiment(
  random: Random,
  corpora: readonly Corpus[],
  merges: number,
  options: { readonly shuffled?: boolean } = {},
): Promise<Experiment> {
  const halves = corpora.map(({ documents }) => {
    const order = options.shuffled === false ? [...documents] : random.shuffle([...documents]);
    const middle = order.length >> 1;
    return { training: order.slice(0, middle), attack: order.slice(middle) };
  });
  const wanted = sampleShares(random, corpora.length);
  const available = halves.map(({ training }) => bytesOf(training));
  // The truth is a property of the training text, but its merges are a sample too: more text, less noise.
  const total = Math.min(...wanted.map((share, i) => available[i]! / share));
  const texts: string[] = [];
  const sizes = halves.map(({ training }, i) => {
    let size = 0;
    for (const document of training) {
      if (size >= wanted[i]! * total) break;
      texts.push(document);
      size += bytesOf([document]);
    }
    return size;
  });
  const sum = sizes.reduce((all, size) => all + size, 0);
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 257 + merges,
    texts,
  });
  return {
    truth: sizes.map((size) => size / sum),
    trainingBytes: sum,
    json: trained.json,
    tokenizer: trained.tokenizer,
    samples: corpora.map(({ name }, i) => ({ name, documents: halves[i]!.attack })),
  };
}

/** A point drawn uniformly from the simplex, as the paper draws it. */
function sampleShares(random: Random, count: number): number[] {
  const cuts = new Set<number>();
  while (cuts.size < count - 1) cuts.add(1 + random.integer(9999));
  const edges = [0, ...[...cuts].sort((a, b) => a - b), 10_000];
  return edges.slice(1).map((edge, i) => (edge - edges[i]!) / 10_000);
}

/** Lines of letters that say nothing. */
function sampleNoise(random: Random): string[] {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const word = (): string =>
    Array.from({ length: 6 }, () => letters[random.integer(letters.length)]).join("");
  return Array.from({ length: 4000 }, () => `${Array.from({ length: 12 }, word).join(" ")}\n`);
}

function attack(
  context: Context,
  { json, samples }: Experiment,
  options: InferMixtureOptions,
  list?: ReadMergeListOptions,
): Promise<InferredMixture> {
  return inferMixture(
    readMergeList(json, list),
    samples.map(({ name, documents }) => ({ name, texts: documents })),
    { signal: context.signal, ...options },
  );
}

function sharesOf(answer: InferredMixture): number[] {
  return answer.shares.map(({ share }) => share);
}

/**
 * Baseline "encoding efficiency": bytes per token on each category, against a tokenizer of the same
 * size trained on that category alone.
 */
async function measureEfficiency(experiment: Experiment, merges: number): Promise<number[]> {
  const efficiencies: number[] = [];
  for (const { documents } of experiment.samples) {
    const own = await trainTokenizer({
      kind: "byte-level-bpe",
      vocabSize: 257 + merges,
      texts: documents,
    });
    const text = documents.slice(0, 2000);
    efficiencies.push(countTokens(own.tokenizer, text) / countTokens(experiment.tokenizer, text));
  }
  return efficiencies;
}

function countTokens(tokenizer: Tokenizer, texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + tokenizer.countTokens(text), 0);
}

/** Baseline "token classification": each token counts for the category in whose text it is commonest. */
function classifyTokens({ tokenizer, samples }: Experiment): number[] {
  const texts = samples.map(({ documents }) => documents.join("").slice(0, 100_000));
  const counts = samples.map(() => 0);
  for (let id = 257; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.decode([id]);
    if (token.includes("\ufffd")) continue;
    const rates = texts.map((text) => (text.split(token).length - 1) / text.length);
    const best = rates.indexOf(Math.max(...rates));
    if (rates[best]! > 0) counts[best]!++;
  }
  const sum = counts.reduce((all, count) => all + count, 0);
  return counts.map((count) => count / sum);
}

/**
 * Shares predicted from a feature of each category by a line in logarithms, fitted on all other
 * mixtures, and normalized.
 */
function predictFromOthers(
  features: readonly (readonly number[])[],
  truths: readonly (readonly number[])[],
  which: number,
): number[] {
  const points = features.flatMap((row, i) =>
    i === which ? [] : row.map((value, j) => [logOf(value), logOf(truths[i]![j]!)] as const),
  );
  const meanX = mean(points.map(([x]) => x));
  const meanY = mean(points.map(([, y]) => y));
  const covariance = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)));
  const variance = mean(points.map(([x]) => (x - meanX) ** 2));
  const slope = variance > 0 ? covariance / variance : 0;
  const raw = features[which]!.map((value) => Math.exp(meanY + slope * (logOf(value) - meanX)));
  const sum = raw.reduce((all, value) => all + value, 0);
  return raw.map((value) => value / sum);
}

function logOf(value: number): number {
  return Math.log(Math.max(value, 1e-4));
}

function uniform(truth: readonly number[]): number {
  return squaredError(
    truth.map(() => 1 / truth.length),
    truth,
  );
}

function squaredError(shares: readonly number[], truth: readonly number[]): number {
  return mean(shares.map((share, i) => (share - truth[i]!) ** 2));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean of log10, as the paper averages over mixtures. */
function meanLog(errors: readonly number[]): number {
  return mean(errors.map(Math.log10));
}

function summarize(errors: readonly number[]): { measured: number; uncertainty?: number } {
  const logs = errors.map(Math.log10);
  const measured = mean(logs);
  if (logs.length < 2) return { measured };
  const squares = logs.reduce((sum, value) => sum + (value - measured) ** 2, 0);
  const deviation = Math.sqrt(squares / (logs.length - 1));
  return { measured, uncertainty: (1.96 * deviation) / Math.sqrt(logs.length) };
}

function baselineOf(
  baselineName: string,
  errors: readonly number[],
): { baseline: number; baselineName: string } {
  return { baseline: meanLog(errors), baselineName };
}

/** Kendall's rank correlation of two lists without ties. */
function kendall(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < i; j++) sum += Math.sign((a[i]! - a[j]!) * (b[i]! - b[j]!));
  }
  return sum / ((a.length * (a.length - 1)) / 2);
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + encodeUtf8(text).length, 0);
}

async function loadBible(context: Context): Promise<Corpus[]> {
  const corpora: Corpus[] = [];
  for (const name of ["Swahili", "Zulu", "Latvian", "Ukrainian", "Basque"]) {
    const xml = await readFile(await context.data(`text/bible/${name}-NT.xml`), "utf8");
    const verses = [...xml.matchAll(/<seg[^>]*>\s*([^<]*?)\s*<\/seg>/g)].map(
      ([, verse]) => `${verse}\n`,
    );
    corpora.push({ name, documents: verses });
  }
  return corpora;
}

/** Paragraphs of the first twenty chapters, without their indentation. */
async function loadHistory(context: Context): Promise<string[]> {
  const folder = await context.data("text/gibbon");
  const { readdir } = await import("node:fs/promises");
  const names = (await readdir(folder)).sort().slice(0, 20);
  const chapters = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  return chapters.flatMap((chapter) =>
    chapter
      .split(/\n\s*\n/)
      .map((paragraph) => `${paragraph.trim().replace(/\s*\n\s*/g, " ")}\n`)
      .filter((paragraph) => paragraph.length > 1),
  );
}

/** WikiText's paragraphs, with the spaces before punctuation taken back. */
async function loadEncyclopedia(context: Context): Promise<string[]> {
  const text = await readFile(await context.data("text/wikitext-2/valid.txt"), "utf8");
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("="))
    .map((line) => {
      const joined = line
        .replace(/ @([-,.])@ /g, "$1")
        .replace(/ ([,.;:!?)\]]|'s|n't|'re|'ve|'ll|'d|'m)(?= |$)/g, "$1")
        .replace(/([([]) /g, "$1")
        .replace(/" ([^"]*?) "/g, '"$1"')
        .replaceAll("<unk>", "Smith");
      return `${joined}\n`;
    });
}

/** Functions of CoSQA and HumanEval, each once. */
async function loadPython(context: Context): Promise<string[]> {
  const cosqa = JSON.parse(await readFile(await context.data("code/cosqa-dev.json"), "utf8")) as {
    code: string;
  }[];
  const packed = await readFile(
    await context.data("code/humaneval-infilling-single-line.jsonl.gz"),
  );
  const tasks = new Map<string, string>();
  for (const line of gunzipSync(packed).toString("utf8").trim().split("\n")) {
    const task = JSON.parse(line) as Record<string, string>;
    tasks.set(
      task["entry_point"]!,
      `${task["prompt"]}${task["canonical_solution"]}${task["suffix"]}\n`,
    );
  }
  return [...new Set([...cosqa.map(({ code }) => `${code}\n`), ...tasks.values()])];
}

/** Methods of CONCODE, each once; they come with spaces between all tokens. */
async function loadJava(context: Context): Promise<string[]> {
  const text = await readFile(await context.data("code/concode-dev.json"), "utf8");
  const lines = text.trim().split("\n");
  return [...new Set(lines.map((line) => `${(JSON.parse(line) as { code: string }).code}\n`))];
}

/**
 * jeton's own sources as they are published: the data folder holds half a megabyte of code, and shares
 * are no more exact than the text that they are read from.
 */
async function loadTypeScript(): Promise<string[]> {
  const { readdir } = await import("node:fs/promises");
  const sources = new URL("../../../src/", import.meta.url);
  const names = (await readdir(sources, { recursive: true }))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .sort();
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, sources), "utf8")));
  return texts.flatMap(groupLines);
}

/** Lines in groups of twenty. */
function groupLines(text: string): string[] {
  const lines = text.split("\n");
  const groups: string[] = [];
  for (let i = 0; i < lines.length; i += 20) groups.push(`${lines.slice(i, i + 20).join("\n")}\n`);
  return groups;
}

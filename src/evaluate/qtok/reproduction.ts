/** Measures Qtok's counts against the published ones, and whether what it counts means something. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import {
  constantOf,
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  rankCorrelation,
  ratioOfSums,
  type Sample,
  statisticOf,
} from "../../reproduce/index.ts";
import { loadTokenizer, type TrainableKind, trainTokenizer } from "../../tokenizer/index.ts";
import { classifyVocabulary, tokenCategories } from "./classify-tokens.ts";
import { type LanguageText, shareLanguages } from "./measure-text.ts";
import { inspectVocabularies, type NamedTokenizer, type QtokReport } from "./qtok.ts";

const claims = [
  {
    id: "published-percentages",
    text: "Twelve categories of Llama 2, Mistral, GPT-NeoX (Pythia's) and Falcon, counted as the paper counts: mean distance from its percentages",
    paper: { value: 0, unit: "percentage points", compares: "measured" },
    units: "categories of tokenizers",
    control: "the paper's percentages of the next tokenizer",
    unit: "percentage points",
    direction: "lower",
    effect: "value",
    noEffect: 5,
    reproduced: 0.05,
    partly: 0.5,
    quick: { reproduced: 0.05, partly: 0.5 },
  },
  {
    id: "size-is-not-coverage",
    text: "Over all vocabularies of the data folder: rank correlation of size with the number of languages whose alphabet is complete",
    paper: { words: "size is not coverage" },
    units: "vocabularies",
    control: "tokens of several characters, which do grow with the size",
    unit: "Spearman's rho",
    direction: "lower",
    effect: "value",
    noEffect: 1,
    reproduced: 0.5,
    partly: 0.7,
    quick: { reproduced: 0.6, partly: 0.8 },
  },
  {
    id: "near-copies",
    text: "Published tokenizers for each that is really different (similarity up to 0.95), over those of the data folder",
    paper: {
      value: 4.46,
      unit: "tokenizers",
      compares: "measured",
      setting: "a collection with many derived models",
    },
    units: "vocabularies",
    control: "each tokenizer for itself",
    unit: "tokenizers",
    direction: "higher",
    effect: "value",
    noEffect: 1,
    reproduced: 2,
    partly: 1.1,
    quick: { reproduced: 1.5, partly: 1.05 },
  },
  {
    id: "finds-the-mixture",
    text: "Ours: vocabularies trained here on English, German, Finnish and Russian in four mixtures of shares 8:4:2:1: rank correlation of the language table with the shares",
    paper: { words: "vocabulary shares follow the training data, not measured" },
    units: "vocabularies",
    control: "the shares of the next mixture",
    unit: "Spearman's rho",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 0.9,
    partly: 0.6,
    quick: { reproduced: 0.7, partly: 0.4 },
  },
  {
    id: "broken-characters",
    text: "Broken characters in byte-level vocabularies trained on Hindi, Chinese, Thai, Korean and Arabic, against one trained on English",
    paper: {
      value: 0.8,
      unit: "% of tokens",
      compares: "measured",
      setting: "to 1.8 % in byte-level vocabularies, 0 in those of characters",
    },
    units: "languages",
    control: "vocabularies of characters, trained on the same text",
    unit: "% of tokens",
    direction: "higher",
    effect: "difference",
    reproduced: 0.5,
    partly: 0.05,
    quick: { reproduced: 0.5, partly: 0.05 },
  },
  {
    id: "share-predicts-cost",
    text: "Ours: rank correlation of a language's share of the vocabulary with bytes per token on parallel text, language by language over all vocabularies of the data folder, mean",
    paper: { words: "not in the paper: it measures no text" },
    units: "languages",
    control: "the shares of the next language",
    unit: "Spearman's rho",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 0.5,
    partly: 0.2,
    quick: { reproduced: 0.3, partly: 0.1 },
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** The paper's table, percentages in the order of the categories. */
const paperPercentages: Readonly<Record<string, readonly number[]>> = {
  "llama-2": [0.05, 0.8, 5.09, 50.15, 38.66, 0.8, 1.09, 3.25, 0, 0.04, 0.02, 0.06],
  "mistral-v0.2": [0.02, 0.8, 8.47, 48.2, 37.09, 0.91, 1.02, 3.13, 0, 0.21, 0.03, 0.12],
  "gpt-neox": [0.01, 0.37, 1.37, 54.3, 33.83, 0.13, 2.91, 5.58, 0.97, 0.13, 0.07, 0.35],
  "falcon-180b": [0.01, 0.26, 1.84, 61.26, 31.65, 0.09, 0.08, 3.14, 1.45, 0.03, 0.03, 0.16],
};

const allVocabularies = [
  ...["bert-base-chinese", "bert-base-uncased", "claude-1", "falcon-180b", "gpt-neox", "gpt2"],
  ...["llama-2", "mistral-v0.2", "stablelm-alpha", "t5", "whisper", "yi-34b"],
  ...["cl100k_base.tiktoken", "o200k_base.tiktoken", "mistral-v3.model"],
];
const fewVocabularies = ["gpt2", "gpt-neox", "stablelm-alpha", "llama-2", "falcon-180b"];

const parallelLanguages = [
  ...["en", "de", "fr", "es", "fi", "pl", "tr", "id", "ru", "ar", "hi", "th", "ko", "zh"],
];

export const reproduction: Reproduction = defineReproduction({
  system: "qtok",
  module: import.meta.url,
  claims,
  async run(context) {
    const sentences = context.quick ? 100 : 1000;
    const texts = await loadParallel(context, parallelLanguages, sentences);
    await comparePercentages(context);
    const report = await inspectAll(context, texts);
    await trainMixtures(context);
    await countBroken(context);
    const measured = report.vocabularies;
    return {
      title: "Qtok: what published vocabularies are made of, and what languages cost",
      panels: [
        {
          title: "Size is not coverage",
          kind: "scatter",
          x: { title: "tokens", scale: "log" },
          y: { title: "languages with a complete alphabet" },
          series: measured.map((vocabulary) => ({
            name: vocabulary.name,
            points: [{ x: vocabulary.size, y: countComplete(vocabulary.completeness) }],
          })),
        },
        {
          title: "Tokens for the same sentences, in multiples of English",
          kind: "bar",
          x: { title: "language", scale: "category" },
          y: { title: "tokens" },
          series: measured
            .filter(({ name }) => ["gpt2", "llama-2", "o200k_base"].includes(name))
            .map(({ name, text }) => ({
              name,
              points: text.map(({ language, parity }) => ({ x: language, y: parity })),
            })),
        },
      ],
    };
  },
});

async function comparePercentages(context: Context): Promise<void> {
  const names = context.quick ? ["llama-2", "falcon-180b"] : Object.keys(paperPercentages);
  const distances: number[] = [];
  const shuffled: number[] = [];
  const details: Record<string, unknown> = {};
  for (const [done, name] of names.entries()) {
    context.progress("published counts", done, names.length);
    const path = await context.data(`tokenizers/${name}/tokenizer.json`);
    const tokens = classifyVocabulary(await loadTokenizer(path), { asPublished: true });
    const counts = tokenCategories.map(
      (category) => tokens.filter((token) => token.category === category).length,
    );
    const percentages = counts.map((count) => (count / tokens.length) * 100);
    const expected = paperPercentages[name]!;
    const foreign = paperPercentages[names[(done + 1) % names.length]!]!;
    distances.push(...percentages.map((value, i) => Math.abs(value - expected[i]!)));
    shuffled.push(...percentages.map((value, i) => Math.abs(value - foreign[i]!)));
    details[name] = { tokens: tokens.length, counts, largest: Math.max(...distances.slice(-12)) };
  }
  context.report("published-percentages", {
    measured: meanOf(distances),
    control: meanOf(shuffled),
    details,
  });
}

async function inspectAll(context: Context, texts: readonly LanguageText[]): Promise<QtokReport> {
  const tokenizers: NamedTokenizer[] = [];
  for (const name of context.quick ? fewVocabularies : allVocabularies) {
    const file = /\.(tiktoken|model)$/.test(name) ? name : `${name}/tokenizer.json`;
    const path = await context.data(`tokenizers/${file}`);
    const short = name.replace(/\.tiktoken$/, "");
    tokenizers.push({ name: short, tokenizer: await loadTokenizer(path) });
  }
  const coreTokens = JSON.parse(
    await readFile(await context.data("tokenizers/qtok-core-tokens.json"), "utf8"),
  ) as string[];
  context.progress("all vocabularies");
  const report = inspectVocabularies(tokenizers, { texts, coreTokens });
  const { vocabularies, families } = report;

  const sizes = vocabularies.map(({ size }) => size);
  const complete = vocabularies.map(({ completeness }) => countComplete(completeness));
  context.report("size-is-not-coverage", {
    measured: correlationOf(sizes, complete),
    control: correlationOf(sizes, vocabularies.map(countLong)),
    details: {
      vocabularies: Object.fromEntries(
        vocabularies.map(({ name, size, core, categories }, i) => [
          name,
          {
            tokens: size,
            completeAlphabets: complete[i],
            coreTokens: round((core!.present / core!.total) * 100),
            percent: Object.fromEntries(
              Object.entries(categories).map(([key, count]) => [key, round((count / size) * 100)]),
            ),
          },
        ]),
      ),
      together: report.union.size,
    },
  });
  // A tokenizer of a family of n counts as 1/n different ones.
  const different = vocabularies.map(
    ({ name }) => 1 / (families.find((family) => family.includes(name))?.length ?? 1),
  );
  context.report("near-copies", {
    measured: ratioOfSums(different.map((weight) => ({ sum: 1, weight }))),
    control: constantOf(1, different.length),
    details: { families: families.filter((family) => family.length > 1) },
  });
  const correlate = (language: string, i: number): number =>
    rankCorrelation(
      vocabularies.map(({ languages }) => languages!.shares[language]!),
      vocabularies.map(({ text }) => text[i]!.bytesPerToken),
    );
  const correlations = texts.map(({ language }, i) => correlate(language, i));
  context.report("share-predicts-cost", {
    measured: meanOf(correlations),
    control: meanOf(texts.map((_, i) => correlate(texts[(i + 1) % texts.length]!.language, i))),
    details: {
      byLanguage: Object.fromEntries(
        texts.map(({ language }, i) => [language, round(correlations[i]!)]),
      ),
      tokensRelativeToEnglish: Object.fromEntries(
        vocabularies.map(({ name, text }) => [
          name,
          Object.fromEntries(text.map(({ language, parity }) => [language, round(parity)])),
        ]),
      ),
      tokensPerWord: Object.fromEntries(
        vocabularies.map(({ name, text }) => [
          name,
          Object.fromEntries(text.map(({ language, fertility }) => [language, round(fertility)])),
        ]),
      ),
    },
  });
  return report;
}

/** Shares of English, German, Finnish and Russian. */
const mixtures: readonly (readonly number[])[] = [
  [8, 4, 2, 1],
  [1, 2, 4, 8],
  [4, 1, 8, 2],
  [2, 8, 1, 4],
];

/** Vocabularies of known mixtures: does the report say what they were trained on? */
async function trainMixtures(context: Context): Promise<void> {
  const languages = ["en", "de", "fi", "ru"];
  const texts = await loadParallel(context, languages, 1000);
  // Vocabularies learn from one half; the language table is made with the other.
  const learned = texts.map(({ sentences }) => sentences.slice(0, 500));
  const judged = texts.map(({ language, sentences }) => ({
    language,
    sentences: sentences.slice(500),
  }));
  const kinds: TrainableKind[] = context.quick
    ? ["byte-level-bpe"]
    : ["byte-level-bpe", "unigram", "wordpiece"];
  const correlations: number[] = [];
  const shuffled: number[] = [];
  const details: unknown[] = [];
  for (const kind of kinds) {
    for (const [number, shares] of mixtures.entries()) {
      context.progress(`mixtures, ${kind}`);
      const mixed = learned.flatMap((sentences, i) =>
        sentences.slice(0, Math.round((sentences.length * shares[i]!) / 8)),
      );
      const random = createRandom(context.seed, "mixture", kind);
      const { tokenizer } = await trainTokenizer({
        kind,
        vocabSize: 2000,
        texts: random.shuffle(mixed),
        ...(kind === "wordpiece" && { lowercase: false }),
      });
      const found = shareLanguages(classifyVocabulary(tokenizer), judged).shares;
      const order = languages.map((language) => found[language]!);
      correlations.push(rankCorrelation(order, shares));
      shuffled.push(rankCorrelation(order, mixtures[(number + 1) % mixtures.length]!));
      details.push({ kind, shares, found });
    }
  }
  context.report("finds-the-mixture", {
    measured: meanOf(correlations),
    control: meanOf(shuffled),
    details: { runs: details },
  });
}

/** Broken characters of byte-level vocabularies, language by language, and of vocabularies of characters. */
async function countBroken(context: Context): Promise<void> {
  const broken = async (kind: TrainableKind, language: string): Promise<number> => {
    context.progress(`broken characters, ${language}`);
    const samples = await loadParallel(context, [language], 1000);
    const texts = samples.flatMap(({ sentences }) => sentences);
    const { tokenizer } = await trainTokenizer({ kind, vocabSize: 2000, texts });
    const tokens = classifyVocabulary(tokenizer);
    const count = tokens.filter(({ category }) => category === "broken character").length;
    return (count / tokens.length) * 100;
  };
  const english = await broken("byte-level-bpe", "en");
  const found: Record<"bytes" | "characters", number[]> = { bytes: [], characters: [] };
  const languages = context.quick ? ["hi", "zh"] : ["hi", "zh", "th", "ko", "ar"];
  for (const language of languages) {
    found.bytes.push(await broken("byte-level-bpe", language));
    found.characters.push(await broken("byte-fallback-bpe", language));
  }
  context.report("broken-characters", {
    measured: meanOf(found.bytes),
    baseline: constantOf(english, languages.length),
    baselineName: "byte-level, English",
    control: meanOf(found.characters),
    details: { languages, ...found },
  });
}

async function loadParallel(
  context: Context,
  languages: readonly string[],
  most: number,
): Promise<LanguageText[]> {
  const folder = await context.data("text/pud");
  return Promise.all(
    languages.map(async (language) => {
      const text = await readFile(join(folder, `${language}.txt`), "utf8");
      return { language, sentences: text.trimEnd().split("\n").slice(0, most) };
    }),
  );
}

function countComplete(completeness: Readonly<Record<string, number>>): number {
  return Object.values(completeness).filter((share) => share === 1).length;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Tokens of more than one character. */
function countLong({ categories }: QtokReport["vocabularies"][number]): number {
  return Object.entries(categories)
    .filter(([name]) => /^(spaced|inner) /.test(name))
    .reduce((sum, [, count]) => sum + count, 0);
}

/** Rank correlation of two lists, over their places. */
function correlationOf(a: readonly number[], b: readonly number[]): Sample {
  return statisticOf(
    a.map((one, i) => [one, b[i]!] as const),
    (pairs) =>
      rankCorrelation(
        pairs.map(([one]) => one),
        pairs.map(([, other]) => other),
      ),
  );
}

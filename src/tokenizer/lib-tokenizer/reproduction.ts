/** Measures LiB against other vocabularies of the same size, on the corpus of its author. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import {
  constantOf,
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  type Sample,
  wholeValue,
} from "../../reproduce/index.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import { learnLexicon } from "./lib-tokenizer.ts";
import {
  append,
  charactersPerToken,
  type Measures,
  makeCutters,
  measure,
  perCharacter,
  published,
  trigramNatsPerCharacter,
} from "./reproduction-cutters.ts";
import { trainLibTokenizer } from "./train-lib-tokenizer.ts";

const remembering = "a lexicon that forgets nothing";
const randomStretches = "as many random stretches of the training text";
const fewerTokens = { words: "fewer tokens and fewer types than BPE and words" };

const claims = [
  {
    id: "author-lexicon",
    text: "Types after 200 steps with the author's settings (br-text): distance from the author's log",
    paper: { value: 0, unit: "%", compares: "measured", setting: "2,338 types" },
    units: "seeds",
    control: remembering,
    unit: "%",
    direction: "lower",
    effect: "value",
    noEffect: 100,
    reproduced: 10,
    partly: 25,
    quick: { reproduced: 15, partly: 30 },
  },
  {
    id: "author-index",
    text: "Characters per token over the logarithm of the lexicon's size, on the first 10 sentences after 200 steps",
    paper: { value: 0.819, unit: "index", compares: "measured" },
    units: "seeds",
    control: "cutting into characters",
    unit: "index",
    direction: "higher",
    effect: "value",
    noEffect: 0.1,
    reproduced: 0.75,
    partly: 0.65,
    quick: { reproduced: 0.7, partly: 0.6 },
  },
  {
    id: "expressions",
    text: "Share of the types with a space inside, 500 steps with the author's defaults",
    paper: { value: 55, unit: "%", compares: "measured" },
    units: "seeds",
    control: "BPE within words",
    unit: "%",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 45,
    partly: 30,
    quick: { reproduced: 40, partly: 20 },
  },
  {
    id: "fewer-tokens-than-bpe",
    text: "Characters per token, held-out sentences, same number of types: against BPE within words",
    paper: fewerTokens,
    units: "sentences",
    control: randomStretches,
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1.01,
    quick: { reproduced: 1.05, partly: 1.01 },
  },
  {
    id: "fewer-tokens-than-words",
    text: "Characters per token, held-out sentences, same number of types: against words",
    paper: fewerTokens,
    units: "sentences",
    control: randomStretches,
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1.01,
    quick: { reproduced: 1.05, partly: 1.01 },
  },
  {
    id: "fewer-tokens-than-unigram",
    text: "Characters per token, held-out sentences, same number of types: against Unigram within words",
    paper: { words: "not compared" },
    units: "sentences",
    control: randomStretches,
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1.01,
    quick: { reproduced: 1.05, partly: 1.01 },
  },
  {
    id: "fewer-tokens-than-superword-bpe",
    text: "Characters per token, held-out sentences, same number of types: no fewer than BPE that may cross spaces",
    paper: { words: "not compared" },
    units: "sentences",
    control: randomStretches,
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    noWorse: true,
    reproduced: 1,
    partly: 0.97,
    quick: { reproduced: 1, partly: 0.97 },
  },
  {
    id: "language-model",
    text: "Nats per character of the same small language model (smoothed trigrams of tokens), held-out: against BPE within words",
    paper: { words: "small models on LiB's tokens compare favourably" },
    units: "sentences",
    control: randomStretches,
    unit: "nats/character",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.01,
    partly: 1.001,
    quick: { reproduced: 1.01, partly: 1.001 },
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

export const reproduction: Reproduction = defineReproduction({
  system: "lib-tokenizer",
  module: import.meta.url,
  claims,
  async run(context) {
    const path = await context.data("tokenizers/lib/br-text.txt");
    const sentences = (await readFile(path, "utf8")).trim().split("\n");
    await followAuthor(context, sentences);
    const measures = await compare(context, sentences);
    const names = Object.keys(measures);
    const bars = (sample: (of: Measures) => Sample) => [
      {
        name: "held-out",
        points: names.map((name) => ({ x: name, y: wholeValue(sample(measures[name]!)) })),
      },
    ];
    return {
      title: "LiB against vocabularies of the same size (br-text)",
      panels: [
        {
          title: "Characters per token (more is fewer tokens)",
          kind: "bar",
          x: { title: "vocabulary", scale: "category" },
          y: { title: "characters per token" },
          series: bars(charactersPerToken),
        },
        {
          title: "Trigram model (less is better)",
          kind: "bar",
          x: { title: "vocabulary", scale: "category" },
          y: { title: "nats per character" },
          series: bars(trigramNatsPerCharacter),
        },
      ],
    };
  },
});

/**
 * The author's published run, and the run with his defaults. His first tokens ("yeah ", "that ") show
 * that his reader leaves a space at the end of every sentence.
 */
async function followAuthor(context: Context, corpus: readonly string[]): Promise<void> {
  const { quick } = context;
  const sentences = corpus.map((sentence) => `${sentence} `);
  const distances: number[] = [];
  const remembering: number[] = [];
  const indices: number[] = [];
  const spelt: number[] = [];
  const shares: number[] = [];
  const details: unknown[] = [];
  const seeds = Array.from({ length: quick ? 2 : 5 }, (_, by) => context.seed + by);
  for (const [done, seed] of seeds.entries()) {
    context.progress("the author's settings", done, seeds.length);
    const sizes: number[] = [];
    const onProgress = ({ types }: { readonly types: number }): void => void sizes.push(types);
    const texts = sentences;
    const { tokenizer, lexicon } = await trainLibTokenizer({
      ...{ texts, ...published, seed, onProgress },
    });
    distances.push(Math.abs(sizes[200]! / 2338 - 1) * 100);
    details.push({ 0: sizes[0], 100: sizes[100], 200: sizes[200] });
    // Nothing stays on probation until the end.
    const all = learnLexicon(sentences, { ...published, probationSteps: 1e6, seed });
    remembering.push(Math.abs(all.length / 2338 - 1) * 100);
    const first = sentences.slice(0, 10);
    const tokens = first.reduce((sum, sentence) => sum + tokenizer.countTokens(sentence), 0);
    indices.push(first.join("").length / tokens / Math.log2(lexicon.length));
    spelt.push(1 / Math.log2(lexicon.length));
    context.progress("the author's defaults", done, seeds.length);
    const full = learnLexicon(sentences, { seed, steps: quick ? 150 : 500 });
    shares.push(shareWithSpaces(full));
  }
  context.report("author-lexicon", {
    measured: meanOf(distances),
    control: meanOf(remembering),
    details: { types: details, author: [415, 2015, 2338] },
  });
  context.report("author-index", { measured: meanOf(indices), control: meanOf(spelt) });
  const bpe = await trainTokenizer({ kind: "byte-level-bpe", texts: sentences, vocabSize: 2000 });
  const pieces = Array.from({ length: bpe.tokenizer.vocabSize }, (_, id) =>
    bpe.tokenizer.decode([id]),
  );
  context.report("expressions", {
    measured: meanOf(shares),
    control: constantOf(shareWithSpaces(pieces), shares.length),
  });
}

/** Percent of tokens with a space inside. */
function shareWithSpaces(tokens: readonly string[]): number {
  return (tokens.filter((token) => /\S\s+\S/.test(token)).length / tokens.length) * 100;
}

/** Cuts a tenth off, learns every vocabulary on the rest, at the size that LiB came to. */
async function compare(
  context: Context,
  sentences: readonly string[],
): Promise<Record<string, Measures>> {
  const results: Record<string, Measures> = {};
  const runs = context.quick ? 1 : 3;
  for (let run = 0; run < runs; run++) {
    context.progress("vocabularies of one size", run, runs);
    const seed = context.seed + run;
    const shuffled = createRandom(seed, "split").shuffle([...sentences]);
    const middle = Math.floor(shuffled.length * 0.9);
    const training = shuffled.slice(0, middle);
    const held = shuffled.slice(middle);
    for (const [name, cutter] of Object.entries(await makeCutters(training, seed))) {
      results[name] = append(results[name], measure(cutter, training, held));
    }
  }
  const lib = results["LiB"]!;
  const control = results["random stretches"]!;
  for (const [id, name] of [
    ["fewer-tokens-than-bpe", "BPE within words"],
    ["fewer-tokens-than-words", "words"],
    ["fewer-tokens-than-unigram", "Unigram"],
    ["fewer-tokens-than-superword-bpe", "BPE across words"],
  ] as const) {
    context.report(id, {
      measured: charactersPerToken(lib),
      baseline: charactersPerToken(results[name]!),
      baselineName: name,
      control: charactersPerToken(control),
    });
  }
  context.report("language-model", {
    measured: trigramNatsPerCharacter(lib),
    baseline: trigramNatsPerCharacter(results["BPE within words"]!),
    baselineName: "BPE within words",
    control: trigramNatsPerCharacter(control),
    details: Object.fromEntries(
      Object.entries(results).map(([name, of]) => [
        name,
        {
          types: of.types,
          charactersPerToken: wholeValue(charactersPerToken(of)),
          unigramBitsPerCharacter: wholeValue(perCharacter(of, of.unigramNats)) / Math.LN2,
          trigramNatsPerCharacter: wholeValue(trigramNatsPerCharacter(of)),
        },
      ]),
    ),
  });
  return results;
}

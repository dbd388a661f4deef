/** Measures LiB against other vocabularies of the same size, on the corpus of its author. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import {
  defineReproduction,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import { learnLexicon } from "./lib-tokenizer.ts";
import { trainLibTokenizer } from "./train-lib-tokenizer.ts";

const claims = [
  {
    id: "author-lexicon",
    text: "Types after 200 steps with the author's settings (br-text): distance from the author's log",
    paper: "2,338 types",
    unit: "%",
    direction: "lower",
    effect: "value",
    reproduced: 10,
    partly: 25,
  },
  {
    id: "author-index",
    text: "Characters per token over the logarithm of the lexicon's size, on the first 10 sentences after 200 steps",
    paper: 0.819,
    unit: "index",
    direction: "higher",
    effect: "value",
    reproduced: 0.75,
    partly: 0.65,
  },
  {
    id: "expressions",
    text: "Share of the types with a space inside, 500 steps with the author's defaults",
    paper: 55,
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 45,
    partly: 30,
  },
  {
    id: "fewer-tokens-than-bpe",
    text: "Characters per token, held-out sentences, same number of types: against BPE within words",
    paper: "fewer tokens and fewer types than BPE and words",
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "fewer-tokens-than-words",
    text: "Characters per token, held-out sentences, same number of types: against words",
    paper: "fewer tokens and fewer types than BPE and words",
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "fewer-tokens-than-unigram",
    text: "Characters per token, held-out sentences, same number of types: against Unigram within words",
    paper: "not compared",
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "fewer-tokens-than-superword-bpe",
    text: "Characters per token, held-out sentences, same number of types: against BPE that may cross spaces",
    paper: "not compared",
    unit: "characters/token",
    direction: "higher",
    effect: "ratio",
    reproduced: 1,
    partly: 0.97,
  },
  {
    id: "language-model",
    text: "Nats per character of the same small language model (smoothed trigrams of tokens), held-out: against BPE within words",
    paper: "small models on LiB's tokens compare favourably",
    unit: "nats/character",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.01,
    partly: 0.99,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** A way to cut sentences into numbered tokens. */
interface Cutter {
  readonly types: number;
  cut(sentence: string): readonly (number | string)[];
}

/** What a way of cutting makes of the corpus. */
interface Measures {
  readonly types: number;
  readonly charactersPerToken: number;
  /** Bits per character of a smoothed unigram model. */
  readonly unigramBits: number;
  /** Nats per character of a smoothed trigram model. */
  readonly trigramNats: number;
}

export const reproduction: Reproduction = defineReproduction({
  system: "lib-tokenizer",
  claims,
  async run(context) {
    const path = await context.data("tokenizers/lib/br-text.txt");
    const sentences = (await readFile(path, "utf8")).trim().split("\n");
    await followAuthor(context, sentences);
    const measures = await compare(context, sentences);
    const names = Object.keys(measures);
    const bars = (pick: (of: Measures) => number) => [
      {
        name: "held-out",
        points: names.map((name) => ({ x: name, y: mean(measures[name]!.map(pick)) })),
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
          series: bars(({ charactersPerToken }) => charactersPerToken),
        },
        {
          title: "Trigram model (less is better)",
          kind: "bar",
          x: { title: "vocabulary", scale: "category" },
          y: { title: "nats per character" },
          series: bars(({ trigramNats }) => trigramNats),
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
  const sentences = corpus.map((sentence) => `${sentence} `);
  context.progress("the author's settings");
  const sizes: number[] = [];
  const { tokenizer, lexicon } = await trainLibTokenizer({
    texts: sentences,
    probationRate: 0.01,
    probationSteps: 3,
    sentencesPerStep: 200,
    steps: 201,
    seed: context.seed,
    onProgress: ({ types }) => sizes.push(types),
  });
  context.report("author-lexicon", {
    measured: Math.abs(sizes[200]! / 2338 - 1) * 100,
    details: {
      types: { 0: sizes[0], 100: sizes[100], 200: sizes[200] },
      author: [415, 2015, 2338],
    },
  });
  const first = sentences.slice(0, 10);
  const tokens = first.reduce((sum, sentence) => sum + tokenizer.countTokens(sentence), 0);
  const perToken = first.join("").length / tokens;
  context.report("author-index", {
    measured: perToken / Math.log2(lexicon.length),
    details: { charactersPerToken: perToken, types: lexicon.length },
  });
  context.progress("the author's defaults");
  const full = learnLexicon(sentences, { seed: context.seed, steps: context.quick ? 150 : 500 });
  context.report("expressions", {
    measured: (full.filter((token) => /\S\s+\S/.test(token)).length / full.length) * 100,
    details: { types: full.length, first: full.slice(0, 12) },
  });
}

/** Cuts a tenth off, learns every vocabulary on the rest, at the size that LiB came to. */
async function compare(
  context: Context,
  sentences: readonly string[],
): Promise<Record<string, Measures[]>> {
  const results: Record<string, Measures[]> = {};
  const runs = context.quick ? 1 : 3;
  for (let run = 0; run < runs; run++) {
    context.progress("vocabularies of one size", run, runs);
    const seed = context.seed + run;
    const shuffled = createRandom(seed, "split").shuffle([...sentences]);
    const middle = Math.floor(shuffled.length * 0.9);
    const training = shuffled.slice(0, middle);
    const held = shuffled.slice(middle);
    const lib = await trainLibTokenizer({
      texts: training,
      seed,
      probationRate: 0.01,
      probationSteps: 3,
      sentencesPerStep: 200,
      steps: 300,
    });
    // Characters are bytes of every vocabulary: what is compared are the types beyond them.
    const learned = lib.lexicon.filter((token) => token.length > 1).length;
    const cutters: Record<string, Cutter> = {
      LiB: fromTokenizer(lib.tokenizer, lib.lexicon.length),
    };
    const characters = lib.lexicon.length - learned;
    for (const [name, options] of Object.entries({
      "BPE within words": { kind: "byte-level-bpe", fixed: 257 },
      "BPE across words": { kind: "byte-level-bpe", fixed: 257, pattern: { regex: "[^\\n]+" } },
      Unigram: { kind: "unigram", fixed: 3 + 256 + characters },
    } as const)) {
      const { fixed, ...rest } = options;
      const trained = await trainTokenizer({
        ...rest,
        texts: training,
        vocabSize: fixed + learned,
      });
      const types = trained.tokenizer.vocabSize - fixed + characters;
      cutters[name] = fromTokenizer(trained.tokenizer, types);
    }
    cutters["words"] = chooseWords(training, learned, characters);
    for (const [name, cutter] of Object.entries(cutters)) {
      results[name] ??= [];
      results[name].push(measure(cutter, training, held));
    }
  }
  const average = (name: string, pick: (of: Measures) => number) => mean(results[name]!.map(pick));
  const details = Object.fromEntries(
    Object.keys(results).map((name) => [
      name,
      {
        types: average(name, ({ types }) => types),
        charactersPerToken: average(name, ({ charactersPerToken }) => charactersPerToken),
        unigramBitsPerCharacter: average(name, ({ unigramBits }) => unigramBits),
        trigramNatsPerCharacter: average(name, ({ trigramNats }) => trigramNats),
      },
    ]),
  );
  const length = (name: string) => average(name, ({ charactersPerToken }) => charactersPerToken);
  for (const [id, name] of [
    ["fewer-tokens-than-bpe", "BPE within words"],
    ["fewer-tokens-than-words", "words"],
    ["fewer-tokens-than-unigram", "Unigram"],
    ["fewer-tokens-than-superword-bpe", "BPE across words"],
  ] as const) {
    context.report(id, { measured: length("LiB"), baseline: length(name), baselineName: name });
  }
  context.report("language-model", {
    measured: average("LiB", ({ trigramNats }) => trigramNats),
    baseline: average("BPE within words", ({ trigramNats }) => trigramNats),
    baselineName: "BPE within words",
    details,
  });
  return results;
}

function fromTokenizer(tokenizer: Tokenizer, types: number): Cutter {
  return {
    types,
    cut: (sentence) => Array.from(tokenizer.encodeIds(sentence, { addSpecialTokens: false })),
  };
}

/** The commonest words with the space before them; others are spelt. */
function chooseWords(training: readonly string[], most: number, characters: number): Cutter {
  const counts = new Map<string, number>();
  const split = (sentence: string) => sentence.match(/ ?\S+|\s/g) ?? [];
  for (const sentence of training) {
    for (const word of split(sentence)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const words = [...counts.keys()]
    .filter((word) => word.length > 1)
    .sort((a, b) => counts.get(b)! - counts.get(a)! || (a < b ? -1 : 1))
    .slice(0, most);
  const known = new Set(words);
  return {
    types: words.length + characters,
    cut: (sentence) => split(sentence).flatMap((word) => (known.has(word) ? [word] : [...word])),
  };
}

function measure(cutter: Cutter, training: readonly string[], held: readonly string[]): Measures {
  const learned = training.map((sentence) => cutter.cut(sentence));
  const judged = held.map((sentence) => cutter.cut(sentence));
  const characters = held.reduce((sum, sentence) => sum + sentence.length, 0);
  const tokens = judged.reduce((sum, sentence) => sum + sentence.length, 0);
  return {
    types: cutter.types,
    charactersPerToken: characters / tokens,
    unigramBits: lossOf(learned, judged, cutter.types, 1) / characters / Math.LN2,
    trigramNats: lossOf(learned, judged, cutter.types, 3) / characters,
  };
}

/**
 * Nats that an n-gram model of the learned sentences gives the judged ones, ends included: absolute
 * discounting, each order falling back to the next shorter, the shortest to half a count for each type.
 */
function lossOf(
  learned: readonly (readonly (number | string)[])[],
  judged: readonly (readonly (number | string)[])[],
  types: number,
  order: number,
): number {
  const discount = 0.75;
  const end = "end";
  const followers = new Map<string, { total: number; counts: Map<number | string, number> }>();
  const padded = (sentence: readonly (number | string)[]) => [
    ...new Array<string>(order - 1).fill("start"),
    ...sentence,
    end,
  ];
  const contextOf = (sentence: readonly (number | string)[], at: number, length: number): string =>
    JSON.stringify(sentence.slice(at - length, at));
  for (const sentence of learned.map(padded)) {
    for (let at = order - 1; at < sentence.length; at++) {
      for (let length = 0; length < order; length++) {
        const key = contextOf(sentence, at, length);
        const entry = followers.get(key) ?? { total: 0, counts: new Map() };
        entry.total++;
        entry.counts.set(sentence[at]!, (entry.counts.get(sentence[at]!) ?? 0) + 1);
        followers.set(key, entry);
      }
    }
  }
  const probability = (sentence: readonly (number | string)[], at: number): number => {
    const all = followers.get("[]")!;
    let value = ((all.counts.get(sentence[at]!) ?? 0) + 0.5) / (all.total + 0.5 * (types + 1));
    for (let length = 1; length < order; length++) {
      const entry = followers.get(contextOf(sentence, at, length));
      if (entry === undefined) break;
      const count = entry.counts.get(sentence[at]!) ?? 0;
      const left = (discount * entry.counts.size) / entry.total;
      value = Math.max(0, count - discount) / entry.total + left * value;
    }
    return value;
  };
  let loss = 0;
  for (const sentence of judged.map(padded)) {
    for (let at = order - 1; at < sentence.length; at++)
      loss -= Math.log(probability(sentence, at));
  }
  return loss;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Measures LiB against other vocabularies of the same size, on the corpus of its author. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import {
  constantOf,
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  wholeValue,
} from "../../reproduce/index.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import { learnLexicon } from "./lib-tokenizer.ts";
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

/** A way to cut sentences into numbered tokens. */
interface Cutter {
  readonly types: number;
  cut(sentence: string): readonly (number | string)[];
}

/** What a way of cutting makes of the held-out sentences, one by one. */
interface Measures {
  readonly types: number;
  readonly characters: number[];
  readonly tokens: number[];
  /** Nats of a smoothed unigram model. */
  readonly unigramNats: number[];
  /** Nats of a smoothed trigram model. */
  readonly trigramNats: number[];
}

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

/** The settings of the author's published run. */
const published = {
  probationRate: 0.01,
  probationSteps: 3,
  sentencesPerStep: 200,
  steps: 201,
} as const;

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

/** Every vocabulary, at the size that LiB comes to. */
async function makeCutters(
  training: readonly string[],
  seed: number,
): Promise<Record<string, Cutter>> {
  const settings = { ...published, steps: 300 };
  const lib = await trainLibTokenizer({ texts: training, seed, ...settings });
  // Characters are bytes of every vocabulary: what is compared are the types beyond them.
  const long = lib.lexicon.filter((token) => token.length > 1);
  const learned = long.length;
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
    const vocabSize = fixed + learned;
    const trained = await trainTokenizer({ ...rest, texts: training, vocabSize });
    const types = trained.tokenizer.vocabSize - fixed + characters;
    cutters[name] = fromTokenizer(trained.tokenizer, types);
  }
  cutters["words"] = chooseWords(training, learned, characters);
  cutters["random stretches"] = chooseStretches(training, long, characters, seed);
  return cutters;
}

/** Random stretches of the text, as long as the given tokens; the longest that fits is taken. */
function chooseStretches(
  training: readonly string[],
  tokens: readonly string[],
  characters: number,
  seed: number,
): Cutter {
  const random = createRandom(seed, "stretches");
  const stretches = new Set<string>();
  for (const { length } of tokens) {
    const sentence = training[random.integer(training.length)]!;
    const start = random.integer(Math.max(1, sentence.length - length + 1));
    stretches.add(sentence.slice(start, start + length));
  }
  const longest = Math.max(...tokens.map(({ length }) => length));
  return {
    types: stretches.size + characters,
    cut(sentence) {
      const cut: string[] = [];
      for (let at = 0; at < sentence.length; at += cut.at(-1)!.length) {
        let length = Math.min(longest, sentence.length - at);
        while (length > 1 && !stretches.has(sentence.slice(at, at + length))) length--;
        cut.push(sentence.slice(at, at + length));
      }
      return cut;
    },
  };
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
  return {
    types: cutter.types,
    characters: held.map(({ length }) => length),
    tokens: judged.map(({ length }) => length),
    unigramNats: lossesOf(learned, judged, cutter.types, 1),
    trigramNats: lossesOf(learned, judged, cutter.types, 3),
  };
}

/** The sentences of several splits in one list. */
function append(before: Measures | undefined, more: Measures): Measures {
  if (before === undefined) return more;
  const join = (key: Exclude<keyof Measures, "types">): number[] => [...before[key], ...more[key]];
  return {
    types: more.types,
    characters: join("characters"),
    tokens: join("tokens"),
    unigramNats: join("unigramNats"),
    trigramNats: join("trigramNats"),
  };
}

function charactersPerToken({ characters, tokens }: Measures): Sample {
  return ratioOfSums(characters.map((sum, at) => ({ sum, weight: tokens[at]! })));
}

function perCharacter({ characters }: Measures, nats: readonly number[]): Sample {
  return ratioOfSums(nats.map((sum, at) => ({ sum, weight: characters[at]! })));
}

function trigramNatsPerCharacter(of: Measures): Sample {
  return perCharacter(of, of.trigramNats);
}

/**
 * Nats that an n-gram model of the learned sentences gives each judged one, its end included: absolute
 * discounting, each order falling back to the next shorter, the shortest to half a count for each type.
 */
function lossesOf(
  learned: readonly (readonly (number | string)[])[],
  judged: readonly (readonly (number | string)[])[],
  types: number,
  order: number,
): number[] {
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
  return judged.map(padded).map((sentence) => {
    let loss = 0;
    for (let at = order - 1; at < sentence.length; at++) {
      loss -= Math.log(probability(sentence, at));
    }
    return loss;
  });
}

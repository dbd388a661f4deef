/** Vocabularies of one size, and what they make of held-out sentences. */
import { createRandom } from "../../core/index.ts";
import { ratioOfSums, type Sample } from "../../reproduce/index.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import { trainLibTokenizer } from "./train-lib-tokenizer.ts";

/** A way to cut sentences into numbered tokens. */
export interface Cutter {
  readonly types: number;
  cut(sentence: string): readonly (number | string)[];
}

/** What a way of cutting makes of the held-out sentences, one by one. */
export interface Measures {
  readonly types: number;
  readonly characters: number[];
  readonly tokens: number[];
  /** Nats of a smoothed unigram model. */
  readonly unigramNats: number[];
  /** Nats of a smoothed trigram model. */
  readonly trigramNats: number[];
}

/** The settings of the author's published run. */
export const published = {
  probationRate: 0.01,
  probationSteps: 3,
  sentencesPerStep: 200,
  steps: 201,
} as const;

/** Every vocabulary, at the size that LiB comes to. */
export async function makeCutters(
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

export function measure(
  cutter: Cutter,
  training: readonly string[],
  held: readonly string[],
): Measures {
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
export function append(before: Measures | undefined, more: Measures): Measures {
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

export function charactersPerToken({ characters, tokens }: Measures): Sample {
  return ratioOfSums(characters.map((sum, at) => ({ sum, weight: tokens[at]! })));
}

export function perCharacter({ characters }: Measures, nats: readonly number[]): Sample {
  return ratioOfSums(nats.map((sum, at) => ({ sum, weight: characters[at]! })));
}

export function trigramNatsPerCharacter(of: Measures): Sample {
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

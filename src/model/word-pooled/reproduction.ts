/**
 * What the word-pooled paper claims, at the scale of models that train in a minute: next words right beside a
 * decoder over bytes, as the paper counts (equal numbers of units before the word) and with equal text before
 * it; several vectors for a word beside one.
 */
import {
  defineReproduction,
  type Reproduction,
  ratioOfSums,
  type Sample,
} from "../../reproduce/index.ts";
import {
  describeKind,
  describeTexts,
  heldOutTexts,
  type KindScores,
  measureKind,
  sampleBigrams,
} from "../byte/reproduction-kinds.ts";
import { type JudgedWord, judgeWords, sampleBits } from "../byte/reproduction-measures.ts";
import { type Comparison, type ModelKind, prepareComparison } from "../byte/reproduction-models.ts";

const kinds = ["word-pooled", "word-pooled-1", "bytes", "subwords"] as const;
type Kind = (typeof kinds)[number] & ModelKind;

/** Units before a word in the paper's evaluation: words for its model, bytes for the other. */
const paperUnits = 90;

export const reproduction: Reproduction = defineReproduction({
  system: "word-pooled",
  module: import.meta.url,
  claims: [
    {
      id: "words-at-equal-units",
      text: "Next words of held-out text that greedy decoding would write, with as many words before them as the decoder over bytes has bytes (90, the paper's way to count; PUD in English, German and Russian).",
      paper: { value: 4, unit: "times", compares: "effect", setting: "more than 300 % better" },
      units: "texts",
      control: "always the most frequent word",
      unit: "%",
      direction: "higher",
      effect: "ratio",
      reproduced: 2,
      partly: 1.05,
      quick: "full-only",
    },
    {
      id: "words-at-equal-text",
      text: "The same with the same text before the word for both models (jeton's own, fairer comparison).",
      paper: { words: "not reported" },
      units: "texts",
      control: "always the most frequent word",
      unit: "%",
      direction: "higher",
      effect: "ratio",
      reproduced: 1.1,
      partly: 1.02,
      quick: "full-only",
    },
    {
      id: "beyond-bytes",
      text: "Bits per byte of held-out text, better than a decoder over bytes with the same training text and multiplications a byte (mean of all seeds).",
      paper: { words: "beats bytes and characters in next-word accuracy" },
      units: "texts",
      control: "counted bigrams of bytes",
      unit: "bits per byte",
      direction: "lower",
      effect: "ratio",
      reproduced: 1.03,
      partly: 1.005,
      quick: { reproduced: 1.03, partly: 1.005 },
    },
    {
      id: "parity-with-subwords",
      text: "Bits per byte of held-out text, no worse than a decoder over trained sub-words with the same training text and multiplications a byte (mean of all seeds).",
      paper: { words: "beats sub-words in next-word accuracy by more than 300 %" },
      units: "texts",
      control: "counted bigrams of bytes",
      unit: "bits per byte",
      direction: "lower",
      effect: "ratio",
      noWorse: true,
      reproduced: 0.98,
      partly: 0.9,
      quick: { reproduced: 0.93, partly: 0.85 },
    },
    {
      id: "several-vectors",
      text: "Bits per byte of held-out text with four vectors a word, better than with one and a wider feed-forward (equal multiplications a byte; mean of all seeds).",
      paper: { words: "more prefix tokens are better, from one to four" },
      units: "texts",
      control: "counted bigrams of bytes",
      unit: "bits per byte",
      direction: "lower",
      effect: "ratio",
      reproduced: 1.01,
      partly: 1.001,
      quick: { reproduced: 1.01, partly: 1.001 },
    },
  ],
  async run(reproduce) {
    const comparison = await prepareComparison(reproduce);
    const measured = {} as Record<Kind, JudgedScores>;
    for (const kind of kinds) measured[kind] = await measureWords(reproduce, comparison, kind);
    const bigrams = await sampleBigrams(comparison);
    const details = describeKinds(comparison, measured);
    const bits = (kind: Kind): Sample => sampleBits(measured[kind].scores);
    const common = { measured: bits("word-pooled"), control: bigrams, details };
    reproduce.report("beyond-bytes", {
      ...common,
      baseline: bits("bytes"),
      baselineName: "decoder over bytes",
    });
    reproduce.report("parity-with-subwords", {
      ...common,
      baseline: bits("subwords"),
      baselineName: "decoder over sub-words",
    });
    reproduce.report("several-vectors", {
      ...common,
      baseline: bits("word-pooled-1"),
      baselineName: "one vector a word",
    });
    if (reproduce.quick) return;
    const most = mostFrequent(comparison.counts);
    const pooled = measured["word-pooled"].words;
    const control = accuracyOf(
      pooled.map((seed) =>
        seed.map((words) => words.map(({ word }) => ({ word, isRight: word === most }))),
      ),
    );
    reproduce.report("words-at-equal-units", {
      measured: accuracyOf(pooled),
      baseline: accuracyOf(measured.bytes.shortWords),
      baselineName: `decoder over bytes, ${paperUnits} bytes before`,
      control,
    });
    reproduce.report("words-at-equal-text", {
      measured: accuracyOf(pooled),
      baseline: accuracyOf(measured.bytes.words),
      baselineName: "decoder over bytes",
      control,
    });
  },
});

interface JudgedScores extends KindScores {
  /** By seed, then text: words with all of the text before them, and with `paperUnits` tokens. */
  readonly words: readonly (readonly (readonly JudgedWord[])[])[];
  readonly shortWords: readonly (readonly (readonly JudgedWord[])[])[];
}

async function measureWords(
  reproduce: Parameters<Reproduction["run"]>[0],
  comparison: Comparison,
  kind: Kind,
): Promise<JudgedScores> {
  const words: JudgedWord[][][] = [];
  const shortWords: JudgedWord[][][] = [];
  const scores = await measureKind(reproduce, comparison, kind, async (model) => {
    if (reproduce.quick) return;
    const [whole, short]: [JudgedWord[][], JudgedWord[][]] = [[], []];
    for (const text of heldOutTexts(comparison)) {
      reproduce.signal.throwIfAborted();
      whole.push(await judgeWords(model, text));
      // Texts hold fewer than 90 words, so only a decoder over bytes reads less than all of one.
      if (kind === "bytes") short.push(await judgeWords(model, text, paperUnits));
    }
    words.push(whole);
    shortWords.push(short);
  });
  return { ...scores, words, shortWords };
}

/** Words right in %, all seeds together. */
function accuracyOf(bySeed: readonly (readonly (readonly JudgedWord[])[])[]): Sample {
  return ratioOfSums(
    bySeed[0]!.map((_, text) => {
      const words = bySeed.flatMap((texts) => texts[text]!);
      return { sum: 100 * words.filter(({ isRight }) => isRight).length, weight: words.length };
    }),
  );
}

function mostFrequent(counts: ReadonlyMap<string, number>): string {
  let best = "";
  for (const [word, count] of counts) {
    if (/\p{L}/u.test(word) && count > (counts.get(best) ?? 0)) best = word;
  }
  return best;
}

/** Accuracy by how often a word came in training: never, 1 to 9, 10 to 99 and at least 100 times. */
function accuracyByCount(
  words: readonly JudgedWord[],
  counts: ReadonlyMap<string, number>,
): Record<string, number> {
  const limits = [0, 9, 99, Number.POSITIVE_INFINITY];
  const names = ["0", "1-9", "10-99", "100+"];
  return Object.fromEntries(
    names.map((name, index) => {
      const own = words.filter(({ word }) => {
        const count = counts.get(word) ?? 0;
        return count <= limits[index]! && (index === 0 || count > limits[index - 1]!);
      });
      const right = own.filter(({ isRight }) => isRight).length;
      return [name, own.length === 0 ? Number.NaN : (100 * right) / own.length];
    }),
  );
}

/** Numbers behind the claims: each language and seed, words by frequency, lengths, time. */
function describeKinds(
  comparison: Comparison,
  measured: Readonly<Record<Kind, JudgedScores>>,
): Record<string, unknown> {
  const rows = kinds.map((kind) => [
    kind,
    {
      ...describeKind(kind, measured[kind], comparison),
      wordsRightByCount: accuracyByCount(measured[kind].words.flat(2), comparison.counts),
    },
  ]);
  return { ...Object.fromEntries(rows), ...describeTexts(comparison) };
}

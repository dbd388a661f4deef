/**
 * The exact lexinvariant version of a language: what an ideal observer predicts who knows the language
 * but not which symbol is which. By Bayes' rule it deciphers while it reads.
 */
import { JetonError } from "../../core/index.ts";

/** Probabilities of the next symbol after a prefix, `[vocabSize]`, summing to 1. */
export type NextSymbol = (prefix: readonly number[]) => ArrayLike<number>;

/** An observer of one sequence. */
export interface ExactObserver {
  /** p'(next | all that was read): a mixture over all ways of renaming. */
  predict(): Float64Array;
  /** Posterior probability that each symbol that is read stands for each of the language's. */
  key(): Float64Array[];
  read(symbol: number): void;
}

/** Largest vocabulary: 8! = 40,320 ways of renaming are followed. */
const maxVocabulary = 8;

/**
 * Averages a language over all permutations of its vocabulary:
 * p'(x) = mean over π of p(π⁻¹(x₁) … π⁻¹(xₙ)).
 *
 * @throws JetonError `option-invalid` for a vocabulary above 8
 */
export function exactLexinvariant(language: NextSymbol, vocabSize: number): ExactObserver {
  if (!(Number.isInteger(vocabSize) && vocabSize >= 1 && vocabSize <= 8)) {
    throw new JetonError(
      `the exact mixture follows every permutation: at most ${maxVocabulary} symbols, not ${vocabSize}`,
      { code: "option-invalid", details: { option: "vocabSize", found: vocabSize } },
    );
  }
  /** `meaning[x]`: what the symbol x stands for. */
  const hypotheses = permutations(vocabSize).map((meaning) => ({
    meaning,
    prefix: [] as number[],
    weight: 1,
  }));
  const normalize = (): void => {
    const total = hypotheses.reduce((sum, { weight }) => sum + weight, 0);
    for (const hypothesis of hypotheses) hypothesis.weight /= total;
  };
  normalize();
  return {
    predict() {
      const probabilities = new Float64Array(vocabSize);
      for (const { meaning, prefix, weight } of hypotheses) {
        if (weight === 0) continue;
        const next = language(prefix);
        for (let symbol = 0; symbol < vocabSize; symbol++) {
          probabilities[symbol]! += weight * next[meaning[symbol]!]!;
        }
      }
      return probabilities;
    },
    key() {
      const shares = Array.from({ length: vocabSize }, () => new Float64Array(vocabSize));
      for (const { meaning, weight } of hypotheses) {
        for (const [symbol, original] of meaning.entries()) shares[symbol]![original]! += weight;
      }
      return shares;
    },
    read(symbol) {
      let total = 0;
      for (const hypothesis of hypotheses) {
        const { meaning, prefix } = hypothesis;
        const original = meaning[symbol]!;
        if (hypothesis.weight > 0) hypothesis.weight *= language(prefix)[original]!;
        prefix.push(original);
        total += hypothesis.weight;
      }
      if (!(total > 0)) {
        throw new JetonError("the language cannot have written this sequence under any names", {
          code: "lexinvariant-sequence-impossible",
          details: { read: hypotheses[0]!.prefix.length, symbol },
        });
      }
      normalize();
    },
  };
}

function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((shorter) =>
    Array.from({ length: count }, (_, at) => [
      ...shorter.slice(0, at),
      count - 1,
      ...shorter.slice(at),
    ]),
  );
}

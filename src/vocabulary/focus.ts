/**
 * FOCUS (Dobler and de Melo, 2023): tokens that both vocabularies have keep their rows; each other row is a
 * sparse average of those, by the similarity of static vectors that are trained on text in the new tokens.
 */
import { mixtureMethod } from "./baselines.ts";
import type { TokenMixture } from "./mixture.ts";
import { type SubwordVectorsOptions, trainSubwordVectors } from "./subword-vectors.ts";
import type { TransferMethod } from "./transfer.ts";

/** Options of `focus`. */
export interface FocusOptions extends Omit<SubwordVectorsOptions, "seed" | "signal"> {
  /** Text of the new tokenizer's kind. */
  texts: readonly string[];
}

/** The method, for `transfer`. Tokens that occur in no text get the mean of all rows. */
export function focus({ texts, ...options }: FocusOptions): TransferMethod {
  return mixtureMethod(
    "focus",
    ({ source, target, seed, signal }) => {
      const encoded = texts.map((text) =>
        target.tokenizer.encodeIds(text, {
          addSpecialTokens: false,
          applyLimits: false,
          allowedSpecial: "none",
        }),
      );
      const vectors = trainSubwordVectors(encoded, target.forms, { ...options, seed, signal });
      const width = vectors.length / target.forms.length;
      const directions = target.forms.map((_, id) =>
        directionOf(vectors.subarray(id * width, (id + 1) * width)),
      );
      const same = target.forms.map((form) =>
        form === undefined ? undefined : source.vocabulary.ids.get(form),
      );
      const shared = [...same.keys()].filter((id) => same[id] !== undefined && directions[id]);
      return target.forms.map((_, id): TokenMixture | undefined => {
        const own = same[id];
        if (own !== undefined) return { sources: [own], weights: [1] };
        const direction = directions[id];
        if (!direction || shared.length === 0) return undefined;
        const weights = sparsemax(shared.map((other) => dot(direction, directions[other]!)));
        const kept = [...weights.keys()].filter((place) => weights[place]! > 0);
        return {
          sources: kept.map((place) => same[shared[place]!]!),
          weights: kept.map((place) => weights[place]!),
        };
      });
    },
    "mean",
  );
}

/** A vector of length 1; undefined where there is none. */
function directionOf(vector: Float32Array): Float32Array | undefined {
  const norm = Math.sqrt(dot(vector, vector));
  return norm === 0 ? undefined : vector.map((value) => value / norm);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The nearest point to `values` among those that are at least zero and sum to 1 (Martins and Astudillo, 2016). */
export function sparsemax(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => b - a);
  let sum = 0;
  let threshold = 0;
  for (const [place, value] of sorted.entries()) {
    sum += value;
    if (1 + (place + 1) * value <= sum) break;
    threshold = (sum - 1) / (place + 1);
  }
  return values.map((value) => Math.max(0, value - threshold));
}

/** Penalties on tokens that stand in the text already. */
import type { Sampling } from "./sampler.ts";

/** Tokens of a text as penalties count them. */
export interface TokenCounts {
  /** Tokens of prompt and generated text. */
  readonly seen: ReadonlySet<number>;
  /** How often each token was generated; the prompt does not count. */
  readonly generated: ReadonlyMap<number, number>;
}

/** Counts of a text that grows. */
export class TokenCounter implements TokenCounts {
  readonly seen: Set<number>;
  readonly generated: Map<number, number>;

  constructor(
    promptIds: Iterable<number> = [],
    generated: Iterable<readonly [number, number]> = [],
  ) {
    this.seen = new Set(promptIds);
    this.generated = new Map(generated);
  }

  /** Counts one more generated token. */
  push(id: number): void {
    this.seen.add(id);
    this.generated.set(id, (this.generated.get(id) ?? 0) + 1);
  }

  /** The counts after further generated tokens; this counter stays as it is. */
  after(ids: readonly number[]): TokenCounter {
    const longer = new TokenCounter(this.seen, this.generated);
    for (const id of ids) longer.push(id);
    return longer;
  }
}

/** True where the logits depend on earlier tokens by a penalty. */
export function hasPenalties(sampling: Sampling): boolean {
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = sampling;
  return repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}

/**
 * Applies the penalties of a request to a row of logits, in place: the repetition penalty first, then what
 * frequency and presence subtract.
 */
export function penalize(logits: Float32Array, counts: TokenCounts, sampling: Sampling): void {
  penalizeRepetition(logits, counts.seen, sampling.repetitionPenalty);
  const { frequencyPenalty, presencePenalty } = sampling;
  if (frequencyPenalty === 0 && presencePenalty === 0) return;
  for (const [id, count] of counts.generated) {
    if (id < logits.length) logits[id]! -= count * frequencyPenalty + presencePenalty;
  }
}

/** Divides positive and multiplies negative logits of seen tokens (CTRL, Keskar et al., 2019), in place. */
export function penalizeRepetition(
  logits: Float32Array,
  seen: ReadonlySet<number>,
  penalty: number,
): void {
  if (penalty === 1) return;
  for (const id of seen) {
    const logit = logits[id];
    if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
}

/**
 * The most probable successors of each token by the model's last prediction after it: the adjacency matrix of
 * Token Recycling (Luo et al., 2025).
 *
 * The entries are predictions, not counts of text: every row of every forward pass, accepted or not, replaces
 * the entry of its token. Each successor's probability is kept in 1/255, which the paper does not do; it
 * serves the estimates of acceptance only.
 */
import { JetonError } from "../../core/index.ts";
import { type DrafterState, invalidState } from "../speculative/drafter-state.ts";

/** The most probable tokens of a row of a forward pass. */
export interface RowCandidates {
  readonly ids: Int32Array;
  readonly logits: Float32Array;
  readonly logSumExp: number;
  readonly offset?: number;
}

/** Successors of every token of a vocabulary, five bytes each: 1.3 MB for 32,000 tokens with 8 each. */
export class SuccessorTable {
  readonly vocabSize: number;
  /** Successors of each token (the paper's k). */
  readonly topK: number;
  /** `[vocabSize, topK]`, most probable first. */
  readonly #successors: Int32Array;
  /** `[vocabSize, topK]`, in 1/255. */
  readonly #confidences: Uint8Array;
  readonly #known: Uint8Array;
  #rows = 0;

  /** @throws JetonError `drafter-option-invalid` */
  constructor(vocabSize: number, topK = 8) {
    for (const [name, value, most] of [
      ["vocabSize", vocabSize, 2 ** 24],
      ["topK", topK, Math.min(64, vocabSize)],
    ] as const) {
      if (Number.isInteger(value) && value >= 1 && value <= most) continue;
      throw new JetonError(`${name} is ${value}, expected an integer from 1 to ${most}`, {
        code: "drafter-option-invalid",
        details: { name, value, expected: most },
      });
    }
    this.vocabSize = vocabSize;
    this.topK = topK;
    this.#successors = new Int32Array(vocabSize * topK);
    this.#confidences = new Uint8Array(vocabSize * topK);
    this.#known = new Uint8Array(vocabSize);
  }

  /** Tokens whose successors are known. */
  get rows(): number {
    return this.#rows;
  }

  /** Bytes of the table; constant. */
  get bytes(): number {
    return this.#successors.byteLength + this.#confidences.byteLength + this.#known.byteLength;
  }

  has(token: number): boolean {
    return this.#known[token] === 1;
  }

  /** The successor of a known token at a rank, 0 being the most probable. */
  successor(token: number, rank: number): number {
    return this.#successors[token * this.topK + rank]!;
  }

  /** Probability of that successor, rounded to 1/255, when the token was last seen. */
  confidence(token: number, rank: number): number {
    return this.#confidences[token * this.topK + rank]! / 255;
  }

  /** Rank of a token among the successors of another; -1 where it is none. */
  rankOf(token: number, successor: number): number {
    if (!this.has(token)) return -1;
    const from = token * this.topK;
    for (let rank = 0; rank < this.topK; rank++) {
      if (this.#successors[from + rank] === successor) return rank;
    }
    return -1;
  }

  /**
   * Replaces the successors of a token.
   *
   * @param successors `ids`: distinct tokens, most probable first, and `logits` theirs, of which `topK` are
   *   read from `offset` (default 0); `logSumExp` of the whole row
   */
  replace(token: number, { ids, logits, logSumExp, offset = 0 }: RowCandidates): void {
    const from = token * this.topK;
    for (let rank = 0; rank < this.topK; rank++) {
      this.#successors[from + rank] = ids[offset + rank]!;
      this.#confidences[from + rank] = Math.round(
        255 * Math.exp(Math.min(0, logits[offset + rank]! - logSumExp)),
      );
    }
    if (this.#known[token] === 0) this.#rows++;
    this.#known[token] = 1;
  }

  /** Forgets everything. */
  reset(): void {
    this.#known.fill(0);
    this.#rows = 0;
  }

  /** The contents for `sealState`: of each known token its id, successors and confidences. */
  save(): Pick<DrafterState, "fields" | "body"> {
    const { topK } = this;
    const body = new Int32Array(this.#rows * (1 + 2 * topK));
    let at = 0;
    for (let token = 0; token < this.vocabSize; token++) {
      if (this.#known[token] === 0) continue;
      const from = token * topK;
      body[at++] = token;
      body.set(this.#successors.subarray(from, from + topK), at);
      body.set(this.#confidences.subarray(from, from + topK), at + topK);
      at += 2 * topK;
    }
    return { fields: { topK }, body };
  }

  /**
   * Replaces the contents by saved ones.
   *
   * @throws JetonError `drafter-state-invalid`; the table is then as it was
   */
  load({ fields, body }: Pick<DrafterState, "fields" | "body">): void {
    const { topK, vocabSize } = this;
    if (fields["topK"] !== topK) {
      throw invalidState("the topK", fields["topK"], `${topK}`);
    }
    const size = 1 + 2 * topK;
    if (body.length % size !== 0) {
      throw invalidState("the number of values", body.length, `a multiple of ${size}`);
    }
    let last = -1;
    for (let at = 0; at < body.length; at += size) {
      const token = body[at]!;
      if (!(token > last && token < vocabSize)) {
        throw invalidState("a token", token, `above ${last}, below ${vocabSize}`);
      }
      last = token;
      const successors = body.subarray(at + 1, at + 1 + topK);
      const wrong = successors.find((id) => !(id >= 0 && id < vocabSize));
      if (wrong !== undefined) throw invalidState("a successor", wrong, "a token");
      if (new Set(successors).size < topK) {
        throw invalidState("the successors", `[${successors}]`, "distinct");
      }
      const confidence = body
        .subarray(at + 1 + topK, at + size)
        .find((value) => !(value >= 0 && value <= 255));
      if (confidence !== undefined) throw invalidState("a confidence", confidence, "0 to 255");
    }
    this.reset();
    for (let at = 0; at < body.length; at += size) {
      const token = body[at]!;
      this.#successors.set(body.subarray(at + 1, at + 1 + topK), token * topK);
      this.#confidences.set(body.subarray(at + 1 + topK, at + size), token * topK);
      this.#known[token] = 1;
    }
    this.#rows = body.length / size;
  }
}

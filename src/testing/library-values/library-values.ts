/** What the tests of library values compare with. */
import type { ModelConfig } from "../../checkpoint/index.ts";

/** A model with hashed weights, and what transformers 5.18.0 computes with it (eager attention, float32). */
export interface LibraryValues {
  readonly what: string;
  readonly config: ModelConfig;
  /** Of an encoder-decoder: whether a head of its own is stored. */
  readonly ownHead?: boolean;
  /** Tensors that published files hold besides, and that are no weights: names and shapes. */
  readonly masks?: readonly (readonly [string, number[]])[];
  /** Logits of the tokens 0 to 5 after the 10th and after the last token of the text. */
  readonly middle: readonly number[];
  readonly last: readonly number[];
  /** Experts of the last token by sparse layer, best first. */
  readonly experts?: readonly (readonly number[])[];
  /** What is written greedily then. */
  readonly greedy: readonly number[];
}

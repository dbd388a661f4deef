/** Held-out text: the sequences of every evaluation, and their loss. */

import type { Architecture } from "../architectures.ts";
import { type BatchSourceOptions, openBatchSource, type TokenStore } from "../data/token-store.ts";
import type { LanguageModelBatch } from "../graph/language-model-graph.ts";
import type { TrainLanguageModelOptions } from "../language-model-options.ts";
import type { Settings } from "./run-settings.ts";
import type { Trainer } from "./trainer.ts";
import type { TrainingInputs } from "./training-interface.ts";

/** Held-out text as a trainer reads it. */
export interface HeldOut {
  readonly inputs: readonly TrainingInputs[];
  /** Undefined where the loss does not tell how probable the text is. */
  readonly bytesPerToken: number | undefined;
}

/** At most `evaluationSequences` of the held-out text, the same ones at every evaluation. */
export async function readHeldOut(
  store: TokenStore,
  options: TrainLanguageModelOptions,
  data: Omit<BatchSourceOptions, "batch">,
  {
    toInputs,
    architecture,
  }: {
    toInputs: ReturnType<Architecture["inputs"]>;
    architecture: Pick<Architecture, "predictsText">;
  },
): Promise<HeldOut> {
  const { evaluationSequences = 64 } = options;
  const sequences = await readSequences(store, data, evaluationSequences);
  const inputs = sequences.map((batch) => toInputs(batch));
  const bytesPerToken = architecture.predictsText ? store.bytes / store.tokens : undefined;
  return { inputs, bytesPerToken };
}

/** At most so many sequences of a store, one a batch, from its first on: the same ones every time. */
export async function readSequences(
  store: TokenStore,
  data: Omit<BatchSourceOptions, "batch">,
  most: number,
): Promise<LanguageModelBatch[]> {
  await using source = await openBatchSource([store], { ...data, batch: 1 });
  const count = Math.min(most, source.sequences[0]!);
  const sequences: LanguageModelBatch[] = [];
  let position = source.start;
  for (let index = 0; index < count; index++) {
    const { batch, next } = await source.read(position);
    sequences.push(batch);
    position = next;
  }
  return sequences;
}

export async function evaluate(
  trainer: Trainer,
  held: HeldOut,
  settings: Settings,
): Promise<{ heldOutLoss: number; heldOutBitsPerByte?: number }> {
  const averaged = settings.averageDecay !== undefined;
  const { loss } = await trainer.evaluate(held.inputs, { averaged });
  if (held.bytesPerToken === undefined) return { heldOutLoss: loss };
  return { heldOutLoss: loss, heldOutBitsPerByte: loss / Math.LN2 / held.bytesPerToken };
}

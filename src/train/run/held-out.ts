/** Held-out text: the sequences of every evaluation, and their loss. */

import type { Architecture } from "../architectures.ts";
import { openBatchSource, type TokenStore } from "../data/token-store.ts";
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
  data: Parameters<typeof openBatchSource>[1],
  {
    toInputs,
    architecture,
  }: {
    toInputs: ReturnType<Architecture["inputs"]>;
    architecture: Pick<Architecture, "predictsText">;
  },
): Promise<HeldOut> {
  const { evaluationSequences = 64 } = options;
  await using source = await openBatchSource([store], { ...data, batch: 1 });
  const count = Math.min(evaluationSequences, source.sequences[0]!);
  const inputs: TrainingInputs[] = [];
  let position = source.start;
  for (let index = 0; index < count; index++) {
    const { batch, next } = await source.read(position);
    inputs.push(toInputs(batch));
    position = next;
  }
  const bytesPerToken = architecture.predictsText ? store.bytes / store.tokens : undefined;
  return { inputs, bytesPerToken };
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

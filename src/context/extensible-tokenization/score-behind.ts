/** How probable a model finds tokens behind a packed text, other tokens, or nothing. */
import type { LoadedModel } from "../../model/index.ts";

/** What a model has read before the tokens that are scored; nothing where both are left out. */
export interface ReadBefore {
  /** `[rows, hiddenSize]`, as `contextRows` gives them. */
  readonly embeddings?: Float32Array;
  /** Tokens behind the embeddings. */
  readonly ids?: readonly number[];
}

/**
 * Scores tokens behind what a model has read: log-probabilities in nats, `[ids - 1]`. The first token is given and not
 * scored, so that the same tokens are scored behind anything.
 *
 * @param ids at least two; with what comes before them no more than the model's context
 *
 * @throws JetonError those of the model's steps
 */
export async function scoreBehind(
  model: Pick<LoadedModel, "openSequence" | "config">,
  { embeddings = new Float32Array(), ids: read = [] }: ReadBefore,
  ids: readonly number[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Float32Array> {
  const how = signal ? { signal } : {};
  const rows = embeddings.length / model.config.hiddenSize;
  const promptLength = rows + read.length + ids.length;
  const sequence = await model.openSequence({ promptLength, ...how });
  try {
    if (rows > 0) {
      const none = new Array<number>(rows).fill(-1);
      await sequence.step({ ids: none, embeddings, results: "none" }, how);
    }
    if (read.length > 0) await sequence.step({ ids: read, results: "none" }, how);
    const { targetLogProbabilities } = await sequence.step(
      { ids: ids.slice(0, -1), results: "all", targets: ids.slice(1) },
      how,
    );
    return targetLogProbabilities!;
  } finally {
    await sequence.release();
  }
}

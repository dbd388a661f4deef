/** The byte distribution of an open model. */
import type { LoadedModel } from "../../model/index.ts";
import { openModelRows } from "../bytes/token-rows.ts";
import {
  createExactBytes,
  type ExactBytes,
  type ExactBytesOptions,
} from "./exact-byte-probabilities.ts";

/**
 * Opens the exact byte distribution of a model of tokens. It takes one of the model's sequences until it
 * is closed; the model stays open. Load the model with `exact: false`: then the sequences of likely next
 * bytes are computed in one forward pass.
 *
 * @example
 * const bytes = await openByteDistribution(model);
 * await bytes.prefill(new TextEncoder().encode("The emp"));
 * const logs = await bytes.logProbabilities(); // of the 256 bytes and the end
 *
 * @throws JetonError `byte-tokens-unsupported`
 */
export async function openByteDistribution(
  model: LoadedModel,
  options: ExactBytesOptions & { readonly signal?: AbortSignal } = {},
): Promise<ExactBytes> {
  const { signal, ...rest } = options;
  const rows = await openModelRows(model, signal ? { signal } : {});
  try {
    return createExactBytes(rows, model.tokenizer, rest);
  } catch (error) {
    await rows.close();
    throw error;
  }
}

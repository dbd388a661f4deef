/** The byte distribution of an open model. */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { ByteDistribution } from "../bytes/byte-distribution.ts";
import { openModelRows } from "../bytes/token-rows.ts";
import { openWordBytes, readsWords } from "../bytes/word-bytes.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";
import type { ExactBytes, ExactBytesOptions } from "./exact-bytes.ts";

/** Options of `openByteDistribution`; those of `ExactBytesOptions` are for models of tokens. */
export interface OpenBytesOptions extends ExactBytesOptions {
  readonly signal?: AbortSignal;
}

/**
 * Opens the byte distribution of a model: the exact one of a model of tokens (`openExactBytes`), or that of a
 * model of words over bytes (`openWordBytes`). It takes one of the model's sequences until it is closed; the
 * model stays open. Load a model of tokens with `exact: false`: then the sequences of likely next bytes are
 * computed in one forward pass.
 *
 * @example
 * const bytes = await openByteDistribution(model);
 * await bytes.prefill(new TextEncoder().encode("The emp"));
 * const logs = await bytes.logProbabilities(); // of the 256 bytes and the end
 *
 * @throws JetonError `byte-tokens-unsupported`; `option-invalid` for options of tokens and a model of words
 */
export async function openByteDistribution(
  model: LoadedModel,
  options: OpenBytesOptions = {},
): Promise<ByteDistribution> {
  if (!readsWords(model)) return openExactBytes(model, options);
  const { signal: _, ...rest } = options;
  const [given] = Object.entries(rest).filter(([, value]) => value !== undefined);
  if (given !== undefined) {
    const [option, found] = given;
    throw new JetonError(
      `${option} is ${found}, expected no such option: ${model.name} has no tokens`,
      {
        code: "option-invalid",
        details: { option, found, expected: "no such option for a model of words" },
      },
    );
  }
  return openWordBytes(model);
}

/**
 * Opens the exact byte distribution of a model of tokens, with what it is made of.
 *
 * @throws JetonError `byte-tokens-unsupported`
 */
export async function openExactBytes(
  model: LoadedModel,
  options: OpenBytesOptions = {},
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

/** From a text to the ids that an encoder reads: cut to a length, and filled up where the model was trained so. */
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { EncoderConfig } from "../config.ts";
import { encodeStaticText } from "../static/static-text.ts";

/** A text as a model reads it. */
export interface TextInput {
  readonly ids: Int32Array;
  readonly types: Int32Array;
  /** `[start, end)` of each token in the text; `[0, 0]` for special tokens and padding. */
  readonly offsets: readonly [number, number][];
  /** Where padding is a part of what the model reads: 1 for tokens, 0 for padding. */
  readonly attended?: Uint8Array;
  /** Tokens, padding apart. */
  readonly length: number;
}

/**
 * Ids of a text or a pair, cut to `maxLength`, by default not at all. A Monarch Mixer that `fillsTexts` reads a text of any length as `kernelLength` ids: a longer
 * one loses its end, with the special token there, and a shorter one is followed by padding.
 */
export function encodeEncoderText(
  tokenizer: Tokenizer,
  config: EncoderConfig,
  text: string,
  {
    maxLength,
    pair,
  }: { readonly maxLength?: number | undefined; readonly pair?: string | undefined },
): TextInput {
  if (config.static) return encodeStaticText(tokenizer, config.static, text, maxLength);
  const fills = config.mixer?.fillsTexts === true;
  const { ids, typeIds, offsets } = tokenizer.encode(text, {
    applyLimits: false,
    ...(!fills && maxLength !== undefined && { maxLength }),
    ...(pair !== undefined && { pair }),
  });
  // Where a tokenizer names what its model reads and types are not among it, the model reads zeros.
  const hasTypes = tokenizer.settings.modelInputNames?.includes("token_type_ids") ?? true;
  const types = hasTypes ? typeIds : new Int32Array(typeIds.length);
  if (!fills) return { ids, types, offsets, length: ids.length };
  const size = config.contextLength;
  const length = Math.min(ids.length, maxLength ?? size, size);
  const filled = new Int32Array(size).fill(config.padTokenId);
  filled.set(ids.subarray(0, length));
  const filledTypes = new Int32Array(size);
  filledTypes.set(types.subarray(0, length));
  return {
    ids: filled,
    types: filledTypes,
    offsets: Array.from({ length: size }, (_, at) => (at < length ? offsets[at]! : [0, 0])),
    attended: new Uint8Array(size).fill(1, 0, length),
    length,
  };
}

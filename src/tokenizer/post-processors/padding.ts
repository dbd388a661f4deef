/** Padding of encodings to one length. */
import type { Padding } from "../formats/tokenizer-json.ts";
import type { Encoding } from "../tokenizer-interface.ts";

/** Pads each encoding to the length that the file asks for, or to the longest of them. */
export function padEncodings(encodings: readonly Encoding[], padding: Padding): Encoding[] {
  let length =
    padding.length === "longest"
      ? encodings.reduce((longest, encoding) => Math.max(longest, encoding.ids.length), 0)
      : padding.length;
  const { multipleOf } = padding;
  if (multipleOf > 0) length = Math.ceil(length / multipleOf) * multipleOf;
  return encodings.map((encoding) => padEncoding(encoding, length, padding));
}

function padEncoding(encoding: Encoding, length: number, padding: Padding): Encoding {
  const missing = length - encoding.ids.length;
  if (missing <= 0) return encoding;
  const left = padding.direction === "Left";
  const extend = (values: Int32Array, value: number): Int32Array => {
    const extended = new Int32Array(length).fill(value);
    extended.set(values, left ? missing : 0);
    return extended;
  };
  const tokens = new Array<string>(missing).fill(padding.token);
  const offsets = Array.from({ length: missing }, (): [number, number] => [0, 0]);
  return {
    ids: extend(encoding.ids, padding.id),
    tokens: left ? [...tokens, ...encoding.tokens] : [...encoding.tokens, ...tokens],
    offsets: left ? [...offsets, ...encoding.offsets] : [...encoding.offsets, ...offsets],
    typeIds: extend(encoding.typeIds, padding.typeId),
    attentionMask: extend(encoding.attentionMask, 0),
    specialTokensMask: extend(encoding.specialTokensMask, 1),
  };
}

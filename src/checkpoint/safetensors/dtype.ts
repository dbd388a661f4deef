/**
 * Element types of the safetensors format, and conversions between the float formats.
 *
 * The 16-bit formats are widened exactly and narrowed by rounding to nearest, ties to even, as
 * IEEE 754 and PyTorch do.
 */

/** Element types whose data can be read and written. */
export type Dtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "U64"
  | "I32"
  | "U32"
  | "I16"
  | "U16"
  | "I8"
  | "U8"
  | "BOOL";

/** The array that holds the elements of each type; 16-bit floats as their bits, booleans as 0 or 1. */
export interface ArrayOfDtype {
  F64: Float64Array;
  F32: Float32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I64: BigInt64Array;
  U64: BigUint64Array;
  I32: Int32Array;
  U32: Uint32Array;
  I16: Int16Array;
  U16: Uint16Array;
  I8: Int8Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}

/** Any array that tensor data is read into. */
export type TensorArray = ArrayOfDtype[Dtype];

interface ArrayConstructor {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TensorArray;
}

const constructors: Readonly<Record<Dtype, ArrayConstructor>> = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

/** Bits of an element, also of the types that are listed but not read. */
const bitsOfDtype: ReadonlyMap<string, number> = new Map([
  ["F64", 64],
  ["F32", 32],
  ["F16", 16],
  ["BF16", 16],
  ["I64", 64],
  ["U64", 64],
  ["I32", 32],
  ["U32", 32],
  ["I16", 16],
  ["U16", 16],
  ["I8", 8],
  ["U8", 8],
  ["BOOL", 8],
  ["C64", 64],
  ["F8_E4M3", 8],
  ["F8_E5M2", 8],
  ["F8_E8M0", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E5M2FNUZ", 8],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["F4", 4],
]);

/** The element types that can be read, in the order of the documentation. */
export const readableDtypes: readonly Dtype[] = Object.keys(constructors) as Dtype[];

/** True when the data of a tensor of this type can be read. */
export function isReadableDtype(dtype: string): dtype is Dtype {
  return Object.hasOwn(constructors, dtype);
}

/** Bits of one element, or undefined for a type that this version does not know. */
export function bitsPerElement(dtype: string): number | undefined {
  return bitsOfDtype.get(dtype);
}

/** Bytes of one element of a readable type. */
export function bytesPerElement(dtype: Dtype): number {
  return bitsOfDtype.get(dtype)! / 8;
}

/**
 * Views `length` elements of `buffer` from `byteOffset` on, without a copy.
 * `byteOffset` must be a multiple of the element's size.
 */
export function viewElements<D extends Dtype>(
  dtype: D,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): ArrayOfDtype[D] {
  return new constructors[dtype](buffer, byteOffset, length) as ArrayOfDtype[D];
}

/** True when `array` is the kind of array that holds elements of `dtype`. */
export function isArrayOf(dtype: Dtype, array: TensorArray): boolean {
  return array instanceof constructors[dtype];
}

/** The float32 bits of every float16 value, by its bits; built on first use (256 KB). */
let float16Table: Uint32Array | undefined;

function float32BitsOfFloat16(): Uint32Array {
  if (float16Table) return float16Table;
  const table = new Uint32Array(65536);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) {
      // Zero and subnormal numbers are multiples of 2^-24.
      value[0] = fraction * 2 ** -24;
      table[half] = sign | bits[0]!;
    } else {
      const widened = exponent === 31 ? 255 : exponent + 112;
      table[half] = sign | (widened << 23) | (fraction << 13);
    }
  }
  float16Table = table;
  return table;
}

/**
 * Widens float16 or bfloat16 bits to float32 bits, exactly (infinities and NaN payloads included).
 *
 * `source` may lie in the second half of `target`'s own memory: element i is written after it is
 * read and before that place is needed again, so a tensor is widened in the buffer it was read into.
 */
export function widenToFloat32(
  dtype: "F16" | "BF16",
  source: Uint16Array,
  target: Float32Array,
): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, source.length);
  const count = source.length;
  if (dtype === "BF16") {
    for (let i = 0; i < count; i++) bits[i] = source[i]! << 16;
  } else {
    const table = float32BitsOfFloat16();
    for (let i = 0; i < count; i++) bits[i] = table[source[i]!]!;
  }
}

/** Rounds float32 values to bfloat16 bits: to nearest, ties to even; NaN stays a quiet NaN. */
export function narrowToBFloat16(source: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    if ((word & 0x7fffffff) > 0x7f800000) {
      target[i] = (word >>> 16) | 0x40; // the dropped bits could have been all that made it a NaN
    } else {
      // Half of the last kept place, less one where the kept part is even: ties fall to even.
      target[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    }
  }
}

/**
 * Rounds float32 values to float16 bits: to nearest, ties to even. Values of 65520 and more become
 * infinite, values of 2^-25 and less become zero; NaN stays a quiet NaN.
 */
export function narrowToFloat16(source: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) {
      half = 0x7e00 | ((magnitude >>> 13) & 0x3ff);
    } else if (magnitude >= 0x477ff000) {
      half = 0x7c00; // 65520 and more
    } else if (magnitude >= 0x38800000) {
      // Normal in both formats: rebias the exponent, round off 13 bits.
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else if (magnitude <= 0x33000000) {
      half = 0; // 2^-25 is a tie between 0 and 2^-24 and falls to the even 0
    } else {
      // Subnormal: the significand, shifted to count multiples of 2^-24.
      const shift = 126 - (magnitude >>> 23);
      const significand = (magnitude & 0x7fffff) | 0x800000;
      const kept = significand >>> shift;
      const rest = significand & ((1 << shift) - 1);
      const tie = 1 << (shift - 1);
      half = kept + (rest > tie || (rest === tie && (kept & 1) === 1) ? 1 : 0);
    }
    target[i] = sign | half;
  }
}

/**
 * Frames: a JSON head and typed arrays in one block of bytes, as they travel between processes.
 *
 * Layout, little-endian: 4 bytes magic `JTA1`, 4 bytes length of the head, the head as UTF-8 JSON, zeros up to a multiple of
 * 8, then each array, followed by zeros up to a multiple of 8.
 */
import { JetonError } from "../core/index.ts";

/** An array that a frame can carry. */
export type FrameArray = Float64Array | Float32Array | Int32Array | Uint8Array;

/** What a frame carries. */
export interface Frame {
  /** Anything that JSON can hold. */
  readonly head: unknown;
  readonly arrays: readonly FrameArray[];
}

const magic = 0x3141544a;
const types = { f64: Float64Array, f32: Float32Array, i32: Int32Array, u8: Uint8Array } as const;
type TypeName = keyof typeof types;

interface Envelope {
  readonly head: unknown;
  readonly arrays: readonly (readonly [TypeName, number])[];
}

const align = (length: number): number => Math.ceil(length / 8) * 8;

/** A frame as bytes. */
export function encodeFrame({ head, arrays }: Frame): Uint8Array<ArrayBuffer> {
  const envelope: Envelope = {
    head: head ?? null,
    arrays: arrays.map((array) => [typeOf(array), array.length] as const),
  };
  const text = new TextEncoder().encode(JSON.stringify(envelope));
  const begin = align(8 + text.length);
  const total = arrays.reduce((sum, { byteLength }) => sum + align(byteLength), begin);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, text.length, true);
  bytes.set(text, 8);
  let at = begin;
  for (const array of arrays) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += align(array.byteLength);
  }
  return bytes;
}

function typeOf(array: FrameArray): TypeName {
  const name = (Object.keys(types) as TypeName[]).find((key) => array instanceof types[key]);
  if (name !== undefined) return name;
  throw frameError(`an array of the type ${Object.prototype.toString.call(array)}`);
}

/**
 * The frame that bytes hold. Its arrays are copies: the bytes may be a part of a buffer that is used again.
 *
 * @throws JetonError `transport-frame-invalid`
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 8 || view.getUint32(0, true) !== magic) throw frameError("no frame");
  const length = view.getUint32(4, true);
  if (8 + length > bytes.byteLength) throw frameError(`a head of ${length} bytes`);
  const { head, arrays } = readEnvelope(bytes.subarray(8, 8 + length));
  let at = align(8 + length);
  const read = arrays.map(([type, count]) => {
    const Type = types[type];
    const size = count * Type.BYTES_PER_ELEMENT;
    if (at + size > bytes.byteLength) throw frameError(`${size} bytes of an array at ${at}`);
    // A slice of a Node buffer would be a view.
    const copy = new Uint8Array(size);
    copy.set(bytes.subarray(at, at + size));
    at += align(size);
    return new Type(copy.buffer, 0, count);
  });
  if (at !== bytes.byteLength) throw frameError(`${bytes.byteLength - at} bytes after the end`);
  return { head, arrays: read };
}

function readEnvelope(bytes: Uint8Array): Envelope {
  let envelope: Partial<Envelope> | null;
  try {
    envelope = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Envelope;
  } catch {
    throw frameError("a head that is not JSON");
  }
  const { head, arrays } = envelope ?? {};
  const isRight =
    Array.isArray(arrays) &&
    arrays.every(
      (entry) =>
        Array.isArray(entry) &&
        Object.hasOwn(types, String(entry[0])) &&
        Number.isSafeInteger(entry[1]) &&
        (entry[1] as number) >= 0,
    );
  if (!isRight) throw frameError("a head without a list of arrays");
  return { head, arrays: arrays as Envelope["arrays"] };
}

function frameError(found: string): JetonError {
  return new JetonError(`a message cannot be read: found ${found}`, {
    code: "transport-frame-invalid",
    details: { found, expected: "a frame of encodeFrame" },
  });
}

/**
 * What a drafter learned, as bytes: named arrays in the layout of a safetensors file, with the
 * drafter, its format and the model in the metadata, so that other tools can look into it.
 */
import { parseHeaderLength, parseSafetensorsHeader } from "../checkpoint/safetensors-header.ts";
import { JetonError } from "../core/index.ts";
import type { LoadedModel } from "../model/index.ts";

/** Arrays that a state may hold. */
export type StateArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** Whose state it is. */
export interface DrafterStateKind {
  /** The drafter's name. */
  readonly drafter: string;
  /** Of the drafter's own layout: changes where old states cannot be read any more. */
  readonly version: number;
  /** `modelFingerprint` of the model that it was learned from. */
  readonly model: string;
}

const dtypes = [
  { dtype: "U8", make: (buffer: ArrayBuffer) => new Uint8Array(buffer) },
  { dtype: "U16", make: (buffer: ArrayBuffer) => new Uint16Array(buffer) },
  { dtype: "U32", make: (buffer: ArrayBuffer) => new Uint32Array(buffer) },
  { dtype: "I32", make: (buffer: ArrayBuffer) => new Int32Array(buffer) },
  { dtype: "F32", make: (buffer: ArrayBuffer) => new Float32Array(buffer) },
  { dtype: "F64", make: (buffer: ArrayBuffer) => new Float64Array(buffer) },
] as const;

function dtypeOf(array: StateArray): string {
  if (array instanceof Uint8Array) return "U8";
  if (array instanceof Uint16Array) return "U16";
  if (array instanceof Uint32Array) return "U32";
  if (array instanceof Int32Array) return "I32";
  return array instanceof Float32Array ? "F32" : "F64";
}

/**
 * Names a model and its tokenizer: equal for equal vocabularies and shapes. Two fine-tunes of one
 * model may share it; what one learned is a fair start for the other.
 */
export function modelFingerprint(
  model: Pick<LoadedModel, "config" | "tokenizer" | "checkpoint">,
): string {
  const lanes = Uint32Array.of(0x811c9dc5, 0x01234567);
  const absorb = (text: string): void => {
    // FNV-1a over UTF-16 units, with a second lane that multiplies by another odd number.
    for (let index = 0; index <= text.length; index++) {
      const unit = index < text.length ? text.charCodeAt(index) : 0xffff;
      lanes[0] = Math.imul(lanes[0]! ^ unit, 0x01000193);
      lanes[1] = Math.imul(lanes[1]! ^ unit, 0x9e3779b1) + 1;
    }
  };
  for (const { name, shape } of model.checkpoint.tensors.values()) absorb(`${name} ${shape}`);
  for (let id = 0; id < model.config.vocabularySize; id++) {
    absorb(model.tokenizer.idToToken(id) ?? "");
  }
  return Array.from(lanes, (lane) => lane.toString(16).padStart(8, "0")).join("");
}

/** The bytes of a state. */
export function encodeDrafterState(
  kind: DrafterStateKind,
  arrays: Readonly<Record<string, StateArray>>,
): Uint8Array {
  const header: Record<string, unknown> = {
    __metadata__: { drafter: kind.drafter, version: String(kind.version), model: kind.model },
  };
  let end = 0;
  for (const [name, array] of Object.entries(arrays)) {
    const begin = end;
    end += array.byteLength;
    header[name] = { dtype: dtypeOf(array), shape: [array.length], data_offsets: [begin, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded + end).fill(0x20, 8, 8 + padded);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, 8);
  let at = 8 + padded;
  for (const array of Object.values(arrays)) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += array.byteLength;
  }
  return bytes;
}

/**
 * The arrays of a state, copied.
 *
 * @throws JetonError `drafter-state-invalid`: cut off, not a state, or of another drafter, version or
 *   model
 */
export function decodeDrafterState(
  kind: DrafterStateKind,
  bytes: Uint8Array,
): ReadonlyMap<string, StateArray> {
  const file = "the drafter's state";
  const arrays = new Map<string, StateArray>();
  try {
    const length = parseHeaderLength(bytes.subarray(0, 8), bytes.length, file);
    const header = parseSafetensorsHeader(bytes.subarray(8, 8 + length), bytes.length, file);
    for (const [name, expected] of Object.entries({ ...kind, version: String(kind.version) })) {
      const found = header.metadata.get(name);
      if (found === expected) continue;
      throw invalid(
        `${file} names ${found === undefined ? `no ${name}` : `the ${name} "${found}"`}, expected "${expected}"`,
        { name, found, expected },
      );
    }
    for (const [name, { dtype, offset, length: size }] of header.tensors) {
      const type = dtypes.find((entry) => entry.dtype === dtype);
      if (!type) throw invalid(`${file} holds "${name}" as ${dtype}`, { name, dtype });
      arrays.set(name, type.make(bytes.slice(offset, offset + size).buffer as ArrayBuffer));
    }
  } catch (cause) {
    if (JetonError.isInstance(cause) && cause.code === "drafter-state-invalid") throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalid(reason, {}, cause);
  }
  return arrays;
}

/**
 * One array of a decoded state, of the type and, where given, the length that its drafter expects.
 *
 * @throws JetonError `drafter-state-invalid`
 */
export function stateArray<T extends StateArray>(
  arrays: ReadonlyMap<string, StateArray>,
  name: string,
  type: new (length: number) => T,
  length?: number,
): T {
  const array = arrays.get(name);
  if (array instanceof type && (length === undefined || array.length === length)) return array;
  throw invalid(
    `the drafter's state holds ${array ? `${array.constructor.name}(${array.length})` : "nothing"} as "${name}", expected ${type.name}${length === undefined ? "" : `(${length})`}`,
    { name, expected: type.name, length },
  );
}

function invalid(message: string, details: Record<string, unknown>, cause?: unknown): JetonError {
  return new JetonError(message, { code: "drafter-state-invalid", details, cause });
}

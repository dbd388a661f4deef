/**
 * The header of a safetensors file, as text and as a checked table of tensors.
 *
 * Layout: 8 bytes, the header's length as a little-endian 64-bit integer; the header, a JSON object
 * `{ name: { dtype, shape, data_offsets: [begin, end] }, __metadata__?: { key: string } }`, which may
 * be padded with spaces; the data, to whose first byte the offsets refer. Tensors must cover the data
 * without gap or overlap. The limits are those of the reference implementation
 * (github.com/huggingface/safetensors). Needs nothing of Node: browsers use it too.
 */
import { JetonError } from "../../core/index.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "../json.ts";
import { bitsPerElement } from "./dtype.ts";

/** The longest header in bytes that any reader accepts. */
export const maxHeaderBytes = 100_000_000;

/** One tensor of a safetensors file. */
export interface TensorEntry {
  readonly name: string;
  /** `F32`, `BF16`, …; may be a type that is listed but cannot be read (`F8_E4M3`). */
  readonly dtype: string;
  /** Row-major; empty for a scalar. */
  readonly shape: readonly number[];
  /** Absolute path of the file that holds the data, symbolic links resolved. */
  readonly file: string;
  /** Position of the first byte of the data in that file. */
  readonly offset: number;
  /** Bytes of data. */
  readonly length: number;
}

/** A parsed header. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The free-form strings of `__metadata__`; empty when there are none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads the header's length from the first 8 bytes of a file.
 *
 * @throws JetonError `safetensors-truncated` when the file ends before the header does,
 * `safetensors-header-too-long` beyond 100 MB.
 */
export function parseHeaderLength(prefix: Uint8Array, fileSize: number, file: string): number {
  if (fileSize < 8 || prefix.length < 8) {
    throw new JetonError(`${file} holds ${fileSize} bytes; a safetensors file has at least 8`, {
      code: "safetensors-truncated",
      details: { file, fileSize, expected: "at least 8 bytes" },
    });
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw new JetonError(
      `${file} declares a header of ${length} bytes; the format allows ${maxHeaderBytes}. ` +
        "Is it a safetensors file?",
      {
        code: "safetensors-header-too-long",
        details: { file, headerLength: String(length), expected: `at most ${maxHeaderBytes}` },
      },
    );
  }
  if (Number(length) > fileSize - 8) {
    throw new JetonError(
      `${file} declares a header of ${length} bytes but only ${fileSize - 8} bytes follow`,
      {
        code: "safetensors-truncated",
        details: { file, headerLength: Number(length), fileSize },
      },
    );
  }
  return Number(length);
}

/** The header of a whole file in memory. @throws JetonError the codes of `parseSafetensorsHeader` */
export function parseHeaderOf(data: Uint8Array, file: string): SafetensorsHeader {
  const length = parseHeaderLength(data.subarray(0, 8), data.length, file);
  return parseSafetensorsHeader(data.subarray(8, 8 + length), data.length, file);
}

/**
 * Checks a header and lists its tensors with absolute positions.
 *
 * `header` is the JSON part alone; `fileSize` is the size of the whole file in bytes.
 *
 * @throws JetonError `safetensors-header-invalid`, `safetensors-duplicate-name`,
 * `safetensors-shape-invalid`, `safetensors-offsets-invalid`, `safetensors-size-mismatch`,
 * `safetensors-offsets-overlap`, `safetensors-offsets-gap`, `safetensors-truncated` or
 * `safetensors-trailing-data`.
 */
export function parseSafetensorsHeader(
  header: Uint8Array,
  fileSize: number,
  file: string,
): SafetensorsHeader {
  const invalid = (message: string, details: Record<string, unknown>): JetonError =>
    new JetonError(`${file}: ${message}`, {
      code: "safetensors-header-invalid",
      details: { file, ...details },
    });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch (cause) {
    throw new JetonError(`${file}: the header is not UTF-8 text. Is it a safetensors file?`, {
      code: "safetensors-header-invalid",
      cause,
      details: { file, expected: "UTF-8" },
    });
  }
  const root = parseJson(text, {
    source: file,
    code: "safetensors-header-invalid",
    duplicateKeyCode: "safetensors-duplicate-name",
    maxDepth: 8,
  });
  if (!isJsonObject(root)) throw invalid("the header must be an object", { found: typeof root });

  const dataStart = 8 + header.length;
  const dataLength = fileSize - dataStart;
  const entries: TensorEntry[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, value] of Object.entries(root)) {
    if (name === "__metadata__") metadata = checkMetadata(value, invalid);
    else entries.push(checkTensor(name, value, dataStart, file, invalid));
  }
  checkLayout(entries, dataStart, dataLength, file);
  return { tensors: new Map(entries.map((entry) => [entry.name, entry])), metadata };
}

type Invalid = (message: string, details: Record<string, unknown>) => JetonError;

function checkMetadata(value: JsonValue | undefined, invalid: Invalid): Map<string, string> {
  if (!isJsonObject(value)) throw invalid("__metadata__ must be an object", { found: value });
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw invalid(`__metadata__ entry ${JSON.stringify(key)} must be a string`, {
        key,
        found: text,
      });
    }
    metadata.set(key, text);
  }
  return metadata;
}

function checkTensor(
  name: string,
  value: JsonValue | undefined,
  dataStart: number,
  file: string,
  invalid: Invalid,
): TensorEntry {
  const label = `tensor ${JSON.stringify(name.slice(0, 200))}`;
  if (!isJsonObject(value)) throw invalid(`${label} must be an object`, { name, found: value });
  const { dtype, shape, data_offsets: offsets } = value as JsonObject;
  if (typeof dtype !== "string") {
    throw invalid(`${label} has no dtype`, { name, found: dtype, expected: "a string" });
  }
  const dimensions = checkShape(shape, label, name, file);
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount) ||
    offsets[0]! > offsets[1]!
  ) {
    throw new JetonError(
      `${file}: ${label} has data_offsets ${JSON.stringify(offsets)?.slice(0, 200)}; ` +
        "expected [begin, end] with 0 <= begin <= end",
      { code: "safetensors-offsets-invalid", details: { file, name, found: offsets } },
    );
  }
  const [begin, end] = offsets as [number, number];
  checkSize(dtype, dimensions, end - begin, label, name, file);
  return { name, dtype, shape: dimensions, file, offset: dataStart + begin, length: end - begin };
}

function isCount(value: JsonValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function checkShape(
  shape: JsonValue | undefined,
  label: string,
  name: string,
  file: string,
): number[] {
  const fail = (found: unknown, expected: string): JetonError =>
    new JetonError(`${file}: ${label} has shape ${String(found).slice(0, 200)}; ${expected}`, {
      code: "safetensors-shape-invalid",
      details: { file, name, found, expected },
    });
  if (!Array.isArray(shape)) throw fail(JSON.stringify(shape), "expected an array");
  for (const dimension of shape) {
    if (!isCount(dimension) || Object.is(dimension, -0)) {
      throw fail(`[${shape.join(", ")}]`, "expected integers from 0 to 2^53 - 1");
    }
  }
  return shape as number[];
}

/** Checks that the bytes are as many as shape and type need; unknown types are taken at their word. */
function checkSize(
  dtype: string,
  shape: readonly number[],
  length: number,
  label: string,
  name: string,
  file: string,
): void {
  let count = 1;
  for (const dimension of shape) {
    count *= dimension;
    if (count > Number.MAX_SAFE_INTEGER) {
      throw new JetonError(
        `${file}: ${label} has shape [${shape.join(", ").slice(0, 200)}]; expected fewer than 2^53 elements`,
        { code: "safetensors-shape-invalid", details: { file, name, found: shape } },
      );
    }
  }
  const bits = bitsPerElement(dtype);
  if (bits === undefined) return;
  const expected = (count * bits) / 8;
  if (expected !== length) {
    throw new JetonError(
      `${file}: ${label} has ${length} bytes; ` +
        `${dtype} of shape [${shape.join(", ").slice(0, 200)}] needs ${expected}`,
      {
        code: "safetensors-size-mismatch",
        details: { file, name, dtype, shape, found: length, expected },
      },
    );
  }
}

/** Checks that the tensors cover the data from its first to its last byte, each byte once. */
function checkLayout(
  entries: readonly TensorEntry[],
  dataStart: number,
  dataLength: number,
  file: string,
): void {
  const ordered = [...entries].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let expected = dataStart;
  let previous = "the start of the data";
  for (const { name, offset, length } of ordered) {
    const label = `tensor ${JSON.stringify(name.slice(0, 200))}`;
    const details = { file, name, found: offset - dataStart, expected: expected - dataStart };
    if (offset < expected) {
      throw new JetonError(
        `${file}: ${label} begins at byte ${details.found} inside ${previous}, which ends at ${details.expected}`,
        { code: "safetensors-offsets-overlap", details },
      );
    }
    if (offset > expected) {
      throw new JetonError(
        `${file}: ${label} begins at byte ${details.found}; expected ${details.expected}, right after ${previous}`,
        { code: "safetensors-offsets-gap", details },
      );
    }
    expected = offset + length;
    previous = label;
  }
  const needed = expected - dataStart;
  if (needed > dataLength) {
    throw new JetonError(
      `${file}: the tensors need ${needed} bytes of data but the file holds ${dataLength}. ` +
        "Is it a partial download?",
      { code: "safetensors-truncated", details: { file, found: dataLength, expected: needed } },
    );
  }
  if (needed < dataLength) {
    throw new JetonError(
      `${file}: ${dataLength - needed} bytes follow the last tensor; the format allows none`,
      { code: "safetensors-trailing-data", details: { file, found: dataLength, expected: needed } },
    );
  }
}

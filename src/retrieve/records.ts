/** Records checked, and as text for the write-ahead log. */
import { JetonError, suggest } from "../core/index.ts";
import type { FieldValue, IndexRecord, SparseVector, TokenVectors } from "./types.ts";

/** Lengths of the vectors in an index; undefined until the first one. */
export interface VectorSizes {
  dense: number | undefined;
  tokens: number | undefined;
}

/**
 * Checks a record and copies what it holds, with vectors of length 1, so that later changes by the caller
 * change nothing. `sizes` learns the length of the first vectors.
 *
 * @throws JetonError `record-invalid`
 */
export function prepareRecord(record: IndexRecord, sizes: VectorSizes): IndexRecord {
  checkParts(record);
  const { id, text, fields, dense, tokens, sparse } = record;
  if (typeof id !== "string" || id === "" || loneSurrogate.test(id)) {
    throw invalidRecord("id", id, "a text that is not empty", id);
  }
  if (typeof text !== "string") throw invalidRecord("text", text, "a text", id);
  const prepared: { -readonly [K in keyof IndexRecord]: IndexRecord[K] } = {
    id,
    text: text.replace(loneSurrogates, "\ufffd"),
  };
  if (fields !== undefined) prepared.fields = copyFields(fields, id);
  if (dense !== undefined) {
    checkList("dense", dense, id);
    sizes.dense ??= dense.length;
    if (dense.length !== sizes.dense || dense.length === 0) {
      throw invalidRecord("dense", dense.length, `a vector of ${sizes.dense} numbers`, id);
    }
    prepared.dense = normalizeRows(dense, dense.length, "dense", id);
  }
  if (tokens !== undefined) prepared.tokens = prepareTokens(tokens, text, sizes, id);
  if (sparse !== undefined) prepared.sparse = prepareSparse(sparse, id);
  return prepared;
}

const parts: readonly string[] = ["id", "text", "fields", "dense", "tokens", "sparse"];

/** A mistyped part would be lost without a word. */
function checkParts(record: unknown): void {
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw invalidRecord("record", record, "an object with id and text", undefined);
  }
  const { id } = record as Partial<IndexRecord>;
  for (const [name, value] of Object.entries(record)) {
    if (parts.includes(name)) continue;
    const near = suggest(name, parts);
    const expected = near === undefined ? `one of ${parts.join(", ")}` : `did you mean ${near}?`;
    throw invalidRecord(
      name,
      value,
      `${expected}; what records are filtered by stands in fields`,
      id,
    );
  }
}

/** Halves of characters, which no file can hold. */
const loneSurrogate = /\p{Surrogate}/u;
const loneSurrogates = /\p{Surrogate}/gu;

function copyFields(
  fields: Readonly<Record<string, FieldValue>>,
  id: string,
): Record<string, FieldValue> {
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw invalidRecord("fields", fields, "an object", id);
  }
  const copy: [name: string, FieldValue][] = [];
  for (const [name, value] of Object.entries(fields)) {
    const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
    const isScalar = typeof value === "string" || typeof value === "boolean";
    if (!isList && !isScalar && !Number.isFinite(value)) {
      throw invalidRecord(
        `fields.${name}`,
        value,
        "a text, finite number, boolean or list of texts",
        id,
      );
    }
    if (name === "id")
      throw invalidRecord("fields.id", value, "another name: filters call the id so", id);
    copy.push([name, Array.isArray(value) ? [...value] : value]);
  }
  // Not by assignment, to which a field called __proto__ would be none.
  return Object.fromEntries(copy);
}

/** A part with parts of its own, each known. */
function checkFields(part: string, found: unknown, names: readonly string[], id: string): void {
  const isObject = typeof found === "object" && found !== null && !Array.isArray(found);
  if (!isObject) throw invalidRecord(part, found, `an object with ${names.join(", ")}`, id);
  const unknown = Object.keys(found).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw invalidRecord(`${part}.${unknown}`, "a field", `${names.join(", ")} alone`, id);
  }
}

/** A typed array, or a list of the same numbers; that they are finite is seen where they are used. */
function checkList(part: string, found: unknown, id: string): void {
  if (Array.isArray(found) || (ArrayBuffer.isView(found) && "length" in found)) return;
  throw invalidRecord(part, found, "a list of finite numbers", id);
}

/** Whole numbers of 32 bits without a sign. */
function checkCounts(part: string, found: ArrayLike<number>, id: string): void {
  checkList(part, found, id);
  const isCount = (one: unknown): boolean =>
    Number.isInteger(one) && (one as number) >= 0 && (one as number) < 2 ** 32;
  const wrong =
    found instanceof Uint32Array ? undefined : Array.from(found).find((one) => !isCount(one));
  if (wrong !== undefined) throw invalidRecord(part, wrong, "whole numbers from 0", id);
}

function prepareTokens(
  tokens: TokenVectors,
  text: string,
  sizes: VectorSizes,
  id: string,
): TokenVectors {
  checkFields("tokens", tokens, ["dim", "vectors", "spans"], id);
  const { dim, vectors, spans } = tokens;
  if (!(Number.isInteger(dim) && dim > 0)) {
    throw invalidRecord("tokens.dim", dim, "the length of a vector, a whole number from 1", id);
  }
  checkList("tokens.vectors", vectors, id);
  sizes.tokens ??= dim;
  const count = vectors.length / dim;
  if (dim !== sizes.tokens || !Number.isInteger(count)) {
    throw invalidRecord("tokens", [vectors.length, dim], `vectors of ${sizes.tokens} numbers`, id);
  }
  if (spans !== undefined) {
    checkCounts("tokens.spans", spans, id);
    if (spans.length !== 2 * count) {
      const expected = `${2 * count} numbers, a start and an end for each token`;
      throw invalidRecord("tokens.spans", spans.length, expected, id);
    }
    for (let i = 0; i < spans.length; i += 2) {
      const [start, end] = [spans[i]!, spans[i + 1]!];
      if (start <= end && end <= text.length) continue;
      throw invalidRecord("tokens.spans", [start, end], `a range of 0 to ${text.length}`, id);
    }
  }
  return {
    dim,
    vectors: normalizeRows(vectors, dim, "tokens", id),
    spans: spans === undefined ? new Uint32Array(2 * count) : Uint32Array.from(spans),
  };
}

function prepareSparse(sparse: SparseVector, id: string): SparseVector {
  checkFields("sparse", sparse, ["ids", "weights"], id);
  const { ids, weights } = sparse;
  checkCounts("sparse.ids", ids, id);
  checkList("sparse.weights", weights, id);
  if (!weights.every(isFloat)) {
    throw invalidRecord("sparse.weights", weights, "finite numbers of 32 bits", id);
  }
  if (ids.length !== weights.length || new Set(ids).size !== ids.length) {
    throw invalidRecord(
      "sparse",
      [ids.length, weights.length],
      "as many weights as different ids",
      id,
    );
  }
  const order = Uint32Array.from(ids.keys()).sort((a, b) => ids[a]! - ids[b]!);
  return {
    ids: Uint32Array.from(order, (at) => ids[at]!),
    weights: Float32Array.from(order, (at) => weights[at]!),
  };
}

/** A number that 32 bits hold as a finite one. */
export function isFloat(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}

/** Rows of length 1; rows of zeros stay. */
export function normalizeRows(
  values: Float32Array,
  dim: number,
  name: string,
  id: string,
): Float32Array {
  const rows = Float32Array.from(values);
  for (let start = 0; start < rows.length; start += dim) {
    let square = 0;
    for (let i = start; i < start + dim; i++) square += rows[i]! * rows[i]!;
    if (!Number.isFinite(square)) throw invalidRecord(name, square, "finite numbers", id);
    // A row of length 1 stays as it is, bit by bit, however often it is written and read.
    if (square === 0 || Math.abs(square - 1) < 1e-6) continue;
    const length = Math.sqrt(square);
    for (let i = start; i < start + dim; i++) rows[i] = rows[i]! / length;
  }
  return rows;
}

/** The error of a part of a record. */
export function invalidRecord(
  part: string,
  found: unknown,
  expected: string,
  id: unknown,
): JetonError {
  return new JetonError(
    `record ${JSON.stringify(id)}, ${part}: ${JSON.stringify(found)}; expected ${expected}`,
    { code: "record-invalid", details: { id, part, found, expected } },
  );
}

/** A record as JSON; numbers of vectors in base64. */
export function recordToJson(record: IndexRecord): object {
  const { id, text, fields, dense, tokens, sparse } = record;
  return {
    id,
    text,
    ...(fields !== undefined && { fields }),
    ...(dense !== undefined && { dense: toBase64(dense) }),
    ...(tokens !== undefined && {
      tokens: {
        dim: tokens.dim,
        vectors: toBase64(tokens.vectors),
        spans: toBase64(tokens.spans!),
      },
    }),
    ...(sparse !== undefined && {
      sparse: { ids: toBase64(sparse.ids), weights: toBase64(sparse.weights) },
    }),
  };
}

interface RecordJson extends Pick<IndexRecord, "id" | "text" | "fields"> {
  dense?: string;
  tokens?: { dim: number; vectors: string; spans: string };
  sparse?: { ids: string; weights: string };
}

/** The record that `recordToJson` wrote. */
export function recordFromJson(json: object): IndexRecord {
  const { id, text, fields, dense, tokens, sparse } = json as RecordJson;
  return {
    id,
    text,
    ...(fields !== undefined && { fields }),
    ...(dense !== undefined && { dense: new Float32Array(fromBase64(dense)) }),
    ...(tokens !== undefined && {
      tokens: {
        dim: tokens.dim,
        vectors: new Float32Array(fromBase64(tokens.vectors)),
        spans: new Uint32Array(fromBase64(tokens.spans)),
      },
    }),
    ...(sparse !== undefined && {
      sparse: {
        ids: new Uint32Array(fromBase64(sparse.ids)),
        weights: new Float32Array(fromBase64(sparse.weights)),
      },
    }),
  };
}

function toBase64(array: Float32Array | Uint32Array): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
}

function fromBase64(text: string): ArrayBuffer {
  const bytes = Buffer.from(text, "base64");
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

/**
 * A drafter's learned state as bytes, with a header and checksum by which damaged, foreign and truncated
 * bytes are rejected before any of them is used.
 *
 *     "jetondrf" | uint32 version | uint32 bytes of the header | header, JSON, padded with spaces
 *     | int32 values of the body | uint32 CRC-32 of all before
 *
 * Everything is little-endian, the body aligned to 4 bytes. Works in browsers; `drafter-file.ts` keeps the
 * bytes in a file.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/types.ts";

/** Sealed contents. */
export interface DrafterState {
  /** Kind of the drafter that saved it. */
  readonly kind: string;
  /** `tokenizerKey` or `modelKey` of the model that it was learned from. */
  readonly key: string;
  /** A few numbers, by name. */
  readonly fields: Readonly<Record<string, number>>;
  readonly body: Int32Array;
}

const magic = "jetondrf";
const version = 2;
/** Magic, version and length of the header. */
const preamble = 16;

/** Packs contents into bytes. */
export function sealState({ kind, key, fields, body }: DrafterState): Uint8Array {
  const text = JSON.stringify({ kind, key, fields, values: body.length });
  const encoded = new TextEncoder().encode(text);
  const headerBytes = Math.ceil(encoded.length / 4) * 4;
  const bytes = new Uint8Array(preamble + headerBytes + 4 * body.length + 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < magic.length; i++) bytes[i] = magic.charCodeAt(i);
  view.setUint32(8, version, true);
  view.setUint32(12, headerBytes, true);
  bytes.fill(0x20, preamble, preamble + headerBytes);
  bytes.set(encoded, preamble);
  const start = preamble + headerBytes;
  for (let i = 0; i < body.length; i++) view.setInt32(start + 4 * i, body[i]!, true);
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)), true);
  return bytes;
}

/**
 * Unpacks bytes of `sealState` after checking that they are undamaged and of this kind and key. The drafter
 * still checks the values of fields and body.
 *
 * @throws JetonError `drafter-state-damaged` (no such file at all, truncated, or changed bytes),
 *   `drafter-state-version`, `drafter-state-other-kind`, `drafter-state-other-model`
 */
export function openState(
  bytes: Uint8Array,
  expected: Pick<DrafterState, "kind" | "key">,
): DrafterState {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begins = bytes.length >= magic.length && latin1(bytes.subarray(0, magic.length)) === magic;
  if (!begins) throw damaged("does not begin with its mark", latin1(bytes.subarray(0, 8)), magic);
  if (bytes.length < preamble + 4 || bytes.length % 4 !== 0) {
    throw damaged("is truncated", bytes.length, "whole words, at least five");
  }
  const found = view.getUint32(8, true);
  if (found !== version) {
    throw new JetonError(`the drafter's state has version ${found}, expected ${version}`, {
      code: "drafter-state-version",
      details: { found, expected: version },
    });
  }
  const sum = view.getUint32(bytes.length - 4, true);
  const computed = crc32(bytes.subarray(0, -4));
  if (sum !== computed) throw damaged("has another checksum than it names", computed, sum);
  const header = readHeader(bytes, view.getUint32(12, true));
  for (const name of ["kind", "key"] as const) {
    if (header[name] === expected[name]) continue;
    const what = name === "kind" ? "drafter" : "model or tokenizer";
    throw new JetonError(
      `the drafter's state is of another ${what}: ${header[name]}, expected ${expected[name]}`,
      {
        code: name === "kind" ? "drafter-state-other-kind" : "drafter-state-other-model",
        details: { found: header[name], expected: expected[name] },
      },
    );
  }
  const { kind, key, fields } = header;
  const body = new Int32Array((bytes.length - 4 - header.start) / 4);
  if (body.length !== header.values) {
    throw damaged("has a body of another length than it names", body.length, header.values);
  }
  for (let i = 0; i < body.length; i++) body[i] = view.getInt32(header.start + 4 * i, true);
  return { kind, key, fields, body };
}

interface Header extends Omit<DrafterState, "body"> {
  readonly values: number;
  /** Offset of the body. */
  readonly start: number;
}

function readHeader(bytes: Uint8Array, length: number): Header {
  const start = preamble + length;
  if (length % 4 !== 0 || start + 4 > bytes.length) {
    throw damaged("has a header that does not fit", length, "whole words inside the bytes");
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(preamble, start)));
  } catch {
    header = undefined;
  }
  const { kind, key, fields, values } = (header ?? {}) as Record<string, unknown>;
  if (
    typeof kind !== "string" ||
    typeof key !== "string" ||
    typeof values !== "number" ||
    typeof fields !== "object" ||
    fields === null ||
    Object.values(fields).some((value) => typeof value !== "number")
  ) {
    throw damaged("has a header that is none", header, "{ kind, key, fields, values }");
  }
  return { kind, key, fields: fields as Header["fields"], values, start };
}

function damaged(how: string, found: unknown, expected: unknown): JetonError {
  return new JetonError(`the drafter's state ${how}: ${String(found)}, expected ${expected}`, {
    code: "drafter-state-damaged",
    details: { found, expected },
  });
}

/** An error of undamaged bytes whose fields or body hold an impossible value. */
export function invalidState(what: string, found: unknown, expected: string): JetonError {
  return new JetonError(
    `the drafter's state is invalid: ${what} is ${found}, expected ${expected}`,
    {
      code: "drafter-state-invalid",
      details: { what, found, expected },
    },
  );
}

/** Identifies a tokenizer by the text of its tokens; a state of token ids depends on nothing else. */
export function tokenizerKey(model: Pick<LoadedModel, "tokenizer" | "config">): string {
  const { vocabSize } = model.config;
  let hash = 0x811c9dc5;
  for (let id = 0; id < vocabSize; id++) {
    hash = hashText(model.tokenizer.idToToken(id) ?? "", hash);
    hash = Math.imul(hash ^ 0xff, 0x01000193);
  }
  return `tokens-${vocabSize}-${(hash >>> 0).toString(16)}`;
}

/**
 * Identifies a model, by name, tokenizer and architecture, for states that hold a model's own choices. Two
 * trainings of one architecture under one name get the same key; the wrong one's state lowers acceptance and
 * never changes the text.
 */
export function modelKey(model: Pick<LoadedModel, "tokenizer" | "config" | "name">): string {
  const hash = hashText(JSON.stringify(model.config), 0x811c9dc5);
  return `${model.name}-${tokenizerKey(model)}-${(hash >>> 0).toString(16)}`;
}

/** FNV-1a over UTF-16 code units. */
function hashText(text: string, hash: number): number {
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

const crcTable: Uint32Array = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** The CRC-32 of zip and PNG. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

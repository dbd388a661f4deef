/**
 * Writes messages in the protocol buffers wire format (protobuf.dev/programming-guides/encoding): what
 * ONNX files need of it.
 */
import { JetonError } from "../core/index.ts";

/** Type of a field: `int` is any of int32, int64 and enumerations; a table is a message of its own. */
export type FieldType = "int" | "float" | "string" | "bytes" | MessageFields;

/** Fields of a message by name: number and type, the type in a list where the field repeats. */
export interface MessageFields {
  readonly [name: string]: readonly [number: number, type: FieldType | readonly [FieldType]];
}

const utf8 = new TextEncoder();

/** Bytes that grow as they are written. */
class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Length, then the bytes. */
  block(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.bytes(bytes);
  }

  float(value: number): void {
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  /** Seven bits a byte, lowest first; negative numbers in two's complement of 64 bits. */
  varint(value: number | bigint): void {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
    this.#bytes[this.#length++] = Number(rest);
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Serializes a message: fields in the order of the table, numbers in lists packed, `undefined` and empty
 * lists left out.
 *
 * @throws JetonError `protobuf-field` for a field that the table lacks or a whole number that is none
 */
export function encodeMessage(fields: MessageFields, message: object): Uint8Array {
  const writer = new ByteWriter();
  const values = message as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(values)) {
    if (!Object.hasOwn(fields, name)) throw fieldError(name, values[name], Object.keys(fields));
  }
  for (const [name, [number, type]] of Object.entries(fields)) {
    const value = values[name];
    if (value === undefined) continue;
    if (isList(type)) writeList(writer, name, number, type[0], value as readonly unknown[]);
    else writeField(writer, name, number, type, value);
  }
  return writer.take();
}

const isList = (type: FieldType | readonly [FieldType]): type is readonly [FieldType] =>
  Array.isArray(type);

function writeList(
  writer: ByteWriter,
  name: string,
  number: number,
  type: FieldType,
  values: readonly unknown[],
): void {
  if (type !== "int" && type !== "float") {
    for (const value of values) writeField(writer, name, number, type, value);
    return;
  }
  if (values.length === 0) return;
  const packed = new ByteWriter();
  for (const value of values) writeNumber(packed, name, type, value);
  writer.varint(tag(number, 2));
  writer.block(packed.take());
}

function writeField(
  writer: ByteWriter,
  name: string,
  number: number,
  type: FieldType,
  value: unknown,
): void {
  if (type === "int" || type === "float") {
    writer.varint(tag(number, type === "int" ? 0 : 5));
    writeNumber(writer, name, type, value);
    return;
  }
  writer.varint(tag(number, 2));
  if (type === "string") writer.block(utf8.encode(value as string));
  else if (type === "bytes") writer.block(value as Uint8Array);
  else writer.block(encodeMessage(type, value as object));
}

function writeNumber(
  writer: ByteWriter,
  name: string,
  type: "int" | "float",
  value: unknown,
): void {
  if (type === "float") writer.float(value as number);
  else if (Number.isSafeInteger(value) || typeof value === "bigint") {
    writer.varint(value as number | bigint);
  } else throw fieldError(name, value, "a whole number");
}

const tag = (number: number, wireType: number): number => 8 * number + wireType;

function fieldError(name: string, found: unknown, expected: unknown): JetonError {
  return new JetonError(`no such value for the field "${name}" of a message: ${String(found)}`, {
    code: "protobuf-field",
    details: { name, found: String(found), expected },
  });
}

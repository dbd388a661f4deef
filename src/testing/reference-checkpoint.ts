/**
 * A second, deliberately small reader and writer of checkpoint folders, for tests only.
 *
 * It shares no code with the checkpoint module, so that a test which compares the two catches a mistake
 * of either. Everything is read at once and widened to float64; it trusts its files.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import { fromStoredLayout } from "./older-families/stored-layout.ts";

/** The fields of a `config.json`, as parsed. */
export type ReferenceConfig = Readonly<Record<string, unknown>>;

/** A named array in float64. `data` is row-major; its length is the product of `shape`. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
  /** Stored as unsigned bytes, beside others of another dtype. */
  readonly isBytes?: true;
}

/** Parameters by checkpoint name, e.g. `model.layers.0.self_attn.q_proj.weight`. */
export type ReferenceTensors = ReadonlyMap<string, ReferenceTensor>;

/** The floating-point types in which checkpoints store weights. */
export type FloatDtype = "F32" | "F16" | "BF16";

const bytesPerElement: Readonly<Record<FloatDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

const word = new DataView(new ArrayBuffer(4));

/** Rounds to the nearest bfloat16 (ties to even) and returns its 16 bits. `value` is finite. */
function bfloat16Bits(value: number): number {
  // Rounding first to float32 and then to bfloat16 could round twice; doing it on the float64 value
  // cannot: 8 significant bits are cut from 53 at once.
  const magnitude = Math.abs(value);
  if (magnitude === 0) return Object.is(value, -0) ? 0x8000 : 0;
  const exponent = Math.max(Math.floor(Math.log2(magnitude)), -126);
  const step = 2 ** (exponent - 7);
  word.setFloat32(0, Math.sign(value) * roundHalfEven(magnitude / step) * step);
  return word.getUint32(0) >>> 16;
}

/** Rounds to the nearest IEEE half (ties to even) and returns its 16 bits; overflows to infinity. */
function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24);
  // A significand that rounds up to 2048 carries into the exponent by itself.
  const exponent = Math.floor(Math.log2(magnitude));
  return sign | (((exponent + 14) << 10) + roundHalfEven(magnitude * 2 ** (10 - exponent)));
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Reads one element of a stored array; `offset` in bytes. */
function readElement(view: DataView, dtype: FloatDtype, offset: number): number {
  if (dtype === "F32") return view.getFloat32(offset, true);
  const bits = view.getUint16(offset, true);
  if (dtype === "F16") return float16Value(bits);
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

function writeElement(view: DataView, dtype: FloatDtype, offset: number, value: number): void {
  if (dtype === "F32") view.setFloat32(offset, value, true);
  else view.setUint16(offset, dtype === "F16" ? float16Bits(value) : bfloat16Bits(value), true);
}

/** The values that a file of that dtype would hold: each rounded to nearest, ties to even. */
export function roundToDtype(values: Float64Array, dtype: FloatDtype): Float64Array {
  const view = new DataView(new ArrayBuffer(4));
  return values.map((value) => {
    writeElement(view, dtype, 0, value);
    return readElement(view, dtype, 0);
  });
}

/** Reads all arrays of one safetensors file, widened to float64. */
export function readReferenceTensors(file: string): Map<string, ReferenceTensor> {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
    string,
    { dtype: FloatDtype; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const size = bytesPerElement[entry.dtype];
    if (size === undefined) {
      throw new JetonError(`${file}: ${name} has dtype ${entry.dtype}, expected F32, F16 or BF16`, {
        code: "reference-dtype",
        details: { name, dtype: entry.dtype },
      });
    }
    const [from, to] = entry.data_offsets;
    const data = new Float64Array((to - from) / size);
    for (let i = 0; i < data.length; i++) {
      data[i] = readElement(view, entry.dtype, start + from + i * size);
    }
    tensors.set(name, { shape: entry.shape, data });
  }
  return tensors;
}

/** A checkpoint folder in memory. */
export interface ReferenceCheckpoint {
  readonly config: ReferenceConfig;
  /** By the names of the reference decoder. */
  readonly tensors: ReferenceTensors;
}

/** Reads `config.json` and every `*.safetensors` file of a folder, in the layout that the reference decoder reads. */
export function readReferenceCheckpoint(folder: string): ReferenceCheckpoint {
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as ReferenceConfig;
  const tensors = new Map<string, ReferenceTensor>();
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".safetensors")) continue;
    for (const [name, tensor] of readReferenceTensors(join(folder, file)))
      tensors.set(name, tensor);
  }
  return { config, tensors: fromStoredLayout(String(config["model_type"]), tensors) };
}

/** Writes arrays as one safetensors file of one dtype; the data starts at a multiple of 8 bytes. */
export function writeReferenceTensors(
  file: string,
  tensors: ReferenceTensors,
  dtype: FloatDtype,
): void {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const [name, { shape, data, isBytes }] of tensors) {
    const from = end;
    end += data.length * (isBytes ? 1 : bytesPerElement[dtype]);
    header[name] = { dtype: isBytes ? "U8" : dtype, shape, data_offsets: [from, end] };
  }
  const json = JSON.stringify(header);
  const padded = json.padEnd(
    Math.ceil(Buffer.byteLength(json) / 8) * 8 - Buffer.byteLength(json) + json.length,
  );
  const headerBytes = Buffer.from(padded, "utf8");
  const bytes = new Uint8Array(8 + headerBytes.length + end);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(headerBytes.length), true);
  bytes.set(headerBytes, 8);
  let offset = 8 + headerBytes.length;
  for (const { data, isBytes } of tensors.values()) {
    if (isBytes) {
      bytes.set(data, offset);
      offset += data.length;
      continue;
    }
    for (const value of data) {
      writeElement(view, dtype, offset, value);
      offset += bytesPerElement[dtype];
    }
  }
  writeFileSync(file, bytes);
}

/** Writes `config.json` and the arrays, in `shards` files with an index when there is more than one. */
export function writeReferenceCheckpoint(
  folder: string,
  checkpoint: { config: ReferenceConfig; tensors: ReferenceTensors },
  options: { dtype: FloatDtype; shards?: number },
): void {
  const { dtype, shards = 1 } = options;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(checkpoint.config, null, 2)}\n`);
  if (shards === 1) {
    writeReferenceTensors(join(folder, "model.safetensors"), checkpoint.tensors, dtype);
    return;
  }
  const entries = [...checkpoint.tensors];
  const weightMap: Record<string, string> = {};
  let totalSize = 0;
  for (let shard = 0; shard < shards; shard++) {
    const part = entries.slice(
      Math.floor((shard * entries.length) / shards),
      Math.floor(((shard + 1) * entries.length) / shards),
    );
    const number = (value: number) => String(value).padStart(5, "0");
    const file = `model-${number(shard + 1)}-of-${number(shards)}.safetensors`;
    writeReferenceTensors(join(folder, file), new Map(part), dtype);
    for (const [name, { data }] of part) {
      weightMap[name] = file;
      totalSize += data.length * bytesPerElement[dtype];
    }
  }
  const index = { metadata: { total_size: totalSize }, weight_map: weightMap };
  writeFileSync(
    join(folder, "model.safetensors.index.json"),
    `${JSON.stringify(index, null, 2)}\n`,
  );
}

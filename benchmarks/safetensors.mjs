/**
 * The least of safetensors that the benchmarks need, in plain JavaScript, so that the peers' half of
 * a benchmark runs on Node 20 without a build of jeton. The library's own reader, with its checks of
 * hostile files, is `src/checkpoint/`; this one trusts the checkpoints that the benchmarks made.
 */
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/**
 * Widens IEEE half precision to single precision; exact.
 * @param {Uint16Array} source bits
 * @returns {Float32Array}
 */
export function widenHalf(source) {
  const target = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const bits = source[i];
    const exponent = (bits >>> 10) & 31;
    const mantissa = bits & 1023;
    const magnitude =
      exponent === 0
        ? mantissa * 2 ** -24
        : exponent === 31
          ? mantissa === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN
          : (1 + mantissa / 1024) * 2 ** (exponent - 15);
    target[i] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return target;
}

/**
 * Widens bfloat16 (the upper half of a float32) to single precision; exact.
 * @param {Uint16Array} source bits
 * @returns {Float32Array}
 */
export function widenBrain(source) {
  const target = new Float32Array(source.length);
  const bits = new Uint32Array(target.buffer);
  for (let i = 0; i < source.length; i++) bits[i] = source[i] << 16;
  return target;
}

/**
 * Bits of the bfloat16 nearest to a number, ties to even.
 * @param {number} value finite
 * @returns {number}
 */
export function toBrainBits(value) {
  scratch[0] = value;
  const bits = scratchBits[0];
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/**
 * Opens the tensors of a checkpoint folder: one `model.safetensors`, or shards named by
 * `model.safetensors.index.json`. Nothing but the headers is read until `read(name)`.
 * @param {string} folder
 * @returns {{ names: string[], shape(name: string): number[], read(name: string): Float32Array, close(): void }}
 */
export function openSafetensors(folder) {
  const indexPath = join(folder, "model.safetensors.index.json");
  const files = existsSync(indexPath)
    ? [...new Set(Object.values(JSON.parse(readFileSync(indexPath, "utf8")).weight_map))]
    : ["model.safetensors"];
  const descriptors = [];
  const entries = new Map();
  for (const file of files) {
    const descriptor = openSync(join(folder, file), "r");
    descriptors.push(descriptor);
    const size = Buffer.alloc(8);
    readSync(descriptor, size, 0, 8, 0);
    const headerBytes = Number(size.readBigUInt64LE(0));
    const header = Buffer.alloc(headerBytes);
    readSync(descriptor, header, 0, headerBytes, 8);
    for (const [name, entry] of Object.entries(JSON.parse(header.toString("utf8")))) {
      if (name === "__metadata__") continue;
      const [start, end] = entry.data_offsets;
      entries.set(name, {
        descriptor,
        type: entry.dtype,
        shape: entry.shape,
        position: 8 + headerBytes + start,
        bytes: end - start,
      });
    }
  }
  const find = (name) => {
    const entry = entries.get(name);
    if (entry === undefined) throw new Error(`no tensor ${name} in ${folder}`);
    return entry;
  };
  return {
    names: [...entries.keys()],
    shape: (name) => find(name).shape,
    read(name) {
      const { descriptor, type, position, bytes } = find(name);
      const buffer = new ArrayBuffer(bytes);
      const read = readSync(descriptor, new Uint8Array(buffer), 0, bytes, position);
      if (read !== bytes) throw new Error(`tensor ${name}: ${read} of ${bytes} bytes in the file`);
      if (type === "F32") return new Float32Array(buffer);
      if (type === "BF16") return widenBrain(new Uint16Array(buffer));
      if (type === "F16") return widenHalf(new Uint16Array(buffer));
      throw new Error(`tensor ${name} has type ${type}; the benchmarks read F32, F16 and BF16`);
    },
    close() {
      for (const descriptor of descriptors) closeSync(descriptor);
    },
  };
}

/**
 * Writes one safetensors file, a tensor at a time, so that no more than one is held. The file
 * appears under its name only when it is complete.
 * @param {string} path
 * @param {{ name: string, type: string, shape: number[], bytes: number, data: () => ArrayBufferView }[]} tensors
 */
export function writeSafetensors(path, tensors) {
  const header = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, type, shape, bytes } of tensors) {
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json.padEnd(json.length + ((8 - (json.length % 8)) % 8)), "utf8");
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length), 0);
  const partial = `${path}.${process.pid}.partial`;
  const descriptor = openSync(partial, "w");
  try {
    writeFully(descriptor, size);
    writeFully(descriptor, text);
    for (const { name, bytes, data } of tensors) {
      const view = data();
      if (view.byteLength !== bytes)
        throw new Error(`tensor ${name}: ${view.byteLength} bytes given, ${bytes} announced`);
      writeFully(descriptor, view);
    }
    renameSync(partial, path);
  } finally {
    closeSync(descriptor);
    rmSync(partial, { force: true });
  }
}

/**
 * Writes a whole view; a single `write` may stop early.
 * @param {number} descriptor
 * @param {ArrayBufferView} view
 */
export function writeFully(descriptor, view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let written = 0;
  while (written < bytes.length)
    written += writeSync(descriptor, bytes, written, bytes.length - written);
}

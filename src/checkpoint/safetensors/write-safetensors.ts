/**
 * Writes safetensors files: one at a time, or a checkpoint's weights in shards with an index.
 *
 * The format allows no gaps between tensors, so a tensor cannot be moved to a page boundary by
 * padding. Two things are allowed and done: the header is padded with spaces until the data begins
 * at a multiple of `alignment`, and tensors are ordered by the largest power of two that divides
 * their length. Then every tensor begins at a multiple of its own such power (up to `alignment`), so
 * that all elements are aligned and any tensor of a whole number of pages lies on pages.
 */
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../../core/index.ts";
import { singleWeightsName, weightsIndexName } from "../checkpoint.ts";
import { readJsonObject } from "../config.ts";
import { type PendingFile, stageFile, type WritableFile } from "../files/atomic-file.ts";
import { isJsonObject } from "../json.ts";
import {
  bytesPerElement,
  type Dtype,
  isArrayOf,
  isReadableDtype,
  narrowToBFloat16,
  narrowToFloat16,
  readableDtypes,
  type TensorArray,
} from "./dtype.ts";
import { maxHeaderBytes } from "./safetensors-header.ts";

/** Elements in row-major order, in one array or in consecutive parts. */
export type TensorData =
  | TensorArray
  | (() => Iterable<TensorArray> | AsyncIterable<TensorArray>)
  | (() => Promise<TensorArray>);

/** A tensor to write. */
export interface TensorToWrite {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
  /**
   * Arrays of the type's own kind (see `ArrayOfDtype`), or `Float32Array` for `F16`, `BF16` and `F64`,
   * which is then rounded to nearest even, or widened. A function is called when the tensor is due,
   * so that only one part need be in memory at a time.
   */
  data: TensorData;
}

/** Options of `writeSafetensors`. */
export interface WriteSafetensorsOptions {
  /** Strings for `__metadata__`. Default `{ format: "pt" }`, which other tools ask for. */
  metadata?: Readonly<Record<string, string>>;
  /**
   * The data begins at a multiple of this many bytes, a power of two from 8 to 65536. Default 64, a
   * cache line; 4096 puts large tensors on memory pages for readers that map the file.
   */
  alignment?: number;
}

/**
 * Writes a safetensors file: to a temporary file beside it, flushed, renamed. When anything fails,
 * what was at `path` stays as it was.
 *
 * @throws JetonError `tensor-name-invalid`, `tensor-name-duplicate`, `tensor-dtype-unreadable`,
 * `tensor-shape-invalid`, `tensor-length-mismatch` (data and shape disagree), `tensor-array-mismatch`
 * (an array of another kind), `option-invalid`, `safetensors-header-too-long`, `disk-full` and its like.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const pending = await stageSafetensors(path, checkTensors(tensors), options);
  await pending.commit();
}

/** Where the bytes of a tensor go. */
export interface TensorPlace {
  /** Bytes before them in the file. */
  readonly offset: number;
  readonly length: number;
}

/**
 * Writes the data of a safetensors file by itself, also from several threads.
 *
 * @param file the temporary file, at its full length, all zeros behind the header
 * @param places where the bytes of each tensor go
 */
export type FillSafetensors = (
  file: string,
  places: ReadonlyMap<string, TensorPlace>,
) => Promise<void>;

/**
 * Writes a safetensors file whose data `fill` writes, in any order: to a temporary file, renamed
 * when all is there. It is not flushed to the disk.
 *
 * @throws JetonError as `writeSafetensors`, and the errors of `fill`.
 */
export async function fillSafetensors(
  path: string,
  tensors: Iterable<Omit<TensorToWrite, "data">>,
  fill: FillSafetensors,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const { ordered, header } = layOut(checkTensors(tensors), options);
  const places = new Map<string, TensorPlace>();
  let offset = header.length;
  for (const { name, bytes: length } of ordered) {
    places.set(name, { offset, length });
    offset += length;
  }
  const pending = await stageFile(
    path,
    async (handle, temporary) => {
      await writeFully(handle, header);
      await handle.truncate(offset);
      await fill(temporary, places);
    },
    { flush: false },
  );
  await pending.commit();
}

/** Options of `writeShardedSafetensors`. */
export interface WriteShardedOptions extends WriteSafetensorsOptions {
  /** Bytes of tensor data a file holds at most, unless one tensor alone is longer. Default 5e9. */
  maxShardBytes?: number;
}

/** What `writeShardedSafetensors` wrote. */
export interface WrittenShards {
  /** Names of the weight files in the folder. */
  readonly files: readonly string[];
  /** Bytes of tensor data. */
  readonly totalBytes: number;
}

/**
 * Writes the weights of a checkpoint folder: `model.safetensors` when they fit into one shard, else
 * `model-00001-of-0000N.safetensors` and so on with their index. Tensors keep their order over the
 * shards. Weights that the folder held before are replaced: all new files are complete on the disk
 * before the first name changes, and an interruption leaves the old weights, the new ones or, where
 * shards of equal names are replaced, a folder without an index; never a mixture.
 *
 * @throws JetonError as `writeSafetensors`.
 */
export async function writeShardedSafetensors(
  folder: string,
  tensors: Iterable<TensorToWrite>,
  options: WriteShardedOptions = {},
): Promise<WrittenShards> {
  const { maxShardBytes = 5e9, ...fileOptions } = options;
  if (!(maxShardBytes > 0)) {
    throw new JetonError(`maxShardBytes is ${maxShardBytes}; expected a positive number`, {
      code: "option-invalid",
      details: { option: "maxShardBytes", found: maxShardBytes, expected: "> 0" },
    });
  }
  const checked = checkTensors(tensors);
  const shards: SizedTensor[][] = [];
  let left = 0;
  for (const tensor of checked) {
    if (shards.length === 0 || (tensor.bytes > left && shards.at(-1)!.length > 0)) {
      shards.push([]);
      left = maxShardBytes;
    }
    shards.at(-1)!.push(tensor);
    left -= tensor.bytes;
  }
  const single = shards.length <= 1;
  const files = single ? [singleWeightsName] : shards.map((_, i) => shardName(i, shards.length));
  const totalBytes = checked.reduce((sum, tensor) => sum + tensor.bytes, 0);

  const staged: PendingFile[] = [];
  try {
    for (const [i, name] of files.entries()) {
      staged.push(await stageSafetensors(join(folder, name), shards[i] ?? [], fileOptions));
    }
    if (!single) {
      const weightMap = Object.fromEntries(
        shards.flatMap((shard, i) => shard.map((tensor) => [tensor.name, files[i]!])),
      );
      const index = { metadata: { total_size: totalBytes }, weight_map: weightMap };
      const text = `${JSON.stringify(index, null, 2)}\n`;
      staged.push(
        await stageFile(join(folder, weightsIndexName), (handle) => handle.writeFile(text)),
      );
    }
    const former = await listFormerWeights(folder);
    // The switch is one rename or one removal, except where a new shard takes the name of an old one:
    // then the old index must go first, lest it join shards of two checkpoints.
    if (former.some((name) => files.includes(name))) await removeFiles(folder, [weightsIndexName]);
    for (const file of staged) await file.commit();
    await removeFiles(folder, [
      single ? weightsIndexName : singleWeightsName,
      ...former.filter((name) => !files.includes(name)),
    ]);
  } finally {
    await Promise.all(staged.map((file) => file.discard()));
  }
  return { files, totalBytes };
}

function shardName(index: number, count: number): string {
  const digits = (value: number): string => String(value).padStart(5, "0");
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

/** Shards that the folder's present index names; only files that look like shards of ours or others'. */
async function listFormerWeights(folder: string): Promise<string[]> {
  const names = new Set(await readdir(folder));
  if (!names.has(weightsIndexName)) return [];
  const index = await readJsonObject(join(folder, weightsIndexName)).catch(() => undefined);
  const weightMap = index?.["weight_map"];
  if (!isJsonObject(weightMap)) return [];
  return [...new Set(Object.values(weightMap))].filter(
    (name): name is string =>
      typeof name === "string" && names.has(name) && /^model-\d+-of-\d+\.safetensors$/.test(name),
  );
}

async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await unlink(join(folder, name)).catch(() => {});
}

/** A tensor with its size; `data` where it is written one after the other. */
type Sized<T> = T & { readonly elements: number; readonly bytes: number };
type SizedTensor = Sized<TensorToWrite>;

function checkTensors<T extends Omit<TensorToWrite, "data">>(tensors: Iterable<T>): Sized<T>[] {
  const seen = new Set<string>();
  return [...tensors].map((tensor) => {
    const { name, dtype, shape } = tensor;
    const encoded = new TextDecoder().decode(new TextEncoder().encode(name));
    if (name === "__metadata__" || name === "__proto__" || encoded !== name) {
      throw new JetonError(`${JSON.stringify(name)} cannot be the name of a tensor`, {
        code: "tensor-name-invalid",
        details: { name, expected: "Unicode text other than __metadata__ and __proto__" },
      });
    }
    if (seen.has(name)) {
      throw new JetonError(`two tensors are named ${JSON.stringify(name)}`, {
        code: "tensor-name-duplicate",
        details: { name, expected: "unique names" },
      });
    }
    seen.add(name);
    if (!isReadableDtype(dtype)) {
      throw new JetonError(
        `tensor ${JSON.stringify(name)} has dtype ${String(dtype)}; expected one of ${readableDtypes.join(", ")}`,
        {
          code: "tensor-dtype-unreadable",
          details: { name, found: dtype, expected: readableDtypes },
        },
      );
    }
    let elements = 1;
    for (const dimension of shape) {
      elements *= dimension;
      if (!Number.isSafeInteger(dimension) || dimension < 0 || elements * 8 > 2 ** 53) {
        throw new JetonError(`tensor ${JSON.stringify(name)} has shape [${shape.join(", ")}]`, {
          code: "tensor-shape-invalid",
          details: { name, found: shape, expected: "integers of at least 0, not too many" },
        });
      }
    }
    return { ...tensor, elements, bytes: elements * bytesPerElement(dtype) };
  });
}

async function stageSafetensors(
  path: string,
  tensors: readonly SizedTensor[],
  options: WriteSafetensorsOptions,
): Promise<PendingFile> {
  const { ordered, header } = layOut(tensors, options);
  return stageFile(path, async (handle) => {
    await writeFully(handle, header);
    for (const tensor of ordered) await writeTensor(handle, tensor);
  });
}

/** Order of the tensors in the file, and the header before them. */
function layOut<T extends Sized<Omit<TensorToWrite, "data">>>(
  tensors: readonly T[],
  options: WriteSafetensorsOptions,
): { readonly ordered: readonly T[]; readonly header: Uint8Array } {
  const { metadata = { format: "pt" }, alignment = 64 } = options;
  if (!Number.isInteger(Math.log2(alignment)) || alignment < 8 || alignment > 65536) {
    throw new JetonError(`alignment is ${alignment}; expected a power of two from 8 to 65536`, {
      code: "option-invalid",
      details: { option: "alignment", found: alignment, expected: "a power of two, 8 to 65536" },
    });
  }
  const ordered = orderByAlignment(tensors, alignment);
  return { ordered, header: encodeHeader(ordered, metadata, alignment) };
}

/** Stable order by the largest power of two that divides the length, descending. */
function orderByAlignment<T extends Sized<object>>(tensors: readonly T[], alignment: number): T[] {
  const power = ({ bytes }: T): number => {
    let unit = 1;
    while (unit < alignment && bytes % (unit * 2) === 0) unit *= 2;
    return unit;
  };
  return [...tensors].sort((a, b) => power(b) - power(a));
}

/** The 8 bytes of length and the header, padded so that the data begins at a multiple of `alignment`. */
function encodeHeader(
  tensors: readonly Sized<Omit<TensorToWrite, "data">>[],
  metadata: Readonly<Record<string, string>>,
  alignment: number,
): Uint8Array {
  const root: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) root["__metadata__"] = metadata;
  let position = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    root[name] = { dtype, shape, data_offsets: [position, position + bytes] };
    position += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(root));
  const total = Math.ceil((8 + json.length) / alignment) * alignment;
  if (total - 8 > maxHeaderBytes) {
    throw new JetonError(`the header would have ${total - 8} bytes; the format allows 100 MB`, {
      code: "safetensors-header-too-long",
      details: { found: total - 8, expected: maxHeaderBytes },
    });
  }
  const bytes = new Uint8Array(total).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(total - 8), true);
  bytes.set(json, 8);
  return bytes;
}

async function writeTensor(handle: WritableFile, tensor: SizedTensor): Promise<void> {
  let written = 0;
  for await (const part of partsOf(tensor.data)) {
    if (written + part.length > tensor.elements) throw lengthMismatch(tensor, "more");
    written += part.length;
    for (const bytes of encodeElements(tensor, part)) await writeFully(handle, bytes);
  }
  if (written < tensor.elements) throw lengthMismatch(tensor, String(written));
}

async function* partsOf(data: TensorData): AsyncGenerator<TensorArray> {
  if (typeof data !== "function") {
    yield data;
    return;
  }
  const produced = await data();
  if (ArrayBuffer.isView(produced)) yield produced;
  else yield* produced;
}

function lengthMismatch({ name, shape, elements }: SizedTensor, found: string): JetonError {
  return new JetonError(
    `tensor ${JSON.stringify(name)} of shape [${shape.join(", ")}] has ${elements} elements, its data ${found}`,
    { code: "tensor-length-mismatch", details: { name, shape, found, expected: elements } },
  );
}

/** How many elements are converted at a time; bounds the memory that a conversion needs. */
const convertedElements = 1 << 20;

/** The bytes of `part` in the tensor's type; converts in pieces where the kinds differ. */
function* encodeElements(tensor: SizedTensor, part: TensorArray): Generator<Uint8Array> {
  const { name, dtype } = tensor;
  if (isArrayOf(dtype, part)) {
    yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    return;
  }
  if (
    !(part instanceof Float32Array) ||
    !(dtype === "F16" || dtype === "BF16" || dtype === "F64")
  ) {
    throw new JetonError(
      `tensor ${JSON.stringify(name)} is ${dtype} but its data came as ${part.constructor.name}`,
      {
        code: "tensor-array-mismatch",
        details: { name, dtype, found: part.constructor.name },
      },
    );
  }
  for (let start = 0; start < part.length; start += convertedElements) {
    const piece = part.subarray(start, start + convertedElements);
    if (dtype === "F64") {
      yield new Uint8Array(Float64Array.from(piece).buffer);
    } else {
      const narrowed = new Uint16Array(piece.length);
      if (dtype === "F16") narrowToFloat16(piece, narrowed);
      else narrowToBFloat16(piece, narrowed);
      yield new Uint8Array(narrowed.buffer);
    }
  }
}

async function writeFully(handle: WritableFile, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(
      bytes,
      done,
      Math.min(bytes.length - done, 1 << 30),
    );
    done += bytesWritten;
  }
}

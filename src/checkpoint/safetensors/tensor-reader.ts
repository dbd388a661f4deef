/**
 * Reads tensors from an open file: whole or some rows, as stored or widened to float32.
 *
 * Every read goes by position straight into the array that is returned; nothing is mapped or cached,
 * and nothing is copied: 16-bit floats are widened in the place they were read into.
 */
import { JetonError } from "../../core/index.ts";
import {
  bytesPerElement,
  type Dtype,
  isReadableDtype,
  readableDtypes,
  type TensorArray,
  viewElements,
  widenToFloat32,
} from "./dtype.ts";
import type { TensorEntry } from "./safetensors-header.ts";

/** A range of indices of a tensor's first dimension. */
export interface RowRange {
  /** First row. */
  start: number;
  /** Number of rows; may be 0. */
  count: number;
}

/** Options of `read`. */
export interface ReadTensorOptions {
  /** Read these rows alone. Default: all of the tensor. */
  rows?: RowRange;
}

/** Options of `readFloat32`. */
export interface ReadFloat32Options extends ReadTensorOptions {
  /** Array to fill instead of a new one; it must hold exactly the elements that are read. */
  into?: Float32Array;
}

/** A tensor in memory. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: Dtype;
  /** The shape of what was read: with `rows`, the first dimension is their count. */
  readonly shape: readonly number[];
  /** Row-major elements in the array of the type; 16-bit floats as bits, booleans as 0 or 1. */
  readonly data: TensorArray;
}

/** Access to the tensors of a file or a checkpoint. */
export interface TensorReader {
  /**
   * Reads a tensor as it is stored.
   *
   * @throws JetonError `tensor-missing`, `tensor-dtype-unreadable`, `tensor-rows-out-of-range`,
   * `tensor-too-large`, `safetensors-truncated` (the file shrank since it was opened), `file-closed`.
   */
  read(name: string, options?: ReadTensorOptions): Promise<StoredTensor>;
  /**
   * Reads a tensor as float32: F32 as it is, F16 and BF16 widened exactly, F64 rounded, integers of
   * up to 16 bits and booleans as numbers.
   *
   * @throws JetonError as `read`; `tensor-not-float` for wider integers, `tensor-length-mismatch` when
   * `into` has another length.
   */
  readFloat32(name: string, options?: ReadFloat32Options): Promise<Float32Array>;
  /** Reads `count` rows from row `start` on as float32: `[count, ...shape.slice(1)]`. */
  readRows(name: string, start: number, count: number): Promise<Float32Array>;
  /** The first `length` bytes of a tensor of any type as they are stored, or all of a shorter one. */
  readBytes(name: string, length: number): Promise<Uint8Array>;
}

/** Most bytes of one read call; Linux reads less than 2 GiB at once. */
const chunkBytes = 1 << 30;

/** The part of an open file that reading needs. Declared here so that declarations need no types of Node. */
export interface ReadableFile {
  read(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }>;
}

/** Makes a reader over `tensors`; `useHandle` gives the open file they lie in, or throws. */
export function createTensorReader(
  tensors: ReadonlyMap<string, TensorEntry>,
  useHandle: () => ReadableFile,
): TensorReader {
  const select = (name: string, rows: RowRange | undefined): Selection => {
    const entry = tensors.get(name);
    if (entry) return selectRows(entry, rows);
    throw missingTensor(name, tensors);
  };
  const readInto = (selection: Selection, target: Uint8Array): Promise<void> =>
    readExactly(useHandle(), selection, target);

  const reader: TensorReader = {
    async read(name, options = {}) {
      const selection = select(name, options.rows);
      const { dtype, shape, elements, length } = selection;
      const buffer = allocate(length, name);
      await readInto(selection, new Uint8Array(buffer));
      return { name, dtype, shape, data: viewElements(dtype, buffer, 0, elements) };
    },
    async readFloat32(name, options = {}) {
      const selection = select(name, options.rows);
      const { dtype, elements, length } = selection;
      const { into } = options;
      if (into && into.length !== elements) {
        throw new JetonError(
          `tensor ${JSON.stringify(name)}: the array to fill has ${into.length} elements, expected ${elements}`,
          {
            code: "tensor-length-mismatch",
            details: { name, found: into.length, expected: elements },
          },
        );
      }
      const result = into ?? new Float32Array(allocate(elements * 4, name));
      const bytes = new Uint8Array(result.buffer, result.byteOffset, result.byteLength);
      switch (dtype) {
        case "F32":
          await readInto(selection, bytes);
          return result;
        case "F16":
        case "BF16": {
          const half = bytes.subarray(length);
          await readInto(selection, half);
          widenToFloat32(
            dtype,
            viewElements(dtype, half.buffer, half.byteOffset, elements),
            result,
          );
          return result;
        }
        case "F64":
        case "I16":
        case "U16":
        case "I8":
        case "U8":
        case "BOOL": {
          const buffer = allocate(length, name);
          await readInto(selection, new Uint8Array(buffer));
          result.set(viewElements(dtype, buffer, 0, elements));
          return result;
        }
        default:
          throw new JetonError(
            `tensor ${JSON.stringify(name)} holds ${dtype}, which float32 cannot represent; read it as stored`,
            { code: "tensor-not-float", details: { name, found: dtype } },
          );
      }
    },
    readRows: (name, start, count) => reader.readFloat32(name, { rows: { start, count } }),
    async readBytes(name, most) {
      const entry = tensors.get(name);
      if (!entry) throw missingTensor(name, tensors);
      const length = Math.min(most, entry.length);
      const bytes = new Uint8Array(allocate(length, name));
      await readExactly(useHandle(), { entry, offset: entry.offset, length }, bytes);
      return bytes;
    },
  };
  return reader;
}

/** The error for a name that is not among `tensors`. */
export function missingTensor(name: string, tensors: ReadonlyMap<string, TensorEntry>): JetonError {
  return new JetonError(`there is no tensor ${JSON.stringify(name)} among ${tensors.size}`, {
    code: "tensor-missing",
    details: { name, expected: [...tensors.keys()].slice(0, 20) },
  });
}

interface Selection {
  readonly entry: TensorEntry;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly elements: number;
  /** Position in the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

function selectRows(entry: TensorEntry, rows: RowRange | undefined): Selection {
  const { name, dtype, shape, offset, length } = entry;
  if (!isReadableDtype(dtype)) {
    throw new JetonError(
      `tensor ${JSON.stringify(name)} holds ${dtype}; readable are ${readableDtypes.join(", ")}`,
      {
        code: "tensor-dtype-unreadable",
        details: { name, found: dtype, expected: readableDtypes },
      },
    );
  }
  const elementBytes = bytesPerElement(dtype);
  if (!rows) return { entry, dtype, shape, elements: length / elementBytes, offset, length };

  const { start, count } = rows;
  const height = shape[0] ?? 0;
  const valid = Number.isSafeInteger(start) && Number.isSafeInteger(count);
  if (shape.length === 0 || !valid || start < 0 || count < 0 || start + count > height) {
    throw new JetonError(
      `tensor ${JSON.stringify(name)}: there are no ${count} rows from row ${start} on in shape [${shape.join(", ")}]`,
      { code: "tensor-rows-out-of-range", details: { name, start, count, shape } },
    );
  }
  const rowBytes = height === 0 ? 0 : length / height;
  return {
    entry,
    dtype,
    shape: [count, ...shape.slice(1)],
    elements: (count * rowBytes) / elementBytes,
    offset: offset + start * rowBytes,
    length: count * rowBytes,
  };
}

/** Memory that is not cleared first, as every byte of it is about to be read from the file. */
function allocate(bytes: number, name: string): ArrayBuffer {
  try {
    if (bytes === 0 || bytes > chunkBytes) return new ArrayBuffer(bytes);
    // Browsers have no such memory.
    const { Buffer } = globalThis as Partial<typeof globalThis>;
    return (Buffer?.allocUnsafeSlow(bytes).buffer as ArrayBuffer) ?? new ArrayBuffer(bytes);
  } catch (cause) {
    throw new JetonError(
      `tensor ${JSON.stringify(name)}: ${bytes} bytes cannot be held in one array; read it by rows`,
      { code: "tensor-too-large", cause, details: { name, bytes } },
    );
  }
}

async function readExactly(
  handle: ReadableFile,
  selection: Pick<Selection, "entry" | "offset" | "length">,
  target: Uint8Array,
): Promise<void> {
  let done = 0;
  while (done < selection.length) {
    const wanted = Math.min(selection.length - done, chunkBytes);
    const { bytesRead } = await handle.read(target, done, wanted, selection.offset + done);
    if (bytesRead === 0) {
      const { name, file } = selection.entry;
      throw new JetonError(
        `${file} ended inside tensor ${JSON.stringify(name)}; was it replaced?`,
        {
          code: "safetensors-truncated",
          details: { file, name, found: done, expected: selection.length },
        },
      );
    }
    done += bytesRead;
  }
}

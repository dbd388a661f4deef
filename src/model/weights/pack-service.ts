/** The worker's side of packing: reads rows from files, packs them, writes them to a file or returns them. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { fileError } from "../../checkpoint/files/file-error.ts";
import { JetonError } from "../../core/index.ts";
import type { Service } from "../../tensor/index.ts";
import { type PackableDtype, type PackedFormat, RowPacker } from "./pack-rows.ts";
import { decodeMatrix, type MatrixEncoding } from "./split-experts.ts";
import type { PackedPartName } from "./trace-weights.ts";

/** Some rows of one group of matrices. */
export interface PackJob {
  readonly format: PackedFormat;
  /** Rows and columns of the whole group. */
  readonly rows: number;
  readonly columns: number;
  /** The first row of the job. */
  readonly first: number;
  /** Where its rows lie, in order. */
  readonly sources: readonly (StoredRows | EncodedRows)[];
  /** The file and, for each packed part, the place of its first byte. Without it the parts are returned. */
  readonly target?: PackTarget;
}

export interface StoredRows {
  readonly file: string;
  readonly offset: number;
  readonly dtype: PackableDtype;
  readonly rows: number;
}

/** Rows of an encoded matrix, which is decoded whole. */
export interface EncodedRows extends StoredRows {
  readonly encoding: MatrixEncoding;
  /** Bytes of the matrix as stored, from `offset` on. */
  readonly length: number;
  /** Shape of the matrix. */
  readonly shape: readonly number[];
  /** The first of its rows. */
  readonly first: number;
}

export interface PackTarget {
  readonly file: string;
  readonly places: Readonly<Partial<Record<PackedPartName, number>>>;
}

/** Bytes of a packed part, and how many of it lie before them. */
export interface PackedBytes {
  readonly part: PackedPartName;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface PackService extends Service {
  pack(job: PackJob): PackedBytes[];
}

/** Makes the service; files stay open until it is closed. */
export async function createPackService(): Promise<PackService> {
  const packer = await RowPacker.create();
  const handles = new Map<string, number>();
  const handleOf = (file: string, flags: "r" | "r+"): number => {
    let handle = handles.get(file);
    if (handle === undefined) {
      handle = openSync(file, flags);
      handles.set(file, handle);
    }
    return handle;
  };
  return {
    pack({ sources, target, ...job }) {
      const kept: PackedBytes[] = [];
      packer.pack({
        ...job,
        sources: sources.map((source) => ({
          dtype: source.dtype,
          rows: source.rows,
          read: readerOf(source, ({ file, offset }, into) =>
            readFully(file, () => handleOf(file, "r"), offset, into),
          ),
        })),
        write: (part, offset, bytes) => {
          if (target === undefined) kept.push({ part, offset, bytes: bytes.slice() });
          else {
            const { file, places } = target;
            writeFully(file, () => handleOf(file, "r+"), places[part]! + offset, bytes);
          }
        },
      });
      return kept;
    },
    close() {
      for (const handle of handles.values()) closeSync(handle);
      handles.clear();
    },
  };
}

/** Reads bytes of rows, counted from the first one's. */
function readerOf(
  source: StoredRows | EncodedRows,
  readInto: (place: { file: string; offset: number }, into: Uint8Array) => void,
): (at: number, into: Uint8Array) => void {
  const { file, offset } = source;
  if (!("encoding" in source)) {
    return (at, into) => readInto({ file, offset: offset + at }, into);
  }
  let decoded: Uint8Array | undefined;
  return (at, into) => {
    decoded ??= decodeMatrix(source, (place) => {
      const bytes = new Uint8Array(place.length);
      readInto(place, bytes);
      return bytes;
    });
    const start = (source.first * decoded.length) / source.shape[0]! + at;
    into.set(decoded.subarray(start, start + into.length));
  };
}

function readFully(file: string, open: () => number, position: number, into: Uint8Array): void {
  try {
    const handle = open();
    for (let done = 0; done < into.length; ) {
      const count = readSync(handle, into, done, into.length - done, position + done);
      if (count === 0) {
        throw new JetonError(
          `${file} ended before byte ${position + into.length}; was it replaced?`,
          {
            code: "safetensors-truncated",
            details: { file, found: position + done, expected: position + into.length },
          },
        );
      }
      done += count;
    }
  } catch (error) {
    throw fileError(error, file);
  }
}

function writeFully(file: string, open: () => number, position: number, bytes: Uint8Array): void {
  try {
    const handle = open();
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(handle, bytes, done, bytes.length - done, position + done);
    }
  } catch (error) {
    throw fileError(error, file);
  }
}

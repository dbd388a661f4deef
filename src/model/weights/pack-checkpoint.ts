/**
 * Packs the matrices of a checkpoint in worker threads, into a file or into memory.
 *
 * A job is some rows of one group of matrices. Workers read rows from the checkpoint and write
 * packed rows to their final place; only jobs pass through the calling thread.
 */
import { availableParallelism } from "node:os";
import type { Dtype, FillSafetensors } from "../../checkpoint/index.ts";
import { type Remote, startInline, startService } from "../../tensor/index.ts";
import { emptyParts, type PackedFormat, packableDtype } from "./pack-rows.ts";
import type { EncodedRows, PackJob, PackService, StoredRows } from "./pack-service.ts";
import * as packService from "./pack-service.ts";
import type { SplitEntry } from "./split-experts.ts";
import { groupShape, packedName, packedParts, storedTensor } from "./trace-weights.ts";

export interface PackCheckpointOptions {
  /** True: one thread, the calling one. Default false. */
  inline?: boolean;
  /** Bytes of stored matrices that have been packed. */
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** A packed part as it is named and shaped in a file. */
export interface PackedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** The tensors of a checkpoint, stacked experts split. */
export interface StoredTensors {
  readonly tensors: ReadonlyMap<string, SplitEntry>;
}

/** What the packed matrices of a checkpoint are called, group by group. */
export function packedTensors(
  checkpoint: StoredTensors,
  groups: readonly (readonly string[])[],
  format: PackedFormat,
): PackedTensor[] {
  return groups.flatMap((names) => {
    const { rows, columns } = groupShape(checkpoint.tensors, names);
    return packedParts(format, rows, columns).map(({ name, dtype, shape }) => ({
      name: `${packedName(names)}.${name}`,
      dtype,
      shape,
    }));
  });
}

/** Packs into a safetensors file that holds space for `packedTensors`. */
export function packIntoFile(
  checkpoint: StoredTensors,
  groups: readonly (readonly string[])[],
  format: PackedFormat,
  options: PackCheckpointOptions = {},
): FillSafetensors {
  return async (file, places) => {
    const jobs = groups.flatMap((names) => {
      const parts = packedParts(format, 1, 1).map(({ name }) => name);
      const target = {
        file,
        places: Object.fromEntries(
          parts.map((part) => [part, places.get(`${packedName(names)}.${part}`)!.offset]),
        ),
      };
      return planJobs(checkpoint, names, format, rowLimit).map((job) => ({ ...job, target }));
    });
    await runJobs(jobs, options, () => {});
  };
}

/** Packs into arrays of their own, by the names of `packedTensors`. */
export async function packIntoMemory(
  checkpoint: StoredTensors,
  groups: readonly (readonly string[])[],
  format: PackedFormat,
  options: PackCheckpointOptions = {},
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const packed = new Map<string, Uint8Array<ArrayBuffer>>();
  const groupOf = new Map<PackJob, string>();
  const jobs = groups.flatMap((names) => {
    const { rows, columns } = groupShape(checkpoint.tensors, names);
    for (const [part, data] of emptyParts(format, rows, columns)) {
      packed.set(`${packedName(names)}.${part}`, data);
    }
    // Rows of transposed codes lie apart: such a group is one job, whose codes come in one piece.
    const limit = format === "int8-channel" ? () => rows : rowLimit;
    const planned = planJobs(checkpoint, names, format, limit);
    for (const job of planned) groupOf.set(job, packedName(names));
    return planned;
  });
  await runJobs(jobs, options, (job, parts) => {
    for (const { part, offset, bytes } of parts) {
      packed.get(`${groupOf.get(job)!}.${part}`)!.set(bytes, offset);
    }
  });
  return packed;
}

/** Bytes of stored rows in one job, and of codes that a job must gather before it can write them. */
const jobBytes = 1 << 25;
const gatheredBytes = 40 << 20;

/** How many rows a job has: enough to be worth a message, few enough for threads to end together. */
function rowLimit(format: PackedFormat, columns: number): number {
  return format === "int8-channel"
    ? Math.max(64, Math.floor(gatheredBytes / columns))
    : Math.max(1, Math.floor(jobBytes / (4 * columns)));
}

type PlannedJob = PackJob & { readonly bytes: number };

/** The jobs of one group. */
function planJobs(
  { tensors }: StoredTensors,
  names: readonly string[],
  format: PackedFormat,
  limitOf: (format: PackedFormat, columns: number) => number,
): PlannedJob[] {
  const { rows, columns } = groupShape(tensors, names);
  const limit = limitOf(format, columns);
  const jobs: PlannedJob[] = [];
  let first = 0;
  let sources: (StoredRows | EncodedRows)[] = [];
  let gathered = 0;
  let bytes = 0;
  const close = (): void => {
    if (gathered > 0) jobs.push({ format, rows, columns, first, sources, bytes });
    first += gathered;
    [sources, gathered, bytes] = [[], 0, 0];
  };
  for (const name of names) {
    const { file, offset, length, dtype, shape, encoding } = storedTensor(tensors, name);
    const height = shape[0]!;
    const rowBytes = height === 0 ? 0 : length / height;
    for (let at = 0; at < height; ) {
      const count = Math.min(height - at, limit - gathered);
      const source = { dtype: packableDtype(name, dtype), rows: count };
      if (encoding) {
        sources.push({ ...source, file, offset, length, first: at, shape, encoding });
      } else sources.push({ ...source, file, offset: offset + at * rowBytes });
      gathered += count;
      bytes += count * rowBytes;
      at += count;
      if (gathered === limit) close();
    }
  }
  close();
  return jobs;
}

/** More threads than this wait for the disk. */
const maxThreads = 8;

/** Runs jobs, the largest first, in as many threads as there are cores; all end before it returns. */
async function runJobs(
  jobs: readonly PlannedJob[],
  { inline = false, onProgress, signal }: PackCheckpointOptions,
  onJob: (job: PlannedJob, parts: Awaited<ReturnType<PackService["pack"]>>) => void,
): Promise<void> {
  const waiting = jobs.toSorted((a, b) => b.bytes - a.bytes);
  const total = jobs.reduce((sum, { bytes }) => sum + bytes, 0);
  const threads = inline ? 1 : Math.min(maxThreads, availableParallelism(), jobs.length);
  let done = 0;
  let failure: { readonly error: unknown } | undefined;
  const work = async (): Promise<void> => {
    const service = await startPackService(inline);
    try {
      for (let job = waiting.shift(); job && !failure; job = waiting.shift()) {
        signal?.throwIfAborted();
        onJob(job, await service.pack(job));
        done += job.bytes;
        onProgress?.(done, total);
      }
    } catch (error) {
      failure ??= { error };
    } finally {
      await service.close();
    }
  };
  const results = await Promise.allSettled(Array.from({ length: threads }, work));
  if (failure) throw failure.error;
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

function startPackService(inline: boolean): Promise<Remote<PackService>> {
  if (inline) return startInline<PackService>(packService, "createPackService", undefined);
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return startService<PackService>(
    new URL(`./pack-service.${extension}`, import.meta.url).href,
    "createPackService",
    undefined,
  );
}

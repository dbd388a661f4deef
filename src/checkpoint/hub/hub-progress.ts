/** How far a download of several files is, how fast it goes, and when it will be done. */
import type { HubFile } from "./hub-download.ts";

/** One report of a download. */
export interface DownloadProgress {
  /** The file that has just got further. */
  readonly file: string;
  /** Bytes of all files that are there, including what an earlier download left. */
  readonly bytes: number;
  /** Bytes of all files together. */
  readonly totalBytes: number;
  /** Files that are complete. */
  readonly filesDone: number;
  readonly files: number;
  /** Bytes a second over the last seconds; 0 before anything can be said. */
  readonly bytesPerSecond: number;
  /** Seconds until the end at this rate; undefined when the rate is 0. */
  readonly secondsLeft: number | undefined;
}

export interface ProgressReporter {
  /** Adds files to the sum; files already known are not counted twice. */
  expect(files: readonly HubFile[]): void;
  /** `bytes` of the file are there. */
  advance(file: HubFile, bytes: number): void;
  /** The file is complete, however it came. */
  finish(file: HubFile): void;
  /** Makes the last report. */
  end(): void;
}

const reportEvery = 100;
const rateWindow = 5000;

export function createDownloadProgress(
  onProgress: ((progress: DownloadProgress) => void) | undefined,
): ProgressReporter {
  /** By path: different files may have the same content, and then one download serves both. */
  const sizes = new Map<string, number>();
  const positions = new Map<string, number>();
  const done = new Set<string>();
  /** Bytes received, by time, within the window of the rate. */
  let samples: { time: number; received: number }[] = [];
  let received = 0;
  let lastFile = "";
  let lastReport = Number.NEGATIVE_INFINITY;

  const sum = (values: Iterable<number>): number => {
    let total = 0;
    for (const value of values) total += value;
    return total;
  };
  const report = (): void => {
    if (!onProgress || sizes.size === 0) return;
    const time = performance.now();
    lastReport = time;
    samples.push({ time, received });
    samples = samples.filter((sample) => sample.time >= time - rateWindow);
    const first = samples[0]!;
    const seconds = (time - first.time) / 1000;
    const bytesPerSecond = seconds > 0 ? (received - first.received) / seconds : 0;
    const bytes = sum(positions.values());
    const totalBytes = sum(sizes.values());
    onProgress({
      file: lastFile,
      bytes,
      totalBytes,
      filesDone: done.size,
      files: sizes.size,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? (totalBytes - bytes) / bytesPerSecond : undefined,
    });
  };
  return {
    expect(files) {
      for (const { path, size } of files) sizes.set(path, size);
    },
    advance({ path }, bytes) {
      const before = positions.get(path);
      positions.set(path, bytes);
      // The first position of a file counts as present before; a lower one means a restart.
      if (before !== undefined && bytes > before) received += bytes - before;
      lastFile = path;
      if (performance.now() - lastReport >= reportEvery) report();
    },
    finish({ path, size }) {
      positions.set(path, size);
      done.add(path);
      lastFile = path;
    },
    end: report,
  };
}

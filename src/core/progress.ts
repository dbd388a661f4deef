/**
 * Progress of something long: how far, how fast, how much longer; and quantities as people read them.
 */

/** Where something long stands. */
export interface ProgressState {
  readonly done: number;
  /** Undefined where the end is not known. */
  readonly total: number | undefined;
  /** Units a second over the last seconds; 0 before anything can be said. */
  readonly rate: number;
  /** Seconds until the end at this rate; undefined when it cannot be said. */
  readonly secondsLeft: number | undefined;
}

/** Measures rate and remaining time of a task. */
export interface ProgressMeter {
  /** Notes how much is done and says where that leaves us. */
  update(done: number, total?: number): ProgressState;
}

/** Options of `createProgressMeter`. */
export interface ProgressMeterOptions {
  /** Seconds over which the rate is measured. Default 5. */
  window?: number;
  /** A clock in milliseconds. Default `performance.now`. */
  now?: () => number;
}

/** Measures rate and time left over a sliding window; a step back starts the measurement anew. */
export function createProgressMeter(options: ProgressMeterOptions = {}): ProgressMeter {
  const { window = 5, now = () => performance.now() } = options;
  let samples: { time: number; done: number }[] = [];
  return {
    update(done, total) {
      const time = now();
      const last = samples.at(-1);
      if (last !== undefined && done < last.done) samples = [];
      samples.push({ time, done });
      while (samples.length > 2 && samples[0]!.time < time - window * 1000) samples.shift();
      const first = samples[0]!;
      const seconds = (time - first.time) / 1000;
      const rate = seconds > 0 ? (done - first.done) / seconds : 0;
      const secondsLeft = total !== undefined && rate > 0 ? (total - done) / rate : undefined;
      return { done, total, rate, secondsLeft };
    },
  };
}

/** Options of `createProgressLine`. */
export interface ProgressLineOptions {
  /** Where the line goes, e.g. standard error. */
  write: (text: string) => void;
  /** Whether the line may be rewritten in place. If not, a line is written every `quietSeconds`. */
  isTerminal: boolean;
  /** Seconds between two lines where they cannot be rewritten. Default 10. */
  quietSeconds?: number;
  /** A clock in milliseconds. Default `performance.now`. */
  now?: () => number;
}

/** A line about progress, usually on standard error. */
export interface ProgressLine {
  /** Shows a text in place of the one before; at most ten times a second. */
  show(text: string): void;
  /** Takes the line away, so that the next output begins at the margin. */
  clear(): void;
}

/** One line that is rewritten while something goes on. */
export function createProgressLine(options: ProgressLineOptions): ProgressLine {
  const { write, isTerminal, quietSeconds = 10, now = () => performance.now() } = options;
  const interval = isTerminal ? 100 : quietSeconds * 1000;
  // Without a terminal nothing is written about what takes less than the interval.
  let last = isTerminal ? Number.NEGATIVE_INFINITY : now();
  let isShown = false;
  return {
    show(text) {
      const time = now();
      if (time - last < interval) return;
      last = time;
      isShown = true;
      write(isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
    },
    clear() {
      if (isShown && isTerminal) write("\r\u001b[K");
      isShown = false;
      if (isTerminal) last = Number.NEGATIVE_INFINITY;
    },
  };
}

const byteUnits: readonly string[] = ["B", "kB", "MB", "GB", "TB"];

/** Bytes in decimal units with three significant digits: `"135 MB"`. */
export function formatBytes(bytes: number): string {
  return scale(bytes, byteUnits);
}

const countUnits: readonly string[] = ["", "K", "M", "B", "T"];

/** An exact number with its noun: `1 file`, `3 files`. */
export function formatCountOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A count with three significant digits: `"135M"`, `"1.24B"`, `"260K"`. */
export function formatCount(count: number): string {
  return scale(count, countUnits).replace(" ", "");
}

function scale(value: number, units: readonly string[]): string {
  let unit = 0;
  // 999.5 would be written as 1000: it belongs to the next unit.
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits =
    unit === 0 ? (Number.isInteger(value) ? 0 : 1) : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`.trimEnd();
}

/** Seconds as `"0.42 s"`, `"38 s"`, `"2 min 05 s"`, `"1 h 12 min"`. */
export function formatDuration(seconds: number): string {
  const pad = (value: number): string => String(value).padStart(2, "0");
  if (seconds < 9.95) return `${seconds.toFixed(seconds < 0.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** Things a second: `"95.2"`, `"812"`, `"0.42"`. */
export function formatRate(rate: number): string {
  if (rate >= 99.95) return rate.toFixed(0);
  return rate >= 9.995 ? rate.toFixed(1) : rate.toFixed(2);
}

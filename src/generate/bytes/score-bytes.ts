/** How probable a distribution of bytes finds a text, byte by byte. */
import { JetonError } from "../../core/index.ts";
import { type ByteDistribution, endOutcome } from "./byte-distribution.ts";
import { characterStart, toBytes } from "./utf8-places.ts";

/** Options of `scoreBytes`. */
export interface ScoreBytesOptions {
  /** Comes before the text and is not scored; it may end inside a token or a character. Default none. */
  prefix?: string | Uint8Array;
  /** Called with the bytes scored so far and in all. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting ends the scoring with the signal's reason. */
  signal?: AbortSignal;
}

/** Log-probabilities of a text's bytes. */
export interface ByteScore {
  /** Natural logarithm of each byte's probability given those before it. */
  readonly logProbabilities: Float64Array;
  /** That of the end after the last byte; no part of the sums. */
  readonly endLogProbability: number;
  /** Sum over the bytes. */
  readonly logProbability: number;
  /** -sum / (bytes * ln 2). */
  readonly bitsPerByte: number;
  /** Number of bytes. */
  readonly bytes: number;
}

/** Bytes that are announced together. */
const chunk = 64;
/** Tokens that must be left for the next chunk of a text. */
const reserve = chunk + 8;

/**
 * Scores every byte of a text given those before it. A text longer than the context is scored in windows
 * that overlap by half.
 *
 * @throws JetonError `score-text-empty`, `byte-impossible`
 */
export async function scoreBytes(
  distribution: ByteDistribution,
  text: string | Uint8Array,
  options: ScoreBytesOptions = {},
): Promise<ByteScore> {
  const bytes = toBytes(text);
  const prefix = toBytes(options.prefix ?? "");
  const { signal } = options;
  const passed = signal ? { signal } : {};
  if (bytes.length === 0) {
    throw new JetonError("there is no byte to score: give a longer text", {
      code: "score-text-empty",
      details: { bytes: 0 },
    });
  }
  const whole = Uint8Array.of(...prefix, ...bytes);
  await distribution.prefill(prefix, passed);
  const logProbabilities = new Float64Array(bytes.length);
  let start = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (at % chunk === 0) {
      signal?.throwIfAborted();
      const place = prefix.length + at;
      if (distribution.remaining < reserve && place - start > 2 * chunk) {
        start = characterStart(whole, start + Math.floor((place - start) / 2));
        await distribution.prefill(whole.subarray(start, place), passed);
      }
      await distribution.expect?.(bytes.subarray(at, at + chunk), passed);
      options.onProgress?.(at, bytes.length);
    }
    const logs = await distribution.logProbabilities(passed);
    logProbabilities[at] = logs[bytes[at]!]!;
    await distribution.advance(bytes[at]!);
  }
  const last = await distribution.logProbabilities(passed);
  options.onProgress?.(bytes.length, bytes.length);
  const logProbability = logProbabilities.reduce((sum, log) => sum + log, 0);
  return {
    logProbabilities,
    endLogProbability: last[endOutcome]!,
    logProbability,
    bitsPerByte: -logProbability / (Math.LN2 * bytes.length),
    bytes: bytes.length,
  };
}

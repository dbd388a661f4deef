/**
 * Text between two others. A model with fill-in-the-middle tokens is asked in its own form, with the
 * prefix last, so that it may end anywhere. Of a model without them, continuations of the prefix are
 * compared by how probable they make the suffix.
 */
import type { LoadedModel } from "../../model/index.ts";
import type { ByteDistribution } from "../bytes/byte-distribution.ts";
import { findFillPrompt } from "../bytes/fill-prompt.ts";
import { completeBytes, type GenerateBytesOptions } from "../bytes/generate-bytes.ts";
import { toBytes } from "../bytes/utf8-places.ts";
import { invalidOption } from "../sampling/check-options.ts";
import { randomSeed } from "../sampling/options.ts";
import type { FinishReason } from "../types.ts";
import { openByteDistribution } from "./open-byte-distribution.ts";

/** Options of `fillMiddle`. */
export interface FillMiddleOptions extends Omit<GenerateBytesOptions, "before" | "forced"> {
  /** Continuations that are compared; only for a model without fill-in-the-middle tokens. Default 4. */
  candidates?: number;
}

/** A filled gap. */
export interface FilledMiddle {
  readonly middle: string;
  /** `"prompt"`: the model's own form; `"search"`: it has none, and continuations were compared. */
  readonly method: "prompt" | "search";
  readonly finishReason: FinishReason;
  readonly seed: number;
}

/** Bytes of a middle by default. */
const defaultBytes = 128;
/** Bytes of the suffix that continuations are compared by. */
const comparedBytes = 48;
/** Places of one continuation at which the suffix is tried. */
const maxPlaces = 16;

/**
 * Fills the gap between a prefix and a suffix.
 *
 * @throws JetonError `byte-tokens-unsupported`, `byte-impossible`, `generate-context-exceeded`,
 *   `generate-option-invalid` for `candidates` where the model has the tokens
 */
export async function fillMiddle(
  model: LoadedModel,
  prefix: string,
  suffix: string,
  options: FillMiddleOptions = {},
): Promise<FilledMiddle> {
  const { signal, candidates, ...generation } = options;
  const fill = findFillPrompt(model.tokenizer);
  if (fill !== undefined && candidates !== undefined) {
    const expected = "none: the model has fill-in-the-middle tokens, and compares no continuations";
    throw invalidOption("candidates", candidates, expected);
  }
  const distribution = await openByteDistribution(model, signal ? { signal } : {});
  const asked: GenerateBytesOptions = {
    ...generation,
    seed: generation.seed ?? randomSeed(),
    maxBytes: generation.maxBytes ?? defaultBytes,
    ...(signal && { signal }),
  };
  try {
    if (fill === undefined) {
      return await search(distribution, prefix, suffix, asked, candidates ?? 4);
    }
    const before = [...fill("", suffix)];
    const { text, finishReason, seed } = await completeBytes(distribution, prefix, {
      ...asked,
      before,
    });
    return { middle: text, method: "prompt", finishReason, seed };
  } finally {
    await distribution.close();
  }
}

/** The beginning of a continuation after which the suffix is most probable. */
async function search(
  distribution: ByteDistribution,
  prefix: string,
  suffix: string,
  options: GenerateBytesOptions,
  candidates: number,
): Promise<FilledMiddle> {
  const { signal } = options;
  const target = toBytes(suffix).subarray(0, comparedBytes);
  let best: { middle: string; log: number } | undefined;
  const tried = new Set<string>();
  for (let sequence = 0; sequence < candidates; sequence++) {
    // The most probable continuation is one of them.
    const sampling = sequence === 0 ? { greedy: true } : { sequence };
    const { text } = await completeBytes(distribution, prefix, { ...options, ...sampling });
    for (const middle of beginningsOf(text)) {
      signal?.throwIfAborted();
      if (tried.has(middle)) continue;
      tried.add(middle);
      const log = await logProbabilityOf(distribution, prefix + middle, target, signal);
      if (best === undefined || log > best.log) best = { middle, log };
    }
  }
  const { seed = 0 } = options;
  return { middle: best?.middle ?? "", method: "search", finishReason: "stop", seed };
}

/** Beginnings of a text that end before a word, the text itself and nothing. */
function beginningsOf(text: string): string[] {
  const ends = [0, ...Array.from(text.matchAll(/(?<=\S)(?=\s)|\n/g), ({ index }) => index)];
  const places = [...new Set([...ends, text.length])];
  return places.slice(0, maxPlaces).map((end) => text.slice(0, end));
}

async function logProbabilityOf(
  distribution: ByteDistribution,
  prefix: string,
  target: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<number> {
  const passed = signal ? { signal } : {};
  await distribution.prefill(toBytes(prefix), passed);
  await distribution.expect?.(target, passed);
  let sum = 0;
  for (const byte of target) {
    const logs = await distribution.logProbabilities(passed);
    sum += logs[byte]!;
    if (sum === -Infinity) return sum;
    await distribution.advance(byte);
  }
  return sum;
}

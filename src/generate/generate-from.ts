/** Texts written from other texts, by an encoder-decoder. */
import type { LoadedSeq2Seq, ReadOptions } from "../model/index.ts";
import { generate } from "./generate.ts";
import type { GeneratedToken, GenerateOptions, GenerateResult } from "./types.ts";

/** Options of `generateFrom`: those of `generate`, and how the text is read. */
export interface GenerateFromOptions
  extends GenerateOptions,
    Pick<ReadOptions, "threshold" | "soft"> {}

/** Result of `generateFrom`. */
export interface GenerateFromResult extends GenerateResult {
  /** Tokens of the text that was read. */
  readonly sourceTokens: number;
  /** Positions that the decoder attended to: fewer where a gate deleted some. */
  readonly sourceLength: number;
}

/**
 * Reads a text and writes another from it, token by token. Sampling, constraints, stops and drafters are
 * those of `generate`.
 *
 * @param source a text, or its ids with the end token
 * @example
 * for await (const token of generateFrom(model, "summarize: …")) process.stdout.write(token.text);
 */
export async function* generateFrom(
  model: LoadedSeq2Seq,
  source: string | ArrayLike<number>,
  options: GenerateFromOptions = {},
): AsyncGenerator<GeneratedToken, GenerateFromResult, void> {
  const { threshold, soft, ...rest } = options;
  const decoder = await model.read(source, {
    ...(threshold !== undefined && { threshold }),
    ...(soft !== undefined && { soft }),
    ...(rest.signal && { signal: rest.signal }),
  });
  try {
    const result = yield* generate(decoder, [decoder.bosTokenId!], rest);
    const { sourceTokens, sourceLength } = decoder;
    return { ...result, sourceTokens, sourceLength };
  } finally {
    await decoder.close();
  }
}

/** Runs `generateFrom` to its end and returns its result. */
export async function completeFrom(
  model: LoadedSeq2Seq,
  source: string | ArrayLike<number>,
  options: GenerateFromOptions = {},
): Promise<GenerateFromResult> {
  const tokens = generateFrom(model, source, options);
  for (;;) {
    const next = await tokens.next();
    if (next.done) return next.value;
  }
}

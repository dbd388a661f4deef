/**
 * Generation by bytes in the form of generation by tokens, for callers that know only that: each byte is
 * a "token" whose id is its value.
 */
import { documentId, type LoadedModel } from "../../model/index.ts";
import { openByteDistribution } from "../exact-byte-probabilities/open-byte-distribution.ts";
import { promptIds } from "../prompt.ts";
import { checkOptions, invalidOption } from "../sampling/check-options.ts";
import { resolveSampling } from "../sampling/options.ts";
import type { GeneratedToken, GenerateOptions, GenerateResult, Prompt } from "../types.ts";
import { generateBytes } from "./generate-bytes.ts";
import { type ByteContext, readByteContext } from "./read-byte-context.ts";
import { toBytes } from "./utf8-places.ts";
import { readsWords } from "./word-bytes.ts";

/** Options that mean the same for bytes; all others speak of tokens or of their forward passes. */
const byteOptions: ReadonlySet<string> = new Set([
  "temperature",
  "topK",
  "topP",
  "minP",
  "greedy",
  "seed",
  "sequence",
  "maxTokens",
  "stop",
  "ignoreEos",
  "topLogProbabilities",
  "signal",
] as const satisfies readonly (keyof GenerateOptions)[]);

/** Whether an option of a generation by tokens means the same for bytes. */
export function isByteOption(name: string): boolean {
  return byteOptions.has(name);
}

/** A prompt as tokens before its text and the text; a model of words has no tokens but those of its words. */
function readContext(model: LoadedModel, ids: readonly number[]): ByteContext {
  if (!readsWords(model)) return readByteContext(model.tokenizer, ids);
  const own = ids.slice(ids.lastIndexOf(documentId) + 1);
  return { before: [], text: toBytes(model.tokenizer.decode(own)) };
}

/**
 * Generates byte by byte. `maxTokens` counts bytes; temperature, top-k, top-p and min-p apply to bytes.
 * Special tokens of the prompt stay tokens; the text after the last of them is read as bytes.
 *
 * @throws JetonError `generate-option-invalid` for options that speak of tokens;
 *   `generate-option-unknown`
 */
export async function* generateBytesAsTokens(
  model: LoadedModel,
  prompt: Prompt,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, GenerateResult, void> {
  checkOptions(options);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || isByteOption(name)) continue;
    throw invalidOption(name, value, "no such option where bytes are generated");
  }
  if ((options.topLogProbabilities ?? 0) > 0) {
    throw invalidOption("topLogProbabilities", options.topLogProbabilities, "0 for bytes");
  }
  const { signal } = options;
  const { temperature, topK, topP, minP, seed, sequence } = resolveSampling(model, options);
  const ids = promptIds(model, prompt);
  const { before, text } = readContext(model, ids);
  const distribution = await openByteDistribution(model, signal ? { signal } : {});
  try {
    const generation = generateBytes(distribution, text, {
      temperature,
      topK,
      topP,
      minP,
      seed,
      sequence,
      // A prompt without special tokens gets those that the tokenizer puts before a text.
      ...(before.length > 0 && { before }),
      maxBytes: options.maxTokens ?? 256,
      ...(options.stop && { stop: options.stop }),
      ...(options.ignoreEos && { ignoreEos: true }),
      ...(signal && { signal }),
    });
    for (;;) {
      const next = await generation.next();
      if (next.done !== true) {
        const { byte, text: piece, logProbability } = next.value;
        yield { id: byte, text: piece, logProbability, origin: { kind: "decoded" } };
        continue;
      }
      const { value } = next;
      return {
        text: value.text,
        tail: value.tail,
        ids: [...value.bytes],
        finishReason: value.finishReason,
        seed: value.seed,
        promptTokens: ids.length,
        reusedTokens: 0,
        prefillSeconds: value.prefillSeconds,
        decodeSeconds: value.decodeSeconds,
      };
    }
  } finally {
    await distribution.close();
  }
}

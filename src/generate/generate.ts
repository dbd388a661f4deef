/**
 * The decoding loop: an async iterator of tokens.
 */
import type { LoadedModel } from "../model/index.ts";
import { Decoding, type EmittedToken } from "./decoding.ts";
import { prefill } from "./prefill.ts";
import {
  checkOptions,
  promptEmbeddings,
  promptIds,
  resolveMaxTokens,
  resolveSampling,
} from "./sampling/options.ts";
import { createStopText } from "./sampling/stop-text.ts";
import type {
  FinishReason,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Prompt,
} from "./types.ts";

/**
 * Continues a prompt token by token. Several generations over one model may run at the same time:
 * their steps run as batches.
 *
 * Leaving the loop early (`break`), an error, or the abort signal gives the sequence back at once;
 * after an abort the iterator throws the signal's reason.
 *
 * @example
 * for await (const token of generate(model, "Once upon a time")) process.stdout.write(token.text);
 *
 * @throws JetonError `generate-option-invalid`, `generate-prompt-invalid`,
 *   `generate-context-exceeded` before anything runs
 */
export async function* generate(
  model: LoadedModel,
  prompt: Prompt,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, GenerateResult, void> {
  checkOptions(options);
  const { signal } = options;
  const sampling = resolveSampling(model, options);
  const ids = promptIds(model, prompt);
  const embeddings = promptEmbeddings(model, options);
  const promptTokens = embeddings ? embeddings.length / model.config.hiddenSize : ids.length;
  const maxTokens = resolveMaxTokens(model, promptTokens, options.maxTokens);
  const ends = new Set([
    ...(options.stopIds ?? []),
    ...(options.ignoreEos ? [] : model.eosTokenIds),
  ]);
  const decoder = model.tokenizer.streamDecoder();
  // Some tokenizers drop the space before a text's first word: the prompt's end says that this text
  // goes on, and completes a character that the prompt left open.
  for (const id of ids.slice(-8)) decoder.push(id);
  const stopText = createStopText(options.stop ?? []);
  const generated: number[] = [];
  let text = "";
  let finishReason: FinishReason = "length";
  let stopped = false;

  const sequence = await model.openSequence({
    prefix: embeddings ? [] : ids,
    expectedLength: promptTokens + maxTokens,
    ...(signal && { signal }),
  });
  const { reused } = sequence;
  const begin = performance.now();
  let prefilled = begin;
  const finish = (tail: string): GenerateResult => ({
    text: text + tail,
    tail,
    ids: generated,
    finishReason,
    seed: sampling.seed,
    promptTokens,
    reusedTokens: reused,
    prefillSeconds: (prefilled - begin) / 1000,
    decodeSeconds: (performance.now() - prefilled) / 1000,
    ...(options.drafter && decoding && { drafting: decoding.statistics }),
  });
  let decoding: Decoding | undefined;
  try {
    decoding = new Decoding(sequence, {
      model,
      sampling,
      promptIds: ids,
      promptRows: promptTokens,
      ends,
      alternatives: options.topLogProbabilities ?? 0,
      drafter: options.drafter,
      maxNodes: options.maxDraft ?? 64,
      signal,
    });
    const unread = embeddings ? new Array<number>(promptTokens).fill(-1) : ids.slice(reused);
    const result = await prefill(sequence, unread, decoding.request(), {
      embeddings,
      chunk: options.prefillChunk,
      signal,
      onProgress: (done) =>
        options.onPrefill?.({ done: reused + done, total: promptTokens, reused }),
    });
    prefilled = performance.now();
    let pending = maxTokens > 0 ? Promise.resolve(decoding.first(result)) : undefined;
    while (pending) {
      signal?.throwIfAborted();
      const emitted: readonly EmittedToken[] = await pending;
      const tokens: GeneratedToken[] = [];
      let ended = false;
      for (const token of emitted) {
        if (ends.has(token.id)) {
          finishReason = "stop";
          ended = true;
          break;
        }
        generated.push(token.id);
        const piece = stopText.push(decoder.push(token.id));
        text += piece.text;
        tokens.push({ ...token, text: piece.text });
        if (piece.stopped) {
          finishReason = "stop";
          stopped = true;
          break;
        }
      }
      // The next step runs while the caller looks at these tokens.
      const remaining = maxTokens - generated.length;
      pending = ended || stopped || remaining === 0 ? undefined : decoding.next(remaining);
      // Whoever leaves the loop never awaits it: a rejection must not count as unhandled.
      pending?.catch(() => undefined);
      for (const token of tokens) {
        yield token;
        signal?.throwIfAborted();
      }
    }
    if (stopped) return finish("");
    const rest = stopText.push(decoder.end());
    if (rest.stopped) finishReason = "stop";
    return finish(rest.stopped ? rest.text : rest.text + stopText.flush());
  } finally {
    try {
      await decoding?.end();
    } finally {
      await sequence.release();
    }
  }
}

/** Runs a generation to its end and returns its result. */
export async function complete(
  model: LoadedModel,
  prompt: Prompt,
  options: GenerateOptions = {},
): Promise<GenerateResult & { readonly tokens: readonly GeneratedToken[] }> {
  const tokens: GeneratedToken[] = [];
  const iterator = generate(model, prompt, options);
  for (;;) {
    const next = await iterator.next();
    if (next.done) return { ...next.value, tokens };
    tokens.push(next.value);
  }
}

/**
 * The decoding loop: an async iterator of tokens.
 */
import { JetonError } from "../core/index.ts";
import type { LoadedModel, SequenceStep, StepResult } from "../model/index.ts";
import { checkOptions, promptIds, resolveMaxTokens, resolveSampling } from "./options.ts";
import { prefill } from "./prefill.ts";
import { chooseToken, needsLogits } from "./sampler.ts";
import { createStopText } from "./stop-text.ts";
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
  const maxTokens = resolveMaxTokens(model, ids.length, options.maxTokens);
  const alternatives = options.topLogProbabilities ?? 0;
  const request: Pick<SequenceStep, "topK" | "logits"> = {
    topK: Math.max(1, alternatives),
    logits: needsLogits(sampling),
  };
  const ends = new Set([
    ...(options.stopIds ?? []),
    ...(options.ignoreEndOfSequence ? [] : model.endOfSequenceIds),
  ]);
  const decoder = model.tokenizer.streamDecoder();
  // Some tokenizers drop the space before a text's first word: the prompt's end says that this text
  // goes on, and completes a character that the prompt left open.
  for (const id of ids.slice(-8)) decoder.push(id);
  const stopText = createStopText(options.stop ?? []);
  const generated: number[] = [];
  let text = "";
  let finishReason: FinishReason = "length";

  const sequence = await model.openSequence({
    prefix: ids,
    expectedLength: ids.length + maxTokens,
    ...(signal && { signal }),
  });
  const promptTokens = ids.length;
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
  });
  try {
    let result = await prefill(sequence, ids.slice(reused), request, {
      chunk: options.prefillChunk,
      signal,
      onProgress: (done) =>
        options.onPrefill?.({ done: reused + done, total: promptTokens, reused }),
    });
    prefilled = performance.now();
    const seen = [...ids];
    while (generated.length < maxTokens) {
      signal?.throwIfAborted();
      const chances = describeChances(result, alternatives);
      const id = chooseToken(result, sampling, seen, ids.length + generated.length);
      if (ends.has(id)) {
        finishReason = "stop";
        break;
      }
      const logProbability = chances.logProbability(id);
      generated.push(id);
      seen.push(id);
      const piece = stopText.push(decoder.push(id));
      text += piece.text;
      // The next step runs while the caller looks at this token.
      const last = piece.stopped || generated.length === maxTokens;
      const next = last
        ? undefined
        : sequence.step({ ids: [id], ...request }, signal ? { signal } : {});
      // Whoever leaves the loop never awaits it: a rejection must not count as unhandled.
      next?.catch(() => undefined);
      const { top } = chances;
      yield {
        id,
        text: piece.text,
        logProbability,
        ...(top && { topLogProbabilities: top }),
        origin: { kind: "decoded" },
      };
      if (piece.stopped) {
        finishReason = "stop";
        return finish("");
      }
      if (!next) break;
      result = await next;
    }
    const rest = stopText.push(decoder.end());
    if (rest.stopped) finishReason = "stop";
    return finish(rest.stopped ? rest.text : rest.text + stopText.flush());
  } finally {
    await sequence.release();
  }
}

interface Chances {
  logProbability(id: number): number;
  readonly top: GeneratedToken["topLogProbabilities"];
}

/** Log-probabilities of a step's last row under the model, before any sampling option. */
function describeChances(result: StepResult, alternatives: number): Chances {
  const total = result.logSumExp[0]!;
  const { topIds, topLogits, logits } = result;
  return {
    logProbability(id) {
      const at = topIds.indexOf(id);
      const logit = at >= 0 ? topLogits[at]! : logits?.[id];
      if (logit === undefined) {
        throw new JetonError(`the logit of token ${id} was not computed`, {
          code: "generate-logit-missing",
          details: { id },
        });
      }
      return logit - total;
    },
    top:
      alternatives === 0
        ? undefined
        : Array.from(topIds.subarray(0, alternatives), (id, index) => ({
            id,
            logProbability: topLogits[index]! - total,
          })),
  };
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

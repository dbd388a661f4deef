/**
 * The decoding loop: an async iterator of tokens.
 */
import { checkDecoder } from "../model/check-loaded.ts";
import type { ContextPolicy, LoadedModel, OpenSequence } from "../model/index.ts";
import { modelUnderPolicy, promptChunkOf } from "./context-policy.ts";
import { Decoding } from "./decoding.ts";
import { GeneratedText } from "./generated-text.ts";
import { prefill } from "./prefill.ts";
import { promptEmbeddings, promptIds } from "./prompt.ts";
import type { LogitsProcessor } from "./sampling/logits-processors.ts";
import {
  checkOptions,
  resolveMaxTokens,
  resolveMinTokens,
  resolveProcessors,
  resolveSampling,
  resolveStop,
} from "./sampling/options.ts";
import type { Sampling } from "./sampling/sampler.ts";
import type {
  AttendedContext,
  Conversation,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Prompt,
} from "./types.ts";

/**
 * Continues a prompt, or answers a conversation, token by token. Several generations over one model may run at the same time: their
 * steps run as batches.
 *
 * Leaving the loop early (`break`), an error, or the abort signal releases the sequence at once; after an
 * abort the iterator throws the signal's reason.
 *
 * @example
 * for await (const token of generate(model, "Once upon a time")) process.stdout.write(token.text);
 *
 * @throws JetonError `model-not-loaded`, `generate-option-invalid`, `generate-option-unknown`, `generation-config-invalid`,
 *   `generate-prompt-invalid`, `generate-prompt-empty`, `generate-context-exceeded`, and for messages those
 *   of `renderChat`, before anything runs; `generate-no-token-left` and `generate-logits-not-finite` later
 */
export async function* generate(
  given: LoadedModel,
  prompt: Prompt | Conversation,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, GenerateResult, void> {
  checkDecoder(given);
  checkOptions(options);
  const model = modelUnderPolicy(given, options);
  const request = resolveRequest(model, prompt, options);
  const { ids, embeddings, promptTokens, maxTokens } = request;
  const { signal } = options;
  const { begunText = "" } = options;
  const output = new GeneratedText(model.tokenizer, { promptIds: ids, ...request, begunText });
  const started = performance.now();
  const chosen = await choosePrompt(model, request, options);
  const filtering = chosen ? performance.now() - started : 0;
  const read: ReadRequest = chosen
    ? { ...request, read: chosen.map((at) => ids[at]!), rows: chosen.length }
    : { ...request, read: ids, rows: promptTokens };
  const sequence = await model.openSequence({
    prefix: embeddings ? [] : read.read,
    promptLength: read.rows,
    ...(signal && { signal }),
  });
  const begin = performance.now() - filtering;
  let decoding: Decoding | undefined;
  try {
    decoding = openDecoding(sequence, model, read, options);
    const result = await readPrompt(sequence, decoding, read, {
      ...options,
      contextPolicy: model.contextPolicy,
    });
    const prefilled = performance.now();
    let pending = maxTokens > 0 && !output.isFinished ? decoding.first(result) : undefined;
    while (pending) {
      signal?.throwIfAborted();
      const tokens = output.push(await pending);
      // The next step runs while the caller handles these tokens.
      const remaining = maxTokens - output.ids.length;
      pending = output.isFinished || remaining === 0 ? undefined : decoding.next(remaining);
      // A caller that leaves the loop never awaits it: its rejection must not count as unhandled.
      pending?.catch(() => undefined);
      for (const token of tokens) {
        yield token;
        signal?.throwIfAborted();
      }
    }
    const tail = output.end();
    return {
      text: output.text,
      tail,
      ids: output.ids,
      finishReason: output.finishReason,
      seed: request.sampling.seed,
      promptTokens,
      reusedTokens: sequence.reused,
      prefillSeconds: (prefilled - begin) / 1000,
      decodeSeconds: (performance.now() - prefilled) / 1000,
      ...(output.endToken && { endToken: output.endToken }),
      ...(options.drafter && { drafting: decoding.statistics }),
      ...describeContext(model.contextPolicy, { chosen, attended: decoding.attended }),
    };
  } finally {
    try {
      await decoding?.end();
    } finally {
      await sequence.release();
    }
  }
}

/** A request with every default filled in. */
interface Request {
  readonly ids: readonly number[];
  readonly embeddings: Float32Array | undefined;
  /** Rows that the prompt takes in the cache. */
  readonly promptTokens: number;
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly ends: ReadonlySet<number>;
  readonly stop: readonly string[];
  readonly sampling: Sampling;
  readonly processors: readonly LogitsProcessor[];
}

/** A request, and what of its prompt is read. */
interface ReadRequest extends Request {
  /** Ids of the tokens that are read in place of the prompt. */
  readonly read: readonly number[];
  /** Rows that they take in the cache. */
  readonly rows: number;
}

/** Places of the prompt's tokens that a filtering policy chooses. */
async function choosePrompt(
  model: LoadedModel,
  { ids, promptTokens }: Request,
  { signal, onPrefill }: GenerateOptions,
): Promise<number[] | undefined> {
  return model.contextPolicy?.choosePrompt?.(model, ids, {
    ...(signal && { signal }),
    onProgress: (done) => onPrefill?.({ done, total: promptTokens, reused: 0 }),
  });
}

function describeContext(
  policy: ContextPolicy | undefined,
  {
    chosen,
    attended,
  }: {
    readonly chosen: readonly number[] | undefined;
    readonly attended: AttendedContext | undefined;
  },
): Pick<GenerateResult, "context"> {
  if (!policy) return {};
  const { name, options } = policy;
  const kept = { ...(chosen && { chosen }), ...(attended && { attended }) };
  return { context: { policy: name, options, ...kept } };
}

function resolveRequest(
  model: LoadedModel,
  prompt: Prompt | Conversation,
  options: GenerateOptions,
): Request {
  const sampling = resolveSampling(model, options);
  const ids = promptIds(model, prompt);
  const embeddings = promptEmbeddings(model, options);
  const promptTokens = embeddings ? embeddings.length / model.config.hiddenSize : ids.length;
  const ends = new Set([
    ...(options.stopIds ?? []),
    ...(options.ignoreEos ? [] : model.eosTokenIds),
  ]);
  const promptLength = ids.length;
  const maxTokens = resolveMaxTokens(model, promptTokens, options.maxTokens);
  const minTokens = resolveMinTokens(model, options, promptLength);
  return {
    ids,
    embeddings,
    promptTokens,
    ends,
    sampling,
    stop: resolveStop(model, options),
    maxTokens,
    minTokens,
    processors: resolveProcessors(model, options, {
      sampling,
      promptLength,
      minTokens,
      maxTokens,
      ends,
    }),
  };
}

function openDecoding(
  sequence: OpenSequence,
  model: LoadedModel,
  { ids, rows, sampling, processors, ends }: ReadRequest,
  options: GenerateOptions,
): Decoding {
  return new Decoding(sequence, {
    model,
    sampling,
    processors,
    promptIds: ids,
    promptRows: rows,
    ends,
    alternatives: options.topLogProbabilities ?? 0,
    drafter: options.drafter,
    maxNodes: options.maxDraft ?? 64,
    reportsContext: options.reportContext === true && model.contextPolicy?.showsAttended === true,
    signal: options.signal,
  });
}

/** Options with the policy of the model's view. */
interface ReadOptions extends Omit<GenerateOptions, "contextPolicy"> {
  readonly contextPolicy: ContextPolicy | undefined;
}

/** Takes the prompt into the cache. @returns the result of its last row */
function readPrompt(
  sequence: OpenSequence,
  decoding: Decoding,
  { read, rows, embeddings, promptTokens }: ReadRequest,
  options: ReadOptions,
): ReturnType<typeof prefill> {
  const { reused } = sequence;
  const unread = embeddings ? new Array<number>(rows).fill(-1) : read.slice(reused);
  // Where a policy chose the tokens, their pass was the reading of the prompt.
  const onProgress =
    rows === promptTokens
      ? (done: number) => options.onPrefill?.({ done: reused + done, total: promptTokens, reused })
      : undefined;
  return prefill(sequence, unread, decoding.request(), {
    embeddings,
    chunk: options.prefillChunk,
    multiple: promptChunkOf(options.contextPolicy),
    signal: options.signal,
    onProgress,
  });
}

/** Runs a generation to its end and returns its result. */
export async function complete(
  model: LoadedModel,
  prompt: Prompt | Conversation,
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

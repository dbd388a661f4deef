/**
 * Options of a generation, completed from the checkpoint's `generation_config.json`.
 *
 * Like transformers, an option of the caller takes the place of the config's key of the same meaning.
 */
import { JetonError } from "../../core/index.ts";
import type { ConditionedModel, LoadedModel } from "../../model/index.ts";
import type { GenerateOptions } from "../types.ts";
import { biasEntries, invalidOption, isId, optionRules } from "./check-options.ts";
import { configProcessors, configValue } from "./config-processors.ts";
import {
  addBias,
  allowOnly,
  applyPenalties,
  forbidRepeatedNgrams,
  forbidSequences,
  type LogitsProcessor,
  suppress,
  suppressBefore,
} from "./logits-processors.ts";
import { hasPenalties } from "./penalties.ts";
import type { Sampling } from "./sampler.ts";

export { checkOptions } from "./check-options.ts";

/** Parts of a model that options depend on. */
type OptionsModel = Pick<LoadedModel, "checkpoint" | "contextLength" | "config"> &
  Partial<Pick<ConditionedModel, "sourceIds">>;

/** The key of the generation config that has an option's meaning. */
const configKeys = {
  temperature: "temperature",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
  typicalP: "typical_p",
  epsilonCutoff: "epsilon_cutoff",
  etaCutoff: "eta_cutoff",
  repetitionPenalty: "repetition_penalty",
  noRepeatNgramSize: "no_repeat_ngram_size",
  badWordsIds: "bad_words_ids",
  suppressTokens: "suppress_tokens",
  beginSuppressTokens: "begin_suppress_tokens",
  minTokens: "min_new_tokens",
  maxTokens: "max_new_tokens",
  stop: "stop_strings",
} as const satisfies Partial<Record<keyof GenerateOptions, string>>;

/**
 * The generation config's value for an option that was not given.
 *
 * @param key Default: the one of the same meaning
 * @throws JetonError `generation-config-invalid`
 */
function fromConfig<Name extends keyof typeof configKeys>(
  model: Pick<OptionsModel, "checkpoint">,
  name: Name,
  key: string = configKeys[name],
): GenerateOptions[Name] | undefined {
  return configValue(model, key, optionRules[name]) as GenerateOptions[Name] | undefined;
}

/** Sampling with the generation config's values for options that were not given. */
export function resolveSampling(
  model: Pick<OptionsModel, "checkpoint">,
  options: GenerateOptions,
): Sampling {
  const config = model.checkpoint.generationConfig ?? {};
  // Configs often lack `do_sample` and were made for sampling: only an explicit false means greedy.
  const configIsGreedy = options.temperature === undefined && config["do_sample"] === false;
  const greedy = options.greedy ?? configIsGreedy;
  const read = (name: keyof typeof configKeys & keyof Sampling, otherwise: number): number =>
    options[name] ?? fromConfig(model, name) ?? otherwise;
  return {
    temperature: greedy ? 0 : read("temperature", 1),
    topK: read("topK", 0),
    topP: read("topP", 1),
    minP: read("minP", 0),
    typicalP: read("typicalP", 1),
    epsilonCutoff: read("epsilonCutoff", 0),
    etaCutoff: read("etaCutoff", 0),
    repetitionPenalty: read("repetitionPenalty", 1),
    frequencyPenalty: options.frequencyPenalty ?? 0,
    presencePenalty: options.presencePenalty ?? 0,
    seed: options.seed ?? randomSeed(),
    sequence: options.sequence ?? 0,
  };
}

/** A seed for a request that names none. */
export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

/** What the logits processors of a request depend on besides its options. */
export interface ProcessorContext {
  readonly sampling: Sampling;
  readonly promptLength: number;
  /** Tokens before which no end token ends the text. */
  readonly minTokens: number;
  /** Tokens that are generated at most. */
  readonly maxTokens: number;
  /** Tokens that end the text. */
  readonly ends: ReadonlySet<number>;
}

/** The logits processors of a request, in the order of transformers; none where no option needs one. */
export function resolveProcessors(
  model: OptionsModel,
  options: GenerateOptions,
  context: ProcessorContext,
): LogitsProcessor[] {
  const { sampling, minTokens, ends } = context;
  const { vocabSize } = model.config;
  const exists = (id: number): boolean => id < vocabSize;
  const configured = configProcessors(model, {
    ...context,
    vocabSize,
    sourceIds: model.sourceIds,
  });
  const processors: LogitsProcessor[] = [];
  const bias = new Map(biasEntries(options.logitBias ?? {}));
  for (const id of bias.keys()) checkId("logitBias", id, vocabSize);
  if (bias.size > 0) processors.push(addBias(bias));
  processors.push(...configured.first);
  if (hasPenalties(sampling)) processors.push(applyPenalties(sampling));
  const ngram = options.noRepeatNgramSize ?? fromConfig(model, "noRepeatNgramSize");
  if (ngram) processors.push(forbidRepeatedNgrams(ngram));
  processors.push(...configured.afterNgrams);
  for (const sequence of options.badWordsIds ?? []) {
    for (const id of sequence) checkId("badWordsIds", id, vocabSize);
  }
  // A lone end token among the bad words is no bad word, as in transformers: the text could not end.
  const badWords = (options.badWordsIds ?? fromConfig(model, "badWordsIds") ?? []).filter(
    (word) => word.every(exists) && !(word.length === 1 && ends.has(word[0]!)),
  );
  if (badWords.length > 0) processors.push(forbidSequences(badWords));
  if (minTokens > 0 && ends.size > 0) processors.push(suppressBefore(minTokens, ends));
  processors.push(...configured.afterLength);
  const suppressed = idList(model, options, "suppressTokens");
  if (suppressed.length > 0) processors.push(suppress(suppressed));
  if (options.allowedTokens) {
    for (const id of options.allowedTokens) checkId("allowedTokens", id, vocabSize);
    processors.push(allowOnly(options.allowedTokens));
  }
  const atBegin = idList(model, options, "beginSuppressTokens");
  if (atBegin.length > 0) processors.push(suppressBefore(1, atBegin));
  processors.push(...(options.logitsProcessors ?? []));
  return processors;
}

/** Ids of an option, checked, or those of the config that exist. */
function idList(
  model: OptionsModel,
  options: GenerateOptions,
  name: "suppressTokens" | "beginSuppressTokens",
): readonly number[] {
  const { vocabSize } = model.config;
  const given = options[name];
  if (given) {
    for (const id of given) checkId(name, id, vocabSize);
    return given;
  }
  // Configs of speech models hold -1 for "the default list".
  const found = model.checkpoint.generationConfig?.[configKeys[name]];
  if (Array.isArray(found)) return found.filter(isId).filter((id) => id < vocabSize);
  return fromConfig(model, name) ?? [];
}

function checkId(name: string, id: number, vocabSize: number): void {
  if (id < vocabSize) return;
  throw invalidOption(name, id, `token ids below ${vocabSize}`);
}

/** Tokens before which neither an end token nor a stop string ends the text. */
export function resolveMinTokens(
  model: Pick<OptionsModel, "checkpoint">,
  options: GenerateOptions,
  promptLength: number,
): number {
  const minLength = fromConfig(model, "minTokens", "min_length") ?? 0;
  return (
    options.minTokens ?? fromConfig(model, "minTokens") ?? Math.max(0, minLength - promptLength)
  );
}

/** Stop strings of the caller or of the generation config, which may hold a single one. */
export function resolveStop(
  model: Pick<OptionsModel, "checkpoint">,
  options: GenerateOptions,
): readonly string[] {
  if (options.stop) return options.stop;
  const single = model.checkpoint.generationConfig?.[configKeys.stop];
  if (typeof single === "string" && single !== "") return [single];
  return fromConfig(model, "stop") ?? [];
}

/** Tokens to generate where the caller sets no limit and neither does the generation config. */
const defaultMaxTokens = 256;

/**
 * Tokens to generate: the caller's number, or the generation config's or 256, at most what the context
 * leaves.
 *
 * @throws JetonError `generate-context-exceeded`
 */
export function resolveMaxTokens(
  model: Pick<OptionsModel, "checkpoint" | "contextLength">,
  promptLength: number,
  asked: number | undefined,
): number {
  const free = model.contextLength - promptLength;
  if (free < (asked ?? 1)) {
    throw new JetonError(
      `${promptLength} prompt tokens and ${asked ?? 1} to generate exceed the context of ${model.contextLength} tokens`,
      {
        code: "generate-context-exceeded",
        details: {
          promptTokens: promptLength,
          maxTokens: asked,
          contextLength: model.contextLength,
        },
      },
    );
  }
  if (asked !== undefined) return asked;
  const maxLength = fromConfig(model, "maxTokens", "max_length");
  const fallback =
    maxLength === undefined ? defaultMaxTokens : Math.max(1, maxLength - promptLength);
  return Math.min(fromConfig(model, "maxTokens") ?? fallback, free);
}

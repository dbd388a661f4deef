/**
 * Logits processors that only a checkpoint's `generation_config.json` asks for, with the semantics of
 * transformers. Keys that begin with `encoder_` are about the text that an encoder-decoder reads; for decoders that
 * is the prompt.
 */
import { JetonError } from "../../core/index.ts";
import type { OptionRule } from "../../core/option-rules.ts";
import type { LoadedModel } from "../../model/index.ts";
import { isId, optionRules } from "./check-options.ts";
import { forbidReadNgrams, isBegunAtEnd, type LogitsProcessor } from "./logits-processors.ts";
import { penalizeRepetition } from "./penalties.ts";

/** What configs are read from. */
export type ConfigModel = Pick<LoadedModel, "checkpoint">;

/**
 * A key of the generation config; null counts as absent.
 *
 * @throws JetonError `generation-config-invalid`
 */
export function configValue(
  model: ConfigModel,
  key: string,
  { test, expected }: OptionRule,
): unknown {
  const value = model.checkpoint.generationConfig?.[key] ?? undefined;
  if (value === undefined || test(value)) return value;
  throw new JetonError(
    `generation_config.json: ${key} is ${JSON.stringify(value)}, expected ${expected}`,
    { code: "generation-config-invalid", details: { key, found: value, expected } },
  );
}

/** What the processors depend on besides the config. */
export interface ConfigProcessorContext {
  readonly promptLength: number;
  /** Ids of the text that an encoder-decoder reads; undefined: a decoder. */
  readonly sourceIds?: readonly number[] | undefined;
  /** Tokens that are generated at most. */
  readonly maxTokens: number;
  /** Tokens that end the text. */
  readonly ends: ReadonlySet<number>;
  readonly vocabSize: number;
}

/** Processors by their place among the others. */
export interface ConfigProcessors {
  /** Before the repetition penalty. */
  readonly first: readonly LogitsProcessor[];
  /** Behind the n-grams of the text. */
  readonly afterNgrams: readonly LogitsProcessor[];
  /** Behind the least length, before suppressed tokens. */
  readonly afterLength: readonly LogitsProcessor[];
}

type SequenceBias = readonly (readonly [readonly number[], number])[];

const isIds = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(isId);

const sequenceBias: OptionRule = {
  test: (value) =>
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && isIds(pair[0]) && Number.isFinite(pair[1])),
  expected: "a list of pairs of a list of ids and a number",
};
const idOrIds: OptionRule = {
  test: (value) => isId(value) || isIds(value),
  expected: "a token id or a list of them",
};
const lengthDecay: OptionRule = {
  test: (value) =>
    Array.isArray(value) &&
    value.length === 2 &&
    isId(value[0]) &&
    typeof value[1] === "number" &&
    value[1] > 0,
  expected: "a number of tokens and a positive factor",
};

/** A key that asks for a processor. */
interface ProcessorKey {
  readonly place: keyof ConfigProcessors;
  readonly rule: OptionRule;
  /** Undefined where the value changes nothing. */
  readonly create: (value: unknown, context: ConfigProcessorContext) => LogitsProcessor | undefined;
}

/** @param create takes what passes the rule */
function processorKey<Value>(
  place: ProcessorKey["place"],
  rule: OptionRule,
  create: (value: Value, context: ConfigProcessorContext) => LogitsProcessor | undefined,
): ProcessorKey {
  return { place, rule, create: (value, context) => create(value as Value, context) };
}

/** Keys without an option of their own; those of one place in the order in which they apply. */
const processorKeys: Readonly<Record<string, ProcessorKey>> = {
  sequence_bias: processorKey<SequenceBias>("first", sequenceBias, (bias, { vocabSize }) => {
    const known = bias.filter(([sequence]) => sequence.every((id) => id < vocabSize));
    return known.length > 0 ? biasSequences(known) : undefined;
  }),
  encoder_repetition_penalty: processorKey<number>(
    "first",
    optionRules.repetitionPenalty,
    (penalty, { sourceIds }) => (penalty === 1 ? undefined : favourRead(penalty, sourceIds)),
  ),
  encoder_no_repeat_ngram_size: processorKey<number>(
    "afterNgrams",
    optionRules.noRepeatNgramSize,
    (size, { sourceIds }) => (size > 0 ? forbidReadNgrams(size, sourceIds) : undefined),
  ),
  forced_bos_token_id: processorKey<number | number[]>(
    "afterLength",
    idOrIds,
    (ids, { vocabSize }) => forceAt(1, existingIds(ids, vocabSize).slice(0, 1)),
  ),
  forced_eos_token_id: processorKey<number | number[]>(
    "afterLength",
    idOrIds,
    (ids, { vocabSize, promptLength, maxTokens }) =>
      forceAt(promptLength + maxTokens - 1, existingIds(ids, vocabSize)),
  ),
  exponential_decay_length_penalty: processorKey<[number, number]>(
    "afterLength",
    lengthDecay,
    ([start, factor], { ends }) => favourEnds(start, factor, ends),
  ),
};

/** The processors that the generation config asks for by keys without an option of their own. */
export function configProcessors(
  model: ConfigModel,
  context: ConfigProcessorContext,
): ConfigProcessors {
  const found: Record<keyof ConfigProcessors, LogitsProcessor[]> = {
    first: [],
    afterNgrams: [],
    afterLength: [],
  };
  for (const [key, { place, rule, create }] of Object.entries(processorKeys)) {
    const value = configValue(model, key, rule);
    const processor = value === undefined ? undefined : create(value, context);
    if (processor) found[place].push(processor);
  }
  return found;
}

function existingIds(ids: number | number[], vocabSize: number): number[] {
  return [ids].flat().filter((id) => id < vocabSize);
}

/** Adds a number to the last token of each sequence wherever the tokens before it end the text. */
function biasSequences(bias: SequenceBias): LogitsProcessor {
  return ({ ids, logits }) => {
    for (const [sequence, value] of bias) {
      // As in transformers, a sequence longer than the text is left out.
      if (sequence.length > Math.max(1, ids.length)) continue;
      if (isBegunAtEnd(ids, sequence)) logits[sequence.at(-1)!]! += value;
    }
  };
}

/** Raises tokens of what was read by the factor by which a repetition penalty would lower them. */
function favourRead(penalty: number, source: readonly number[] | undefined): LogitsProcessor {
  let seen: Set<number> | undefined;
  return ({ ids, promptLength, logits }) => {
    seen ??= new Set(source ?? ids.slice(0, promptLength));
    penalizeRepetition(logits, seen, 1 / penalty);
  };
}

/** Leaves only some tokens, equally probable, where prompt and text have so many. */
function forceAt(length: number, tokens: readonly number[]): LogitsProcessor | undefined {
  if (tokens.length === 0) return undefined;
  return ({ ids, logits }) => {
    if (ids.length !== length) return;
    logits.fill(-Infinity);
    for (const id of tokens) logits[id] = 0;
  };
}

/** Raises end tokens more with each token behind the first `start` generated ones. */
function favourEnds(start: number, factor: number, ends: ReadonlySet<number>): LogitsProcessor {
  return ({ ids, promptLength, logits }) => {
    const beyond = ids.length - promptLength - start;
    if (beyond <= 0) return;
    for (const id of ends) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit + Math.abs(logit) * (factor ** beyond - 1);
    }
  };
}

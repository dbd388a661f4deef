/**
 * Logits processors that only a checkpoint's `generation_config.json` asks for, with the semantics of
 * transformers for decoders.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { Rule } from "./check-options.ts";
import type { LogitsProcessor } from "./logits-processors.ts";
import { penalizeRepetition } from "./penalties.ts";

/** What configs are read from. */
export type ConfigModel = Pick<LoadedModel, "checkpoint">;

/**
 * A key of the generation config; null counts as absent.
 *
 * @throws JetonError `generation-config-invalid`
 */
export function configValue(model: ConfigModel, key: string, { test, expected }: Rule): unknown {
  const value = model.checkpoint.generationConfig?.[key] ?? undefined;
  if (value === undefined || test(value)) return value;
  throw new JetonError(
    `generation_config.json: ${key} is ${JSON.stringify(value)}, expected ${expected}`,
    { code: "generation-config-invalid", details: { key, found: value, expected } },
  );
}

const isId = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
const isIds = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(isId);

type SequenceBias = readonly (readonly [readonly number[], number])[];

const rules = {
  sequenceBias: {
    test: (value) =>
      Array.isArray(value) &&
      value.every((pair) => Array.isArray(pair) && isIds(pair[0]) && Number.isFinite(pair[1])),
    expected: "a list of pairs of a list of ids and a number",
  },
  penalty: {
    test: (value) => typeof value === "number" && value > 0 && value <= 100,
    expected: "a positive number up to 100",
  },
  count: { test: isId, expected: "a non-negative integer" },
  ids: { test: (value) => isId(value) || isIds(value), expected: "a token id or a list of them" },
  decay: {
    test: (value) =>
      Array.isArray(value) &&
      value.length === 2 &&
      isId(value[0]) &&
      typeof value[1] === "number" &&
      value[1] > 0,
    expected: "a number of tokens and a positive factor",
  },
} as const satisfies Record<string, Rule>;

/** What the processors depend on besides the config. */
export interface ConfigProcessorContext {
  readonly promptLength: number;
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

/** The processors that the generation config asks for by keys without an option of their own. */
export function configProcessors(
  model: ConfigModel,
  { promptLength, maxTokens, ends, vocabSize }: ConfigProcessorContext,
): ConfigProcessors {
  const exists = (id: number): boolean => id < vocabSize;
  const idsOf = (key: string): number[] =>
    [(configValue(model, key, rules.ids) as number | number[] | undefined) ?? []]
      .flat()
      .filter(exists);
  const first: LogitsProcessor[] = [];
  const bias = (configValue(model, "sequence_bias", rules.sequenceBias) ?? []) as SequenceBias;
  const known = bias.filter(([sequence]) => sequence.every(exists));
  if (known.length > 0) first.push(biasSequences(known));
  const penalty = configValue(model, "encoder_repetition_penalty", rules.penalty) as
    | number
    | undefined;
  if (penalty !== undefined && penalty !== 1) first.push(favourPrompt(penalty));
  const ngram = configValue(model, "encoder_no_repeat_ngram_size", rules.count) as
    | number
    | undefined;
  const afterLength: LogitsProcessor[] = [];
  const [begin] = idsOf("forced_bos_token_id");
  if (begin !== undefined) afterLength.push(forceAt(1, [begin]));
  const end = idsOf("forced_eos_token_id");
  if (end.length > 0) afterLength.push(forceAt(promptLength + maxTokens - 1, end));
  const decay = configValue(model, "exponential_decay_length_penalty", rules.decay);
  if (decay !== undefined) {
    const [start, factor] = decay as [number, number];
    afterLength.push(favourEnds(start, factor, ends));
  }
  return { first, afterNgrams: ngram ? [forbidPromptNgrams(ngram)] : [], afterLength };
}

/** Adds a number to the last token of each sequence wherever the tokens before it end the text. */
function biasSequences(bias: SequenceBias): LogitsProcessor {
  return ({ ids, logits }) => {
    for (const [sequence, value] of bias) {
      const before = sequence.length - 1;
      const from = ids.length - before;
      // As in transformers, a sequence longer than the text is left out.
      if (from < 0 || (before > 0 && sequence.length > ids.length)) continue;
      if (sequence.every((id, at) => at === before || ids[from + at] === id)) {
        logits[sequence[before]!]! += value;
      }
    }
  };
}

/** Raises tokens of the prompt by the factor by which a repetition penalty would lower them. */
function favourPrompt(penalty: number): LogitsProcessor {
  let seen: Set<number> | undefined;
  return ({ ids, promptLength, logits }) => {
    seen ??= new Set(ids.slice(0, promptLength));
    penalizeRepetition(logits, seen, 1 / penalty);
  };
}

/** Excludes tokens that would complete an n-gram of the prompt. */
function forbidPromptNgrams(size: number): LogitsProcessor {
  return ({ ids, promptLength, logits }) => {
    const from = ids.length - size + 1;
    for (let start = 0; start + size <= promptLength; start++) {
      let at = 0;
      while (at < size - 1 && ids[start + at] === ids[from + at]) at++;
      if (at === size - 1) logits[ids[start + at]!] = -Infinity;
    }
  };
}

/** Leaves only some tokens, equally probable, where prompt and text have so many. */
function forceAt(length: number, tokens: readonly number[]): LogitsProcessor {
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

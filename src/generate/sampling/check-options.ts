/** Checks of the options of a generation: names, types and ranges. */
import type { JetonError } from "../../core/index.ts";
import {
  checkOptionRules,
  countRule,
  flagRule,
  functionRule,
  integerRule,
  invalidValue,
  isCount,
  numberRule,
  type OptionRule,
  positiveRule,
  signalRule,
  textRule,
} from "../../core/option-rules.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { GenerateOptions } from "../types.ts";

const isNumber = (value: unknown): value is number => typeof value === "number";
/** Whether a value may be the id of a token. */
export const isId: (value: unknown) => value is number = isCount;
const isListOf =
  (test: (item: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(test);

const cutoff: OptionRule = {
  test: (v) => isNumber(v) && v >= 0 && v < 1,
  expected: "a number from 0 to below 1",
};
const share: OptionRule = {
  test: (v) => isNumber(v) && v > 0 && v <= 1,
  expected: "a number above 0, up to 1",
};
const ids: OptionRule = { test: isListOf(isId), expected: "a list of token ids" };

/** Every option and what it must be. */
export const optionRules: Readonly<Record<keyof GenerateOptions, OptionRule>> = {
  temperature: numberRule(0, 100),
  topK: countRule,
  topP: share,
  minP: numberRule(0, 1),
  typicalP: share,
  epsilonCutoff: cutoff,
  etaCutoff: cutoff,
  repetitionPenalty: {
    test: (v) => isNumber(v) && v > 0 && v <= 100,
    expected: "a positive number up to 100",
  },
  frequencyPenalty: numberRule(-2, 2),
  presencePenalty: numberRule(-2, 2),
  greedy: flagRule,
  seed: { test: Number.isSafeInteger, expected: "an integer" },
  logitBias: { test: isLogitBias, expected: "numbers by token id; -Infinity excludes a token" },
  minTokens: countRule,
  suppressTokens: ids,
  allowedTokens: {
    test: (v) => ids.test(v) && (v as readonly number[]).length > 0,
    expected: "a list of at least one token id",
  },
  beginSuppressTokens: ids,
  badWordsIds: {
    test: isListOf((item) => Array.isArray(item) && item.length > 0 && item.every(isId)),
    expected: "a list of non-empty lists of token ids",
  },
  noRepeatNgramSize: countRule,
  logitsProcessors: { test: isListOf(functionRule.test), expected: "a list of functions" },
  maxTokens: countRule,
  stop: {
    test: isListOf((text) => typeof text === "string" && text !== ""),
    expected: "a list of non-empty strings",
  },
  begunText: textRule,
  stopIds: ids,
  ignoreEos: flagRule,
  drafter: {
    test: isDrafter,
    expected:
      "a drafter { name, candidates, begin, close }, such as `openDrafter` gives for a name",
  },
  contextPolicy: {
    test: (v) => typeof (v as { module?: unknown } | null)?.module === "string",
    expected: "a context policy, such as `tokenSelect()` or `parseContextPolicy(text)` gives",
  },
  reportContext: flagRule,
  maxDraft: integerRule(1, 1024),
  sequence: countRule,
  topLogProbabilities: integerRule(0, 20),
  promptEmbeddings: { test: (v) => v instanceof Float32Array, expected: "a Float32Array" },
  prefillChunk: positiveRule,
  onPrefill: functionRule,
  signal: signalRule,
};

/**
 * Checks names, types and ranges; `undefined` counts as absent.
 *
 * @throws JetonError `generate-option-unknown` with the nearest known name; `generate-option-invalid` with
 *   the option, its value and what was expected
 */
export function checkOptions(options: GenerateOptions): void {
  checkOptionRules(options, optionRules, {
    what: "a generation",
    unknownCode: "generate-option-unknown",
    invalidCode: "generate-option-invalid",
  });
}

/** Names an option, its value and what was expected. */
export function invalidOption(name: string, value: unknown, expected: unknown): JetonError {
  return invalidValue(name, value, expected, "generate-option-invalid");
}

function isDrafter(value: unknown): boolean {
  const { name, candidates, begin, close } = (value ?? {}) as Partial<
    Record<keyof Drafter, unknown>
  >;
  return (
    typeof name === "string" &&
    isCount(candidates) &&
    functionRule.test(begin) &&
    functionRule.test(close)
  );
}

function isLogitBias(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return biasEntries(value as NonNullable<GenerateOptions["logitBias"]>).every(
    ([id, bias]) => isId(id) && isNumber(bias) && bias < Infinity,
  );
}

/** Ids and numbers of a logit bias in either form. */
export function biasEntries(bias: NonNullable<GenerateOptions["logitBias"]>): [number, number][] {
  return bias instanceof Map
    ? [...(bias as ReadonlyMap<number, number>)]
    : Object.entries(bias as Readonly<Record<string, number>>).map(([id, value]) => [
        id.trim() === "" ? Number.NaN : Number(id),
        value,
      ]);
}

/** Checks of the options of a generation: names, types and ranges. */
import { JetonError, suggest } from "../../core/index.ts";
import type { GenerateOptions } from "../types.ts";

/** What a value must be. */
export interface Rule {
  readonly test: (value: unknown) => boolean;
  readonly expected: string;
}

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
const isNumber = (value: unknown): value is number => typeof value === "number";
/** Whether a value may be the id of a token, or a count. */
export const isId = (value: unknown): value is number => isInteger(value) && value >= 0;
const isListOf =
  (test: (item: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(test);

const range = (min: number, max: number): Rule => ({
  test: (v) => isNumber(v) && v >= min && v <= max,
  expected: `a number from ${min} to ${max}`,
});
const integer = (min: number, max: number): Rule => ({
  test: (v) => isInteger(v) && v >= min && v <= max,
  expected: `an integer from ${min} to ${max}`,
});
const cutoff: Rule = {
  test: (v) => isNumber(v) && v >= 0 && v < 1,
  expected: "a number from 0 to below 1",
};
const count: Rule = { test: isId, expected: "a non-negative integer" };
const flag: Rule = { test: (v) => typeof v === "boolean", expected: "true or false" };
const ids: Rule = { test: isListOf(isId), expected: "a list of token ids" };
const callback: Rule = { test: (v) => typeof v === "function", expected: "a function" };

/** Every option and what it must be. */
export const optionRules: Readonly<Record<keyof GenerateOptions, Rule>> = {
  temperature: range(0, 100),
  topK: count,
  topP: { test: (v) => isNumber(v) && v > 0 && v <= 1, expected: "a number above 0, up to 1" },
  minP: range(0, 1),
  typicalP: { test: (v) => isNumber(v) && v > 0 && v <= 1, expected: "a number above 0, up to 1" },
  epsilonCutoff: cutoff,
  etaCutoff: cutoff,
  repetitionPenalty: {
    test: (v) => isNumber(v) && v > 0 && v <= 100,
    expected: "a positive number up to 100",
  },
  frequencyPenalty: range(-2, 2),
  presencePenalty: range(-2, 2),
  greedy: flag,
  seed: { test: isInteger, expected: "an integer" },
  logitBias: { test: isLogitBias, expected: "numbers by token id; -Infinity excludes a token" },
  minTokens: count,
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
  noRepeatNgramSize: count,
  logitsProcessors: { test: isListOf(callback.test), expected: "a list of functions" },
  maxTokens: count,
  stop: {
    test: isListOf((text) => typeof text === "string" && text !== ""),
    expected: "a list of non-empty strings",
  },
  begunText: { test: (v) => typeof v === "string", expected: "a text" },
  stopIds: ids,
  ignoreEos: flag,
  drafter: {
    test: (v) => typeof (v as { begin?: unknown } | null)?.begin === "function",
    expected: "a drafter, such as `openDrafter` gives for a name",
  },
  contextPolicy: {
    test: (v) => typeof (v as { module?: unknown } | null)?.module === "string",
    expected: "a context policy, such as `tokenSelect()` or `parseContextPolicy(text)` gives",
  },
  reportContext: flag,
  maxDraft: integer(1, 1024),
  sequence: count,
  topLogProbabilities: integer(0, 20),
  promptEmbeddings: { test: (v) => v instanceof Float32Array, expected: "a Float32Array" },
  prefillChunk: {
    test: (v) => isInteger(v) && v > 0,
    expected: "a positive integer",
  },
  onPrefill: callback,
  signal: {
    test: (v) => typeof (v as { throwIfAborted?: unknown } | null)?.throwIfAborted === "function",
    expected: "an AbortSignal",
  },
};

/**
 * Checks names, types and ranges; `undefined` counts as absent.
 *
 * @throws JetonError `generate-option-unknown` with the nearest known name; `generate-option-invalid` with
 *   the option, its value and what was expected
 */
export function checkOptions(options: GenerateOptions): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidOption("options", options, "an object");
  }
  const names = Object.keys(optionRules);
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(optionRules, name)
      ? optionRules[name as keyof GenerateOptions]
      : undefined;
    if (!rule) {
      const near = suggest(name, names);
      throw new JetonError(
        `${name} is no option of a generation` +
          (near === undefined ? `; there are ${names.join(", ")}` : `; did you mean ${near}?`),
        { code: "generate-option-unknown", details: { name, expected: near ?? names } },
      );
    }
    if (value !== undefined && !rule.test(value)) throw invalidOption(name, value, rule.expected);
  }
}

/** Names an option, its value and what was expected. */
export function invalidOption(name: string, value: unknown, expected: unknown): JetonError {
  return new JetonError(`${name} is ${describe(value)}, expected ${expected}`, {
    code: "generate-option-invalid",
    details: { name, value, expected },
  });
}

function describe(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  try {
    const text = JSON.stringify(value) ?? String(value);
    return text.length > 200 ? `${text.slice(0, 200)}…` : text;
  } catch {
    return String(value);
  }
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

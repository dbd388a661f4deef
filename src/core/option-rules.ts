/** What the options of a function must be: names, types and ranges, each checked before anything runs. */
import { JetonError } from "./error.ts";
import { suggest } from "./suggest.ts";

/** What a value must be. */
export interface OptionRule {
  readonly test: (value: unknown) => boolean;
  readonly expected: string;
}

/** Whether a value may be the id of a token, or a count. */
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** A number in a closed range. */
export const numberRule = (min: number, max: number): OptionRule => ({
  test: (value) => typeof value === "number" && value >= min && value <= max,
  expected: `a number from ${min} to ${max}`,
});

/** An integer in a closed range. */
export const integerRule = (min: number, max: number): OptionRule => ({
  test: (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  expected: `an integer from ${min} to ${max}`,
});

/** One of a few texts. */
export const choiceRule = (choices: readonly string[]): OptionRule => ({
  test: (value) => choices.includes(value as string),
  expected: `one of ${choices.join(", ")}`,
});

/** A count. */
export const countRule: OptionRule = { test: isCount, expected: "a non-negative integer" };
/** A count above 0. */
export const positiveRule: OptionRule = {
  test: (value) => isCount(value) && value > 0,
  expected: "a positive integer",
};
/** True or false. */
export const flagRule: OptionRule = {
  test: (value) => typeof value === "boolean",
  expected: "true or false",
};
/** A text, which may be empty. */
export const textRule: OptionRule = {
  test: (value) => typeof value === "string",
  expected: "a text",
};
/** Where a file or folder lies. */
export const pathRule: OptionRule = {
  test: (value) => typeof value === "string" && value !== "",
  expected: "a path",
};
/** A list of anything. */
export const listRule: OptionRule = { test: Array.isArray, expected: "a list" };
/** Fields by name. */
export const objectRule: OptionRule = {
  test: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  expected: "an object",
};
/** Threads of a forward pass: more are a mistyped number, with which a machine would stand still. */
export const threadsRule: OptionRule = integerRule(1, 256);
/** An option that is checked where it is read. */
export const checkedLater: OptionRule = { test: () => true, expected: "" };
/** A function. */
export const functionRule: OptionRule = {
  test: (value) => typeof value === "function",
  expected: "a function",
};
/** The longest deadline in seconds: a timer of more than 24 days fires at once. */
export const longestDeadline = 86_400;
/** How long something may take; a timer of NaN fires at once too. */
export const secondsRule: OptionRule = {
  test: (value) => typeof value === "number" && value > 0 && value <= longestDeadline,
  expected: `seconds above 0, at most ${longestDeadline}`,
};
/** An `AbortSignal` of any realm. */
export const signalRule: OptionRule = {
  test: (value) =>
    typeof (value as { throwIfAborted?: unknown } | null)?.throwIfAborted === "function",
  expected: "an AbortSignal",
};

/** How the errors about a function's options read. */
export interface OptionErrors {
  /** What the options belong to, with its article: `a generation`. */
  readonly what: string;
  readonly invalidCode: string;
  /** Default `invalidCode`. */
  readonly unknownCode?: string;
}

/**
 * Checks names, types and ranges; `undefined` counts as absent.
 *
 * @throws JetonError `unknownCode` with the nearest known name; `invalidCode` with the option, its value and what was
 *   expected
 */
export function checkOptionRules(
  options: unknown,
  rules: Readonly<Record<string, OptionRule>>,
  errors: OptionErrors,
): void {
  checkOptionNames(options, Object.keys(rules), errors);
  for (const [name, value] of Object.entries(options as object)) {
    const rule = rules[name]!;
    if (value !== undefined && !rule.test(value)) {
      throw invalidValue(name, value, rule.expected, errors.invalidCode);
    }
  }
}

/**
 * Checks that options are an object of known names; their values are checked elsewhere.
 *
 * @throws JetonError as `checkOptionRules`
 */
export function checkOptionNames(
  options: unknown,
  names: readonly string[],
  { what, invalidCode, unknownCode = invalidCode }: OptionErrors,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidValue("options", options, "an object", invalidCode);
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const near = suggest(name, names);
    throw new JetonError(
      `${name} is no option of ${what}` +
        (near === undefined ? `; there are ${names.join(", ")}` : `; did you mean ${near}?`),
      { code: unknownCode, details: { name, expected: near ?? names } },
    );
  }
}

/**
 * Checks options that must be there.
 *
 * @throws JetonError `code` with the option, its value and what was expected
 */
export function checkRequired(
  options: unknown,
  rules: Readonly<Record<string, OptionRule>>,
  code: string,
): void {
  for (const [name, rule] of Object.entries(rules)) {
    const value = (options as Readonly<Record<string, unknown>> | null | undefined)?.[name];
    if (!rule.test(value)) throw invalidValue(name, value, rule.expected, code);
  }
}

/** Names an option, its value and what was expected. */
export function invalidValue(
  name: string,
  value: unknown,
  expected: unknown,
  code: string,
): JetonError {
  return new JetonError(`${name} is ${describeValue(value)}, expected ${expected}`, {
    code,
    details: { name, value, expected },
  });
}

/** A value as an error shows it, cut to 200 characters. */
export function describeValue(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  try {
    const text = JSON.stringify(value) ?? String(value);
    return text.length > 200 ? `${text.slice(0, 200)}…` : text;
  } catch {
    return String(value);
  }
}

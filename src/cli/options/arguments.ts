/** Parses a command line according to the declaration of a command. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import {
  type Command,
  modelArgument,
  type Option,
  type Options,
  toOptionName,
  UsageError,
  usageLine,
} from "../command.ts";
import { suggest } from "../terminal/suggest.ts";

/** Options of every command. */
export const commonOptions = {
  json: { kind: "flag", help: "one JSON document on standard output, and nothing else there" },
  help: { kind: "flag", short: "h", help: "show this help" },
} as const;

/** A parsed command line: for every option its value, its default, or undefined. */
export interface ParsedArguments {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

/**
 * Parses the arguments that follow the command.
 *
 * @throws UsageError `option-unknown`, `option-value-missing`, `option-value-unexpected`,
 * `option-value-invalid`, `option-repeated`, `argument-missing`, `argument-unexpected`.
 */
export function parseArguments(command: Command, args: readonly string[]): ParsedArguments {
  const options: Options = { ...command.options, ...commonOptions };
  const byName = new Map<string, { key: string; option: Option }>();
  const config: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [key, option] of Object.entries(options)) {
    const name = toOptionName(key);
    byName.set(name, { key, option });
    config[name] = {
      type: option.kind === "flag" ? "boolean" : "string",
      multiple: true,
      ...(option.short !== undefined && { short: option.short }),
    };
  }
  // Not strict: the error messages and codes are our own.
  const { tokens } = parseArgs({
    args: [...args],
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const values: Record<string, unknown> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const known = byName.get(token.name);
    if (known === undefined) {
      throw unknownOption(command, token.rawName, [...byName.keys()], args[token.index]!);
    }
    const { key, option } = known;
    if (option.kind === "flag") {
      if (token.value !== undefined) {
        throw new UsageError("option-value-unexpected", `${token.rawName} takes no value`, {
          option: token.name,
          found: token.value,
        });
      }
      values[key] = true;
      continue;
    }
    // `-n=2` counts as `-n 2`: parseArgs leaves the equals sign of a short option in its value.
    const isShort = token.inlineValue === true && !token.rawName.startsWith("--");
    const written = isShort ? token.value.replace(/^=/, "") : token.value;
    const value = readValue(option, token.rawName, written, token.inlineValue === true);
    if (option.kind === "list") {
      values[key] = [...((values[key] as string[] | undefined) ?? []), value];
    } else if (key in values) {
      throw new UsageError("option-repeated", `${token.rawName} is given twice`, {
        option: token.name,
      });
    } else {
      values[key] = value;
    }
  }
  for (const [key, option] of Object.entries(options)) {
    if (key in values) continue;
    if (option.kind === "flag") values[key] = false;
    else if (option.kind === "list") values[key] = [];
    else values[key] = option.default;
  }
  // With --help the positional arguments need not be complete.
  if (values["help"] !== true) checkPositionals(command, positionals);
  return { values, positionals };
}

function readValue(
  option: Exclude<Option, { kind: "flag" }>,
  written: string,
  value: string | undefined,
  isInline: boolean,
): string | number {
  const isNumber = option.kind === "number" || option.kind === "integer";
  // `--stop --json` counts as a missing value; `--stop=--json` passes the value `--json`.
  const looksLikeOption =
    value !== undefined &&
    !isInline &&
    value.length > 1 &&
    value.startsWith("-") &&
    !(isNumber && /^-[.\d]/.test(value));
  if (value === undefined || looksLikeOption) {
    const hint = looksLikeOption ? `; write ${written}=${value} if that is the value` : "";
    throw new UsageError(
      "option-value-missing",
      `${written} needs a value: ${written} ${option.value}${hint}`,
      { option: written, expected: option.value },
    );
  }
  if (isNumber) return readNumber(option, written, value);
  if (option.kind === "list" && value === "") {
    throw new UsageError("option-value-invalid", `${written} must not be empty`, {
      option: written,
      found: value,
      expected: option.value,
    });
  }
  const choices = option.kind === "text" ? option.choices : undefined;
  if (choices !== undefined && !choices.includes(value)) {
    const near = suggest(value, choices);
    throw new UsageError(
      "option-value-invalid",
      `${written} must be one of ${choices.join(", ")}, not ${JSON.stringify(value)}` +
        (near === undefined ? "" : `; did you mean ${near}?`),
      { option: written, found: value, expected: choices },
    );
  }
  return value;
}

function readNumber(
  option: Extract<Option, { value: string; kind: "number" | "integer" }>,
  written: string,
  value: string,
): number {
  const isInteger = option.kind === "integer";
  const { min = isInteger ? 0 : undefined, max, exclusiveMin = false } = option;
  const number = value.trim() === "" ? Number.NaN : Number(value);
  const isValid =
    (isInteger ? Number.isSafeInteger(number) : Number.isFinite(number)) &&
    (min === undefined || (exclusiveMin ? number > min : number >= min)) &&
    (max === undefined || number <= max);
  if (isValid) return number;
  const bounds = [
    min === undefined ? "" : exclusiveMin ? `above ${min}` : `at least ${min}`,
    max === undefined ? "" : `at most ${max}`,
  ].filter((bound) => bound !== "");
  const expected = [isInteger ? "an integer" : "a number", bounds.join(" and ")]
    .filter((part) => part !== "")
    .join(" ");
  throw new UsageError(
    "option-value-invalid",
    `${written} must be ${expected}, not ${JSON.stringify(value)}`,
    { option: written, found: value, expected },
  );
}

/** @param argument the whole argument that the option was read from */
function unknownOption(
  command: Command,
  written: string,
  names: readonly string[],
  argument: string,
): UsageError {
  const isLong = written.startsWith("--");
  const near = isLong ? suggest(written.slice(2), names) : undefined;
  // Not an option but a text: "-5 degrees".
  const isText = command.positionals.length > 0 && /\s|^-\d/.test(argument);
  const takesModel = command.positionals[0]?.name === modelArgument;
  const hint = isText
    ? "; write -- before a text that begins with a dash"
    : takesModel && (written === "--model" || written === "-m")
      ? `; the model stands by itself: ${usageLine(command)}`
      : "";
  return new UsageError(
    "option-unknown",
    `jeton ${command.name} has no option ${written}` +
      (near === undefined ? hint : `; did you mean --${near}?`),
    { option: written, ...(near !== undefined && { suggestion: `--${near}` }) },
  );
}

function checkPositionals(command: Command, found: readonly string[]): void {
  const { positionals } = command;
  const missing = positionals.find((positional, at) => positional.required && at >= found.length);
  if (missing !== undefined) {
    throw new UsageError(
      "argument-missing",
      `jeton ${command.name} needs ${missing.name}: ${usageLine(command)}`,
      { expected: missing.name },
    );
  }
  if (found.length <= positionals.length || positionals.at(-1)?.repeatable === true) return;
  const extra = found[positionals.length]!;
  throw new UsageError(
    "argument-unexpected",
    `jeton ${command.name} does not expect ${JSON.stringify(extra)}` +
      (positionals.length > 0 ? "; a text of several words needs quotes around it" : ""),
    { found: extra },
  );
}

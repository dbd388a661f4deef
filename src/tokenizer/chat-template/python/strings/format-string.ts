/** `str.format`: fields in braces, with attributes and items looked up as a template would. */
import { reserve } from "../budget.ts";
import { Dict } from "../containers/dict.ts";
import { failure, valueFailure } from "../failure.ts";
import { represent, representAscii } from "../representation.ts";
import type { Runtime } from "../runtime-type.ts";
import type { CallArguments, Value } from "../values.ts";
import { convertValue, formatValue } from "./format-spec.ts";

/** Deepest nesting of fields in specifications. */
const maxNesting = 2;

interface FormatState {
  readonly positional: readonly Value[] | undefined;
  readonly keyword: (name: string) => Value | undefined;
  readonly runtime: Runtime;
  readonly format: (value: Value, spec: string) => string;
  numbering: "automatic" | "manual" | undefined;
  next: number;
}

/** `template.format(…)`; `format` writes a value with its specification. */
export function formatString(
  template: string,
  callArguments: CallArguments,
  runtime: Runtime,
  format: (value: Value, spec: string) => string = formatValue,
): string {
  const { positional, keyword } = callArguments;
  const state: FormatState = {
    positional,
    keyword: (name) => keyword.get(name),
    runtime,
    format,
    numbering: undefined,
    next: 0,
  };
  return formatFields(template, state, maxNesting);
}

/** `template.format_map(mapping)`. */
export function formatMap(template: string, mapping: Value, runtime: Runtime): string {
  const state: FormatState = {
    positional: undefined,
    keyword: (name) => (mapping instanceof Dict ? mapping.get(name) : undefined),
    runtime,
    format: formatValue,
    numbering: undefined,
    next: 0,
  };
  return formatFields(template, state, maxNesting);
}

function formatFields(template: string, state: FormatState, nesting: number): string {
  if (nesting === 0) throw valueFailure("Max string recursion exceeded");
  let text = "";
  for (let at = 0; at < template.length; ) {
    const character = template[at]!;
    if (character !== "{" && character !== "}") {
      const end = /[{}]/.exec(template.slice(at))?.index ?? template.length - at;
      text += template.slice(at, at + end);
      at += end;
    } else if (template[at + 1] === character) {
      text += character;
      at += 2;
    } else if (character === "}") {
      throw valueFailure("Single '}' encountered in format string");
    } else {
      const end = endOfField(template, at + 1);
      text += formatField(template.slice(at + 1, end), state, nesting);
      at = end + 1;
    }
  }
  reserve(text.length);
  return text;
}

/** Where the brace stands that closes a field. */
function endOfField(template: string, start: number): number {
  if (start >= template.length) throw valueFailure("Single '{' encountered in format string");
  let depth = 1;
  let inItem = false;
  let inSpec = false;
  for (let at = start; at < template.length; at++) {
    const character = template[at]!;
    if (!inSpec && character === "[") inItem = true;
    if (inItem) {
      if (character === "]") inItem = false;
      continue;
    }
    if (character === ":" || character === "!") inSpec = true;
    if (character === "{") depth++;
    if (character === "}" && --depth === 0) return at;
  }
  throw valueFailure("expected '}' before end of string");
}

const fieldPattern = /^((?:[^[\]:!{}]|\[[^\]]*\])*)(?:!([^:]*))?(?::(.*))?$/s;

function formatField(field: string, state: FormatState, nesting: number): string {
  const match = fieldPattern.exec(field);
  if (match === null) throw valueFailure("unexpected '{' in field name");
  const [, name = "", conversion, rawSpec = ""] = match;
  let value = lookUpField(name, state);
  if (conversion !== undefined) {
    if (!["s", "r", "a"].includes(conversion)) {
      throw valueFailure(`Unknown conversion specifier ${conversion}`);
    }
    value = conversion === "a" ? representAscii(value) : convertValue(value, conversion);
  }
  const spec = rawSpec.includes("{") ? formatFields(rawSpec, state, nesting - 1) : rawSpec;
  return state.format(value, spec);
}

function lookUpField(name: string, state: FormatState): Value {
  const [, first = "", path = ""] = /^([^.[]*)(.*)$/s.exec(name)!;
  let value = lookUpFirst(first, state);
  const steps = /\.([^.[]*)|\[([^\]]*)\]/gsy;
  for (let at = 0; at < path.length; at = steps.lastIndex) {
    steps.lastIndex = at;
    const step = steps.exec(path);
    if (step === null)
      throw valueFailure("Only '.' or '[' may follow ']' in format field specifier");
    const [, attribute, item] = step;
    if ((attribute ?? item) === "") throw valueFailure("Empty attribute in format string");
    value =
      attribute !== undefined
        ? state.runtime.getAttribute(value, attribute)
        : state.runtime.getItem(value, /^\d+$/.test(item!) ? Number(item) : item!);
  }
  return value;
}

function lookUpFirst(name: string, state: FormatState): Value {
  if (name !== "" && !/^\d+$/.test(name)) {
    const value = state.keyword(name);
    if (value === undefined) throw failure("KeyError", represent(name));
    return value;
  }
  const numbering = name === "" ? "automatic" : "manual";
  if (state.numbering !== undefined && state.numbering !== numbering) {
    throw valueFailure(
      numbering === "manual"
        ? "cannot switch from automatic field numbering to manual field specification"
        : "cannot switch from manual field specification to automatic field numbering",
    );
  }
  state.numbering = numbering;
  const index = name === "" ? state.next++ : Number(name);
  const value = state.positional?.[index];
  if (value === undefined) {
    throw failure(
      "IndexError",
      `Replacement index ${index} out of range for positional args tuple`,
    );
  }
  return value;
}

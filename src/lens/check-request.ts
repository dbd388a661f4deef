/** Requests of a lens, checked field by field: names that are not known are refused and never ignored. */
import { JetonError, suggest } from "../core/index.ts";
import { drafterChoices } from "../generate/index.ts";
import type { LensRequest, LensSampling } from "./types.ts";

type Rule = readonly [isValid: (value: unknown) => boolean, expected: string];

const integer = (min: number, max: number): Rule => [
  (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  `a whole number from ${min} to ${max}`,
];
const text: Rule = [(value) => typeof value === "string", "a string"];
const flag: Rule = [(value) => typeof value === "boolean", "true or false"];
const prompt: Rule = [
  (value) =>
    typeof value === "string" ||
    (Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0)),
  "a string or token ids",
];
/** The type names each option once: a new one must be added. */
const samplingNames = Object.keys({
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  typicalP: true,
  epsilonCutoff: true,
  etaCutoff: true,
  repetitionPenalty: true,
  frequencyPenalty: true,
  presencePenalty: true,
  greedy: true,
  seed: true,
} satisfies Readonly<Record<keyof LensSampling, true>>);
// `generate` checks the values.
const sampling: Rule = [
  (value) =>
    typeof value === "object" &&
    value !== null &&
    Object.keys(value).every((name) => samplingNames.includes(name)),
  `an object with ${samplingNames.join(", ")}`,
];
const drafter: Rule = [
  (value) => (drafterChoices as readonly unknown[]).includes(value),
  drafterChoices.join(", "),
];
/** As long as the server's own field. */
const contextPolicy: Rule = [
  (value) => typeof value === "string" && value.length > 0 && value.length <= 200,
  "NAME or NAME:option=value,…",
];
const detail = { alternatives: integer(0, 20), entropy: flag };

/** Fields by kind of request; those with a star must be there. */
const rules: { readonly [K in LensRequest["kind"]]: Readonly<Record<string, Rule>> } = {
  describe: {},
  generate: {
    "*prompt": prompt,
    sampling,
    maxTokens: integer(0, 1_000_000),
    drafter,
    ignoreEos: flag,
    contextPolicy,
    ...detail,
  },
  read: { "*prompt": prompt, ...detail },
  stages: {
    "*prompt": prompt,
    generated: integer(0, 10_000_000),
    sampling,
    tokens: integer(1, 64),
  },
  bytes: { "*text": text, outcomes: integer(1, 64) },
  tokenize: { "*text": text },
  routing: { "*text": text },
};

/**
 * Checks that a value is a request of a lens: its kind, its fields and no others.
 *
 * @throws JetonError `lens-request-invalid`
 */
export function checkLensRequest(value: unknown): LensRequest {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("request", value, "an object");
  }
  const { kind, ...fields } = value as { readonly kind?: unknown };
  const known = typeof kind === "string" && Object.hasOwn(rules, kind);
  if (!known) throw invalid("kind", kind, Object.keys(rules).join(", "));
  const own = rules[kind as LensRequest["kind"]];
  const names = Object.keys(own).map((name) => name.replace("*", ""));
  for (const [name, field] of Object.entries(fields)) {
    if (!names.includes(name)) throw unknownField(kind as string, name, field, names);
    const [isValid, expected] = own[name] ?? own[`*${name}`]!;
    if (field !== undefined && !isValid(field)) throw invalid(name, field, expected);
  }
  for (const name of Object.keys(own)) {
    if (name.startsWith("*") && (fields as Record<string, unknown>)[name.slice(1)] === undefined) {
      throw invalid(name.slice(1), undefined, own[name]![1]);
    }
  }
  return value as LensRequest;
}

function unknownField(
  kind: string,
  name: string,
  found: unknown,
  names: readonly string[],
): JetonError {
  const near = suggest(name, names);
  const instead = near ? `, did you mean ${near}?` : `: there are ${names.join(", ") || "none"}`;
  return invalid(name, found, `no such field in a request of kind ${kind}${instead}`);
}

function invalid(name: string, found: unknown, expected: string): JetonError {
  const shown = JSON.stringify(found)?.slice(0, 100) ?? "missing";
  return new JetonError(`${name} of a lens request: ${shown}; expected ${expected}`, {
    code: "lens-request-invalid",
    details: { name, found, expected },
  });
}

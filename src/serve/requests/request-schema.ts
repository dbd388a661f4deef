/**
 * Checks request bodies against zod schemas, and finds the fields that a schema does not know.
 */
import type { z } from "zod";
import { suggest } from "../../core/index.ts";
import { type ApiError, invalidValue, malformedBody } from "../middleware/errors.ts";
import { judgeOtherField } from "./judge-field.ts";
import { describeName, type RequestWarning } from "./request-warning.ts";

/** True where both types are the same, optional and readonly properties included. */
export type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only for `true`. */
export type Expect<T extends true> = T;

/** Endpoints whose fields differ. */
export type RequestKind =
  | "completion"
  | "chat"
  | "responses"
  | "tokenize"
  | "detokenize"
  | "embeddings"
  | "rerank";

/** A checked body, and what the client should know about it. */
export interface CheckedRequest<Body> {
  readonly body: Body;
  readonly warnings: readonly RequestWarning[];
}

/** Most warnings about unknown fields of one request; the rest is counted. */
const maxUnknownFields = 20;

/**
 * Checks a body. Fields outside the schema are refused or named in a warning: `other-fields.ts` says
 * which. `null` means the same as leaving a field out.
 *
 * @param nested objects of the body, and lists of them, whose own unknown fields are named as well
 * @throws ApiError 400 that names the parameter
 */
export function checkBody<Shape extends z.ZodRawShape>(
  kind: RequestKind,
  schema: z.ZodObject<Shape>,
  body: unknown,
  nested: Readonly<Record<string, readonly string[]>> = {},
): CheckedRequest<z.infer<z.ZodObject<Shape>>> {
  const result = schema.safeParse(body);
  const names = Object.keys(schema.shape);
  if (!result.success) throw describeIssue(result.error.issues[0]!, body, names);
  const warnings: RequestWarning[] = [];
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(body as object)) {
    if (value === undefined || value === null) continue;
    if (Object.hasOwn(schema.shape, name)) {
      const known = nested[name];
      if (known !== undefined) unknown.push(...listOthers(name, value, known));
      continue;
    }
    const judgement = judgeOtherField(kind, name, value);
    if (judgement === "unknown") unknown.push(name);
    else if (judgement !== undefined) warnings.push(judgement);
  }
  return { body: result.data, warnings: [...warnings, ...warnOfUnknown(unknown, names)] };
}

/** Fields of an object of the body, or of those of a list, that are not known. */
function listOthers(name: string, value: unknown, known: readonly string[]): string[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) {
    return value.flatMap((one, at) => listOthers(`${name}[${at}]`, one, known));
  }
  const others = Object.keys(value).filter((field) => !known.includes(field));
  return others.map((field) => `${name}.${field}`);
}

/** The same body with a field under our name where it has one that other servers use. */
export function renameField(body: unknown, name: string, others: readonly string[]): unknown {
  if (typeof body !== "object" || body === null || name in body) return body;
  const other = others.find((field) => field in body);
  if (other === undefined) return body;
  const { [other]: value, ...rest } = body as Record<string, unknown>;
  return { ...rest, [name]: value };
}

function warnOfUnknown(unknown: readonly string[], names: readonly string[]): RequestWarning[] {
  const warnings = unknown.slice(0, maxUnknownFields).map((name) => {
    const written = describeName(name);
    const near = suggest(written, names);
    const hint = near === undefined ? "." : `; did you mean '${near}'?`;
    return {
      code: "unknown_parameter",
      param: written,
      message: `'${written}' is not a parameter of this endpoint and was ignored${hint}`,
    };
  });
  const rest = unknown.length - warnings.length;
  if (rest === 0) return warnings;
  const message = `${rest} more unknown parameters were ignored.`;
  return [...warnings, { code: "unknown_parameter", param: null, message }];
}

/** The first thing that is wrong with a body, in OpenAI's words. */
function describeIssue(issue: z.core.$ZodIssue, body: unknown, names: readonly string[]): ApiError {
  const param = writePath(issue.path);
  if (param === "") return malformedBody();
  if (lookUp(body, issue.path) === undefined) {
    const written = Object.keys(body as object)
      .filter((name) => !names.includes(name))
      .map(describeName)
      .find((name) => suggest(name, [param]) !== undefined);
    const hint = written === undefined ? "." : `; '${written}' is none.`;
    return invalidValue(
      param,
      `Missing required parameter: '${param}'${hint}`,
      "missing_required_parameter",
    );
  }
  const code = issue.code === "invalid_type" ? "invalid_type" : "invalid_value";
  return invalidValue(param, `Invalid value for '${param}': ${explain(issue)}.`, code);
}

function explain(issue: z.core.$ZodIssue): string {
  const text = issue.message.replace(/^Invalid (?:input|option): /, "");
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function writePath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? String(step) : `.${String(step)}`;
  }
  return text;
}

function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

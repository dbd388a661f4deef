/** Filters over the fields of records: the part that SQL, Qdrant and Vespa have in common. */
import { JetonError } from "../core/index.ts";
import type { FieldValue } from "./types.ts";

/**
 * A condition on a record's fields; `id` names the record's id. A list satisfies `eq`, `in` and `prefix` by
 * any of its elements; a record without the field satisfies none of them.
 */
export type Filter =
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter }
  | { readonly eq: readonly [field: string, value: string | number | boolean] }
  | { readonly in: readonly [field: string, values: readonly (string | number | boolean)[]] }
  | { readonly range: readonly [field: string, bounds: RangeBounds] }
  | { readonly exists: string }
  | { readonly prefix: readonly [field: string, text: string] };

/** Bounds of a number, or of a text in the order of UTF-16 units. At least one. */
export interface RangeBounds {
  readonly gt?: number | string;
  readonly gte?: number | string;
  readonly lt?: number | string;
  readonly lte?: number | string;
}

/** Whether a record with these fields satisfies a filter. */
export type Condition = (id: string, fields: Readonly<Record<string, FieldValue>>) => boolean;

type Fields = Readonly<Record<string, FieldValue>>;

const isScalar = (value: unknown): value is string | number | boolean =>
  ["string", "number", "boolean"].includes(typeof value);
const isField = (value: unknown): value is string => typeof value === "string" && value !== "";

/**
 * The function of a filter.
 *
 * @throws JetonError `filter-invalid`
 */
export function compileFilter(filter: Filter): Condition {
  const entries = Object.entries(filter ?? {});
  if (entries.length !== 1) throw invalid(filter, "an object with one operator");
  const [operator, operand] = entries[0] as [string, unknown];
  switch (operator) {
    case "and":
    case "or": {
      if (!Array.isArray(operand)) throw invalid(filter, `${operator}: a list of filters`);
      const conditions = operand.map((one: Filter) => compileFilter(one));
      return operator === "and"
        ? (id, fields) => conditions.every((holds) => holds(id, fields))
        : (id, fields) => conditions.some((holds) => holds(id, fields));
    }
    case "not": {
      const condition = compileFilter(operand as Filter);
      return (id, fields) => !condition(id, fields);
    }
    case "exists":
      if (!isField(operand)) throw invalid(filter, "exists: the name of a field");
      return (id, fields) => read(operand, id, fields) !== undefined;
    default:
      return compileComparison(filter, operator, operand);
  }
}

function compileComparison(filter: Filter, operator: string, operand: unknown): Condition {
  const isPair = Array.isArray(operand) && operand.length === 2 && isField(operand[0]);
  if (!isPair)
    throw invalid(filter, "and, or, not, exists, or [field, operand] of eq, in, range, prefix");
  const [field, value] = operand as [string, unknown];
  const any = (holds: (one: string | number | boolean) => boolean): Condition => {
    return (id, fields) => {
      const found = read(field, id, fields);
      if (found === undefined) return false;
      return isScalar(found) ? holds(found) : found.some(holds);
    };
  };
  switch (operator) {
    case "eq":
      if (!isScalar(value)) throw invalid(filter, "eq: a text, number or boolean");
      return any((one) => one === value);
    case "in": {
      if (!Array.isArray(value) || !value.every(isScalar)) {
        throw invalid(filter, "in: a list of texts, numbers or booleans");
      }
      const values = new Set<string | number | boolean>(value);
      return any((one) => values.has(one));
    }
    case "prefix":
      if (typeof value !== "string") throw invalid(filter, "prefix: a text");
      return any((one) => typeof one === "string" && one.startsWith(value));
    case "range":
      return any(compileRange(filter, value));
    default:
      throw invalid(filter, "and, or, not, eq, in, range, exists or prefix");
  }
}

function compileRange(filter: Filter, value: unknown): (one: string | number | boolean) => boolean {
  const bounds = Object.entries((value ?? {}) as Record<string, unknown>);
  const isValid = bounds.every(
    ([name, bound]) =>
      ["gt", "gte", "lt", "lte"].includes(name) &&
      (typeof bound === "string" || (typeof bound === "number" && !Number.isNaN(bound))),
  );
  const types = new Set(bounds.map(([, bound]) => typeof bound));
  if (!isValid || types.size !== 1) {
    throw invalid(filter, "range: gt, gte, lt, lte, all numbers or all texts");
  }
  const type = typeof bounds[0]![1];
  const { gt, gte, lt, lte } = value as RangeBounds;
  return (one) =>
    typeof one === type &&
    (gt === undefined || one > gt) &&
    (gte === undefined || one >= gte) &&
    (lt === undefined || one < lt) &&
    (lte === undefined || one <= lte);
}

function read(field: string, id: string, fields: Fields): FieldValue | undefined {
  if (field === "id") return id;
  return Object.hasOwn(fields, field) ? fields[field] : undefined;
}

function invalid(found: unknown, expected: string): JetonError {
  return new JetonError(`the filter ${JSON.stringify(found)} cannot be: expected ${expected}`, {
    code: "filter-invalid",
    details: { found, expected },
  });
}

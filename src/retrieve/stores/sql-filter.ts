/** Filters as SQL conditions over the columns of declared fields, for LanceDB. */
import { JetonError } from "../../core/index.ts";
import { compileFilter, type Filter, type RangeBounds } from "../filter.ts";
import { canHold, declaredKind, type FieldKind } from "./record-store.ts";

/** Stands around each text of a list, which a column holds as one text. */
const mark = "\u001f";

/** The column of a field. */
export const columnOf = (field: string): string => `field_${field}`;

/** A list of texts as one text, so that conditions on its elements are conditions on a text. */
export function joinTexts(texts: readonly string[]): string {
  if (texts.length === 0) return "";
  return `${mark}${texts.map(escapeMark).join(mark)}${mark}`;
}

function escapeMark(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll(mark, "\\m");
}

/**
 * A filter as an SQL condition, true or false and never unknown.
 *
 * @throws JetonError `filter-invalid`, `store-field-undeclared`
 */
export function toSql(filter: Filter, fields: Readonly<Record<string, FieldKind>>): string {
  compileFilter(filter);
  return write(filter, fields);
}

function write(filter: Filter, fields: Readonly<Record<string, FieldKind>>): string {
  if ("and" in filter) return writeAll(filter.and, fields, "AND", "TRUE");
  if ("or" in filter) return writeAll(filter.or, fields, "OR", "FALSE");
  if ("not" in filter) return `(NOT ${write(filter.not, fields)})`;
  if ("exists" in filter) {
    const { column } = columnFor(filter.exists, fields);
    return `(${column} IS NOT NULL)`;
  }
  const [field, condition] = writeComparison(filter, fields);
  return `(${columnFor(field, fields).column} IS NOT NULL AND ${condition})`;
}

function writeAll(
  filters: readonly Filter[],
  fields: Readonly<Record<string, FieldKind>>,
  operator: string,
  none: string,
): string {
  if (filters.length === 0) return none;
  return `(${filters.map((filter) => write(filter, fields)).join(` ${operator} `)})`;
}

type Comparison = Exclude<
  Filter,
  | { readonly and: unknown }
  | { readonly or: unknown }
  | { readonly not: unknown }
  | { readonly exists: unknown }
>;

function writeComparison(
  filter: Comparison,
  fields: Readonly<Record<string, FieldKind>>,
): [field: string, condition: string] {
  if ("eq" in filter) {
    const [field, value] = filter.eq;
    return [field, writeEqual(field, value, fields)];
  }
  if ("in" in filter) {
    const [field, values] = filter.in;
    const conditions = values.map((value) => writeEqual(field, value, fields));
    return [field, conditions.length === 0 ? "FALSE" : `(${conditions.join(" OR ")})`];
  }
  if ("prefix" in filter) {
    const [field, text] = filter.prefix;
    const { column, kind } = columnFor(field, fields);
    if (kind === "text") return [field, `starts_with(${column}, ${literal(text)})`];
    if (kind !== "texts") return [field, "FALSE"];
    return [field, `strpos(${column}, ${literal(mark + escapeMark(text))}) > 0`];
  }
  const [field, bounds] = filter.range;
  return [field, writeRange(field, bounds, fields)];
}

function writeEqual(
  field: string,
  value: string | number | boolean,
  fields: Readonly<Record<string, FieldKind>>,
): string {
  const { column, kind } = columnFor(field, fields);
  // A value of another type is no field's value.
  if (!canHold(kind, value)) return "FALSE";
  if (kind !== "texts") return `${column} = ${literal(value)}`;
  return `strpos(${column}, ${literal(mark + escapeMark(String(value)) + mark)}) > 0`;
}

const operators = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

function writeRange(
  field: string,
  bounds: RangeBounds,
  fields: Readonly<Record<string, FieldKind>>,
): string {
  const { column, kind } = columnFor(field, fields);
  if (kind === "texts") {
    throw new JetonError(`a range of ${field}: lists of texts have none in this store`, {
      code: "filter-unsupported",
      details: { found: { range: [field, bounds] }, expected: "eq, in, prefix or exists" },
    });
  }
  const conditions = Object.entries(bounds).map(([name, bound]) => {
    if (!canHold(kind, bound)) return "FALSE";
    return `${column} ${operators[name as keyof RangeBounds]} ${literal(bound)}`;
  });
  return `(${conditions.join(" AND ")})`;
}

function columnFor(
  field: string,
  fields: Readonly<Record<string, FieldKind>>,
): { column: string; kind: FieldKind } {
  const kind = declaredKind(field, fields);
  return { column: field === "id" ? "id" : columnOf(field), kind };
}

/** A value in SQL. */
export function literal(value: string | number | boolean): string {
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  if (value === Number.POSITIVE_INFINITY) return "CAST('Infinity' AS DOUBLE)";
  if (value === Number.NEGATIVE_INFINITY) return "CAST('-Infinity' AS DOUBLE)";
  return typeof value === "boolean" ? String(value).toUpperCase() : `CAST(${value} AS DOUBLE)`;
}

/** Filters as Qdrant's conditions on payloads. */
import { JetonError } from "../../core/index.ts";
import { compileFilter, type Filter } from "../filter.ts";
import { canHold, declaredKind, type FieldKind } from "./record-store.ts";

type Condition = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, FieldKind>>;

/** Satisfied by nothing: no condition of a list of none is. */
const nothing: Condition = { must_not: [{ must: [] }] };

/**
 * A filter as Qdrant's.
 *
 * @throws JetonError `filter-invalid`, `filter-unsupported`, `store-field-undeclared`
 */
export function toQdrantFilter(filter: Filter, fields: Fields): Condition {
  compileFilter(filter);
  return { must: [convert(filter, fields)] };
}

function convert(filter: Filter, fields: Fields): Condition {
  if ("and" in filter) return { must: filter.and.map((one) => convert(one, fields)) };
  if ("or" in filter) return anyOf(filter.or.map((one) => convert(one, fields)));
  if ("not" in filter) return { must_not: [convert(filter.not, fields)] };
  if ("exists" in filter) {
    const field = filter.exists;
    if (field === "id") return { must: [] };
    keyOf(field, fields);
    return { key: "has", match: { value: field } };
  }
  if ("eq" in filter) return convertEqual(filter.eq[0], filter.eq[1], fields);
  if ("in" in filter) {
    const [field, values] = filter.in;
    keyOf(field, fields);
    return anyOf(values.map((value) => convertEqual(field, value, fields)));
  }
  if ("prefix" in filter) throw unsupported(filter, "eq, in, exists, or range of a number");
  const [field, bounds] = filter.range;
  const { key, kind } = keyOf(field, fields);
  const areNumbers = Object.values(bounds).every((bound) => typeof bound === "number");
  if (!areNumbers) throw unsupported(filter, "a range of numbers");
  return kind === "number" ? { key, range: bounds } : nothing;
}

/** `should` with no condition is no condition. */
function anyOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? nothing : { should: conditions };
}

function convertEqual(field: string, value: string | number | boolean, fields: Fields): Condition {
  const { key, kind } = keyOf(field, fields);
  if (!canHold(kind, value)) return nothing;
  // Numbers may be fractions, which match no value.
  if (typeof value === "number") return { key, range: { gte: value, lte: value } };
  return { key, match: { value } };
}

function keyOf(field: string, fields: Fields): { key: string; kind: FieldKind } {
  const kind = declaredKind(field, fields);
  return { key: field === "id" ? "id" : `fields.${field}`, kind };
}

function unsupported(found: Filter, expected: string): JetonError {
  return new JetonError(`Qdrant has no filter for ${JSON.stringify(found)}`, {
    code: "filter-unsupported",
    details: { found, expected },
  });
}

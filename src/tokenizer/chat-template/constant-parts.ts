/**
 * Which expressions are constant. jinja2 computes these when it compiles, where a slice is looked up
 * like any key: `none[1:]` comes out undefined there and fails elsewhere.
 */
import { Dict } from "./python/containers/dict.ts";
import { Float, Markup, PyObject, Range, Tuple, type Value } from "./python/values.ts";
import type { CallSyntax, Expression } from "./syntax.ts";

/** Filters that look at the running template. */
const runtimeFilters: ReadonlySet<string> = new Set(
  "map select reject selectattr rejectattr random".split(" "),
);

/** Whether the expression can be computed without a running template. */
export function isConstant(expression: Expression | undefined): boolean {
  if (expression === undefined) return true;
  switch (expression.kind) {
    case "constant":
      return true;
    case "name":
    case "call":
      return false;
    case "list":
    case "tuple":
    case "concat":
      return expression.items.every(isConstant);
    case "dict":
      return expression.entries.every((entry) => entry.every(isConstant));
    case "attribute":
      return isConstant(expression.object);
    case "item":
      return isConstant(expression.object) && isConstant(expression.key);
    case "slice":
      return [expression.start, expression.stop, expression.step].every(isConstant);
    case "filter":
      return (
        expression.value !== undefined &&
        !runtimeFilters.has(expression.name) &&
        isConstant(expression.value) &&
        areConstant(expression.arguments)
      );
    case "test":
      return isConstant(expression.value) && areConstant(expression.arguments);
    case "unary":
      return isConstant(expression.operand);
    case "binary":
    case "and":
    case "or":
      return isConstant(expression.left) && isConstant(expression.right);
    case "compare":
      return isConstant(expression.first) && expression.rest.every(([, part]) => isConstant(part));
    case "condition":
      return [expression.test, expression.consequent, expression.otherwise].every(isConstant);
  }
}

function areConstant(given: CallSyntax): boolean {
  return (
    given.positional.every(isConstant) &&
    given.keyword.every(([, value]) => isConstant(value)) &&
    isConstant(given.spread) &&
    isConstant(given.keywordSpread)
  );
}

/** Whether a computed value can stand in place of its expression. */
export function canReplace(value: Value): boolean {
  if (Array.isArray(value)) return value.every(canReplace);
  if (!(value instanceof PyObject)) return true;
  if (value instanceof Tuple) return value.items.every(canReplace);
  if (value instanceof Dict) {
    return Array.from(value.entries()).every((entry) => entry.every(canReplace));
  }
  return value instanceof Float || value instanceof Markup || value instanceof Range;
}

/** Expressions as closures. */

import { canReplace, isConstant } from "./constant-parts.ts";
import { filters } from "./filters/index.ts";
import type { Evaluator, Frame } from "./frame.ts";
import { noArguments } from "./python/arguments.ts";
import { findMethod, getAttribute, getItem, getSlice } from "./python/attributes.ts";
import { spend } from "./python/budget.ts";
import { checkDefined, compareOrder, equals, isTrue } from "./python/compare.ts";
import { Dict } from "./python/containers/dict.ts";
import { contains, joinTexts, toList } from "./python/containers/sequence.ts";
import {
  failure,
  isFailure,
  syntaxFailure,
  TemplateFailure,
  typeFailure,
} from "./python/failure.ts";
import {
  add,
  divide,
  floorDivide,
  multiply,
  negate,
  positive,
  power,
  subtract,
} from "./python/numbers/arithmetic.ts";
import { modulo } from "./python/numbers/modulo.ts";
import { toText } from "./python/representation.ts";
import { escapeMarkup } from "./python/strings/markup.ts";
import {
  asText,
  type CallArguments,
  Markup,
  PyIterator,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./python/values.ts";
import { makeConstantFrame } from "./rendering-state.ts";
import type {
  BinaryOperator,
  CallSyntax,
  CompareOperator,
  Expression,
  FilterSyntax,
} from "./syntax.ts";
import { type ValueTest, valueTests } from "./tests-of-values.ts";

/** Where an expression stands. */
export interface ExpressionContext {
  /** Inside an `if`, where an unknown filter or test fails only when it is used. */
  readonly lenient: boolean;
  /** Inside a constant expression, which is computed once when the template is compiled. */
  readonly constant?: boolean;
}

/** Constants read nothing but what filters and tests ask of the environment. */
const constantFrame: Frame = makeConstantFrame();

/** Evaluates arguments. */
type ArgumentEvaluator = (frame: Frame) => CallArguments;

/** Compiles an expression. Throws a syntax failure for unknown filters and tests. */
export function compileExpression(expression: Expression, context: ExpressionContext): Evaluator {
  if (context.constant !== true && expression.kind !== "constant" && isConstant(expression)) {
    const value = computeConstant(expression, context);
    if (value !== undefined && canReplace(value)) return () => value;
  }
  return compileParts(expression, context);
}

/** Compiles what is printed: a constant may also come out undefined here. */
export function compilePrinted(expression: Expression, context: ExpressionContext): Evaluator {
  const value = isConstant(expression) ? computeConstant(expression, context) : undefined;
  const printable = value !== undefined && !(value instanceof PyIterator);
  return printable ? () => value : compileExpression(expression, context);
}

/** The value of a constant expression; undefined when it fails, which it then does at its place. */
function computeConstant(expression: Expression, context: ExpressionContext): Value | undefined {
  try {
    return compileParts(expression, { ...context, constant: true })(constantFrame);
  } catch (error) {
    if (error instanceof TemplateFailure && error.kind !== "syntax") return undefined;
    throw error;
  }
}

function compileParts(expression: Expression, context: ExpressionContext): Evaluator {
  const compile = (part: Expression): Evaluator => compileExpression(part, context);
  switch (expression.kind) {
    case "constant": {
      const { value } = expression;
      return () => value;
    }
    case "name": {
      const { name } = expression;
      return (frame) => frame.scope.get(name);
    }
    case "list": {
      const items = expression.items.map(compile);
      return (frame) => items.map((item) => item(frame));
    }
    case "tuple": {
      const items = expression.items.map(compile);
      return (frame) => new Tuple(items.map((item) => item(frame)));
    }
    case "concat":
      return compileConcat(expression.items.map(compile));
    case "dict": {
      const entries = expression.entries.map(
        ([key, value]) => [compile(key), compile(value)] as const,
      );
      return (frame) => new Dict(entries.map(([key, value]) => [key(frame), value(frame)]));
    }
    case "attribute": {
      const object = compile(expression.object);
      const { name } = expression;
      return (frame) => getAttribute(object(frame), name);
    }
    case "item":
      return compileItem(expression.object, expression.key, context);
    case "slice":
      // A slice among several keys: nothing has such an item.
      return () => new Undefined(() => "a slice is no key");
    case "call":
      return compileCall(expression, context);
    case "filter":
      return compileFilter(expression, compile(expression.value!), context);
    case "test":
      return compileTest(expression, context);
    case "binary": {
      const operate = binaryOperators[expression.operator];
      const [left, right] = [compile(expression.left), compile(expression.right)];
      return (frame) => operate(left(frame), right(frame));
    }
    case "unary": {
      const operand = compile(expression.operand);
      if (expression.operator === "not") return (frame) => !isTrue(operand(frame));
      const operate = expression.operator === "-" ? negate : positive;
      return (frame) => operate(operand(frame));
    }
    case "and": {
      const [left, right] = [compile(expression.left), compile(expression.right)];
      return (frame) => {
        const value = left(frame);
        return isTrue(value) ? right(frame) : value;
      };
    }
    case "or": {
      const [left, right] = [compile(expression.left), compile(expression.right)];
      return (frame) => {
        const value = left(frame);
        return isTrue(value) ? value : right(frame);
      };
    }
    case "compare":
      return compileCompare(expression.first, expression.rest, context);
    case "condition":
      return compileCondition(expression, context);
  }
}

const binaryOperators: Readonly<Record<BinaryOperator, (a: Value, b: Value) => Value>> = {
  "+": add,
  "-": subtract,
  "*": multiply,
  "/": divide,
  "//": floorDivide,
  "%": modulo,
  "**": power,
};

function compileConcat(items: readonly Evaluator[]): Evaluator {
  return (frame) => {
    const values = items.map((item) => item(frame));
    if (!frame.rendering.autoescape) return joinTexts(values.map(toText), "");
    const marked = values.some((value) => value instanceof Markup);
    return marked
      ? new Markup(joinTexts(values.map(escapeMarkup), ""))
      : joinTexts(values.map(toText), "");
  };
}

function compileItem(
  objectSyntax: Expression,
  key: Expression,
  context: ExpressionContext,
): Evaluator {
  const object = compileExpression(objectSyntax, context);
  if (key.kind !== "slice") {
    const evaluateKey = compileExpression(key, context);
    return (frame) => getItem(object(frame), evaluateKey(frame));
  }
  const bound = (part: Expression | undefined): Evaluator =>
    part === undefined ? () => null : compileExpression(part, context);
  const [start, stop, step] = [bound(key.start), bound(key.stop), bound(key.step)];
  if (context.constant !== true) {
    return (frame) =>
      getSlice(object(frame), { start: start(frame), stop: stop(frame), step: step(frame) });
  }
  return (frame) => {
    const value = object(frame);
    const bounds = { start: start(frame), stop: stop(frame), step: step(frame) };
    try {
      return getSlice(value, bounds);
    } catch (error) {
      if (isFailure(error, "TypeError")) return new Undefined(() => "no such slice");
      throw error;
    }
  };
}

/** Arguments of a call. Throws a syntax failure for a name that is given twice. */
export function compileArguments(given: CallSyntax, context: ExpressionContext): ArgumentEvaluator {
  const compile = (part: Expression): Evaluator => compileExpression(part, context);
  const positional = given.positional.map(compile);
  const keyword = given.keyword.map(([name, value]) => [name, compile(value)] as const);
  if (new Set(keyword.map(([name]) => name)).size < keyword.length) {
    throw syntaxFailure("keyword argument repeated", 0);
  }
  const spread = given.spread === undefined ? undefined : compile(given.spread);
  const keywordSpread =
    given.keywordSpread === undefined ? undefined : compile(given.keywordSpread);
  if (keyword.length === 0 && spread === undefined && keywordSpread === undefined) {
    if (positional.length === 0) return () => noArguments;
    const noKeyword = noArguments.keyword;
    return (frame) => ({ positional: positional.map((value) => value(frame)), keyword: noKeyword });
  }
  return (frame) => {
    const values = positional.map((value) => value(frame));
    if (spread !== undefined) values.push(...toList(spread(frame)));
    const named = new Map(keyword.map(([name, value]) => [name, value(frame)] as const));
    if (keywordSpread !== undefined) addKeywords(named, keywordSpread(frame));
    return { positional: values, keyword: named };
  };
}

function addKeywords(named: Map<string, Value>, mapping: Value): void {
  if (!(mapping instanceof Dict)) {
    throw typeFailure(`argument after ** must be a mapping, not ${typeName(mapping)}`);
  }
  for (const [key, value] of mapping.entries()) {
    const name = asText(key);
    if (name === undefined) throw typeFailure("keywords must be strings");
    if (named.has(name)) throw typeFailure(`got multiple values for keyword argument '${name}'`);
    named.set(name, value);
  }
}

function compileCall(
  expression: Extract<Expression, { kind: "call" }>,
  context: ExpressionContext,
): Evaluator {
  const { callee } = expression;
  const evaluateArguments = compileArguments(expression.arguments, context);
  if (callee.kind !== "attribute") {
    const evaluate = compileExpression(callee, context);
    return (frame) => {
      const value = evaluate(frame);
      return frame.rendering.call(value, evaluateArguments(frame));
    };
  }
  const object = compileExpression(callee.object, context);
  const { name } = callee;
  return (frame) => {
    const self = object(frame);
    const method = findMethod(self, name);
    if (method === undefined) {
      return frame.rendering.call(getAttribute(self, name), evaluateArguments(frame));
    }
    spend();
    return method(self, evaluateArguments(frame), frame.rendering);
  };
}

function unknownName(kind: "filter" | "test", name: string, line: number): TemplateFailure {
  return new TemplateFailure(
    "syntax",
    "TemplateAssertionError",
    `No ${kind} named '${name}'.`,
    line,
  );
}

/** Throws when a name that is not known is used after all. */
function refuseName(kind: "filter" | "test", name: string): never {
  throw failure("TemplateRuntimeError", `No ${kind} named '${name}' found.`);
}

/** A filter of a value that is computed before. */
export function compileFilter(
  syntax: FilterSyntax,
  value: Evaluator,
  context: ExpressionContext,
): Evaluator {
  const { name, line } = syntax;
  const filter = filters.get(name);
  if (filter === undefined) {
    if (!context.lenient) throw unknownName("filter", name, line);
    return () => refuseName("filter", name);
  }
  const evaluateArguments = compileArguments(syntax.arguments, context);
  return (frame) => {
    spend();
    const input = value(frame);
    return filter(input, evaluateArguments(frame), frame.rendering);
  };
}

function compileTest(
  syntax: Extract<Expression, { kind: "test" }>,
  context: ExpressionContext,
): Evaluator {
  const { name, line } = syntax;
  const value = compileExpression(syntax.value, context);
  const test: ValueTest | undefined = valueTests.get(name);
  if (test === undefined) {
    if (!context.lenient) throw unknownName("test", name, line);
    return () => refuseName("test", name);
  }
  const evaluateArguments = compileArguments(syntax.arguments, context);
  return (frame) => test(value(frame), evaluateArguments(frame), frame.rendering);
}

function compare(operator: CompareOperator, a: Value, b: Value): boolean {
  switch (operator) {
    case "==":
      return equals(a, b);
    case "!=":
      return !equals(a, b);
    case "in":
      return contains(b, a);
    case "not in":
      return !contains(b, a);
    default:
      return compareOrder(operator, a, b);
  }
}

/** A chain of comparisons: each value is compared with the one before, up to the first that fails. */
function compileCompare(
  first: Expression,
  rest: readonly (readonly [CompareOperator, Expression])[],
  context: ExpressionContext,
): Evaluator {
  const start = compileExpression(first, context);
  const [single] = rest;
  if (rest.length === 1) return compileComparison(start, single![0], single![1], context);
  const steps = rest.map(
    ([operator, operand]) => [operator, compileExpression(operand, context)] as const,
  );
  return (frame) => {
    let left = start(frame);
    for (const [operator, operand] of steps) {
      const right = operand(frame);
      if (!compare(operator, left, right)) return false;
      left = right;
    }
    return true;
  };
}

/** One comparison, as nearly all are. */
function compileComparison(
  left: Evaluator,
  operator: CompareOperator,
  operand: Expression,
  context: ExpressionContext,
): Evaluator {
  const right = compileExpression(operand, context);
  if ((operator !== "==" && operator !== "!=") || operand.kind !== "constant") {
    return (frame) => compare(operator, left(frame), right(frame));
  }
  const { value: constant } = operand;
  const ifEqual = operator === "==";
  if (typeof constant !== "string") {
    return (frame) => equals(left(frame), constant) === ifEqual;
  }
  return (frame) => {
    const value = left(frame);
    const isEqual =
      typeof value === "string"
        ? value === constant
        : !(value instanceof Undefined) && equals(value, constant);
    return isEqual === ifEqual;
  };
}

/** What an inline `if` without `else` comes out as; it is no constant. */
function withoutElse(context: ExpressionContext): Undefined {
  const result = new Undefined(() => "the inline if-expression was false and has no else");
  if (context.constant === true) checkDefined(result);
  return result;
}

/** An inline `if`; without `else` it may come out undefined. */
function compileCondition(
  syntax: Extract<Expression, { kind: "condition" }>,
  context: ExpressionContext,
): Evaluator {
  const inside: ExpressionContext = { ...context, lenient: true };
  const test = compileExpression(syntax.test, inside);
  const then = compileExpression(syntax.consequent, inside);
  const otherwise =
    syntax.otherwise === undefined
      ? () => withoutElse(inside)
      : compileExpression(syntax.otherwise, inside);
  return (frame) => (isTrue(test(frame)) ? then(frame) : otherwise(frame));
}

/** Expressions of the template language, with its precedences. */
import { Float, fromBigInt } from "./python/values.ts";
import type {
  BinaryOperator,
  CallSyntax,
  CompareOperator,
  Expression,
  FilterSyntax,
} from "./syntax.ts";
import { describeToken } from "./token.ts";
import type { TokenStream } from "./token-stream.ts";

const constants: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
]);
const comparisons: readonly string[] = ["==", "!=", "<", "<=", ">", ">="];

/** How far a tuple reaches. */
export interface TupleOptions {
  /** Whether items may be inline `if`s. Default true. */
  conditions?: boolean;
  /** Names that end the tuple. */
  endNames?: readonly string[];
  /** Whether brackets stand around it, so that it may be empty. Default false. */
  bracketed?: boolean;
}

/** Whether an expression is a constant by name. */
export function isConstantName(name: string): boolean {
  return constants.has(name);
}

/** An expression, inline `if` included. */
export function parseExpression(stream: TokenStream): Expression {
  let value = parseOr(stream);
  while (stream.skipName("if")) {
    const test = parseOr(stream);
    const otherwise = stream.skipName("else") ? parseExpression(stream) : undefined;
    value = { kind: "condition", test, consequent: value, otherwise };
  }
  return value;
}

/** An expression, or a tuple when commas follow. */
export function parseTuple(stream: TokenStream, options: TupleOptions = {}): Expression {
  const { conditions = true, endNames = [], bracketed = false } = options;
  const items: Expression[] = [];
  let isTuple = false;
  while (true) {
    if (items.length > 0) stream.expectOperator(",");
    if (endsTuple(stream, endNames)) break;
    items.push(conditions ? parseExpression(stream) : parseOr(stream));
    if (!stream.isOperator(",")) break;
    isTuple = true;
  }
  if (isTuple) return { kind: "tuple", items };
  const [only] = items;
  if (only !== undefined) return only;
  if (!bracketed) {
    throw stream.fail(`Expected an expression, got '${describeToken(stream.current)}'`);
  }
  return { kind: "tuple", items };
}

function endsTuple(stream: TokenStream, endNames: readonly string[]): boolean {
  return (
    stream.is("variable_end") ||
    stream.is("block_end") ||
    stream.isOperator(")") ||
    stream.isName(...endNames)
  );
}

function parseOr(stream: TokenStream): Expression {
  let left = parseAnd(stream);
  while (stream.skipName("or")) left = { kind: "or", left, right: parseAnd(stream) };
  return left;
}

function parseAnd(stream: TokenStream): Expression {
  let left = parseNot(stream);
  while (stream.skipName("and")) left = { kind: "and", left, right: parseNot(stream) };
  return left;
}

function parseNot(stream: TokenStream): Expression {
  if (!stream.skipName("not")) return parseCompare(stream);
  return { kind: "unary", operator: "not", operand: parseNot(stream) };
}

function parseCompare(stream: TokenStream): Expression {
  const first = parseSum(stream);
  const rest: [CompareOperator, Expression][] = [];
  for (let operator = nextComparison(stream); operator; operator = nextComparison(stream)) {
    rest.push([operator, parseSum(stream)]);
  }
  return rest.length === 0 ? first : { kind: "compare", first, rest };
}

function nextComparison(stream: TokenStream): CompareOperator | undefined {
  if (stream.isOperator(...comparisons)) return stream.next().text as CompareOperator;
  if (stream.skipName("in")) return "in";
  const { following } = stream;
  if (stream.isName("not") && following.type === "name" && following.text === "in") {
    stream.next();
    stream.next();
    return "not in";
  }
  return undefined;
}

function parseBinary(
  stream: TokenStream,
  operators: readonly string[],
  parseOperand: (stream: TokenStream) => Expression,
): Expression {
  let left = parseOperand(stream);
  while (stream.isOperator(...operators)) {
    const operator = stream.next().text as BinaryOperator;
    left = { kind: "binary", operator, left, right: parseOperand(stream) };
  }
  return left;
}

function parseSum(stream: TokenStream): Expression {
  return parseBinary(stream, ["+", "-"], parseConcat);
}

function parseConcat(stream: TokenStream): Expression {
  const items = [parseProduct(stream)];
  while (stream.skipOperator("~")) items.push(parseProduct(stream));
  return items.length === 1 ? items[0]! : { kind: "concat", items };
}

function parseProduct(stream: TokenStream): Expression {
  return parseBinary(stream, ["*", "/", "//", "%"], parsePower);
}

/** Unlike Python's, this power groups from the left, and a sign before it belongs to its base. */
function parsePower(stream: TokenStream): Expression {
  return parseBinary(stream, ["**"], (operands) => parseUnary(operands, true));
}

function parseUnary(stream: TokenStream, withFilters: boolean): Expression {
  let value: Expression;
  if (stream.skipOperator("-")) {
    value = { kind: "unary", operator: "-", operand: parseUnary(stream, false) };
  } else if (stream.skipOperator("+")) {
    value = { kind: "unary", operator: "+", operand: parseUnary(stream, false) };
  } else {
    value = parsePrimary(stream);
  }
  value = parsePostfix(stream, value);
  return withFilters ? parseFilters(stream, value) : value;
}

function parsePrimary(stream: TokenStream): Expression {
  const token = stream.current;
  switch (token.type) {
    case "name": {
      stream.next();
      const constant = constants.get(token.text);
      return constant === undefined
        ? { kind: "name", name: token.text }
        : { kind: "constant", value: constant };
    }
    case "string": {
      let text = "";
      while (stream.is("string")) text += stream.next().text;
      return { kind: "constant", value: text };
    }
    case "integer":
      stream.next();
      return { kind: "constant", value: fromBigInt(BigInt(token.text.replaceAll("_", ""))) };
    case "float":
      stream.next();
      return { kind: "constant", value: new Float(Number(token.text.replaceAll("_", ""))) };
    default:
  }
  if (stream.skipOperator("(")) {
    const value = parseTuple(stream, { bracketed: true });
    stream.expectOperator(")");
    return value;
  }
  if (stream.skipOperator("[")) return parseList(stream);
  if (stream.skipOperator("{")) return parseDict(stream);
  throw stream.fail(`unexpected '${describeToken(token)}'`);
}

function parseList(stream: TokenStream): Expression {
  const items: Expression[] = [];
  while (!stream.isOperator("]")) {
    if (items.length > 0) stream.expectOperator(",");
    if (stream.isOperator("]")) break;
    items.push(parseExpression(stream));
  }
  stream.expectOperator("]");
  return { kind: "list", items };
}

function parseDict(stream: TokenStream): Expression {
  const entries: [Expression, Expression][] = [];
  while (!stream.isOperator("}")) {
    if (entries.length > 0) stream.expectOperator(",");
    if (stream.isOperator("}")) break;
    const key = parseExpression(stream);
    stream.expectOperator(":");
    entries.push([key, parseExpression(stream)]);
  }
  stream.expectOperator("}");
  return { kind: "dict", entries };
}

function parsePostfix(stream: TokenStream, start: Expression): Expression {
  let value = start;
  while (stream.isOperator(".", "[", "(")) {
    if (stream.isOperator("(")) value = parseCall(stream, value);
    else value = parseSubscript(stream, value);
  }
  return value;
}

function parseCall(stream: TokenStream, callee: Expression): Expression {
  return { kind: "call", callee, arguments: parseArguments(stream) };
}

function parseSubscript(stream: TokenStream, object: Expression): Expression {
  if (stream.skipOperator(".")) {
    const token = stream.next();
    if (token.type === "name") return { kind: "attribute", object, name: token.text };
    if (token.type !== "integer") throw stream.fail("expected name or number");
    const key: Expression = { kind: "constant", value: Number(token.text.replaceAll("_", "")) };
    return { kind: "item", object, key };
  }
  stream.expectOperator("[");
  const keys: Expression[] = [];
  while (!stream.isOperator("]")) {
    if (keys.length > 0) stream.expectOperator(",");
    keys.push(parseSubscribed(stream));
  }
  stream.expectOperator("]");
  const [only] = keys;
  if (only === undefined) throw stream.fail("Expected an expression, got ']'");
  return { kind: "item", object, key: keys.length === 1 ? only : { kind: "tuple", items: keys } };
}

/** What stands in brackets after a value: an expression or a slice. */
function parseSubscribed(stream: TokenStream): Expression {
  let start: Expression | undefined;
  if (!stream.isOperator(":")) {
    start = parseExpression(stream);
    if (!stream.isOperator(":")) return start;
  }
  stream.next();
  const ends = (): boolean => stream.isOperator("]", ",");
  const stop = stream.isOperator(":") || ends() ? undefined : parseExpression(stream);
  const step = stream.skipOperator(":") && !ends() ? parseExpression(stream) : undefined;
  return { kind: "slice", start, stop, step };
}

/** Arguments between parentheses. */
export function parseArguments(stream: TokenStream): CallSyntax {
  stream.expectOperator("(");
  const positional: Expression[] = [];
  const keyword: [string, Expression][] = [];
  let spread: Expression | undefined;
  let keywordSpread: Expression | undefined;
  let first = true;
  const ensure = (valid: boolean): void => {
    if (!valid) throw stream.fail("invalid syntax for function call expression");
  };
  while (!stream.isOperator(")")) {
    if (!first) stream.expectOperator(",");
    if (!first && stream.isOperator(")")) break;
    first = false;
    if (stream.skipOperator("*")) {
      ensure(spread === undefined && keywordSpread === undefined);
      spread = parseExpression(stream);
    } else if (stream.skipOperator("**")) {
      ensure(keywordSpread === undefined);
      keywordSpread = parseExpression(stream);
    } else if (
      stream.is("name") &&
      stream.following.type === "operator" &&
      stream.following.text === "="
    ) {
      ensure(keywordSpread === undefined);
      const name = stream.next().text;
      stream.next();
      keyword.push([name, parseExpression(stream)]);
    } else {
      ensure(spread === undefined && keywordSpread === undefined && keyword.length === 0);
      positional.push(parseExpression(stream));
    }
  }
  stream.expectOperator(")");
  return { positional, keyword, spread, keywordSpread };
}

const noArguments: CallSyntax = {
  positional: [],
  keyword: [],
  spread: undefined,
  keywordSpread: undefined,
};

/** Filters, tests and calls after a value. */
function parseFilters(stream: TokenStream, start: Expression): Expression {
  let value = start;
  while (true) {
    if (stream.isOperator("|")) value = parseFilter(stream, value);
    else if (stream.isName("is")) value = parseTest(stream, value);
    else if (stream.isOperator("(")) value = parseCall(stream, value);
    else return value;
  }
}

/** One or more filters; `startInline` when the first one has no bar before it. */
export function parseFilter(
  stream: TokenStream,
  start: Expression | undefined,
  startInline = false,
): FilterSyntax {
  let value = start;
  let inline = startInline;
  let filter: FilterSyntax | undefined;
  while (inline || stream.isOperator("|")) {
    if (!inline) stream.next();
    inline = false;
    const { line } = stream.current;
    const name = parseDottedName(stream);
    const given = stream.isOperator("(") ? parseArguments(stream) : noArguments;
    filter = { kind: "filter", value, name, arguments: given, line };
    value = filter;
  }
  return filter!;
}

function parseDottedName(stream: TokenStream): string {
  let name = stream.expect("name").text;
  while (stream.skipOperator(".")) name += `.${stream.expect("name").text}`;
  return name;
}

function parseTest(stream: TokenStream, value: Expression): Expression {
  stream.next();
  const negated = stream.skipName("not");
  const { line } = stream.current;
  const name = parseDottedName(stream);
  let given = noArguments;
  if (stream.isOperator("(")) {
    given = parseArguments(stream);
  } else if (beginsArgument(stream)) {
    if (stream.isName("is")) throw stream.fail("You cannot chain multiple tests with is");
    given = { ...noArguments, positional: [parsePostfix(stream, parsePrimary(stream))] };
  }
  const test: Expression = { kind: "test", value, name, arguments: given, line };
  return negated ? { kind: "unary", operator: "not", operand: test } : test;
}

/** Whether a test's argument follows without parentheses. */
function beginsArgument(stream: TokenStream): boolean {
  const { type } = stream.current;
  if (type === "name") return !stream.isName("else", "or", "and");
  return type === "string" || type === "integer" || type === "float" || stream.isOperator("[", "{");
}

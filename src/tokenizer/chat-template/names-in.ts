/** Which special names a part of a template mentions. */
import type { CallSyntax, Expression, Statement, Target } from "./syntax.ts";

type Visit = (name: string, use: "read" | "assign") => void;

/**
 * Those of the names that the statements read without having assigned them before, in the order in
 * which they stand. Bodies of macros count, those of blocks do not.
 */
export function unassignedNames(
  statements: readonly Statement[],
  names: readonly string[],
): ReadonlySet<string> {
  const open = new Set(names);
  const found = new Set<string>();
  visitStatements(statements, (name, use) => {
    if (use === "assign") open.delete(name);
    else if (open.has(name)) found.add(name);
  });
  return found;
}

/** Whether the statements, or the target, assign a name. */
export function assignsName(
  target: Target,
  statements: readonly Statement[],
  wanted: string,
): boolean {
  let found = false;
  const visit: Visit = (name, use) => {
    if (name === wanted && use === "assign") found = true;
  };
  visitTarget(target, visit);
  visitStatements(statements, visit);
  return found;
}

function visitStatements(statements: readonly Statement[], visit: Visit): void {
  for (const statement of statements) visitStatement(statement, visit);
}

function visitStatement(statement: Statement, visit: Visit): void {
  switch (statement.kind) {
    case "output":
      return visitExpression(statement.value, visit);
    case "if":
      for (const [test, body] of statement.branches) {
        visitExpression(test, visit);
        visitStatements(body, visit);
      }
      return visitStatements(statement.otherwise, visit);
    case "for":
      visitTarget(statement.target, visit);
      visitExpression(statement.iterable, visit);
      visitStatements(statement.body, visit);
      visitStatements(statement.otherwise, visit);
      return visitExpression(statement.test, visit);
    case "set":
      visitTarget(statement.target, visit);
      return visitExpression(statement.value, visit);
    case "setBlock":
      visitTarget(statement.target, visit);
      visitExpression(statement.filter, visit);
      return visitStatements(statement.body, visit);
    case "macro":
      for (const name of statement.macro.parameters) visit(name, "assign");
      for (const value of statement.macro.defaults) visitExpression(value, visit);
      return visitStatements(statement.macro.body, visit);
    case "call":
      visitExpression(statement.call, visit);
      for (const name of statement.caller.parameters) visit(name, "assign");
      for (const value of statement.caller.defaults) visitExpression(value, visit);
      return visitStatements(statement.caller.body, visit);
    case "filterBlock":
      visitStatements(statement.body, visit);
      return visitExpression(statement.filter, visit);
    case "with":
      for (const [target] of statement.targets) visitTarget(target, visit);
      for (const [, value] of statement.targets) visitExpression(value, visit);
      return visitStatements(statement.body, visit);
    case "autoescape":
      visitExpression(statement.enabled, visit);
      return visitStatements(statement.body, visit);
    case "generation":
      return visitStatements(statement.body, visit);
    default:
  }
}

function visitTarget(target: Target, visit: Visit): void {
  if (target.kind === "name") visit(target.name, "assign");
  else if (target.kind === "targets") for (const item of target.items) visitTarget(item, visit);
}

function visitExpressions(expressions: readonly (Expression | undefined)[], visit: Visit): void {
  for (const expression of expressions) visitExpression(expression, visit);
}

function visitArguments(given: CallSyntax, visit: Visit): void {
  visitExpressions(given.positional, visit);
  for (const [, value] of given.keyword) visitExpression(value, visit);
  visitExpressions([given.spread, given.keywordSpread], visit);
}

function visitExpression(expression: Expression | undefined, visit: Visit): void {
  if (expression === undefined) return;
  switch (expression.kind) {
    case "name":
      return visit(expression.name, "read");
    case "list":
    case "tuple":
    case "concat":
      return visitExpressions(expression.items, visit);
    case "dict":
      for (const entry of expression.entries) visitExpressions(entry, visit);
      return;
    case "attribute":
      return visitExpression(expression.object, visit);
    case "item":
      return visitExpressions([expression.object, expression.key], visit);
    case "slice":
      return visitExpressions([expression.start, expression.stop, expression.step], visit);
    case "call":
      visitExpression(expression.callee, visit);
      return visitArguments(expression.arguments, visit);
    case "filter":
    case "test":
      visitExpression(expression.value, visit);
      return visitArguments(expression.arguments, visit);
    case "binary":
    case "and":
    case "or":
      return visitExpressions([expression.left, expression.right], visit);
    case "unary":
      return visitExpression(expression.operand, visit);
    case "compare":
      visitExpression(expression.first, visit);
      for (const [, operand] of expression.rest) visitExpression(operand, visit);
      return;
    case "condition":
      return visitExpressions([expression.test, expression.then, expression.otherwise], visit);
    default:
  }
}

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
      visitExpression(statement.value, visit);
      return;
    case "if":
      for (const [test, body] of statement.branches) {
        visitExpression(test, visit);
        visitStatements(body, visit);
      }
      visitStatements(statement.otherwise, visit);
      return;
    case "for":
      visitTarget(statement.target, visit);
      visitExpression(statement.iterable, visit);
      visitStatements(statement.body, visit);
      visitStatements(statement.otherwise, visit);
      visitExpression(statement.test, visit);
      return;
    case "set":
      visitTarget(statement.target, visit);
      visitExpression(statement.value, visit);
      return;
    case "setBlock":
      visitTarget(statement.target, visit);
      visitExpression(statement.filter, visit);
      visitStatements(statement.body, visit);
      return;
    case "macro":
      for (const name of statement.macro.parameters) visit(name, "assign");
      for (const value of statement.macro.defaults) visitExpression(value, visit);
      visitStatements(statement.macro.body, visit);
      return;
    case "call":
      visitExpression(statement.call, visit);
      for (const name of statement.caller.parameters) visit(name, "assign");
      for (const value of statement.caller.defaults) visitExpression(value, visit);
      visitStatements(statement.caller.body, visit);
      return;
    case "filterBlock":
      visitStatements(statement.body, visit);
      visitExpression(statement.filter, visit);
      return;
    case "with":
      for (const [target] of statement.targets) visitTarget(target, visit);
      for (const [, value] of statement.targets) visitExpression(value, visit);
      visitStatements(statement.body, visit);
      return;
    case "autoescape":
      visitExpression(statement.enabled, visit);
      visitStatements(statement.body, visit);
      return;
    case "generation":
      visitStatements(statement.body, visit);
      return;
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
      visit(expression.name, "read");
      return;
    case "list":
    case "tuple":
    case "concat":
      visitExpressions(expression.items, visit);
      return;
    case "dict":
      for (const entry of expression.entries) visitExpressions(entry, visit);
      return;
    case "attribute":
      visitExpression(expression.object, visit);
      return;
    case "item":
      visitExpressions([expression.object, expression.key], visit);
      return;
    case "slice":
      visitExpressions([expression.start, expression.stop, expression.step], visit);
      return;
    case "call":
      visitExpression(expression.callee, visit);
      visitArguments(expression.arguments, visit);
      return;
    case "filter":
    case "test":
      visitExpression(expression.value, visit);
      visitArguments(expression.arguments, visit);
      return;
    case "binary":
    case "and":
    case "or":
      visitExpressions([expression.left, expression.right], visit);
      return;
    case "unary":
      visitExpression(expression.operand, visit);
      return;
    case "compare":
      visitExpression(expression.first, visit);
      for (const [, operand] of expression.rest) visitExpression(operand, visit);
      return;
    case "condition":
      visitExpressions([expression.test, expression.consequent, expression.otherwise], visit);
      return;
    default:
  }
}

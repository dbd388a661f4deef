/** `for` loops. */

import { type Assignment, compileTarget } from "./assign.ts";
import { compileExpression } from "./compile-expression.ts";
import type { Completion, Evaluator, Executor, Frame } from "./frame.ts";
import { LoopContext, type Recursion } from "./loop-context.ts";
import { captureText, nest } from "./macro.ts";
import { assignsName, unassignedNames } from "./names-in.ts";
import { spend } from "./python/budget.ts";
import { isTrue } from "./python/compare.ts";
import { iterate } from "./python/containers/sequence.ts";
import { TemplateFailure } from "./python/failure.ts";
import { Markup, PyIterator, Undefined, type Value } from "./python/values.ts";
import { Scope } from "./scope.ts";
import type { StatementContext } from "./statement-context.ts";
import type { ForSyntax } from "./syntax.ts";

interface CompiledLoop {
  readonly assign: Assignment;
  /** Names that each iteration sets first: 1 for a single target, 0 where that is not known. */
  readonly names: 0 | 1;
  readonly test: Evaluator | undefined;
  readonly body: Executor;
  readonly otherwise: Executor | undefined;
  readonly recursive: boolean;
  /** Whether anything in the body reads `loop`. */
  readonly hasContext: boolean;
}

/** Compiles a loop. Throws a syntax failure when it assigns to `loop`. */
export function compileLoop(syntax: ForSyntax, context: StatementContext): Executor {
  const { line } = syntax;
  if (assignsName(syntax.target, [...syntax.body, ...syntax.otherwise], "loop")) {
    throw new TemplateFailure(
      "syntax",
      "TemplateAssertionError",
      "Can't assign to special loop variable in for-loop target",
      line,
    );
  }
  const iterable = compileExpression(syntax.iterable, context);
  const inside = { ...context, lenient: false };
  const loop: CompiledLoop = {
    assign: compileTarget(syntax.target),
    names: syntax.target.kind === "name" ? 1 : 0,
    test: syntax.test === undefined ? undefined : compileExpression(syntax.test, inside),
    body: context.compileBody(syntax.body, { ...inside, inLoop: true }),
    // The statements of `else` may leave the loop around this one.
    otherwise:
      syntax.otherwise.length === 0 ? undefined : context.compileBody(syntax.otherwise, inside),
    recursive: syntax.recursive,
    hasContext: syntax.recursive || unassignedNames(syntax.body, ["loop"]).size > 0,
  };
  if (!syntax.recursive) {
    return (frame) => {
      frame.rendering.line = line;
      return runLoop(loop, frame, iterable(frame), 0, undefined);
    };
  }
  return (frame) => {
    frame.rendering.line = line;
    const { rendering, scope } = frame;
    const recurse: Recursion = (items, depth, runtime) => {
      const text = nest(rendering, () =>
        captureText(rendering, (output) => {
          runLoop(loop, { scope, output, rendering }, items, depth, recurse);
        }),
      );
      return runtime.autoescape ? new Markup(text) : text;
    };
    return runLoop(loop, frame, iterable(frame), 0, recurse);
  };
}

/** Items that pass the loop's own `if`, each asked for when the loop comes to it. */
function* filterItems(loop: CompiledLoop, frame: Frame, items: Value): Generator<Value> {
  const scope = new Scope(frame.scope);
  if (loop.hasContext) scope.set("loop", new Undefined(() => "'loop' is undefined"));
  const inner: Frame = { ...frame, scope };
  const iterator = iterate(items);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
    spend();
    loop.assign(inner, step.value);
    if (isTrue(loop.test!(inner))) yield step.value;
  }
}

function runLoop(
  loop: CompiledLoop,
  frame: Frame,
  items: Value,
  depth: number,
  recurse: Recursion | undefined,
): Completion {
  const source = loop.test === undefined ? items : new PyIterator(filterItems(loop, frame, items));
  const outer = frame.scope;
  const scope = new Scope(outer);
  frame.scope = scope;
  const completed = loop.hasContext
    ? runWithContext(loop, frame, scope, new LoopContext(source, depth, recurse))
    : runPlain(loop, frame, scope, source);
  frame.scope = outer;
  if (loop.otherwise === undefined || completed) return "done";
  frame.scope = new Scope(outer);
  const completion = loop.otherwise(frame);
  frame.scope = outer;
  return completion;
}

/** True when a body ran to its end; one that was left by `break` or `continue` does not count. */
function runPlain(loop: CompiledLoop, frame: Frame, scope: Scope, source: Value): boolean {
  const iterator = iterate(source);
  let completed = false;
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
    spend();
    scope.clear(loop.names);
    loop.assign(frame, step.value);
    const completion = loop.body(frame);
    if (completion === "break") break;
    if (completion === "done") completed = true;
  }
  return completed;
}

function runWithContext(
  loop: CompiledLoop,
  frame: Frame,
  scope: Scope,
  context: LoopContext,
): boolean {
  let completed = false;
  for (let item = context.next(); item !== undefined; item = context.next()) {
    spend();
    scope.clear(loop.names === 1 ? 2 : 0);
    scope.set("loop", context);
    loop.assign(frame, item);
    const completion = loop.body(frame);
    if (completion === "break") break;
    if (completion === "done") completed = true;
  }
  return completed;
}

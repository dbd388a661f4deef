/** Statements as closures. */

import { compileTarget } from "./assign.ts";
import {
  compileArguments,
  compileExpression,
  compileFilter,
  compilePrinted,
} from "./compile-expression.ts";
import { compileLoop } from "./compile-loop.ts";
import type { Completion, Evaluator, Executor, Frame, Rendering } from "./frame.ts";
import { captureText, Macro, type MacroDefinition } from "./macro.ts";
import { unassignedNames } from "./names-in.ts";
import { maxLength } from "./python/budget.ts";
import { isTrue } from "./python/compare.ts";
import { failure, syntaxFailure, typeFailure } from "./python/failure.ts";
import { toText } from "./python/representation.ts";
import { escapeMarkup } from "./python/strings/markup.ts";
import { asText, type CallArguments, Markup, typeName, type Value } from "./python/values.ts";
import { Scope } from "./scope.ts";
import { placeSpans } from "./spans.ts";
import type { StatementContext } from "./statement-context.ts";
import type { BlockSyntax, Expression, FilterSyntax, MacroSyntax, Statement } from "./syntax.ts";

type Kind<Name extends Statement["kind"]> = Extract<Statement, { kind: Name }>;

/** Compiles statements that run one after another. Throws syntax failures. */
export function compileStatements(
  statements: readonly Statement[],
  context: StatementContext,
): Executor {
  const executors = statements.map((statement) => compileStatement(statement, context));
  const [only] = executors;
  if (executors.length === 1) return only!;
  if (executors.length === 0) return () => "done";
  return (frame) => {
    for (const execute of executors) {
      const completion = execute(frame);
      if (completion !== "done") return completion;
    }
    return "done";
  };
}

function compileStatement(statement: Statement, context: StatementContext): Executor {
  switch (statement.kind) {
    case "text": {
      const { text } = statement;
      return (frame) => {
        frame.output.text += text;
        return "done";
      };
    }
    case "output":
      return compileOutput(statement, context);
    case "if":
      return compileIf(statement, context);
    case "for":
      return compileLoop(statement, context);
    case "break":
    case "continue": {
      const { kind, line } = statement;
      if (!context.inLoop) throw syntaxFailure(`'${kind}' outside loop`, line);
      return () => kind;
    }
    case "set":
      return compileSet(statement, context);
    case "setBlock":
      return compileSetBlock(statement, context);
    case "macro":
      return compileMacroStatement(statement, context);
    case "call":
      return compileCallBlock(statement, context);
    case "filterBlock":
      return compileFilterBlock(statement, context);
    case "with":
      return compileWith(statement, context);
    case "autoescape":
      return compileAutoescape(statement, context);
    case "generation":
      return compileGeneration(statement, context);
    case "block":
      return compileBlock(statement, context);
    case "load": {
      const { line } = statement;
      return (frame) => {
        frame.rendering.line = line;
        throw typeFailure("no loader for this environment specified");
      };
    }
  }
}

/** Appends to the text. Throws when it grows beyond all bounds. */
function write(frame: Frame, text: string): void {
  frame.output.text += text;
  if (frame.output.text.length > maxLength) {
    throw failure("MemoryError", `the template writes more than ${maxLength} characters`);
  }
}

function compileOutput({ value, line }: Kind<"output">, context: StatementContext): Executor {
  const evaluate = compilePrinted(value, context);
  return (frame) => {
    const { rendering } = frame;
    rendering.line = line;
    const recent = rendering.spannedTexts.length;
    const result = evaluate(frame);
    const text = rendering.autoescape ? escapeMarkup(result) : toText(result);
    if (rendering.spannedTexts.length > 0) {
      placeSpans(frame.output, text, rendering.spannedTexts, recent);
    }
    write(frame, text);
    return "done";
  };
}

function compileIf({ branches, otherwise, line }: Kind<"if">, context: StatementContext): Executor {
  const inside = { ...context, lenient: true };
  const compiled = branches.map(
    ([test, body]) => [compileExpression(test, inside), compileStatements(body, inside)] as const,
  );
  const last = compileStatements(otherwise, inside);
  const tests = compiled.map(([test]) => test);
  const bodies = compiled.map(([, body]) => body);
  return (frame) => {
    frame.rendering.line = line;
    for (let i = 0; i < tests.length; i++) {
      if (isTrue(tests[i]!(frame))) return bodies[i]!(frame);
    }
    return last(frame);
  };
}

function compileSet({ target, value, line }: Kind<"set">, context: StatementContext): Executor {
  const assign = compileTarget(target);
  const evaluate = compileExpression(value, context);
  return (frame) => {
    frame.rendering.line = line;
    assign(frame, evaluate(frame));
    return "done";
  };
}

/** Runs a body in a scope of its own, into a text of its own. */
function captureBody(
  frame: Frame,
  body: Executor,
): { text: string; scope: Scope; completion: Completion } {
  const scope = new Scope(frame.scope);
  let completion: Completion = "done";
  const text = captureText(frame.rendering, (output) => {
    completion = body({ scope, output, rendering: frame.rendering });
  });
  return { text, scope, completion };
}

function asOutput(rendering: Rendering, text: string): Value {
  return rendering.autoescape ? new Markup(text) : text;
}

/** Applies a chain of filters to a text; the innermost one has no value of its own. */
function compileTextFilter(
  filter: Expression | undefined,
  context: StatementContext,
): (frame: Frame, text: Value) => Value {
  if (filter === undefined) return (_frame, text) => text;
  let input: Value = "";
  const evaluate = compileChain(filter as FilterSyntax, () => input, context);
  return (frame, text) => {
    input = text;
    return evaluate(frame);
  };
}

function compileChain(
  filter: FilterSyntax,
  innermost: Evaluator,
  context: StatementContext,
): Evaluator {
  const value =
    filter.value === undefined
      ? innermost
      : compileChain(filter.value as FilterSyntax, innermost, context);
  return compileFilter(filter, value, context);
}

function compileSetBlock(statement: Kind<"setBlock">, context: StatementContext): Executor {
  const inside = { ...context, lenient: false };
  const assign = compileTarget(statement.target);
  const body = compileStatements(statement.body, inside);
  const filter = compileTextFilter(statement.filter, inside);
  return (frame) => {
    frame.rendering.line = statement.line;
    const { text, scope, completion } = captureBody(frame, body);
    if (completion !== "done") return completion;
    assign(frame, filter({ ...frame, scope }, asOutput(frame.rendering, text)));
    return "done";
  };
}

function compileFilterBlock(statement: Kind<"filterBlock">, context: StatementContext): Executor {
  const inside = { ...context, lenient: false };
  const body = compileStatements(statement.body, inside);
  const filter = compileTextFilter(statement.filter, inside);
  return (frame) => {
    const { rendering } = frame;
    rendering.line = statement.line;
    const recent = rendering.spannedTexts.length;
    const { text, scope, completion } = captureBody(frame, body);
    if (completion !== "done") return completion;
    const result = filter({ ...frame, scope }, asOutput(rendering, text));
    const filtered = asText(result);
    if (filtered === undefined) {
      throw typeFailure(`expected str instance, ${typeName(result)} found`);
    }
    placeSpans(frame.output, filtered, rendering.spannedTexts, recent);
    write(frame, filtered);
    return "done";
  };
}

/** A macro's parameters, defaults and body, compiled. */
function compileMacro(macro: MacroSyntax, context: StatementContext): MacroDefinition {
  const inside = { ...context, lenient: false, inLoop: false };
  const names = unassignedNames(macro.body, ["caller", "kwargs", "varargs"]);
  const callerParameter = macro.parameters.indexOf("caller");
  const firstDefault = macro.parameters.length - macro.defaults.length;
  if (names.has("caller") && callerParameter >= 0 && callerParameter < firstDefault) {
    throw syntaxFailure('the special "caller" argument must be omitted or be given a default', 0);
  }
  return {
    name: macro.name,
    parameters: macro.parameters,
    defaults: macro.defaults.map((value) => compileExpression(value, inside)),
    body: compileStatements(macro.body, inside),
    readsCaller: names.has("caller"),
    readsKeywords: names.has("kwargs") && !macro.parameters.includes("kwargs"),
    readsSurplus: names.has("varargs") && !macro.parameters.includes("varargs"),
    callerParameter: callerParameter < 0 ? undefined : callerParameter,
  };
}

function compileMacroStatement({ macro }: Kind<"macro">, context: StatementContext): Executor {
  const definition = compileMacro(macro, context);
  const name = macro.name!;
  return (frame) => {
    frame.scope.set(name, new Macro(definition, frame));
    return "done";
  };
}

function compileCallBlock(statement: Kind<"call">, context: StatementContext): Executor {
  const { call, line } = statement;
  if (call.kind !== "call") throw syntaxFailure("expected call", line);
  const inside = { ...context, lenient: false };
  const definition = compileMacro(statement.caller, inside);
  const callee = compileExpression(call.callee, inside);
  const evaluateArguments = compileArguments(call.arguments, inside);
  return (frame) => {
    const { rendering } = frame;
    rendering.line = line;
    const recent = rendering.spannedTexts.length;
    const value = callee(frame);
    const given = evaluateArguments(frame);
    const keyword = new Map([...given.keyword, ["caller", new Macro(definition, frame)] as const]);
    const callArguments: CallArguments = { positional: given.positional, keyword };
    const text = toText(rendering.call(value, callArguments));
    placeSpans(frame.output, text, rendering.spannedTexts, recent);
    write(frame, text);
    return "done";
  };
}

/** Runs a body in a scope inside the frame's. */
function runInside(frame: Frame, scope: Scope, body: Executor): Completion {
  const outer = frame.scope;
  frame.scope = scope;
  const completion = body(frame);
  frame.scope = outer;
  return completion;
}

function compileWith(statement: Kind<"with">, context: StatementContext): Executor {
  const inside = { ...context, lenient: false };
  const targets = statement.targets.map(
    ([target, value]) => [compileTarget(target), compileExpression(value, inside)] as const,
  );
  const body = compileStatements(statement.body, inside);
  return (frame) => {
    frame.rendering.line = statement.line;
    const scope = new Scope(frame.scope);
    // The values are computed outside, so that none sees the names beside it.
    for (const [assign, value] of targets) assign({ ...frame, scope }, value(frame));
    return runInside(frame, scope, body);
  };
}

function compileAutoescape(statement: Kind<"autoescape">, context: StatementContext): Executor {
  const inside = { ...context, lenient: false };
  const enabled = compileExpression(statement.enabled, inside);
  const body = compileStatements(statement.body, inside);
  return (frame) => {
    const { rendering } = frame;
    rendering.line = statement.line;
    const before = rendering.autoescape;
    rendering.autoescape = isTrue(enabled(frame));
    const completion = runInside(frame, new Scope(frame.scope), body);
    rendering.autoescape = before;
    return completion;
  };
}

/** What the assistant says: its place in the text is noted. */
function compileGeneration(statement: Kind<"generation">, context: StatementContext): Executor {
  const body = compileStatements(statement.body, { ...context, lenient: false, inLoop: false });
  return (frame) => {
    const start = frame.output.text.length;
    runInside(frame, new Scope(frame.scope), body);
    frame.output.spans.push({ start, end: frame.output.text.length });
    return "done";
  };
}

/** A block stands where it is written, but sees the outermost names only, unless it is `scoped`. */
function compileBlock(syntax: BlockSyntax, context: StatementContext): Executor {
  const { name, scoped, required, line } = syntax;
  const body = compileStatements(syntax.body, { ...context, lenient: false, inLoop: false });
  context.blocks.set(name, { body, required });
  return (frame) => {
    const { rendering } = frame;
    rendering.line = line;
    if (required) throw failure("TemplateRuntimeError", `Required block '${name}' not found`);
    const scope = new Scope(scoped ? frame.scope : rendering.topScope);
    return runInside(frame, scope, body);
  };
}

/** Templates: compiled once, rendered with variables. */

import { callValue } from "./compile-expression.ts";
import { compileStatements } from "./compile-statement.ts";
import { filters } from "./filters/index.ts";
import type { Executor, Frame, Output, Rendering, TextSpan } from "./frame.ts";
import { makeGlobals } from "./globals.ts";
import { captureText } from "./macro.ts";
import { parseTemplate } from "./parse-template.ts";
import { getAttribute, getItem } from "./python/attributes.ts";
import { withBudget } from "./python/budget.ts";
import { failure, syntaxFailure, TemplateFailure } from "./python/failure.ts";
import { toText } from "./python/representation.ts";
import { asText, type CallArguments, Callable, PyObject, type Value } from "./python/values.ts";
import { Scope } from "./scope.ts";
import type { CompiledBlock } from "./statement-context.ts";
import { valueTests } from "./tests-of-values.ts";

/** A rendered template. */
export interface RenderedTemplate {
  readonly text: string;
  /** What `generation` blocks wrote, in the order of the text. */
  readonly spans: readonly TextSpan[];
}

/** A template that can be rendered again and again. */
export class CompiledTemplate {
  readonly #body: Executor;
  readonly #blocks: ReadonlyMap<string, CompiledBlock>;

  /** Compiles a template. Throws a `TemplateFailure` of kind `syntax`. */
  constructor(source: string) {
    const blocks = new Map<string, CompiledBlock>();
    try {
      this.#body = compileStatements(parseTemplate(source), {
        lenient: false,
        inLoop: false,
        blocks,
        compileBody: compileStatements,
      });
    } catch (error) {
      if (error instanceof RangeError) throw syntaxFailure("the template is nested too deeply", 1);
      throw error;
    }
    this.#blocks = blocks;
  }

  /** Renders the template; `now` is the time that `strftime_now` writes. Throws a `TemplateFailure`. */
  render(variables: ReadonlyMap<string, Value>, now: Date): RenderedTemplate {
    const globals = new Scope(undefined, makeGlobals(now));
    const topScope = new Scope(new Scope(globals, new Map(variables)));
    const output: Output = { text: "", spans: [] };
    const frame: Frame = { scope: topScope, output, rendering: new Run(topScope) };
    topScope.set("self", new TemplateReference(this.#blocks, frame.rendering));
    return withBudget(() => {
      try {
        this.#body(frame);
      } catch (error) {
        throw explain(error, frame.rendering.line);
      }
      const spans = output.spans.sort((a, b) => a.start - b.start);
      return { text: output.text, spans };
    });
  }
}

/** An error of the rendering, with its line; JavaScript's own limits count as the template's. */
function explain(error: unknown, line: number): unknown {
  if (error instanceof TemplateFailure) {
    error.line ??= line;
    return error;
  }
  if (!(error instanceof RangeError)) return error;
  return new TemplateFailure(
    "failed",
    "RecursionError",
    "the template nests or grows too far",
    line,
  );
}

/** The state of one rendering, as filters and functions see it. */
class Run implements Rendering {
  autoescape = false;
  line = 1;
  depth = 0;
  readonly spannedTexts: Rendering["spannedTexts"] = [];
  readonly topScope: Scope;

  constructor(topScope: Scope) {
    this.topScope = topScope;
  }

  getAttribute(object: Value, name: string): Value {
    return getAttribute(object, name);
  }

  getItem(object: Value, key: Value): Value {
    return getItem(object, key);
  }

  call(callee: Value, callArguments: CallArguments): Value {
    const output: Output = { text: "", spans: [] };
    return callValue({ scope: this.topScope, output, rendering: this }, callee, callArguments);
  }

  callFilter(name: Value, value: Value, callArguments: CallArguments): Value {
    const filter = filters.get(asText(name) ?? "");
    if (filter === undefined) {
      throw failure("TemplateRuntimeError", `No filter named '${toText(name)}'.`);
    }
    return filter(value, callArguments, this);
  }

  callTest(name: Value, value: Value, callArguments: CallArguments): boolean {
    const test = valueTests.get(asText(name) ?? "");
    if (test === undefined) {
      throw failure("TemplateRuntimeError", `No test named '${toText(name)}'.`);
    }
    return test(value, callArguments, this);
  }

  hasFilter(name: Value): boolean {
    return filters.has(asText(name) ?? "");
  }

  hasTest(name: Value): boolean {
    return valueTests.has(asText(name) ?? "");
  }
}

/** The variable `self`: the blocks of the template, as functions. */
class TemplateReference extends PyObject {
  readonly typeName: string = "TemplateReference";
  readonly #blocks: ReadonlyMap<string, CompiledBlock>;
  readonly #rendering: Rendering;

  constructor(blocks: ReadonlyMap<string, CompiledBlock>, rendering: Rendering) {
    super();
    this.#blocks = blocks;
    this.#rendering = rendering;
  }

  override attribute(name: string): Value | undefined {
    if (name === "__repr__") return "<TemplateReference None>";
    const block = this.#blocks.get(name);
    if (block === undefined) return undefined;
    const rendering = this.#rendering;
    return new Callable(name, () =>
      captureText(rendering, (output) => {
        block.body({ scope: new Scope(rendering.topScope), output, rendering });
      }),
    );
  }
}

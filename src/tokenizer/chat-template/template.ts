/** Templates: compiled once, rendered with variables. */

import { compileStatements } from "./compile-statement.ts";
import type { Executor, Frame, Output, Rendering, TextSpan } from "./frame.ts";
import { makeGlobals } from "./globals.ts";
import { captureText } from "./macro.ts";
import { parseTemplate } from "./parse-template.ts";
import { withBudget } from "./python/budget.ts";
import { syntaxFailure, TemplateFailure } from "./python/failure.ts";
import { Callable, PyObject, type Value } from "./python/values.ts";
import { RenderingState } from "./rendering-state.ts";
import { Scope } from "./scope.ts";
import type { CompiledBlock } from "./statement-context.ts";

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
    const frame: Frame = { scope: topScope, output, rendering: new RenderingState(topScope) };
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

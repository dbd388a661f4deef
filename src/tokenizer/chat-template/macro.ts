/** Macros, and the bodies of call blocks, as functions. */

import type { Evaluator, Executor, Frame, Output, Rendering } from "./frame.ts";
import { maxDepth, spend } from "./python/budget.ts";
import { Dict } from "./python/containers/dict.ts";
import { failure, typeFailure } from "./python/failure.ts";
import { represent } from "./python/representation.ts";
import type { Runtime } from "./python/runtime-type.ts";
import {
  type CallArguments,
  Invocable,
  Markup,
  Tuple,
  Undefined,
  type Value,
} from "./python/values.ts";
import { Scope } from "./scope.ts";

/** What a compiled macro consists of. */
export interface MacroDefinition {
  readonly name: string | undefined;
  readonly parameters: readonly string[];
  /** Defaults of the last parameters. */
  readonly defaults: readonly Evaluator[];
  readonly body: Executor;
  /** Whether the body reads `caller`, `kwargs` and `varargs` without having a parameter of that name. */
  readonly readsCaller: boolean;
  readonly readsKeywords: boolean;
  readonly readsSurplus: boolean;
  /** Place of a parameter that is called `caller`. */
  readonly callerParameter: number | undefined;
}

/** Runs something into a text of its own, and remembers the parts that `generation` blocks wrote. */
export function captureText(rendering: Rendering, run: (output: Output) => void): string {
  const output: Output = { text: "", spans: [] };
  run(output);
  if (output.spans.length > 0) {
    rendering.spannedTexts.push({ text: output.text, spans: output.spans });
  }
  return output.text;
}

/** Runs something one level deeper. Throws where the nesting has no end. */
export function nest<Result>(rendering: Rendering, run: () => Result): Result {
  if (rendering.depth >= maxDepth) {
    throw failure("RecursionError", "maximum recursion depth exceeded");
  }
  rendering.depth++;
  try {
    return run();
  } finally {
    rendering.depth--;
  }
}

/** A macro with the names around its definition. */
export class Macro extends Invocable {
  readonly typeName: string = "Macro";
  readonly #definition: MacroDefinition;
  readonly #frame: Frame;
  readonly #scope: Scope;

  constructor(definition: MacroDefinition, frame: Frame) {
    super();
    this.#definition = definition;
    this.#frame = frame;
    this.#scope = frame.scope;
  }

  override attribute(name: string): Value | undefined {
    const definition = this.#definition;
    switch (name) {
      case "name":
        return definition.name ?? null;
      case "arguments":
        return new Tuple(definition.parameters);
      case "catch_kwargs":
        return definition.readsKeywords;
      case "catch_varargs":
        return definition.readsSurplus;
      case "caller":
        return definition.readsCaller;
      case "explicit_caller":
        return definition.callerParameter ?? null;
      case "__repr__":
        return definition.name === undefined
          ? "<Macro anonymous>"
          : `<Macro ${represent(definition.name)}>`;
      default:
        return undefined;
    }
  }

  override invoke(callArguments: CallArguments, runtime: Runtime): Value {
    spend();
    const { rendering } = this.#frame;
    const scope = new Scope(this.#scope);
    const text = nest(rendering, () =>
      captureText(rendering, (output) => {
        const frame: Frame = { scope, output, rendering };
        this.#bind(callArguments, frame);
        this.#definition.body(frame);
      }),
    );
    return runtime.autoescape ? new Markup(text) : text;
  }

  /** Sets the parameters; defaults may read the ones before them. */
  #bind({ positional, keyword }: CallArguments, frame: Frame): void {
    const definition = this.#definition;
    const { name, parameters, defaults } = definition;
    const unused = new Map(keyword);
    const given: (Value | undefined)[] = [...positional.slice(0, parameters.length)];
    for (const parameter of parameters.slice(given.length)) {
      given.push(unused.get(parameter));
      unused.delete(parameter);
    }
    if (definition.readsCaller && definition.callerParameter === undefined) {
      const caller = unused.get("caller");
      unused.delete("caller");
      frame.scope.set("caller", caller ?? new Undefined(() => "No caller defined"));
    }
    if (definition.readsKeywords) {
      frame.scope.set("kwargs", new Dict(unused));
    } else if (unused.size > 0) {
      throw typeFailure(
        unused.has("caller")
          ? `macro '${name}' was invoked with two values for the special caller argument.`
          : `macro '${name}' takes no keyword argument '${unused.keys().next().value}'`,
      );
    }
    const surplus = positional.slice(parameters.length);
    if (definition.readsSurplus) frame.scope.set("varargs", new Tuple(surplus));
    else if (surplus.length > 0) {
      throw typeFailure(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
    }
    const firstDefault = parameters.length - defaults.length;
    for (const [index, parameter] of parameters.entries()) {
      const otherwise = defaults[index - firstDefault];
      let value = given[index];
      if (value === undefined) {
        value =
          otherwise === undefined
            ? new Undefined(() => `parameter '${parameter}' was not provided`)
            : otherwise(frame);
      }
      frame.scope.set(parameter, value);
    }
  }
}

/** What filters, tests and calls ask of the running template. */
import { filters } from "./filters/index.ts";
import type { Frame, Rendering } from "./frame.ts";
import { getAttribute, getItem } from "./python/attributes.ts";
import { spend } from "./python/budget.ts";
import { checkDefined } from "./python/compare.ts";
import { hashKey } from "./python/containers/hash-key.ts";
import { failure, typeFailure } from "./python/failure.ts";
import { toText } from "./python/representation.ts";
import { asText, type CallArguments, Invocable, typeName, type Value } from "./python/values.ts";
import { Scope } from "./scope.ts";
import { valueTests } from "./tests-of-values.ts";

/** The state of one rendering, as filters and functions see it. */
export class RenderingState implements Rendering {
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
    spend();
    if (callee instanceof Invocable) return callee.invoke(callArguments, this);
    checkDefined(callee);
    throw typeFailure(`'${typeName(callee)}' object is not callable`);
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
    hashKey(name);
    return filters.has(asText(name) ?? "");
  }

  hasTest(name: Value): boolean {
    hashKey(name);
    return valueTests.has(asText(name) ?? "");
  }
}

/** Where constants are computed: a frame without names. */
export function makeConstantFrame(): Frame {
  const scope = new Scope(undefined);
  return { scope, output: { text: "", spans: [] }, rendering: new RenderingState(scope) };
}

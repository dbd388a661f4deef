/** What filters, tests and functions need of the environment that runs them. */
import type { CallArguments, Value } from "./values.ts";

export interface Runtime {
  /** Whether printed values are escaped for HTML; false outside of `autoescape` blocks. */
  readonly autoescape: boolean;
  /** `object.name`: an attribute, or else an item. */
  getAttribute(object: Value, name: string): Value;
  /** `object[key]`: an item, or else an attribute. */
  getItem(object: Value, key: Value): Value;
  call(callee: Value, callArguments: CallArguments): Value;
  callFilter(name: Value, value: Value, callArguments: CallArguments): Value;
  callTest(name: Value, value: Value, callArguments: CallArguments): boolean;
  hasFilter(name: Value): boolean;
  hasTest(name: Value): boolean;
}

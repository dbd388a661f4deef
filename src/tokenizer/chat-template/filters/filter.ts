/** What a filter is. */
import type { Runtime } from "../python/runtime-type.ts";
import type { CallArguments, Value } from "../python/values.ts";

/** Makes another value of a value and arguments. */
export type Filter = (value: Value, callArguments: CallArguments, runtime: Runtime) => Value;

/** Filters by name. */
export type FilterTable = Readonly<Record<string, Filter>>;

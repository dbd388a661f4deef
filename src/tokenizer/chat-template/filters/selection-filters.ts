/** Filters that apply another filter or a test to each item: `map`, `select` and their relatives. */
import { spend } from "../python/budget.ts";
import { isTrue } from "../python/compare.ts";
import { failure } from "../python/failure.ts";
import type { Runtime } from "../python/runtime-type.ts";
import { type CallArguments, PyIterator, type Value } from "../python/values.ts";
import { readPath } from "./attribute-path.ts";
import type { Filter, FilterTable } from "./filter.ts";
import { itemsOneByOne } from "./sequence-filters.ts";

type ItemMapper = (item: Value) => Value;

/** The arguments are looked at when the first item is asked for, and not at all without items. */
function* mapItems(value: Value, prepare: () => ItemMapper): Generator<Value> {
  if (!isTrue(value)) return;
  const apply = prepare();
  for (const item of itemsOneByOne(value)) yield apply(item);
}

function prepareMap({ positional, keyword }: CallArguments, runtime: Runtime): ItemMapper {
  const attribute = keyword.get("attribute");
  if (positional.length === 0 && attribute !== undefined) {
    for (const key of keyword.keys()) {
      if (key !== "attribute" && key !== "default") {
        throw failure("FilterArgumentError", `Unexpected keyword argument '${key}'`);
      }
    }
    return readPath(runtime, attribute, keyword.get("default"));
  }
  const [name, ...rest] = positional;
  if (name === undefined) throw failure("FilterArgumentError", "map requires a filter argument");
  return (item) => runtime.callFilter(name, item, { positional: rest, keyword });
}

function* selectItems(value: Value, prepare: () => (item: Value) => boolean): Generator<Value> {
  if (!isTrue(value)) return;
  const accepts = prepare();
  for (const item of itemsOneByOne(value)) if (accepts(item)) yield item;
}

/** `wanted`: what a test has to say of the items that stay; `byAttribute`: it is asked of a part of them. */
function selector(wanted: boolean, byAttribute: boolean): Filter {
  return (value, { positional, keyword }, runtime) => {
    const prepare = (): ((item: Value) => boolean) => {
      const [attribute, ...others] = positional;
      if (byAttribute && attribute === undefined) {
        throw failure("FilterArgumentError", "Missing parameter for attribute name");
      }
      const read = byAttribute ? readPath(runtime, attribute!) : (item: Value): Value => item;
      const [name, ...rest] = byAttribute ? others : positional;
      if (name === undefined) return (item) => isTrue(read(item)) === wanted;
      const given = { positional: rest, keyword };
      return (item) => runtime.callTest(name, read(item), given) === wanted;
    };
    return new PyIterator(selectItems(value, prepare));
  };
}

export const selectionFilters: FilterTable = {
  map(value, callArguments, runtime) {
    spend();
    return new PyIterator(mapItems(value, () => prepareMap(callArguments, runtime)));
  },
  select: selector(true, false),
  reject: selector(false, false),
  selectattr: selector(true, true),
  rejectattr: selector(false, true),
};

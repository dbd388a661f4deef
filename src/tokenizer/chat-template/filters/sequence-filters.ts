/** Filters over the items of a value. */
import { bindArguments } from "../python/arguments.ts";
import { spend } from "../python/budget.ts";
import { checkDefined, compareOrder, equals, isTrue, sortValues } from "../python/compare.ts";
import { Dict } from "../python/containers/dict.ts";
import {
  iterate,
  joinTexts,
  requireLength,
  reversed,
  toList,
} from "../python/containers/sequence.ts";
import { failure, isFailure, typeFailure } from "../python/failure.ts";
import { add } from "../python/numbers/arithmetic.ts";
import { toText } from "../python/representation.ts";
import type { Runtime } from "../python/runtime-type.ts";
import { escapeMarkup } from "../python/strings/markup.ts";
import { requireInteger } from "../python/strings/string-search.ts";
import { codePoints } from "../python/strings/text.ts";
import {
  asText,
  type CallArguments,
  Markup,
  PyIterator,
  Tuple,
  Undefined,
  type Value,
} from "../python/values.ts";
import { caseProcessor, readPath, readPaths } from "./attribute-path.ts";
import type { Filter, FilterTable } from "./filter.ts";

/** Items one by one, each of them a step. */
export function* itemsOneByOne(value: Value): Generator<Value> {
  const iterator = iterate(value);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
    spend();
    yield step.value;
  }
}

function undefinedBecause(message: string): Undefined {
  return new Undefined(() => message);
}

const join: Filter = (value, callArguments, runtime) => {
  const [separator = "", attribute = null] = bindArguments("join", callArguments, [
    "d?",
    "attribute?",
  ]);
  const items = toList(value).map(readPath(runtime, attribute));
  if (!runtime.autoescape) return joinTexts(items.map(toText), toText(separator));
  const marked = separator instanceof Markup || items.some((item) => item instanceof Markup);
  if (!marked) return joinTexts(items.map(toText), toText(separator));
  return new Markup(joinTexts(items.map(escapeMarkup), escapeMarkup(separator)));
};

const first: Filter = (value, callArguments) => {
  bindArguments("first", callArguments, []);
  const step = iterate(value).next();
  return step.done === true ? undefinedBecause("No first item, sequence was empty.") : step.value;
};

const last: Filter = (value, callArguments) => {
  bindArguments("last", callArguments, []);
  const step = requireReversed(value).next();
  return step.done === true ? undefinedBecause("No last item, sequence was empty.") : step.value;
};

function requireReversed(value: Value): PyIterator {
  const backwards = reversed(value);
  if (backwards !== undefined) return backwards;
  if (value instanceof Undefined) return new PyIterator([][Symbol.iterator]());
  throw typeFailure("the value is not reversible");
}

const reverse: Filter = (value, callArguments) => {
  bindArguments("reverse", callArguments, []);
  const text = asText(value);
  if (text !== undefined) {
    const backwards = codePoints(text).reverse().join("");
    return value instanceof Markup ? new Markup(backwards) : backwards;
  }
  const backwards = reversed(value);
  if (backwards !== undefined) return backwards;
  try {
    return toList(value).reverse();
  } catch (error) {
    if (isFailure(error, "TypeError")) {
      throw failure("FilterArgumentError", "argument must be iterable");
    }
    throw error;
  }
};

const sort: Filter = (value, callArguments, runtime) => {
  const [backwards = false, sensitive = false, attribute = null] = bindArguments(
    "sort",
    callArguments,
    ["reverse?", "case_sensitive?", "attribute?"],
  );
  const key = readPaths(runtime, attribute, caseProcessor(isTrue(sensitive)));
  return sortValues(toList(value), key, isTrue(backwards));
};

const dictsort: Filter = (value, callArguments) => {
  const [sensitive = false, by = "key", backwards = false] = bindArguments(
    "dictsort",
    callArguments,
    ["case_sensitive?", "by?", "reverse?"],
  );
  if (by !== "key" && by !== "value") {
    throw failure("FilterArgumentError", 'You can only sort by either "key" or "value"');
  }
  if (!(value instanceof Dict)) {
    checkDefined(value);
    throw failure("AttributeError", "the value has no attribute 'items'");
  }
  const process = caseProcessor(isTrue(sensitive));
  const entries = sortValues(
    Array.from(value.entries()),
    ([key, item]) => process(by === "key" ? key : item),
    isTrue(backwards),
  );
  return entries.map((entry) => new Tuple(entry));
};

function extreme(name: "min" | "max"): Filter {
  return (value, callArguments, runtime) => {
    const [sensitive = false, attribute = null] = bindArguments(name, callArguments, [
      "case_sensitive?",
      "attribute?",
    ]);
    const items = toList(value);
    if (items.length === 0) return undefinedBecause("No aggregated item, sequence was empty.");
    const read = readPath(runtime, attribute);
    const process = caseProcessor(isTrue(sensitive));
    const key = (item: Value): Value => process(read(item));
    let best: Value = items[0]!;
    let bestKey = key(best);
    for (const item of items.slice(1)) {
      const itemKey = key(item);
      if (compareOrder(name === "min" ? "<" : ">", itemKey, bestKey)) {
        [best, bestKey] = [item, itemKey];
      }
    }
    return best;
  };
}

function* distinct(value: Value, key: (item: Value) => Value): Generator<Value> {
  const seen = new Dict();
  for (const item of itemsOneByOne(value)) {
    const itemKey = key(item);
    if (seen.has(itemKey)) continue;
    seen.set(itemKey, true);
    yield item;
  }
}

const unique: Filter = (value, callArguments, runtime) => {
  const [sensitive = false, attribute = null] = bindArguments("unique", callArguments, [
    "case_sensitive?",
    "attribute?",
  ]);
  const read = readPath(runtime, attribute);
  const process = caseProcessor(isTrue(sensitive));
  return new PyIterator(distinct(value, (item) => process(read(item))));
};

const groupby: Filter = (value, callArguments, runtime) => {
  const [attribute, otherwise = null, sensitive = false] = bindArguments("groupby", callArguments, [
    "attribute",
    "default?",
    "case_sensitive?",
  ]);
  const read = readPath(runtime, attribute!, otherwise);
  const process = caseProcessor(isTrue(sensitive));
  const key = (item: Value): Value => process(read(item));
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sortValues(toList(value), key)) {
    const itemKey = key(item);
    const group = groups.at(-1);
    if (group !== undefined && equals(group.key, itemKey)) group.items.push(item);
    else groups.push({ key: itemKey, items: [item] });
  }
  return groups.map(({ items }) => new Group(read(items[0]!), items));
};

/** A group of `groupby`: a pair whose parts have names. */
class Group extends Tuple {
  constructor(grouper: Value, items: Value[]) {
    super([grouper, items]);
  }

  override attribute(name: string): Value | undefined {
    if (name === "grouper") return this.items[0]!;
    return name === "list" ? this.items[1]! : undefined;
  }
}

function* inBatches(value: Value, size: number, fill: Value): Generator<Value> {
  let batch: Value[] = [];
  for (const item of itemsOneByOne(value)) {
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
    batch.push(item);
  }
  if (batch.length === 0) return;
  if (fill !== null) while (batch.length < size) batch.push(fill);
  yield batch;
}

function* inSlices(value: Value, count: number, fill: Value): Generator<Value> {
  const items = toList(value);
  if (count === 0) throw failure("ZeroDivisionError", "integer division or modulo by zero");
  const size = Math.floor(items.length / count);
  const longer = ((items.length % count) + count) % count;
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const start = offset + i * size;
    if (i < longer) offset++;
    const slice = items.slice(start, offset + (i + 1) * size);
    if (fill !== null && i >= longer) slice.push(fill);
    yield slice;
  }
}

function sumFilter(value: Value, callArguments: CallArguments, runtime: Runtime): Value {
  const [attribute = null, start = 0] = bindArguments("sum", callArguments, [
    "attribute?",
    "start?",
  ]);
  const read = readPath(runtime, attribute);
  if (asText(start) !== undefined) {
    throw typeFailure("sum() can't sum strings [use ''.join(seq) instead]");
  }
  let sum = start;
  for (const item of itemsOneByOne(value)) sum = add(sum, read(item));
  return sum;
}

const random: Filter = (value, callArguments) => {
  bindArguments("random", callArguments, []);
  const length = requireLength(value);
  if (length === 0) return undefinedBecause("No random item, sequence was empty.");
  return toList(value)[Math.floor(Math.random() * length)]!;
};

function* itemPairs(value: Value): Generator<Value> {
  if (value instanceof Undefined) return;
  if (!(value instanceof Dict)) throw typeFailure("Can only get item pairs from a mapping.");
  for (const entry of value.entries()) yield new Tuple(entry);
}

const length: Filter = (value, callArguments) => {
  bindArguments("length", callArguments, []);
  return requireLength(value);
};

export const sequenceFilters: FilterTable = {
  join,
  first,
  last,
  reverse,
  sort,
  dictsort,
  min: extreme("min"),
  max: extreme("max"),
  unique,
  groupby,
  random,
  sum: sumFilter,
  length,
  count: length,
  list(value, callArguments) {
    bindArguments("list", callArguments, []);
    return toList(value);
  },
  items(value, callArguments) {
    bindArguments("items", callArguments, []);
    return new PyIterator(itemPairs(value));
  },
  batch(value, callArguments) {
    const [size, fill = null] = bindArguments("batch", callArguments, ["linecount", "fill_with?"]);
    return new PyIterator(inBatches(value, requireInteger(size!), fill));
  },
  slice(value, callArguments) {
    const [count, fill = null] = bindArguments("slice", callArguments, ["slices", "fill_with?"]);
    return new PyIterator(inSlices(value, requireInteger(count!), fill));
  },
};

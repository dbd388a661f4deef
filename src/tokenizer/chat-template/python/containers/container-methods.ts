/** The methods of `dict`, `list`, `tuple`, `bytes` and `range`, and those that a sandbox withholds. */
import { bindArguments, bindPositional } from "../arguments.ts";
import { isSameOrEqual } from "../compare.ts";
import { failure, typeFailure, valueFailure } from "../failure.ts";
import { represent } from "../representation.ts";
import type { Method } from "../strings/string-methods.ts";
import { requireInteger } from "../strings/string-search.ts";
import { asText, type Bytes, type CallArguments, type Range, type Value } from "../values.ts";
import { Dict, DictView, type DictViewKind } from "./dict.ts";
import { itemsOf, iterate, rangeIndex, unpack } from "./sequence.ts";

/** `dict(…)`: a mapping or pairs, and named values. */
export function makeDict({ positional, keyword }: CallArguments): Dict {
  if (positional.length > 1) {
    throw typeFailure(`dict expected at most 1 argument, got ${positional.length}`);
  }
  const [source] = positional;
  const dict = new Dict();
  if (source instanceof Dict) {
    for (const [key, value] of source.entries()) dict.set(key, value);
  } else if (source !== undefined) {
    const iterator = iterate(source);
    for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
      const [key, value] = unpack(step.value, 2);
      dict.set(key!, value!);
    }
  }
  for (const [key, value] of keyword) dict.set(key, value);
  return dict;
}

function view(kind: DictViewKind): Method {
  return (self, callArguments) => {
    bindPositional(kind, callArguments, 0, 0);
    return new DictView(kind, self as Dict);
  };
}

/** Methods of `dict` by name. */
export const dictMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["keys", view("keys")],
  ["values", view("values")],
  ["items", view("items")],
  [
    "get",
    (self, callArguments) => {
      const [key, otherwise = null] = bindPositional("get", callArguments, 1, 2);
      const value = (self as Dict).get(key!);
      return value === undefined ? otherwise : value;
    },
  ],
  [
    "copy",
    (self, callArguments) => {
      bindPositional("copy", callArguments, 0, 0);
      return new Dict((self as Dict).entries());
    },
  ],
  [
    "fromkeys",
    (_self, callArguments) => {
      const [keys, value = null] = bindPositional("fromkeys", callArguments, 1, 2);
      const dict = new Dict();
      const iterator = iterate(keys!);
      for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
        dict.set(step.value, value);
      }
      return dict;
    },
  ],
]);

function countItems(self: Value, callArguments: CallArguments): Value {
  const [wanted] = bindPositional("count", callArguments, 1, 1);
  return itemsOf(self)!.filter((item) => isSameOrEqual(item, wanted!)).length;
}

function indexOfItem(self: Value, callArguments: CallArguments): Value {
  const [wanted, start = 0, end] = bindPositional("index", callArguments, 1, 3);
  const items = itemsOf(self)!;
  const resolve = (value: Value): number => {
    const index = requireInteger(value);
    return index < 0 ? Math.max(0, index + items.length) : index;
  };
  const to = end === undefined ? items.length : Math.min(items.length, resolve(end));
  for (let i = resolve(start); i < to; i++) {
    if (isSameOrEqual(items[i]!, wanted!)) return i;
  }
  throw valueFailure(`${represent(wanted!)} is not in list`);
}

/** Methods of `list` by name. */
export const listMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["count", countItems],
  ["index", indexOfItem],
  [
    "copy",
    (self, callArguments) => {
      bindPositional("copy", callArguments, 0, 0);
      return [...itemsOf(self)!];
    },
  ],
]);

/** Methods of `tuple` by name. */
export const tupleMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["count", countItems],
  ["index", indexOfItem],
]);

/** Methods of `range` by name. */
export const rangeMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  [
    "count",
    (self, callArguments) => {
      const [wanted] = bindPositional("count", callArguments, 1, 1);
      return rangeIndex(self as Range, wanted!) === undefined ? 0 : 1;
    },
  ],
  [
    "index",
    (self, callArguments) => {
      const [wanted] = bindPositional("index", callArguments, 1, 1);
      const at = rangeIndex(self as Range, wanted!);
      if (at === undefined) throw valueFailure(`${represent(wanted!)} is not in range`);
      return at;
    },
  ],
]);

/** Methods of `bytes` by name: what makes texts of them. */
export const bytesMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  [
    "decode",
    (self, callArguments) => {
      const [encoding = "utf-8", errors = "strict"] = bindArguments("decode", callArguments, [
        "encoding?",
        "errors?",
      ]);
      return decode(self as Bytes, asText(encoding) ?? "", errors !== "strict");
    },
  ],
  [
    "hex",
    (self) =>
      Array.from((self as Bytes).data, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  ],
]);

function decode(bytes: Bytes, encoding: string, lenient: boolean): string {
  const name = encoding.toLowerCase().replaceAll(/[-_ ]/g, "");
  if (name === "utf8") {
    try {
      return new TextDecoder("utf-8", { fatal: !lenient, ignoreBOM: true }).decode(bytes.data);
    } catch {
      throw failure("UnicodeDecodeError", "'utf-8' codec can't decode these bytes");
    }
  }
  const limit = { ascii: 0x7f, latin1: 0xff, iso88591: 0xff }[name];
  if (limit === undefined) throw failure("LookupError", `unknown encoding: ${encoding}`);
  if (bytes.data.some((byte) => byte > limit)) {
    throw failure("UnicodeDecodeError", `'${name}' codec can't decode these bytes`);
  }
  return Array.from(bytes.data, (byte) => String.fromCharCode(byte)).join("");
}

/** Methods that would change a list or dict, which templates may not do. */
export const withheldMethods: Readonly<Record<string, ReadonlySet<string>>> = {
  dict: new Set(["clear", "pop", "popitem", "setdefault", "update"]),
  list: new Set(["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"]),
};

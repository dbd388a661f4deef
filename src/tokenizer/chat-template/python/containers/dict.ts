/** Python's `dict` and its views, `set`, and jinja2's `namespace`. */

import { PyObject, Tuple, type Value } from "../values.ts";
import { hashKey } from "./hash-key.ts";

/** `dict`: keys in the order in which they were first set, equal when Python's are. */
export class Dict extends PyObject {
  readonly typeName: string = "dict";
  readonly #entries: Map<unknown, readonly [Value, Value]> = new Map();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super();
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashKey(key))?.[1];
  }

  has(key: Value): boolean {
    return this.#entries.has(hashKey(key));
  }

  /** Sets a value; a key that is already there keeps its place and its own type. */
  set(key: Value, value: Value): void {
    const hash = hashKey(key);
    this.#entries.set(hash, [this.#entries.get(hash)?.[0] ?? key, value]);
  }

  entries(): IterableIterator<readonly [Value, Value]> {
    return this.#entries.values();
  }

  keys(): Value[] {
    return Array.from(this.#entries.values(), ([key]) => key);
  }

  values(): Value[] {
    return Array.from(this.#entries.values(), ([, value]) => value);
  }
}

export type DictViewKind = "keys" | "values" | "items";

/** What `keys()`, `values()` and `items()` return. */
export class DictView extends PyObject {
  readonly typeName: string;
  readonly kind: DictViewKind;
  readonly dict: Dict;

  constructor(kind: DictViewKind, dict: Dict) {
    super();
    this.typeName = `dict_${kind}`;
    this.kind = kind;
    this.dict = dict;
  }

  get items(): Value[] {
    if (this.kind === "keys") return this.dict.keys();
    if (this.kind === "values") return this.dict.values();
    return Array.from(this.dict.entries(), (entry) => new Tuple(entry));
  }
}

/** `set`, as the difference of the views of a dict is one; in the order in which items were added. */
export class PySet extends PyObject {
  readonly typeName: string = "set";
  readonly #members: Dict;

  constructor(items: Iterable<Value>) {
    super();
    this.#members = new Dict(Array.from(items, (item) => [item, true] as const));
  }

  get items(): Value[] {
    return this.#members.keys();
  }

  has(item: Value): boolean {
    return this.#members.has(item);
  }
}

/** jinja2's `namespace`: the one object whose attributes a template can set. */
export class Namespace extends PyObject {
  readonly typeName: string = "Namespace";
  readonly entries: Dict;

  constructor(entries: Dict) {
    super();
    this.entries = entries;
  }

  override attribute(name: string): Value | undefined {
    return this.entries.get(name);
  }
}

/** The variable `loop`. */
import { bindPositional } from "./python/arguments.ts";
import { spend } from "./python/budget.ts";
import { equals } from "./python/compare.ts";
import { iterate, lengthOf, toList } from "./python/containers/sequence.ts";
import { typeFailure } from "./python/failure.ts";
import type { Runtime } from "./python/runtime-type.ts";
import {
  type CallArguments,
  Callable,
  Invocable,
  PyIterator,
  Tuple,
  Undefined,
  type Value,
} from "./python/values.ts";

/** Renders a recursive loop's body over further items, one level deeper. */
export type Recursion = (items: Value, depth: number, runtime: Runtime) => Value;

/** A loop that runs: where it is, what comes next, and itself again for `recursive` loops. */
export class LoopContext extends Invocable {
  readonly typeName: string = "LoopContext";
  readonly #iterable: Value;
  readonly #recurse: Recursion | undefined;
  readonly #depth0: number;
  #iterator: Iterator<Value>;
  #index0 = -1;
  #length: number | undefined;
  #before: Value | undefined;
  #current: Value | undefined;
  #after: Value | undefined;
  #lastChanged: Value | undefined;

  constructor(iterable: Value, depth0: number, recurse: Recursion | undefined) {
    super();
    this.#iterable = iterable;
    this.#iterator = iterate(iterable);
    this.#depth0 = depth0;
    this.#recurse = recurse;
  }

  /** The next item, undefined at the end. */
  next(): Value | undefined {
    const item = this.#peek();
    this.#after = undefined;
    if (item === undefined) return undefined;
    this.#index0++;
    this.#before = this.#current;
    this.#current = item;
    return item;
  }

  #take(): Value | undefined {
    const step = this.#iterator.next();
    return step.done === true ? undefined : step.value;
  }

  #peek(): Value | undefined {
    if (this.#after === undefined) this.#after = this.#take();
    return this.#after;
  }

  /** Number of items; those of an iterator are read ahead for it. */
  #getLength(): number {
    if (this.#length !== undefined) return this.#length;
    let length = this.#iterable instanceof Undefined ? 0 : lengthOf(this.#iterable);
    if (length === undefined) {
      const rest = toList(new PyIterator(this.#iterator));
      this.#iterator = rest[Symbol.iterator]();
      length = rest.length + this.#index0 + 1 + (this.#after === undefined ? 0 : 1);
    }
    this.#length = length;
    return length;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index":
        return this.#index0 + 1;
      case "index0":
        return this.#index0;
      case "first":
        return this.#index0 === 0;
      case "last":
        return this.#peek() === undefined;
      case "length":
      case "__len__":
        return this.#getLength();
      case "revindex":
        return this.#getLength() - this.#index0;
      case "revindex0":
        return this.#getLength() - this.#index0 - 1;
      case "previtem":
        return this.#before === undefined
          ? new Undefined(() => "there is no previous item")
          : this.#before;
      case "nextitem": {
        const next = this.#peek();
        return next === undefined ? new Undefined(() => "there is no next item") : next;
      }
      case "depth":
        return this.#depth0 + 1;
      case "depth0":
        return this.#depth0;
      case "cycle":
        return new Callable("cycle", (given) => this.#cycle(given));
      case "changed":
        return new Callable("changed", (given) => this.#changed(given));
      case "__repr__":
        return `<LoopContext ${this.#index0 + 1}/${this.#getLength()}>`;
      default:
        return undefined;
    }
  }

  #cycle({ positional }: CallArguments): Value {
    if (positional.length === 0) throw typeFailure("no items for cycling given");
    return positional[this.#index0 % positional.length]!;
  }

  #changed({ positional }: CallArguments): Value {
    const values = new Tuple(positional);
    if (this.#lastChanged !== undefined && equals(this.#lastChanged, values)) return false;
    this.#lastChanged = values;
    return true;
  }

  override invoke(callArguments: CallArguments, runtime: Runtime): Value {
    const [items] = bindPositional("loop", callArguments, 1, 1);
    if (this.#recurse === undefined) {
      throw typeFailure("The loop must have the 'recursive' marker to be called.");
    }
    return this.#recurse(items!, this.#depth0 + 1, runtime);
  }

  /** The rest of the loop, as pairs of item and loop. */
  *[Symbol.iterator](): Generator<Value> {
    for (let item = this.next(); item !== undefined; item = this.next()) {
      spend();
      yield new Tuple([item, this]);
    }
  }
}

/** Names and what they stand for while a template runs. */
import { Undefined, type Value } from "./python/values.ts";

/** Names of one block of statements; those that it lacks are looked up around it. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly #values: Map<string, Value>;

  constructor(parent: Scope | undefined, values: Map<string, Value> = new Map()) {
    this.parent = parent;
    this.#values = values;
  }

  /** The value of a name, an undefined value when nothing has this name. */
  get(name: string): Value {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      const value = scope.#values.get(name);
      if (value !== undefined) return value;
    }
    return new Undefined(() => `'${name}' is undefined`);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }

  /**
   * Forgets the names of this scope, as each iteration of a loop does.
   *
   * @param kept how many names of the last iteration the next one sets again. Default 0
   */
  clear(kept = 0): void {
    // Emptying a map makes a new table, which costs more than a short iteration.
    if (this.#values.size > kept) this.#values.clear();
  }
}

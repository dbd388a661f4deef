/** Attributes by path, as `map(attribute="a.b.0")`, `sort` and their relatives name them. */
import type { Runtime } from "../python/runtime-type.ts";
import { asText, Undefined, type Value } from "../python/values.ts";

/** Looks a path up in an item. */
export type PathReader = (item: Value) => Value;

/** The parts of a path; those of digits alone are indices. */
function partsOf(attribute: Value): readonly Value[] {
  const path = asText(attribute);
  if (path === undefined) return attribute === null ? [] : [attribute];
  return path.split(".").map((part) => (/^\p{Nd}+$/u.test(part) ? Number(part) : part));
}

/** A reader of one path; null reads the item itself. `otherwise` replaces what is undefined. */
export function readPath(
  runtime: Runtime,
  attribute: Value,
  otherwise: Value | undefined = undefined,
): PathReader {
  const parts = partsOf(attribute);
  return (item) => {
    let value = item;
    for (const part of parts) {
      value = runtime.getItem(value, part);
      if (otherwise !== undefined && otherwise !== null && value instanceof Undefined) {
        value = otherwise;
      }
    }
    return value;
  };
}

/** A reader of several paths with commas between them, as a list; null reads the item itself. */
export function readPaths(
  runtime: Runtime,
  attribute: Value,
  process: (value: Value) => Value,
): (item: Value) => Value[] {
  const paths = asText(attribute)?.split(",") ?? [attribute];
  const readers = paths.map((path) => readPath(runtime, path));
  return (item) => readers.map((read) => process(read(item)));
}

/** Texts in lower case, all else as it is. */
export function ignoreCase(value: Value): Value {
  return asText(value)?.toLowerCase() ?? value;
}

/** How values are compared: as they are, or without regard to case. */
export function caseProcessor(sensitive: boolean): (value: Value) => Value {
  return sensitive ? (value) => value : ignoreCase;
}

/** `pprint.pformat`: what fits into 80 columns on one line, else an item a line; keys sorted. */
import { isTrue, sortValues } from "./compare.ts";
import { Dict } from "./containers/dict.ts";
import { isFailure } from "./failure.ts";
import { represent } from "./representation.ts";
import { codePointLength, splitLines } from "./strings/text.ts";
import { Tuple, typeName, type Value } from "./values.ts";

const width = 80;

/** A value for a reader. */
export function prettyPrint(value: Value): string {
  return format(value, 0, 0);
}

/** Keys by their order, or by type and text where they have none. */
function sortedEntries(dict: Dict): (readonly [Value, Value])[] {
  const entries = Array.from(dict.entries());
  try {
    return sortValues(entries, ([key]) => key);
  } catch (error) {
    if (!isFailure(error, "TypeError")) throw error;
    return sortValues(entries, ([key]) => new Tuple([typeName(key), represent(key)]));
  }
}

/** `repr` with sorted keys. */
function flat(value: Value): string {
  if (value instanceof Dict) {
    const members = sortedEntries(value).map(([key, item]) => `${flat(key)}: ${flat(item)}`);
    return `{${members.join(", ")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(flat).join(", ")}]`;
  if (!(value instanceof Tuple)) return represent(value);
  const items = value.items.map(flat);
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
}

/** `indent`: column where the value begins; `allowance`: columns that what follows it takes. */
function format(value: Value, indent: number, allowance: number): string {
  const line = flat(value);
  if (codePointLength(line) <= width - indent - allowance) return line;
  if (value instanceof Dict && isTrue(value)) return formatDict(value, indent, allowance);
  if (Array.isArray(value) && value.length > 0) {
    return `[${formatItems(value, indent + 1, allowance + 1)}]`;
  }
  if (value instanceof Tuple && value.items.length > 0) {
    const end = value.items.length === 1 ? ",)" : ")";
    return `(${formatItems(value.items, indent + 1, allowance + end.length)}${end}`;
  }
  return typeof value === "string" && value !== "" ? formatText(value, indent, allowance) : line;
}

function formatDict(dict: Dict, indent: number, allowance: number): string {
  const entries = sortedEntries(dict);
  const members = entries.map(([key, item], i) => {
    const last = i === entries.length - 1;
    const start = `${flat(key)}: `;
    const column = indent + 1 + codePointLength(start);
    return start + format(item, column, last ? allowance + 1 : 1);
  });
  return `{${members.join(`,\n${" ".repeat(indent + 1)}`)}}`;
}

function formatItems(items: readonly Value[], indent: number, allowance: number): string {
  const written = items.map((item, i) =>
    format(item, indent, i === items.length - 1 ? allowance : 1),
  );
  return written.join(`,\n${" ".repeat(indent)}`);
}

/** A long text is written as several literals, cut at line breaks and behind white space. */
function formatText(text: string, column: number, given: number): string {
  const outermost = column === 0;
  const indent = outermost ? 1 : column;
  const allowance = outermost ? given + 1 : given;
  const chunks: string[] = [];
  const lines = splitLines(text, true);
  let representation = "";
  lines.forEach((line, i) => {
    representation = represent(line);
    const available = width - indent - (i === lines.length - 1 ? allowance : 0);
    if (codePointLength(representation) <= available) {
      chunks.push(representation);
      return;
    }
    const parts = line.match(/\S*\s*/g)!.filter((part) => part !== "");
    let current = "";
    parts.forEach((part, j) => {
      const candidate = current + part;
      const last = j === parts.length - 1 && i === lines.length - 1;
      if (codePointLength(represent(candidate)) > width - indent - (last ? allowance : 0)) {
        if (current !== "") chunks.push(represent(current));
        current = part;
      } else {
        current = candidate;
      }
    });
    if (current !== "") chunks.push(represent(current));
  });
  if (chunks.length === 1) return representation;
  const joined = chunks.join(`\n${" ".repeat(indent)}`);
  return outermost ? `(${joined})` : joined;
}

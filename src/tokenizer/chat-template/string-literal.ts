/** String literals: Python's escapes. */
import { syntaxFailure } from "./python/failure.ts";

const simple: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
const lengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The text of a literal, given what stands between its quotes. */
export function readStringLiteral(source: string, line: number): string {
  if (!source.includes("\\")) return source;
  return source.replace(
    /\\(?:([xuU])([0-9a-fA-F]*)|([0-7]{1,3})|N(\{[^}]*\})?|([\s\S]))/g,
    (whole, kind: string | undefined, digits: string, octal, name, other) => {
      if (kind !== undefined) return readHexadecimal(kind, digits, line);
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      if (other === undefined) {
        throw syntaxFailure(`unknown Unicode character name ${name ?? ""}`, line);
      }
      return simple[other] ?? whole;
    },
  );
}

function readHexadecimal(kind: string, digits: string, line: number): string {
  const length = lengths[kind]!;
  const code = Number.parseInt(digits.slice(0, length), 16);
  if (digits.length < length || code > 0x10ffff) {
    throw syntaxFailure(`truncated \\${kind}${"X".repeat(length)} escape`, line);
  }
  return String.fromCodePoint(code) + digits.slice(length);
}

/** Character sets of Oniguruma's syntax as JavaScript's, literals and their cases. */
import { whitespaceClass } from "./character-classes.ts";

export const wordClass = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

/** Outside of brackets Oniguruma counts the Latin-1 superscripts and fractions as well. */
export const looseWordClass: string = `${wordClass}\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be`;

/** What a bracket `[:name:]` holds, as the inside of a class. */
export const posixSets: Readonly<Record<string, string>> = {
  alpha: "\\p{Alphabetic}",
  digit: "\\p{Nd}",
  alnum: "\\p{Alphabetic}\\p{Nd}",
  upper: "\\p{Uppercase}",
  lower: "\\p{Lowercase}",
  space: whitespaceClass,
  punct: "\\p{P}\\p{S}",
  cntrl: "\\p{Cc}",
  graph: "[^\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]",
  print: "[^\\p{Zl}\\p{Zp}\\p{Cc}\\p{Cn}\\p{Cs}]",
  word: wordClass,
  xdigit: "0-9a-fA-F",
  ascii: "\\p{ASCII}",
  blank: "\\p{Zs}\\t",
};

export const newline = "\\n";

/** Properties that are named as brackets are and that JavaScript lacks. */
export const bracketProperties: Readonly<Record<string, string>> = {
  alnum: posixSets.alnum!,
  graph: posixSets.graph!,
  print: posixSets.print!,
  word: looseWordClass,
  blank: posixSets.blank!,
  xdigit: posixSets.xdigit!,
};

/** A code point as a literal that is safe inside and outside of a class. */
export function literal(codePoint: number): string {
  if (
    (codePoint >= 48 && codePoint <= 57) ||
    (codePoint >= 65 && codePoint <= 90) ||
    (codePoint >= 97 && codePoint <= 122)
  ) {
    return String.fromCharCode(codePoint);
  }
  return `\\u{${codePoint.toString(16)}}`;
}

/** Letters that share a simple case folding with others beyond their own two cases. */
const extraCases: ReadonlyMap<number, readonly number[]> = new Map([
  [0x73, [0x17f]],
  [0x6b, [0x212a]],
  [0xe5, [0x212b]],
  [0xb5, [0x3bc, 0x39c]],
  [0x3bc, [0xb5]],
  [0x3c3, [0x3c2]],
  [0x3c9, [0x2126]],
  [0x3b2, [0x3d0]],
  [0x3b8, [0x3d1, 0x3f4]],
]);

export function casesOf(codePoint: number): number[] {
  const cases = new Set<number>([codePoint]);
  // The set grows while it is walked: a case has cases of its own (ſ, S, s).
  for (const found of cases) {
    const character = String.fromCodePoint(found);
    for (const other of [character.toLowerCase(), character.toUpperCase()]) {
      const points = [...other];
      if (points.length === 1) cases.add(points[0]!.codePointAt(0)!);
    }
    for (const extra of extraCases.get(found) ?? []) cases.add(extra);
  }
  return [...cases];
}

/** A range of a class, with the other cases of its characters where case is ignored. */
export function classRange(low: number, high: number, ignoreCase: boolean): string {
  let source = low === high ? literal(low) : `${literal(low)}-${literal(high)}`;
  if (ignoreCase && high - low < 1000) {
    for (let c = low; c <= high; c++) {
      for (const other of casesOf(c)) if (other < low || other > high) source += literal(other);
    }
  }
  return source;
}

/** JavaScript's name of a Unicode property that Oniguruma may write more freely; undefined for an unknown one. */
export function propertyNameOf(plain: string): string | undefined {
  if (!/^[A-Za-z_ =:-]{1,60}$/.test(plain)) return undefined;
  const aliases: Record<string, string> = {
    alpha: "Alphabetic",
    upper: "Uppercase",
    lower: "Lowercase",
    digit: "Nd",
    punct: "P",
    space: "White_Space",
    cntrl: "Cc",
    any: "Any",
    ascii: "ASCII",
  };
  const key = plain.toLowerCase();
  const alias = Object.hasOwn(aliases, key) ? aliases[key] : undefined;
  const joined = plain.replace(/[ -]/g, "_");
  const capitalized = joined.replace(/(^|_)([a-z])/g, (_, edge: string, letter: string) => {
    return edge + letter.toUpperCase();
  });
  const candidates = alias === undefined ? [joined, capitalized] : [alias];
  for (const candidate of candidates) {
    for (const spelling of [candidate, `Script=${candidate}`]) {
      try {
        new RegExp(`\\p{${spelling}}`, "v");
        return spelling;
      } catch {
        // Not a property of that name: try the next spelling.
      }
    }
  }
  return undefined;
}

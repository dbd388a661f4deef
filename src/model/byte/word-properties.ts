/** What the word segmenter knows of a code point: its Word_Break class and a few flags. */
import { codePointKinds, codePointRuns, kindNames } from "./word-break-table.ts";

/** Word_Break classes of UAX #29, in the order of the table's numbers. */
export const wordBreakClasses = [
  "Other",
  "CR",
  "LF",
  "Newline",
  "Extend",
  "ZWJ",
  "RegionalIndicator",
  "Format",
  "Katakana",
  "HebrewLetter",
  "ALetter",
  "SingleQuote",
  "DoubleQuote",
  "MidNumLet",
  "MidLetter",
  "MidNum",
  "Numeric",
  "ExtendNumLet",
  "WSegSpace",
] as const;

/** Name of a Word_Break class. */
export type WordBreakClass = (typeof wordBreakClasses)[number];

/** Bits of a code point's kind that hold its class. */
export const classBits = 31;
/** Flags of a kind: general category P, White_Space, Extended_Pictographic, Ll and Lu. */
export const flags = {
  punctuation: 32,
  space: 64,
  pictographic: 128,
  lower: 256,
  upper: 512,
} as const;

const pageBits = 7;
const pageSize = 1 << pageBits;

interface KindTable {
  /** Page of every `pageSize` code points. */
  readonly pages: Uint16Array;
  /** Kinds of all distinct pages. */
  readonly kinds: Uint16Array;
}

let table: KindTable | undefined;

/** Class and flags of a code point. */
export function kindOf(code: number): number {
  table ??= unpackTable();
  return table.kinds[table.pages[code >> pageBits]! * pageSize + (code & (pageSize - 1))]!;
}

/** Unpacks the runs once; equal pages are kept once. */
function unpackTable(): KindTable {
  const all = new Uint16Array(0x110000);
  let code = 0;
  for (const [, length, name] of codePointRuns.matchAll(/([0-9a-z]*)([^0-9a-z])/g)) {
    const end = code + (length === "" ? 1 : Number.parseInt(length!, 36));
    all.fill(codePointKinds[kindNames.indexOf(name!)]!, code, end);
    code = end;
  }
  const known = new Map<string, number>();
  const distinct: Uint16Array[] = [];
  const pages = new Uint16Array(all.length / pageSize);
  for (let page = 0; page < pages.length; page++) {
    const kinds = all.subarray(page * pageSize, (page + 1) * pageSize);
    const key = kinds.join();
    let index = known.get(key);
    if (index === undefined) {
      index = distinct.push(kinds) - 1;
      known.set(key, index);
    }
    pages[page] = index;
  }
  const kinds = new Uint16Array(distinct.length * pageSize);
  for (const [index, page] of distinct.entries()) kinds.set(page, index * pageSize);
  return { pages, kinds };
}

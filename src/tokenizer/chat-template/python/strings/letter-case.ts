/** Case and character classes of strings, as Python's `str` methods know them. */
import { codePoints } from "./text.ts";

const cased = /^\p{Cased}$/u;
const uppercase = /^\p{Uppercase}$/u;
const lowercase = /^\p{Lowercase}$/u;
const titlecase = /^\p{Lt}$/u;
const iota = "\u0399";

/** Title case of one character. JavaScript has none; it differs from upper case only here. */
export function toTitleCase(character: string): string {
  const code = character.codePointAt(0)!;
  if (code >= 0x1c4 && code <= 0x1cc) {
    return String.fromCodePoint(code - ((code - 0x1c4) % 3) + 1);
  }
  if (code >= 0x1f1 && code <= 0x1f3) return "\u01f2";
  if (code >= 0x10d0 && code <= 0x10ff) return character;
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  if (code === 0x1fb3 || code === 0x1fbc) return "\u1fbc";
  if (code === 0x1fc3 || code === 0x1fcc) return "\u1fcc";
  if (code === 0x1ff3 || code === 0x1ffc) return "\u1ffc";
  const upper = character.toUpperCase();
  if (code >= 0x1fb2 && code <= 0x1ff7 && upper.endsWith(iota) && upper !== iota) {
    return `${upper.slice(0, -1)}\u0345`;
  }
  const [first = "", ...rest] = codePoints(upper);
  return first + rest.join("").toLowerCase();
}

/** The characters of a text with their lower case, in which a final sigma has its own form. */
function lowerParts(text: string): { character: string; lower: string }[] {
  const whole = text.toLowerCase();
  let at = 0;
  return codePoints(text).map((character) => {
    const start = at;
    at += character.toLowerCase().length;
    return { character, lower: whole.slice(start, at) };
  });
}

/** `str.capitalize`. */
export function capitalize(text: string): string {
  const [first, ...rest] = lowerParts(text);
  if (first === undefined) return "";
  return toTitleCase(first.character) + rest.map(({ lower }) => lower).join("");
}

/** `str.title`: a letter after a letter is lower case, any other one is title case. */
export function titleWords(text: string): string {
  let afterCased = false;
  const parts = lowerParts(text).map(({ character, lower }) => {
    const written = afterCased ? lower : toTitleCase(character);
    afterCased = cased.test(character);
    return written;
  });
  return parts.join("");
}

/** `str.swapcase`. */
export function swapCase(text: string): string {
  const parts = lowerParts(text).map(({ character, lower }) => {
    if (uppercase.test(character)) return lower;
    return lowercase.test(character) ? character.toUpperCase() : character;
  });
  return parts.join("");
}

/** `str.casefold`. */
export function foldCase(text: string): string {
  const parts = codePoints(text).map((character) => {
    const code = character.codePointAt(0)!;
    if (code === 0x131) return character;
    if (code === 0x1e9e) return "ss";
    const upper = character.toUpperCase();
    // Cherokee folds to its upper case.
    if ((code >= 0x13a0 && code <= 0x13fd) || (code >= 0xab70 && code <= 0xabbf)) return upper;
    // A sigma alone counts as final only after a letter, so single characters are safe to lower.
    return upper.toLowerCase();
  });
  return parts.join("");
}

/** `str.islower` and `str.isupper`: at least one cased character and none of the other case. */
export function hasOnlyCase(text: string, wanted: "lower" | "upper"): boolean {
  const [own, other] = wanted === "lower" ? [lowercase, uppercase] : [uppercase, lowercase];
  let found = false;
  for (const character of text) {
    if (other.test(character) || titlecase.test(character)) return false;
    found ||= own.test(character);
  }
  return found;
}

/** `str.istitle`. */
export function isTitle(text: string): boolean {
  let afterCased = false;
  let found = false;
  for (const character of text) {
    const upper = uppercase.test(character) || titlecase.test(character);
    if (upper || lowercase.test(character)) {
      if (upper === afterCased) return false;
      afterCased = true;
      found = true;
    } else {
      afterCased = false;
    }
  }
  return found;
}

// Superscripts, circled and other digits that are no decimal digits.
const digitClass =
  "\\p{Nd}\\u00b2\\u00b3\\u00b9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089" +
  "\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490\\u24ea\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e" +
  "\\u2780-\\u2788\\u278a-\\u2792\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}" +
  "\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}";
// Ideographs that stand for numbers.
const numericIdeographs =
  "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆" +
  "萬貮貳贰阡陆陌陸零\\uf96b\\uf973\\uf978\\uf9b2\\uf9d1\\uf9d3\\uf9fd\\u{20001}\\u{20064}\\u{200e2}" +
  "\\u{20121}\\u{2092a}\\u{20983}\\u{2098c}\\u{2099c}\\u{20aea}\\u{20afd}\\u{20b19}\\u{22390}" +
  "\\u{22998}\\u{23b1b}\\u{2626d}\\u{2f890}";

const printable = /^[^\p{C}\p{Z}]*$/u;

/** True for a character that `repr` writes as it is. */
export function isPrintable(text: string): boolean {
  return printable.test(text.replaceAll(" ", ""));
}

/** The `is…` methods that ask the same of each character; those of empty texts are false. */
export const characterTests: Readonly<Record<string, (text: string) => boolean>> = {
  isalpha: matcher("\\p{L}"),
  isalnum: matcher("\\p{L}\\p{N}"),
  isdecimal: matcher("\\p{Nd}"),
  isdigit: matcher(digitClass),
  isnumeric: matcher(`\\p{N}${numericIdeographs}`),
  isidentifier: (text) => /^[\p{XIDS}_]\p{XIDC}*$/u.test(text),
  isascii: (text) => /^[\0-\x7f]*$/.test(text),
  isprintable: isPrintable,
};

function matcher(characterClass: string): (text: string) => boolean {
  const pattern = new RegExp(`^[${characterClass}]+$`, "u");
  return (text) => pattern.test(text);
}

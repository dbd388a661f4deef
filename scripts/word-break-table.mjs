// Writes src/model/byte/word-break-table.ts: what the word segmenter needs to know of each code point.
// Word_Break is no property that JavaScript's regular expressions know, so it is put together from those
// that they do know, as table 3 of UAX #29 defines it. Run it with a Node that has the wanted Unicode version.
import { writeFileSync } from "node:fs";

const codes = (...values) => new Set(values.flat());
const span = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const newline = codes(0x0b, 0x0c, 0x85, 0x2028, 0x2029);
const katakana = codes(span(0x3031, 0x3035), 0x309b, 0x309c, 0x30a0, 0x30fc, 0xff70);
const midNumLet = codes(0x2e, 0x2018, 0x2019, 0x2024, 0xfe52, 0xff07, 0xff0e);
const midLetter = codes(0x3a, 0xb7, 0x387, 0x55f, 0x5f4, 0x2027, 0xfe13, 0xfe55, 0xff1a);
// Line_Break = Infix_Numeric without the colon, the full stop and U+FE10, 13 and 14, and five more.
const midNum = codes(
  [0x2c, 0x3b, 0x37e, 0x589, 0x60c, 0x60d, 0x66c, 0x7f8, 0x2044],
  [0xfe50, 0xfe54, 0xff0c, 0xff1b],
);
// Letters in words that are not Alphabetic.
const letters = codes(
  [0xb8, span(0x2c2, 0x2c5), span(0x2d2, 0x2d7), 0x2de, 0x2df, span(0x2e5, 0x2eb), 0x2ed],
  [span(0x2ef, 0x2ff), 0x55a, 0x55b, 0x55c, 0x55e, 0x58a, 0x5f3, span(0xa708, 0xa716)],
  [0xa720, 0xa721, 0xa789, 0xa78a, 0xab5b, 0x70f],
).values();
const otherLetters = new Set([...letters].flat());
// Numbers in words: signs that stand before digits.
const numberSigns = codes(span(0x600, 0x605), 0x6dd, 0x890, 0x891, 0x8e2, 0x110bd, 0x110cd);
const glue = codes(0xa0, 0x2007, 0x202f);
// Scripts whose words only a dictionary finds: Line_Break = Complex_Context.
const complex =
  /\p{Script=Ahom}|\p{Script=Khmer}|\p{Script=Lao}|\p{Script=Myanmar}|\p{Script=New_Tai_Lue}|\p{Script=Tai_Le}|\p{Script=Tai_Tham}|\p{Script=Tai_Viet}|\p{Script=Thai}/u;

/** The Word_Break class of a code point; the first rule that fits. */
function wordBreak(code, text) {
  if (code === 0x0d) return "CR";
  if (code === 0x0a) return "LF";
  if (newline.has(code)) return "Newline";
  if (code === 0x200d) return "ZWJ";
  if (/\p{Grapheme_Extend}|\p{Mc}|\p{Emoji_Modifier}/u.test(text)) return "Extend";
  if (/\p{Regional_Indicator}/u.test(text)) return "RegionalIndicator";
  if (numberSigns.has(code)) return "Numeric";
  if (otherLetters.has(code)) return "ALetter";
  if (/\p{Cf}/u.test(text) && code !== 0x200b) return "Format";
  if (/\p{Script=Katakana}/u.test(text) || katakana.has(code)) return "Katakana";
  if (/\p{Script=Hebrew}/u.test(text) && /\p{Lo}/u.test(text)) return "HebrewLetter";
  if (code === 0x27) return "SingleQuote";
  if (code === 0x22) return "DoubleQuote";
  if (midNumLet.has(code)) return "MidNumLet";
  if (midLetter.has(code)) return "MidLetter";
  if (midNum.has(code)) return "MidNum";
  if (/\p{Nd}/u.test(text) || code === 0x66b || code === 0x19da) return "Numeric";
  const isWord = /\p{Alphabetic}/u.test(text) && !/\p{Ideographic}|\p{Script=Hiragana}/u.test(text);
  if (isWord && !(complex.test(text) && /\p{L}|\p{M}/u.test(text))) return "ALetter";
  if (/\p{Pc}/u.test(text) || code === 0x202f) return "ExtendNumLet";
  if (/\p{Zs}/u.test(text) && !glue.has(code)) return "WSegSpace";
  return "Other";
}

const classes = [
  ["Other", "CR", "LF", "Newline", "Extend", "ZWJ", "RegionalIndicator", "Format", "Katakana"],
  ["HebrewLetter", "ALetter", "SingleQuote", "DoubleQuote", "MidNumLet", "MidLetter", "MidNum"],
  ["Numeric", "ExtendNumLet", "WSegSpace"],
].flat();
/** Class in the low five bits, then punctuation, space, pictograph, lower and upper case. */
function kindOf(code) {
  if (code >= 0xd800 && code < 0xe000) return 0;
  const text = String.fromCodePoint(code);
  let value = classes.indexOf(wordBreak(code, text));
  if (/\p{P}/u.test(text)) value |= 32;
  if (/\p{White_Space}/u.test(text)) value |= 64;
  if (/\p{Extended_Pictographic}/u.test(text)) value |= 128;
  if (/\p{Ll}/u.test(text)) value |= 256;
  if (/\p{Lu}/u.test(text)) value |= 512;
  return value;
}

// Runs of equal values: `length value`, both in base 36, with one sign between that is no digit.
const values = [];
const runs = [];
for (let code = 0; code <= 0x110000; code++) {
  const value = code === 0x110000 ? -1 : kindOf(code);
  const last = runs.at(-1);
  if (last?.value === value) last.length++;
  else runs.push({ value, length: 1 });
}
runs.pop();
for (const { value } of runs) if (!values.includes(value)) values.push(value);
// Letters from A on name the values; a run of one code point needs no length.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&()*+,-.:;<=>?@[]^_{|}~";
if (values.length > alphabet.length) throw new Error(`${values.length} kinds of code points`);
const text = runs
  .map(({ value, length }) => {
    const name = alphabet[values.indexOf(value)];
    return length === 1 ? name : `${length.toString(36)}${name}`;
  })
  .join("");
const lines = text.match(/.{1,92}/g).map((line) => `  ${JSON.stringify(line)},`);
const list = (items) => items.map((item) => JSON.stringify(item)).join(", ");
writeFileSync(
  new URL("../src/model/byte/word-break-table.ts", import.meta.url),
  `/**
 * Properties of code points that the word segmenter reads, Unicode ${process.versions.unicode}. Made by
 * scripts/word-break-table.mjs from the properties that JavaScript knows; do not edit.
 */

/** Version of Unicode that the table was made from. */
export const unicodeVersion = ${JSON.stringify(process.versions.unicode)};

/** Kinds of code points: class, and flags as in \`word-properties.ts\`. */
export const codePointKinds: readonly number[] = [${list(values)}];

/** Names of the kinds in \`codePointRuns\`, in the same order. */
export const kindNames = ${JSON.stringify(alphabet.slice(0, values.length))};

/** All code points in runs of one kind: length in base 36 (none: 1), then the kind's name. */
export const codePointRuns: string = [
${lines.join("\n")}
].join("");
`,
);
console.log(`${runs.length} runs, ${text.length} characters, ${values.length} kinds`);

/**
 * Exact byte probabilities by enumeration, for tokenizers and prompts that are hard: patterns that look ahead,
 * byte fallback, rank files, cut characters, trailing spaces, runs, the names of special tokens as text.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { byteToCharacter } from "../../tokenizer/decoders/byte-alphabet.ts";
import { createTokenizer, loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { createTokenValidity } from "../../tokenizer/validity/token-validity.ts";
import { endOutcome } from "../bytes/byte-distribution.ts";
import type { TokenRow, TokenRows } from "../bytes/token-rows.ts";
import { encodePlain, tablesOf } from "./byte-tables.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";

const encoder = new TextEncoder();
const spell = (text: string): string =>
  Array.from(encoder.encode(text), (byte) => byteToCharacter[byte]!).join("");

/** Merges over bytes, given as texts. */
const merges: readonly (readonly [string, string])[] = [
  ["a", "a"],
  [" ", "a"],
  [" ", " "],
  ["1", "1"],
  ["aa", "a"],
  ["\n", "\n"],
  ["'", "s"],
  ["'", "r"],
  [" ", "aa"],
  ["11", "1"],
];
/** The two bytes of é, the first two of 漢 (tokens that end inside a character), and the wide space. */
const pieces: readonly (readonly [string, string])[] = [
  [byteToCharacter[0xc3]!, byteToCharacter[0xa9]!],
  [byteToCharacter[0xe6]!, byteToCharacter[0xbc]!],
  [byteToCharacter[0xe3]!, byteToCharacter[0x80]!],
  [byteToCharacter[0xe3]! + byteToCharacter[0x80]!, byteToCharacter[0x80]!],
];
const end = { id: 0, content: "</s>", special: true };
const allMerges = [...merges.map(([left, right]) => [spell(left), spell(right)]), ...pieces];
const byteTokens = [
  "</s>",
  ...byteToCharacter,
  ...allMerges.map(([left, right]) => left! + right!),
];

function byteLevel(preTokenizer: object, normalizer: object | null = null): Tokenizer {
  return createTokenizer({
    added_tokens: [end],
    normalizer,
    pre_tokenizer: preTokenizer,
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(byteTokens.map((token, id) => [token, id])),
      merges: allMerges,
    },
  });
}

const plainBytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
const splitBy = (regex: string): object => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
    plainBytes,
  ],
});
const cl100k =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Cuts before the last three digits of a number, and the three before them, by looking ahead. */
const rightGroups = {
  type: "Sequence",
  pretokenizers: ["(?=(\\d{3})+(?!\\d))", cl100k].flatMap((regex) =>
    regex === cl100k
      ? splitBy(regex)
      : [{ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false }],
  ),
};

/** DeepSeek-V3's, which cuts around some ideographs and kana by their ranges. */
const deepseek = {
  type: "Sequence",
  pretokenizers: [
    ...[
      "\\p{N}{1,3}",
      "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
      "[!-/:-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ].map((regex) => ({
      type: "Split",
      pattern: { Regex: regex },
      behavior: "Isolated",
      invert: false,
    })),
    plainBytes,
  ],
};

/** Characters of their own where they have a piece, bytes where they have none: 漢 and é are bytes. */
function byteFallback(normalizer: object): Tokenizer {
  const symbols = ["▁", "a", "1", "'", "s", ".", "\n"];
  const own: [string, string][] = [
    ["a", "a"],
    ["▁", "a"],
    ["▁", "▁"],
    ["aa", "a"],
    ["▁", "aa"],
    ["1", "1"],
  ];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const tokens = [
    "</s>",
    "<unk>",
    ...bytes,
    ...symbols,
    ...own.map(([left, right]) => left + right),
  ];
  return createTokenizer({
    added_tokens: [end],
    normalizer,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
    model: {
      type: "BPE",
      byte_fallback: true,
      unk_token: "<unk>",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: own,
    },
  });
}

const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" };
const prepended = {
  type: "Sequence",
  normalizers: [{ type: "Prepend", prepend: "▁" }, spaces],
};

/** Probabilities that depend on the last two tokens; invalid ones have some, too. */
function randomRows(size: number): TokenRows {
  const rowOf = (last: number, before: number): TokenRow => {
    const random = createRandom(7, "row", before, last);
    const logits = Float64Array.from({ length: size }, () => 4 * random.uniform());
    const logSumExp = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    return { logits, logSumExp };
  };
  return {
    name: "toy",
    contextLength: 1000,
    endIds: [0],
    beginning: [0],
    async evaluate({ base, ids, parents }) {
      const sequences = [[...base]];
      for (const [at, id] of ids.entries()) sequences.push([...sequences[parents[at]! + 1]!, id]);
      return sequences.map((sequence) => rowOf(sequence.at(-1) ?? -1, sequence.at(-2) ?? -1));
    },
    async close() {},
  };
}

/** Texts that may follow: one of each class, and what patterns look ahead to. */
const continuations: readonly string[] = (() => {
  const classes = ["a", " ", "\n", "1", ".", "'", "漢"];
  const pairs = classes.flatMap((one) => classes.map((other) => one + other));
  return [
    "",
    ...classes,
    ...pairs,
    "111",
    "1111",
    "1a",
    "11a",
    "111a",
    "'s",
    "e",
    "r",
    "re",
    "é",
    "\u0301",
  ];
})();

/** Characters that complete the bytes of half a character. */
const completions: readonly string[] = [
  ...["", "é", "漢", "à", "漣", "潁", "ÿ", "滿"],
  // Of 0xE3 a letter, a mark and white space; of 0xE4 a letter and a symbol before the range that DeepSeek names.
  ...["カ", "、", "\u3000", "中", "\u4000", "\u4dc0"],
];

/** Every covering of a prefix, judged by encoding whole texts, with ln P. */
async function enumerate(
  tokenizer: Tokenizer,
  rows: TokenRows,
  prefix: Uint8Array,
): Promise<{ ids: number[]; log: number; spelt: number[] }[]> {
  const { validity } = tablesOf(tokenizer, "utf8");
  const { bytesById, dummySpace } = validity.tokens;
  const offset = dummySpace === "never" ? 0 : 1;
  const target = offset === 1 ? [0x20, ...prefix] : [...prefix];
  const known = new Map<string, boolean>();
  const isValid = (ids: readonly number[], spelt: readonly number[]): boolean => {
    const key = `${ids}`;
    let found = known.get(key);
    if (found === undefined) {
      found = completions.some((completion) => {
        for (const start of starts(spelt.slice(offset), completion)) {
          for (const next of continuations) {
            const encoded = encodePlain(tokenizer, start + next);
            if (ids.every((id, at) => encoded[at] === id)) return true;
          }
        }
        return false;
      });
      known.set(key, found);
    }
    return found;
  };
  const found: { ids: number[]; log: number; spelt: number[] }[] = [];
  const grow = async (ids: number[], spelt: number[], log: number): Promise<void> => {
    if (spelt.length >= target.length && (ids.length > 0 || target.length === 0)) {
      found.push({ ids, log, spelt });
      return;
    }
    const [row] = await rows.evaluate({ base: [0, ...ids], ids: [], parents: [] }, {});
    for (const [id, bytes] of bytesById.entries()) {
      if (bytes === undefined) continue;
      const longer = [...spelt, ...bytes];
      const shared = Math.min(longer.length, target.length);
      if (longer.slice(0, shared).some((byte, at) => byte !== target[at])) continue;
      const grown = [...ids, id];
      if (isValid(grown, longer))
        await grow(grown, longer, log + row!.logits[id]! - row!.logSumExp);
    }
  };
  await grow([], [], 0);
  return found;
}

/** The text of some bytes; where they end inside a character, with that character if it fits. */
function starts(bytes: readonly number[], completion: string): string[] {
  const decode = (list: readonly number[]): string | undefined => {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        Uint8Array.from(list),
      );
    } catch {
      return undefined;
    }
  };
  if (completion === "") return [decode(bytes)].filter((text) => text !== undefined);
  const whole = [...encoder.encode(completion)];
  for (let cut = 1; cut < whole.length; cut++) {
    const tail = bytes.slice(-cut);
    if (tail.length < cut || tail.some((byte, at) => byte !== whole[at])) continue;
    const text = decode([...bytes.slice(0, -cut), ...whole]);
    if (text !== undefined) return [text];
  }
  return [];
}

/** Whether the enumeration knows a text that begins with these bytes. */
const isKnown = (bytes: readonly number[]): boolean =>
  completions.some((completion) => starts(bytes, completion).length > 0);

const cut = (text: string, bytes: number): Uint8Array => encoder.encode(text).subarray(0, bytes);
const prompts: readonly [string, Uint8Array][] = [
  ["nothing", cut("", 0)],
  ["one character", cut("a", 1)],
  ["one space", cut(" ", 1)],
  ["a trailing space", cut("a ", 2)],
  ["two trailing spaces", cut("a  ", 3)],
  ["line breaks", cut("a\n\n", 3)],
  ["digits", cut("1111", 4)],
  ["an apostrophe", cut("a'", 2)],
  ["a contraction", cut("a's a", 5)],
  ["letters of a contraction that no merge joins", cut("'re", 3)],
  ["half of é", cut("aé", 2)],
  ["a third of 漢", cut("a漢", 2)],
  ["two thirds of 漢", cut("漢", 2)],
  ["half of カ on a new line", cut("\nカ", 3)],
  ["half of 中 behind a space", cut(" 中", 3)],
  ["the name of a special token", cut("</s>a", 5)],
];

let folder = "";
let ranks: Tokenizer | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-ranks-"));
  const file = join(folder, "toy.tiktoken");
  const bytesOf = (token: string): number[] =>
    Array.from(token, (character) => byteToCharacter.indexOf(character));
  const lines = byteTokens
    .slice(1)
    .map((token, at) => `${Buffer.from(bytesOf(token)).toString("base64")} ${at + 1}`);
  writeFileSync(file, lines.join("\n"));
  ranks = await loadTokenizer(file, {
    encoding: { pattern: { regex: cl100k }, specialTokens: { "</s>": 0 } },
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const subjects: readonly [string, () => Tokenizer][] = [
  ["GPT-2's pattern", () => byteLevel({ ...plainBytes, use_regex: true })],
  ["cl100k's pattern, digits in threes", () => byteLevel(splitBy(cl100k))],
  ["composed characters", () => byteLevel(splitBy(cl100k.replace("{1,3}", "")), { type: "NFC" })],
  ["DeepSeek's pattern", () => byteLevel(deepseek)],
  ["no pattern at all", () => byteLevel(plainBytes)],
  ["byte fallback", () => byteFallback(spaces)],
  ["byte fallback with a space before the text", () => byteFallback(prepended)],
  ["a rank file", () => ranks!],
];

describe.each(subjects)("%s", (_name, open) => {
  test.each(prompts)("after %s", async (_kind, prefix) => {
    const tokenizer = open();
    const rows = randomRows(tokenizer.vocabSize);
    const coverings = await enumerate(tokenizer, rows, prefix);
    const bytes = createExactBytes(rows, tokenizer, { whole: true });
    await bytes.prefill(prefix);
    const found = await bytes.coverings();
    expect(found.map(({ ids }) => `${ids}`).sort()).toEqual(
      coverings.map(({ ids }) => `${ids}`).sort(),
    );
    for (const { ids, logProbability } of found) {
      const { log } = coverings.find((other) => `${other.ids}` === `${ids}`)!;
      expect(Math.abs(log - logProbability)).toBeLessThan(1e-9);
    }
    // The bytes that follow, by the coverings of the longer text; the end shares what is left.
    const logs = await bytes.logProbabilities();
    expect(logs.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 9);
    const likely = [...logs.subarray(0, 256).entries()]
      .filter(([byte, log]) => log > Number.NEGATIVE_INFINITY && isKnown([...prefix, byte]))
      .sort(([, a], [, b]) => b - a)
      .slice(0, 3)
      .map(([byte]) => byte);
    const sums = [];
    for (const byte of likely) {
      const longer = await enumerate(tokenizer, rows, Uint8Array.of(...prefix, byte));
      sums.push(longer.reduce((sum, { log }) => sum + Math.exp(log), 0));
    }
    for (const [at, byte] of likely.entries()) {
      const ratio = Math.exp(logs[byte]! - logs[likely[0]!]!);
      expect(Math.abs(ratio - sums[at]! / sums[0]!)).toBeLessThan(1e-9);
    }
  });
});

/** Texts whose words begin and end at characters of several bytes, beside what patterns tell apart. */
const ownTexts: readonly string[] = [
  "a\nカ、\u3000中 中  あ\n\u3000a",
  "a\u060c \u062f\u060c\u062f\u2026 a\u2026\u2030",
  "  \u{1d7ce}\u{1d7ce}\u{1d7ce} \u{10107}1\u{1d7ce}1",
  "é\u0301 \u4000\u4dc0 中\u4000 가 \u{1f600}\u200d\u{1f600}",
  "it's they're we've I'll 'RE 've' aA Aa AaA\u01c5 \u02b0",
  "1 11 111 1111 \u0663\u0663\u0663 \u00b2\u2081 x\u203fy \u205f\u2003a\u2028",
];

test.each([
  ...subjects,
  ["digits in threes from the right", () => byteLevel(rightGroups)] as const,
  ["marks by name", () => byteLevel(splitBy(" ?[^(\\s|.,!?\u2026\u3002\u060c\u3001)]+"))] as const,
])("%s: the encoding of a text is among the coverings of its beginnings", async (_name, open) => {
  const tokenizer = open();
  const bytes = createExactBytes(randomRows(tokenizer.vocabSize), tokenizer, { whole: true });
  const { bytesById, dummySpace } = bytes.validity.tokens;
  for (const text of ownTexts) {
    const spelt = encoder.encode(text);
    const hidden = dummySpace === "never" ? 0 : 1;
    await bytes.prefill(new Uint8Array(0));
    for (let end = 1; end <= spelt.length; end++) {
      await bytes.advance(spelt[end - 1]!);
      const covering: number[] = [];
      let length = -hidden;
      for (const id of encodePlain(tokenizer, text)) {
        if (length >= end) break;
        covering.push(id);
        length += bytesById[id]!.length;
      }
      const found = (await bytes.coverings()).map(({ ids }) => `${ids}`);
      expect(found, JSON.stringify([text, end])).toContain(`${covering}`);
    }
  }
});

test.each<[string, object]>([
  ["white space", { type: "Whitespace" }],
  ["white space in front of a script", { type: "UnicodeScripts" }],
  ["a delimiter", { type: "CharDelimiterSplit", delimiter: "\u20ac" }],
  ["matches", { type: "Split", pattern: { Regex: "\u20ac+" }, behavior: "Removed", invert: false }],
  ["gaps", { type: "Split", pattern: { Regex: "\\w+" }, behavior: "Removed", invert: true }],
])("a pre-tokenizer that drops %s ends in an error that says so", (_name, split) => {
  const tokenizer = byteLevel({ type: "Sequence", pretokenizers: [split, plainBytes] });
  expect(() => createTokenValidity(tokenizer)).toThrow(/pre-tokenizer drops a part of/);
});

test("an empty text has no tokens, not even the one of a space before it", async () => {
  const tokenizer = byteFallback(prepended);
  expect([...encodePlain(tokenizer, "")]).toEqual([]);
  const rows = randomRows(tokenizer.vocabSize);
  const [row] = await rows.evaluate({ base: [0], ids: [], parents: [] }, {});
  const end = Math.exp(row!.logits[0]! - row!.logSumExp);
  const longer = await enumerate(tokenizer, rows, encoder.encode("a"));
  const sum = longer.reduce((total, { log }) => total + Math.exp(log), 0);
  for (const whole of [true, false]) {
    const logs = await createExactBytes(rows, tokenizer, { whole }).logProbabilities();
    expect(Math.exp(logs[endOutcome]! - logs[0x61]!)).toBeCloseTo(end / sum, 9);
  }
});

test("a run of one character: byte by byte as at once, in bounded work", async () => {
  const tokenizer = byteLevel({ ...plainBytes, use_regex: true });
  const rows = randomRows(tokenizer.vocabSize);
  const [grown, whole] = [createExactBytes(rows, tokenizer), createExactBytes(rows, tokenizer)];
  const run = encoder.encode("a".repeat(400));
  await grown.prefill(new Uint8Array(0));
  for (const [at, byte] of run.entries()) {
    if (at % 80 === 79) {
      await whole.prefill(run.subarray(0, at));
      const [one, other] = [await grown.logProbabilities(), await whole.logProbabilities()];
      const furthest = Math.max(
        ...Array.from(one, (log, place) => Math.abs(Math.exp(log) - Math.exp(other[place]!))),
      );
      expect(furthest).toBeLessThan(1e-9);
      expect((await grown.coverings()).length).toBeLessThan(40);
    }
    await grown.advance(byte);
  }
});

/**
 * Coverings by enumeration where a tokenizer finds strings before it cuts (added tokens that are ordinary text), or
 * takes whole words for tokens that no merges give: every text of three letters up to a length is encoded, and a
 * sequence is valid where some encoding begins with it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { byteToCharacter } from "../../tokenizer/decoders/byte-alphabet.ts";
import { createTokenizer, loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { createTokenValidity } from "../../tokenizer/validity/token-validity.ts";
import type { TokenRow, TokenRows } from "../bytes/token-rows.ts";
import { encodePlain } from "./byte-tables.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";

const letters = ["a", "b", " "];
const longest = 7;
const texts = (() => {
  const found = [""];
  for (let layer = [""], length = 0; length < longest; length++) {
    layer = layer.flatMap((text) => letters.map((letter) => text + letter));
    found.push(...layer);
  }
  return found;
})();

interface Toy {
  readonly merges: readonly (readonly [string, string])[];
  /** Added tokens that are ordinary text. */
  readonly found?: readonly string[];
  /** Tokens that no merges give. */
  readonly more?: readonly string[];
  readonly ignoreMerges?: boolean;
  /** Bytes as symbols behind a split, or characters with byte fallback and none. */
  readonly kind?: "bytes" | "characters";
  readonly flags?: object;
  /** A letter that has no token, so that its byte spells it. */
  readonly bare?: string;
}

const spelling = { bytes: byteToCharacter[32]!, characters: "▁" };

function open({ merges, found = [], more = [], kind = "bytes", ...toy }: Toy): Tokenizer {
  const write = (text: string): string => text.replaceAll(" ", spelling[kind]);
  const bytes =
    kind === "bytes"
      ? byteToCharacter
      : Array.from(
          { length: 256 },
          (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
        );
  const merged = merges.map(([left, right]) => left + right);
  const own = letters.filter((letter) => letter !== toy.bare);
  const tokens = ["</s>", ...bytes, ...own, ...merged, ...more].map((token) =>
    token.length > 1 && token.startsWith("<") ? token : write(token),
  );
  const vocabulary = [...new Set(tokens)];
  const added = found.map((content, at) => ({ id: vocabulary.length + at, content, ...toy.flags }));
  return createTokenizer({
    added_tokens: [{ id: 0, content: "</s>", special: true }, ...added],
    ...(kind === "bytes"
      ? {
          pre_tokenizer: {
            type: "Sequence",
            pretokenizers: [
              { type: "Split", pattern: { Regex: " ?[ab]+| +" }, behavior: "Isolated" },
              { type: "ByteLevel", add_prefix_space: false, use_regex: false },
            ],
          },
          decoder: { type: "ByteLevel" },
        }
      : {
          normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
          decoder: { type: "ByteFallback" },
        }),
    model: {
      ...{ type: "BPE", unk_token: null, byte_fallback: kind === "characters" },
      ignore_merges: toy.ignoreMerges ?? false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: merges.map((pair) => pair.map(write)),
    },
  });
}

function randomRows(size: number): TokenRows {
  const rowAfter = (sequence: readonly number[]): TokenRow => {
    const random = createRandom(11, "row", sequence.at(-2) ?? -1, sequence.at(-1) ?? -1);
    const logits = Float64Array.from({ length: size }, () => 4 * random.uniform());
    return { logits, logSumExp: Math.log(logits.reduce((sum, one) => sum + Math.exp(one), 0)) };
  };
  return {
    ...{ name: "toy", contextLength: 1000, endIds: [0], beginning: [0] },
    async evaluate({ base, ids, parents }) {
      const sequences = [[...base]];
      for (const [at, id] of ids.entries()) sequences.push([...sequences[parents[at]! + 1]!, id]);
      return sequences.map(rowAfter);
    },
    async close() {},
  };
}

/** The coverings of a prefix among the beginnings of all encodings. */
function coveringsOf(
  beginnings: ReadonlyMap<string, readonly number[]>,
  spell: (ids: readonly number[]) => string,
  prefix: string,
): string[] {
  return [...beginnings.values()]
    .filter((ids) => {
      if (ids.length === 0) return prefix === "";
      return (
        prefix !== "" &&
        spell(ids).startsWith(prefix) &&
        spell(ids.slice(0, -1)).length < prefix.length
      );
    })
    .map((ids) => `${ids}`)
    .sort();
}

const merges = [
  ["a", "b"],
  [" ", "a"],
  ["ab", "a"],
  ["b", "b"],
] as const;
const toys: readonly [string, Toy][] = [
  ["one added token", { merges, found: ["aba"] }],
  ["added tokens that overlap", { merges, found: ["ab", "bb"] }],
  ["an added token that begins another", { merges, found: ["  ", "    ", "a"] }],
  ["an added token within another", { merges, found: ["bab", "a"] }],
  ["added tokens of characters", { merges, found: ["ab", "  a"], kind: "characters" }],
  ["found in normalized text", { merges, found: ["ba"], flags: { normalized: true } }],
  ["a whole word", { merges, more: ["bab"], ignoreMerges: true }],
  ["whole words that begin others", { merges, more: ["ba", "baab"], ignoreMerges: true }],
  ["a whole text", { merges, more: ["b a"], ignoreMerges: true, kind: "characters" }],
  [
    "a whole text with a letter that has no token",
    {
      merges: [[" ", "a"]],
      more: ["b a", " b"],
      bare: "b",
      ignoreMerges: true,
      kind: "characters",
    },
  ],
  ["both", { merges, more: ["bab", " b"], found: ["aa", " ab"], ignoreMerges: true }],
];

describe.each(toys)("%s", (_name, toy) => {
  test("the coverings of each prefix are those of the enumeration, and so are the next bytes", async () => {
    const tokenizer = open(toy);
    const rows = randomRows(tokenizer.vocabSize);
    const beginnings = new Map<string, readonly number[]>();
    for (const text of texts) {
      const ids = [...encodePlain(tokenizer, text)];
      for (let end = 0; end <= ids.length; end++) {
        beginnings.set(`${ids.slice(0, end)}`, ids.slice(0, end));
      }
    }
    const spell = (ids: readonly number[]): string => tokenizer.decode(ids).replaceAll("▁", " ");
    const bytes = createExactBytes(rows, tokenizer, { whole: true });
    const parted = createExactBytes(rows, tokenizer);
    const { bytesById } = bytes.validity.tokens;
    const isSpelt = (ids: readonly number[]): boolean => {
      const all = ids.flatMap((id) => [...bytesById[id]!]);
      // Longer texts, and other letters, are not enumerated.
      return (
        all.length <= longest - 2 && all.every((byte) => " ab".includes(String.fromCharCode(byte)))
      );
    };
    for (const prefix of texts.filter(({ length }) => length <= 4)) {
      if (prefix.length > 3 && createRandom(5, "prefix", prefix).uniform() > 0.15) continue;
      const read = new TextEncoder().encode(prefix);
      await bytes.prefill(read);
      const found = await bytes.coverings();
      const expected = coveringsOf(beginnings, spell, prefix);
      const own = found.map(({ ids }) => ids).filter(isSpelt);
      const wanted = expected.filter((ids) =>
        isSpelt(ids === "" ? [] : ids.split(",").map(Number)),
      );
      expect(own.map((ids) => `${ids}`).sort(), JSON.stringify(prefix)).toEqual(wanted);
      // Without what is certain the same conditionals.
      await parted.prefill(read);
      const [one, other] = [await bytes.logProbabilities(), await parted.logProbabilities()];
      expect(one.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 9);
      for (const [outcome, log] of one.entries()) {
        expect(Math.abs(Math.exp(log) - Math.exp(other[outcome]!))).toBeLessThan(1e-9);
      }
    }
  });
});

test("added tokens that change what is beside them end in an error that says why", async () => {
  const wrong: readonly [object, RegExp][] = [
    [{ lstrip: true }, /takes white space/],
    [{ rstrip: true }, /takes white space/],
    [{ single_word: true }, /between words only/],
  ];
  for (const [flags, reason] of wrong) {
    const tokenizer = open({ merges, found: ["ab"], flags });
    expect(() => createTokenValidity(tokenizer)).toThrow(reason);
    expect(await codeOf(async () => createTokenValidity(tokenizer))).toBe(
      "byte-tokens-unsupported",
    );
  }
  const apart = open({ merges, found: ["ab"] });
  expect(() => createTokenValidity(apart)).not.toThrow();
});

const data = process.env["JETON_DATA"];
const published = ["gpt-neox", "stablelm-alpha", "whisper", "mistral-v3.model"].flatMap((name) => {
  const path = join(data ?? "", "tokenizers", name);
  return data !== undefined && existsSync(path) ? [path] : [];
});

describe.skipIf(published.length === 0).each(published)("%s", (path) => {
  test("its own encodings are valid, also with what it finds in them", async () => {
    const tokenizer = await loadTokenizer(
      existsSync(join(path, "tokenizer.json")) ? join(path, "tokenizer.json") : path,
    );
    const validity = createTokenValidity(tokenizer);
    expect(validity.tokens.symbols.size).toBeGreaterThan(0);
    const symbol = [...validity.tokens.symbols].map((id) => validity.bytesOf(id)!)[0]!;
    const found = new TextDecoder().decode(symbol);
    for (const text of [
      `a${found}b`,
      `${found}${found} x`,
      "The king  is\t\t dead.\n    Long live",
    ]) {
      let state = validity.start;
      for (const id of encodePlain(tokenizer, text)) {
        const next = validity.after(state, id);
        expect(next, `${JSON.stringify(text)}: ${id}`).toBeDefined();
        state = next!;
      }
      expect(validity.isWhole(state)).toBe(true);
    }
  });
});

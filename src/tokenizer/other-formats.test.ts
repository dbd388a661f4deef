import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../core/error.ts";
import { byteToCharacter, fromByteAlphabet } from "./decoders/byte-alphabet.ts";
import { loadTokenizer } from "./formats/load-tokenizer.ts";
import { readSentencePieceModel } from "./formats/sentencepiece-model.ts";
import { readTiktokenRanks } from "./formats/tiktoken-ranks.ts";
import { copyTokenizer } from "./formats/tokenizer-files.ts";
import { readTokenizerSettings } from "./formats/tokenizer-settings.ts";
import { TokenIndex } from "./models/token-index.ts";
import { byteToken } from "./models/utf8.ts";
import { vocabularyFolder } from "./testing/fixtures.ts";
import { type TestPiece, writeSentencePieceModel } from "./testing/sentencepiece-file.ts";
import { assembleTokenizer, createTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./tokenizer-interface.ts";

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return JetonError.isInstance(error) ? error.code : String(error);
  }
  return undefined;
}

const controls: readonly TestPiece[] = [
  { text: "<unk>", score: 0, type: 2 },
  { text: "<s>", score: 0, type: 3 },
  { text: "</s>", score: 0, type: 3 },
];
const bytes: readonly TestPiece[] = Array.from({ length: 256 }, (_, byte) => ({
  text: byteToken(byte),
  score: 0,
  type: 6,
}));

describe("SentencePiece models", () => {
  const merged = ["▁a", "ab", "▁ab", "bc", "abc", "▁", "a", "b", "c"];
  const bpe = (options: { spaces?: boolean; symbol?: boolean } = {}): Tokenizer =>
    assembleTokenizer(
      readSentencePieceModel(
        writeSentencePieceModel({
          pieces: [
            ...controls,
            ...bytes,
            ...merged.map((text, i) => ({ text, score: -i })),
            ...(options.symbol ? [{ text: "[ab]", score: 0, type: 4 }] : []),
          ],
          modelType: 2,
          byteFallback: true,
          removeExtraSpaces: options.spaces ?? false,
        }),
      ),
      {},
    );

  test("BPE merges the pair whose piece has the highest score", () => {
    // (▁, a) goes first, then (▁a, b) before (b, c).
    expect(bpe().encode("ab abc").tokens).toEqual(["▁ab", "▁ab", "c"]);
    expect(bpe().encode("babc").tokens).toEqual(["▁", "b", "abc"]);
    expect(bpe().encode("é").tokens).toEqual(["▁", "<0xC3>", "<0xA9>"]);
  });

  test("spaces are kept or collapsed as the file says", () => {
    expect(bpe().encode("  a ").tokens).toEqual(["▁", "▁", "▁a", "▁"]);
    const collapsed = bpe({ spaces: true }).encode("  a   b  ");
    expect(collapsed.tokens).toEqual(["▁a", "▁", "b"]);
    expect(collapsed.offsets).toEqual([
      [2, 3],
      [3, 4],
      [6, 7],
    ]);
    expect(bpe({ spaces: true }).encodeIds("   ")).toHaveLength(0);
  });

  test("user-defined symbols are one token and merge with nothing", () => {
    const tokenizer = bpe({ symbol: true });
    expect(tokenizer.encode("a[ab]b").tokens).toEqual(["▁a", "[ab]", "b"]);
    expect(tokenizer.decode(tokenizer.encodeIds("a[ab]b"))).toBe("a[ab]b");
  });

  test("control pieces are special tokens; as text they fall apart", () => {
    const tokenizer = bpe();
    expect([...tokenizer.encodeIds("<s>a")]).toContain(1);
    expect([...tokenizer.encodeIds("<s>a", { allowedSpecial: "none" })]).not.toContain(1);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.unkTokenId]).toEqual([1, 2, 0]);
  });

  test("byte fallback loses nothing, plain and aligned paths agree", () => {
    const collapsing = bpe({ spaces: true });
    for (const tokenizer of [bpe(), bpe({ symbol: true }), collapsing]) {
      fc.assert(
        fc.property(
          fc.array(fc.constantFrom(" ", "a", "b", "c", "é", "😀", "[ab]", "▁")),
          (parts) => {
            const text = parts.join("");
            const ids = tokenizer.encodeIds(text, { allowedSpecial: "none" });
            expect(tokenizer.encode(text, { allowedSpecial: "none" }).ids).toEqual(ids);
            if (text.includes("▁")) return;
            const collapsed = text.trim().replace(/ +/g, " ");
            expect(tokenizer.decode(ids)).toBe(tokenizer === collapsing ? collapsed : text);
          },
        ),
      );
    }
  });

  test("Unigram takes the best cut and joins unknown characters", () => {
    const scores: [string, number][] = [
      ["▁", -2],
      ["▁a", -1.5],
      ["b", -3],
      ["ab", -2],
      ["a", -3],
    ];
    const tokenizer = assembleTokenizer(
      readSentencePieceModel(
        writeSentencePieceModel({
          pieces: [...controls, ...scores.map(([text, score]) => ({ text, score }))],
          modelType: 1,
        }),
      ),
      {},
    );
    expect(tokenizer.encode("ab  xy").tokens).toEqual(["▁", "ab", "▁", "xy"]);
  });

  test("of cuts that are equal in single precision, the one that the native library takes", () => {
    const scores = { "▁": -2.1, x: -3.3, "0": -0.3, "00": -0.1 };
    const pieces = Object.entries(scores).map(([text, score]) => ({ text, score }));
    const model = writeSentencePieceModel({ pieces: [...controls, ...pieces], modelType: 1 });
    const tokenizer = assembleTokenizer(readSentencePieceModel(model), {});
    // As encoded by SentencePiece 0.1.97.
    expect(tokenizer.encode("x000").tokens).toEqual(["▁", "x", "00", "0"]);
  });

  test("unknown characters are shown as they are", () => {
    const pieces = merged.map((text, i) => ({ text, score: -i }));
    const model = writeSentencePieceModel({ pieces: [...controls, ...pieces], modelType: 2 });
    const tokenizer = assembleTokenizer(readSentencePieceModel(model), {});
    expect(tokenizer.encode("a éü b").tokens).toEqual(["▁a", "▁", "éü", "▁", "b"]);
  });

  test("every character of a run of bytes is read, with any neighbours", () => {
    const tokenizer = bpe();
    const ids = [0x51, 0x98, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82].map(
      (byte) => 3 + byte,
    );
    const text = "Q\ufffdé😀\ufffd\ufffd";
    expect(tokenizer.decode(ids)).toBe(text);
    const stream = tokenizer.streamDecoder();
    expect(ids.map((id) => stream.push(id)).join("") + stream.end()).toBe(text);
  });

  test("damaged files end in a JetonError", () => {
    const good = writeSentencePieceModel({
      pieces: [...controls, ...merged.map((text, i) => ({ text, score: -i }))],
      modelType: 2,
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(good.length),
        (changes, length) => {
          const damaged = good.slice(0, length);
          for (const [at, value] of changes) if (at < length) damaged[at] = value;
          try {
            assembleTokenizer(readSentencePieceModel(damaged), {}).encodeIds("ab abc é");
          } catch (error) {
            if (!JetonError.isInstance(error)) throw error;
          }
        },
      ),
      { numRuns: 1000 },
    );
    expect(codeOf(() => readSentencePieceModel(new Uint8Array()))).toBe("sentencepiece-invalid");
    expect(codeOf(() => readSentencePieceModel(good.slice(0, -1)))).toBe("protobuf-malformed");
  });
});

describe("tiktoken ranks", () => {
  const extra = ["he", "ll", "hell", "hello", "Ġw", "lo", "owo"];
  const line = (token: string, rank: number): string => {
    const binary = String.fromCharCode(...fromByteAlphabet(token)!);
    return `${btoa(binary)} ${rank}`;
  };
  const ranks = [...byteToCharacter, ...extra].map(line);
  const read = (lines: readonly string[]): Tokenizer =>
    assembleTokenizer(
      readTiktokenRanks(lines.join("\n"), { pattern: "gpt2", specialTokens: { "<|end|>": 1000 } }),
      {},
    );

  test("neighbours merge when they make a token, the lowest rank first", () => {
    const tokenizer = read(ranks);
    expect(tokenizer.encode("hello").tokens).toEqual(["hello"]);
    expect(tokenizer.encode("hellolo").tokens).toEqual(["hello", "lo"]);
    // No two tokens make `owo`, but as a whole word it is one.
    expect(tokenizer.encode("owo").tokens).toEqual(["owo"]);
    expect(tokenizer.encode("xowo").tokens).toEqual(["x", "o", "w", "o"]);
    expect([...tokenizer.encodeIds("<|end|>")]).toEqual([1000]);
  });

  test("malformed files are refused", () => {
    const wrong: string[][] = [
      ["hello"],
      [...ranks, "!!! 7"],
      [...ranks, "aGU= x"],
      [...ranks, "aGU= 99999999999"],
      [...ranks, line("hh", 3)],
      ranks.slice(1),
      ["eA== 1000", ...ranks.filter((_, i) => i !== "x".charCodeAt(0))],
    ];
    for (const lines of wrong) {
      expect(codeOf(() => read(lines))).toMatch(/^(tiktoken-invalid|tokenizer-json-invalid)$/);
    }
  });

  test("files are told apart by their content", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jeton-formats-"));
    try {
      writeFileSync(join(folder, "mine.tiktoken"), ranks.join("\n"));
      const encoding = { pattern: "gpt2", specialTokens: {} } as const;
      expect((await loadTokenizer(folder, { encoding })).encode("hello").tokens).toEqual(["hello"]);
      const unknown: unknown = await loadTokenizer(folder).catch((error: unknown) => error);
      expect(JetonError.isInstance(unknown) && unknown.code).toBe("tiktoken-encoding-unknown");
      const pieces = [...controls, { text: "▁", score: -1 }, { text: "a", score: -2 }];
      writeFileSync(
        join(folder, "tokenizer.model"),
        writeSentencePieceModel({ pieces, modelType: 2 }),
      );
      expect((await loadTokenizer(folder)).encode("a").tokens).toEqual(["▁", "a"]);
      const added_tokens_decoder = {
        3: { content: "elsewhere", special: true },
        9: { content: "<|new|>", special: true },
      };
      const configuration = JSON.stringify({ added_tokens_decoder });
      writeFileSync(join(folder, "tokenizer_config.json"), configuration);
      const extended = await loadTokenizer(folder);
      expect(extended.encode("a<|new|>").ids.at(-1)).toBe(9);
      expect(extended.idToToken(3)).toBe("▁");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("the index of tokens finds every cut into two tokens", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.stringMatching(/^[ab]{1,6}$/), { minLength: 1 }), (tokens) => {
      const index = new TokenIndex(tokens);
      const known = new Set(tokens);
      for (const [i, token] of tokens.entries()) {
        const found: string[] = [];
        index.visitCuts(i, (left, right, cut) => {
          expect(tokens[left]).toBe(token.slice(0, cut));
          expect(tokens[right]).toBe(token.slice(cut));
          found.push(`${cut}`);
        });
        const expected: string[] = [];
        for (let cut = token.length - 1; cut > 0; cut--) {
          if (known.has(token.slice(0, cut)) && known.has(token.slice(cut)))
            expected.push(`${cut}`);
        }
        expect(found).toEqual(expected);
      }
    }),
  );
});

const folder = vocabularyFolder();
describe.skipIf(folder === undefined)("published files", () => {
  const lines = (): string[] => {
    const pud = join(folder!, "..", "text", "pud");
    return readdirSync(pud).flatMap((file) =>
      readFileSync(join(pud, file), "utf8").split("\n").slice(0, 200),
    );
  };

  test("the rank file of GPT-2 gives the ids of its tokenizer.json", async () => {
    const ranks = await loadTokenizer(join(folder!, "r50k_base.tiktoken"));
    const json = await loadTokenizer(join(folder!, "gpt2"));
    for (const line of lines()) expect(ranks.encodeIds(line)).toEqual(json.encodeIds(line));
  });

  test("Mistral's SentencePiece model gives the ids of its tokenizer.json, moved by 768", async () => {
    const model = await loadTokenizer(join(folder!, "mistral-v3.model"));
    const json = await loadTokenizer(join(folder!, "mistral-v0.2"));
    const bare = { addSpecialTokens: false };
    for (const line of lines()) {
      const moved = json.encodeIds(line, bare).map((id) => id + 768);
      expect(model.encodeIds(line, bare)).toEqual(moved);
    }
  });

  test.each(["cl100k_base", "o200k_base", "mistral-v3"])("%s loses nothing", async (name) => {
    const file = readdirSync(folder!).find((candidate) => candidate.startsWith(name))!;
    const tokenizer = await loadTokenizer(join(folder!, file));
    for (const line of lines()) expect(tokenizer.decode(tokenizer.encodeIds(line))).toBe(line);
  });
});

test("tokens that only added_tokens_decoder names are added, those of tokenizer.json keep its flags", () => {
  const entry = {
    lstrip: false,
    rstrip: false,
    single_word: false,
    normalized: false,
    special: true,
  };
  const json = {
    version: "1.0",
    added_tokens: [{ id: 3, content: "<s>", ...entry, lstrip: true }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2, "<s>": 3 }, merges: [["a", "b"]] },
  };
  const config = {
    added_tokens_decoder: {
      "9": { ...entry, content: "<later>", special: false },
      "3": { ...entry, content: "<s>" },
      "2": { ...entry, content: "ab" },
      "4": { ...entry, content: "<|im_end|>" },
    },
    eos_token: "<|im_end|>",
  };
  const tokenizer = createTokenizer(json, readTokenizerSettings({ config }));
  const idsOf = (text: string) => [...tokenizer.encodeIds(text)];
  expect(idsOf("a<|im_end|>b<later>")).toEqual([0, 4, 1, 5]);
  // The file's own flag: white space to the left goes with it.
  expect(idsOf("a <s>ab")).toEqual([0, 3, 2]);
  expect([tokenizer.eosTokenId, tokenizer.vocabSize]).toEqual([4, 6]);
  expect([4, 2, 5].map((id) => tokenizer.isSpecial(id))).toEqual([true, true, false]);
});

describe("ByT5's tokenizer, which has no file of its own", () => {
  const named = { tokenizer_class: "ByT5Tokenizer" };
  const write = (files: Readonly<Record<string, unknown>>): string => {
    const folder = mkdtempSync(join(tmpdir(), "jeton-byt5-"));
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, name), JSON.stringify(content));
    }
    return folder;
  };

  test.each<[string, Record<string, unknown>, number]>([
    ["tokenizer_config.json", { "tokenizer_config.json": { ...named, extra_ids: 5 } }, 264],
    ["config.json", { "config.json": named }, 384],
    ["config.json beside settings", { "config.json": named, "tokenizer_config.json": {} }, 384],
  ])("is named by %s, and copied with it", async (_, files, size) => {
    const folder = write(files);
    const copy = join(folder, "copy");
    await copyTokenizer(folder, copy);
    for (const place of [folder, copy]) {
      const tokenizer = await loadTokenizer(place);
      expect([...tokenizer.encodeIds("Zë")]).toEqual([93, 198, 174, 1]);
      expect(tokenizer.vocabSize).toBe(size);
    }
    rmSync(folder, { recursive: true });
  });

  test("another class in tokenizer_config.json goes before the one in config.json", async () => {
    const other = { tokenizer_class: "T5Tokenizer" };
    const folder = write({ "config.json": named, "tokenizer_config.json": other });
    await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: "tokenizer-not-found" });
    await expect(copyTokenizer(folder, join(folder, "copy"))).rejects.toMatchObject({
      code: "tokenizer-not-found",
    });
    rmSync(folder, { recursive: true });
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/random.ts";
import {
  byteFallbackFile,
  byteLevelFile,
  type TokenizerFile,
  tokenizerFiles,
  unigramFile,
  wordPieceFile,
} from "./testing/fixtures.ts";
import { anyText, checkContract } from "./testing/tokenizer-contract.ts";
import { createTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./tokenizer-interface.ts";

describe.each(Object.entries(tokenizerFiles))("%s: tokenizer contract", (_, file) => {
  const tokenizer = createTokenizer(file());

  test("plain and aligned paths agree, offsets lie in the text, streams join to the whole", () => {
    fc.assert(
      fc.property(anyText, (text) => checkContract(tokenizer, text)),
      { numRuns: 300 },
    );
  });

  test("encoding does not depend on what was encoded before", () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 4 }), anyText, (earlier, text) => {
        const fresh = createTokenizer(file());
        for (const other of earlier) fresh.encodeIds(other);
        expect(fresh.encodeIds(text)).toEqual(tokenizer.encodeIds(text));
      }),
      { numRuns: 20 },
    );
  });

  test("code-point offsets select the same text as UTF-16 offsets", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const units = tokenizer.encode(text).offsets;
        const points = tokenizer.encode(text, { offsetUnit: "codepoint" }).offsets;
        const characters = [...text];
        for (const [i, [start, end]] of points.entries()) {
          expect(characters.slice(start, end).join("")).toBe(text.slice(...units[i]!));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("a lone surrogate counts as U+FFFD", () => {
    expect(tokenizer.encodeIds("the \ud800 cat")).toEqual(tokenizer.encodeIds("the \ufffd cat"));
    expect(tokenizer.encode("\udc00").ids).toEqual(tokenizer.encode("\ufffd").ids);
  });

  test("the empty text has only the template's tokens", () => {
    expect(tokenizer.encodeIds("", { addSpecialTokens: false })).toHaveLength(0);
    expect(tokenizer.encode("", { addSpecialTokens: false }).tokens).toEqual([]);
  });

  test("hostile texts are no attack", () => {
    const random = createRandom(1, "letters");
    const letters = Array.from({ length: 100_000 }, () => "helotcas"[random.integer(8)]).join("");
    const marks = `e${"\u0301\u0316".repeat(50_000)}`;
    const repeated = ["a", " ", "\n", "7", "!?", "中", "👩\u200d", "<|end|>", "<|end", "aB"];
    for (const text of [
      letters,
      marks,
      ...repeated.map((part) => part.repeat(100_000 / part.length)),
    ]) {
      const ids = tokenizer.encodeIds(text);
      const { ids: slowly } = tokenizer.encode(text);
      expect(slowly.length).toBe(ids.length);
      expect(slowly.every((id, place) => id === ids[place])).toBe(true);
      expect(tokenizer.decode(ids).length).toBeLessThanOrEqual(2 * text.length);
    }
  });
});

describe("byte-level BPE", () => {
  const tokenizer = createTokenizer(byteLevelFile());

  test("merges by rank, shows offsets", () => {
    const encoding = tokenizer.encode("hello world");
    expect(encoding.tokens).toEqual(["hello", "Ġwo", "r", "l", "d"]);
    expect(encoding.offsets).toEqual([
      [0, 5],
      [5, 8],
      [8, 9],
      [9, 10],
      [10, 11],
    ]);
  });

  test("every text survives the round trip", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const wellFormed = text.replace(/\p{Surrogate}/gu, "\ufffd");
        const ids = tokenizer.encodeIds(text, { addSpecialTokens: false });
        expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(wellFormed);
      }),
    );
  });

  test("a long word gives the same tokens in a heap as a short one does by scanning", () => {
    // "aaaa" is the longest token of a's: the word is cut greedily from the left.
    for (const length of [1, 5, 31, 32, 33, 34, 35, 1000, 1001, 1002, 1003]) {
      const { tokens } = tokenizer.encode("a".repeat(length));
      const rest = length % 4;
      const expected = Array.from({ length: Math.floor(length / 4) }, () => "aaaa");
      if (rest >= 2) expected.push("aa");
      if (rest % 2 === 1) expected.push("a");
      expect(tokens).toEqual(expected);
    }
  });

  test("trimmed offsets: only a single space can be the tokenizer's own", () => {
    const file = byteLevelFile();
    const merges = file.model["merges"] as string[];
    const vocab = file.model["vocab"] as Record<string, number>;
    merges.push("Ġ Ġ");
    vocab["ĠĠ"] = 500;
    const trimmed = createTokenizer({
      ...file,
      post_processor: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true },
    });
    expect(trimmed.encode("   w").offsets).toEqual([
      [2, 2],
      [3, 4],
    ]);
    expect(trimmed.encode(" w").offsets).toEqual([[0, 2]]);
  });

  test("a million equal letters are no attack", () => {
    const text = "a".repeat(1_000_000);
    expect(tokenizer.encodeIds(text)).toHaveLength(250_000);
  });

  test("special tokens in the text: as tokens, as text, or refused", () => {
    const text = "hello<|end|>";
    const end = tokenizer.tokenToId("<|end|>")!;
    expect([...tokenizer.encodeIds(text)].at(-1)).toBe(end);
    for (const allowedSpecial of ["none", ["<|other|>"]] as const) {
      const ids = tokenizer.encodeIds(text, { allowedSpecial });
      expect([...ids]).not.toContain(end);
      expect(tokenizer.decode(ids)).toBe(text);
    }
    expect([...tokenizer.encodeIds(text, { allowedSpecial: ["<|end|>"] })]).toContain(end);
    expect(() =>
      tokenizer.encodeIds(text, { allowedSpecial: "none", disallowedSpecial: "error" }),
    ).toThrow(/special token/);
  });

  test("decode skips special tokens by default and ids outside the vocabulary always", () => {
    const ids = [...tokenizer.encodeIds("hello<|end|>"), 1_000_000, -1];
    expect(tokenizer.decode(ids)).toBe("hello");
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe("hello<|end|>");
    expect(tokenizer.isSpecial(tokenizer.tokenToId("<|end|>")!)).toBe(true);
  });

  test("a stream never shows half a character", () => {
    const ids = tokenizer.encodeIds("aé😀 한");
    const decoder = tokenizer.streamDecoder();
    for (const id of ids) expect(decoder.push(id)).not.toContain("\ufffd");
    expect(decoder.end()).toBe("");
  });
});

describe("byte-fallback BPE", () => {
  const tokenizer = createTokenizer(byteFallbackFile());

  test("the template adds the beginning, unknown characters become bytes", () => {
    const encoding = tokenizer.encode("the é");
    expect(encoding.tokens).toEqual(["<s>", "▁the", "▁", "<0xC3>", "<0xA9>"]);
    expect(encoding.offsets).toEqual([
      [0, 0],
      [0, 3],
      [3, 4],
      [4, 5],
      [4, 5],
    ]);
    expect(tokenizer.decode(encoding.ids)).toBe("the é");
  });

  test("cutting at spaces changes nothing", () => {
    // The same vocabulary with a merge across a space cannot be cut there.
    const crossing = byteFallbackFile();
    const vocab = crossing.model["vocab"] as Record<string, number>;
    const size = Object.keys(vocab).length;
    vocab["m▁"] = size;
    (crossing.model["merges"] as unknown[]).push(["m", "▁"]);
    const whole = createTokenizer(crossing);
    fc.assert(
      fc.property(fc.stringMatching(/^[ thecatson.é]{0,80}$/), (text) => {
        expect(tokenizer.encode(text)).toEqual(whole.encode(text));
      }),
    );
    expect(whole.encode("m m").tokens).toEqual(["<s>", "▁", "m▁", "m"]);
  });

  test("beginning and end are recognised, and settings override the template", () => {
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.unkTokenId]).toEqual([1, 2, 0]);
    const both = createTokenizer(byteFallbackFile(), {
      bosToken: "<s>",
      eosToken: "</s>",
      addBosToken: false,
      addEosToken: true,
    });
    expect(both.encode("the").tokens).toEqual(["▁the", "</s>"]);
  });
});

describe("a word that is a token as a whole", () => {
  const file = (model: Record<string, unknown>): TokenizerFile => ({
    ...byteLevelFile(),
    added_tokens: [],
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: { type: "BPE", ignore_merges: true, merges: [], unk_token: "<u>", ...model },
  });

  test("is that token, also beside a suffix and for unknown characters", () => {
    const suffixed = createTokenizer(
      file({ end_of_word_suffix: "</w>", vocab: { "<u>": 0, a: 1, "a</w>": 2 } }),
    );
    expect(suffixed.encode("a aa").tokens).toEqual(["a", "a", "a</w>"]);
    const fused = createTokenizer(file({ fuse_unk: true, vocab: { "<u>": 0, 日本: 1, a: 2 } }));
    expect(fused.encode("日本 本日 a").tokens).toEqual(["日本", "<u>", "a"]);
    const lost = createTokenizer(file({ unk_token: null, vocab: { a: 0, a日: 1 } }));
    expect(lost.encode("a日 日a").tokens).toEqual(["a日", "a"]);
  });
});

describe("decoders", () => {
  test("bytes of a fused token count only where the whole of it is in the byte alphabet", () => {
    const file = byteLevelFile();
    file["decoder"] = { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "ByteLevel" }] };
    (file["added_tokens"] as unknown[]).push({ id: 400, content: "中", special: false });
    const tokenizer = createTokenizer(file);
    const ids = [tokenizer.tokenToId("Ġ")!, tokenizer.tokenToId("h")!];
    expect(tokenizer.decode(ids)).toBe(" h");
    expect(tokenizer.decode([...ids, 400])).toBe("Ġh中");
  });
});

describe("WordPiece", () => {
  const tokenizer = createTokenizer(wordPieceFile());

  test("longest pieces first, unknown words whole, pairs with type ids", () => {
    const encoding = tokenizer.encode("The CATS!", { pair: "unaffable xyz 中" });
    expect(encoding.tokens.join(" ")).toBe(
      "[CLS] the cat ##s ! [SEP] un ##aff ##able [UNK] 中 [SEP]",
    );
    expect([...encoding.typeIds].join("")).toBe("000000111111");
    expect([...encoding.specialTokensMask].join("")).toBe("100001000001");
    expect(tokenizer.decode(encoding.ids)).toBe("the cats! unaffable 中");
  });

  test("a template without its special tokens still orders and numbers the texts", () => {
    const file = wordPieceFile();
    const piece = (id: string, typeId: number): unknown => ({ Sequence: { id, type_id: typeId } });
    const sep = { SpecialToken: { id: "[SEP]", type_id: 0 } };
    file["post_processor"] = {
      type: "TemplateProcessing",
      single: [piece("A", 1), sep],
      pair: [piece("A", 0), sep, piece("B", 0), sep],
      special_tokens: { "[SEP]": { id: "[SEP]", ids: [3], tokens: ["[SEP]"] } },
    };
    const templated = createTokenizer(file);
    const plain = { addSpecialTokens: false };
    expect([...templated.encode("the cat", plain).typeIds]).toEqual([1, 1]);
    expect([...templated.encodeIds("the cat", plain)]).toEqual([4, 5]);
    const pair = templated.encode("the", { ...plain, pair: "cat" });
    expect([...pair.typeIds]).toEqual([0, 0]);
    expect(pair.tokens).toEqual(["the", "cat"]);
    // RoBERTa numbers both texts 0, BERT the second 1.
    file["post_processor"] = { type: "RobertaProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] };
    const roberta = createTokenizer(file).encode("the", { ...plain, pair: "cat" });
    expect([...roberta.typeIds]).toEqual([0, 0]);
    expect([...tokenizer.encode("the", { ...plain, pair: "cat" }).typeIds]).toEqual([0, 1]);
  });

  test("truncation and padding as the file sets them", () => {
    const file = wordPieceFile();
    file["truncation"] = { direction: "Left", max_length: 5, strategy: "LongestFirst", stride: 0 };
    file["padding"] = {
      strategy: "BatchLongest",
      direction: "Left",
      pad_to_multiple_of: 4,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: "[PAD]",
    };
    const limited = createTokenizer(file);
    const [long, short] = limited.encodeBatch(["the cat the cat !", "!"]);
    expect(long!.tokens.join(" ")).toBe("[PAD] [PAD] [PAD] [CLS] the cat ! [SEP]");
    expect(short!.tokens.join(" ")).toBe("[PAD] [PAD] [PAD] [PAD] [PAD] [CLS] ! [SEP]");
    expect([...short!.attentionMask].join("")).toBe("00000111");
    const free = limited.encode("the cat the cat !", { applyLimits: false });
    expect(free.tokens).toHaveLength(7);
    expect(limited.encode("the cat the", { pair: "the cat" }).tokens.join(" ")).toBe(
      "[PAD] [PAD] [PAD] [CLS] the [SEP] cat [SEP]",
    );
  });
});

describe("Unigram", () => {
  const tokenizer = createTokenizer(unigramFile());

  /** Best score over all ways to cut a word, by recursion. */
  function bestScore(word: string, scores: ReadonlyMap<string, number>, unknown: number): number {
    if (word === "") return 0;
    let best = Number.NEGATIVE_INFINITY;
    for (let length = 1; length <= word.length; length++) {
      const piece = word.slice(0, length);
      const score = scores.get(piece) ?? (length === 1 ? unknown : undefined);
      if (score !== undefined) {
        best = Math.max(best, score + bestScore(word.slice(length), scores, unknown));
      }
    }
    return best;
  }

  test("finds the best of all cuts", () => {
    const vocab = unigramFile().model["vocab"] as [string, number][];
    const scores = new Map(vocab);
    const unknown = Math.min(...scores.values()) - 10;
    fc.assert(
      fc.property(fc.stringMatching(/^[catshex]{1,9}$/), (word) => {
        const { tokens } = tokenizer.encode(word);
        let score = 0;
        for (const token of tokens) score += scores.get(token) ?? unknown * token.length;
        expect(score).toBeCloseTo(bestScore(`▁${word}`, scores, unknown), 9);
        expect(tokens.join("")).toBe(`▁${word}`);
      }),
    );
  });

  test("unknown text is shown as itself and joined", () => {
    const encoding = tokenizer.encode("the xyz");
    expect(encoding.tokens).toEqual(["▁the", "▁", "xyz"]);
    expect(encoding.ids[2]).toBe(2);
    expect(encoding.offsets[2]).toEqual([4, 7]);
  });
});

describe("added tokens", () => {
  const withToken = (flags: Record<string, unknown>): Tokenizer => {
    const file = byteLevelFile();
    const tokens = file["added_tokens"] as unknown[];
    tokens.push({ id: 400, content: "<m>", special: false, normalized: false, ...flags });
    return createTokenizer(file);
  };

  test("strip flags take whitespace along, single_word needs edges", () => {
    expect(withToken({ lstrip: true }).encode("a  <m> b").tokens).toEqual(["a", "  <m>", "Ġ", "b"]);
    expect(withToken({ rstrip: true }).encode("a <m>  b").tokens).toEqual(["a", "Ġ", "<m>  ", "b"]);
    const single = withToken({ single_word: true });
    expect(single.encode("a <m> b").tokens).toContain("<m>");
    expect(single.encode("a<m>b").tokens).not.toContain("<m>");
    expect(single.encode("<m>").tokens).toEqual(["<m>"]);
  });

  test("normalized tokens are found in normalized text", () => {
    const file = byteLevelFile();
    file["normalizer"] = { type: "Lowercase" };
    file["added_tokens"] = [
      { id: 400, content: "HeLLo", special: false, normalized: true },
      { id: 401, content: "WOrld", special: false, normalized: false },
    ];
    const tokenizer = createTokenizer(file);
    expect([...tokenizer.encodeIds("HELLO WOrld")]).toEqual([400, 220 - 188, 401]);
    expect(tokenizer.encode("hello world").ids[0]).toBe(400);
  });

  test("a token does not take again what the one before it took", () => {
    const file = byteLevelFile();
    const flags = { special: false, normalized: false };
    file["added_tokens"] = [{ id: 400, content: " x", lstrip: true, rstrip: true, ...flags }];
    const { tokens, offsets } = createTokenizer(file).encode("a x x xa");
    expect(tokens).toEqual(["a", " x ", "x ", "x", "a"]);
    expect(offsets.map((bounds) => bounds.join("-"))).toEqual(["0-1", "1-4", "4-6", "6-7", "7-8"]);
  });

  test("a million tokens beside others that never come are no attack", () => {
    const file = byteLevelFile();
    file["added_tokens"] = ["[x]", "{y}", "<z>"].map((content, i) => ({
      id: 400 + i,
      content,
      normalized: false,
    }));
    // Looking for the others from each token anew would take minutes.
    const ids = createTokenizer(file).encodeIds("[x]".repeat(1_000_000));
    expect(ids).toHaveLength(1_000_000);
    expect(ids.every((id) => id === 400)).toBe(true);
  });

  test("the longest token at the leftmost place wins", () => {
    const file = byteLevelFile();
    file["added_tokens"] = ["ab", "abc", "bcd", "x"].map((content, i) => ({
      id: 400 + i,
      content,
      normalized: false,
    }));
    expect(createTokenizer(file).encode("abcd ab").tokens).toEqual(["abc", "d", "Ġ", "ab"]);
  });
});

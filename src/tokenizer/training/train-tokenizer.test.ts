import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../../core/error.ts";
import { loadTokenizer } from "../formats/load-tokenizer.ts";
import { trainBytePairs } from "./byte-pair-trainer.ts";
import { visitFrequentSubstrings } from "./frequent-substrings.ts";
import { saveTokenizer, trainTokenizer } from "./train-tokenizer.ts";
import { type TrainTokenizerOptions, trainableKinds } from "./training-options.ts";
import { digamma, type Piece, trainUnigram } from "./unigram-trainer.ts";

/** Merges by counting every pair of every word anew each time. */
function trainPlainly(
  words: readonly string[],
  counts: readonly number[],
  tokenCount: number,
  minimum: number,
): string[] {
  const tokens = [...new Set(words.join(""))].sort();
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const cut = words.map((word) => [...word]);
  const merges: string[] = [];
  while (tokens.length < tokenCount) {
    const frequencies = new Map<string, { pair: [string, string]; count: number }>();
    for (const [w, symbols] of cut.entries()) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair: [string, string] = [symbols[i]!, symbols[i + 1]!];
        const entry = frequencies.get(pair.join(" ")) ?? { pair, count: 0 };
        entry.count += counts[w]!;
        frequencies.set(pair.join(" "), entry);
      }
    }
    const order = (pair: [string, string]): number => ids.get(pair[0])! * 1e6 + ids.get(pair[1])!;
    const best = [...frequencies.values()].sort(
      (a, b) => b.count - a.count || order(a.pair) - order(b.pair),
    )[0];
    if (best === undefined || best.count < Math.max(1, minimum)) break;
    const [left, right] = best.pair;
    merges.push(`${left} ${right}`);
    if (!ids.has(left + right)) {
      ids.set(left + right, tokens.length);
      tokens.push(left + right);
    }
    for (const symbols of cut) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        if (symbols[i] === left && symbols[i + 1] === right) symbols.splice(i, 2, left + right);
      }
    }
  }
  return merges;
}

function trainQuickly(
  words: readonly string[],
  counts: readonly number[],
  vocabSize: number,
  minFrequency: number,
): string[] {
  const alphabet = [...new Set(words.join(""))].sort();
  const symbols = words.flatMap((word) => [...word].map((c) => alphabet.indexOf(c)));
  const starts = [0];
  for (const word of words) starts.push(starts.at(-1)! + word.length);
  const { tokens, merges } = trainBytePairs({
    symbols: Int32Array.from(symbols),
    starts: Int32Array.from(starts),
    counts: Float64Array.from(counts),
    tokens: alphabet,
    vocabSize,
    minFrequency,
  });
  return merges.map(([left, right]) => `${tokens[left]} ${tokens[right]}`);
}

describe("byte-pair training", () => {
  test("finds the merges that plain counting finds", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[abc]{1,12}$/), { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 12, maxLength: 12 }),
        fc.integer({ min: 0, max: 4 }),
        (words, counts, minimum) => {
          const plain = trainPlainly(words, counts, 20, minimum);
          expect(trainQuickly(words, counts, 20, minimum)).toEqual(plain);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("ties go to the smaller ids", () => {
    expect(trainQuickly(["ba", "ab", "cb"], [2, 2, 2], 5, 1)).toEqual(["a b", "b a"]);
  });
});

const sentences = [
  "The emperor of the East received the ambassadors of the emperor of the West.",
  "In the second century of the Christian era, the empire of Rome comprehended it all.",
  "  indented text,\n\tand a tab; numbers 1776 and 1788, and 3.14159 — with dashes.",
  "Ein Kaiser in Köln, 皇帝と帝国, императоры и империи, 한국의 황제 👑.",
  "Unaffordable, unbelievable, unthinkable: the prefix is unmistakable.",
];
const texts = Array.from({ length: 20 }, () => sentences).flat();

const quick: Pick<TrainTokenizerOptions, "texts" | "vocabSize"> = {
  texts,
  vocabSize: 700,
};

describe.each(trainableKinds)("training of %s", (kind) => {
  test("gives a file that loads, is deterministic, and keeps to the size", async () => {
    const trained = await trainTokenizer({ kind, ...quick });
    const again = await trainTokenizer({ kind, ...quick });
    expect(JSON.stringify(again.json)).toBe(JSON.stringify(trained.json));
    expect(trained.tokenizer.vocabSize).toBeLessThanOrEqual(700);
    expect(trained.texts).toBe(texts.length);

    const folder = mkdtempSync(join(tmpdir(), "jeton-training-"));
    try {
      await saveTokenizer(join(folder, "new"), trained);
      expect(readdirSync(join(folder, "new")).sort()).toEqual([
        "tokenizer.json",
        "tokenizer_config.json",
      ]);
      const loaded = await loadTokenizer(join(folder, "new"));
      for (const sentence of sentences) {
        expect(loaded.encode(sentence)).toEqual(trained.tokenizer.encode(sentence));
      }
      expect(loaded.eosTokenId).toBe(trained.tokenizer.eosTokenId);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.skipIf(kind === "wordpiece")("loses nothing of any text", async () => {
    const { tokenizer } = await trainTokenizer({ kind, ...quick });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.constantFrom(...sentences), (a, b) => {
        const text = `${a}${b}${a}`.replaceAll("▁", "");
        const ids = tokenizer.encodeIds(text, { allowedSpecial: "none" });
        expect(tokenizer.decode(ids)).toBe(text);
      }),
      { numRuns: 100 },
    );
  });

  test("learns: its text takes far fewer tokens than characters", async () => {
    const { tokenizer } = await trainTokenizer({ kind, ...quick });
    const text = sentences[0]!;
    expect(tokenizer.countTokens(text)).toBeLessThan(text.length / 3);
  });
});

describe("options", () => {
  test("patterns, digits, normal forms and special tokens reach the file", async () => {
    const bytes = await trainTokenizer({
      kind: "byte-level-bpe",
      ...quick,
      pattern: "cl100k",
      normalization: "NFC",
      specialTokens: ["<s>", "<|im_start|>", "<|endoftext|>"],
    });
    const decomposed = bytes.tokenizer.encodeIds("Ko\u0308ln");
    expect(bytes.tokenizer.decode(decomposed)).toBe("Köln");
    expect(bytes.tokenizer.encode("17761788").tokens).toContain("177");
    expect(bytes.tokenizer.encode("x").tokens).toEqual(["<s>", "x"]);
    expect(bytes.tokenizer.tokenToId("<|im_start|>")).toBe(1);
    expect(bytes.tokenizer.eosTokenId).toBe(2);
    const digits = await trainTokenizer({ kind: "byte-fallback-bpe", ...quick, splitDigits: true });
    expect(digits.tokenizer.encode("1776").tokens.slice(-4)).toEqual(["1", "7", "7", "6"]);
    const short = await trainTokenizer({
      kind: "byte-level-bpe",
      ...quick,
      maxTokenLength: 3,
      bosToken: null,
    });
    for (const token of short.tokenizer.encode(sentences.join(" ")).tokens) {
      expect(token.length).toBeLessThanOrEqual(3);
    }
  });

  test("texts may come from an asynchronous stream, with progress", async () => {
    async function* stream(): AsyncIterable<string> {
      for (const text of texts) yield text;
    }
    const phases = new Set<string>();
    const streamed = await trainTokenizer({
      kind: "unigram",
      ...quick,
      texts: stream(),
      onProgress: ({ phase }) => phases.add(phase),
    });
    const listed = await trainTokenizer({ kind: "unigram", ...quick });
    expect(streamed.json).toEqual(listed.json);
    expect([...phases]).toEqual(["pruning"]);
  });

  const impossible: [string, Partial<TrainTokenizerOptions>, string][] = [
    ["an unknown kind", { kind: "sentence" as never }, "tokenizer-training-option"],
    ["a vocabulary of nothing", { vocabSize: 0 }, "tokenizer-training-option"],
    ["a vocabulary below the alphabet", { vocabSize: 200 }, "tokenizer-training-option"],
    ["a fraction", { minFrequency: 1.5 }, "tokenizer-training-option"],
    ["a repeated special token", { specialTokens: ["a", "a"] }, "tokenizer-training-option"],
    ["an empty special token", { specialTokens: [""] }, "tokenizer-training-option"],
    ["an end that is no special token", { eosToken: "<end>" }, "tokenizer-training-option"],
    ["a pattern that is malformed", { pattern: { regex: "(" } }, "tokenizer-regex-unsupported"],
    ["no text", { texts: [] }, "tokenizer-training-text"],
    ["empty texts", { texts: ["", ""] }, "tokenizer-training-text"],
    ["a number as a text", { texts: [7 as never] }, "tokenizer-training-text"],
    ["a signal that has been raised", { signal: AbortSignal.abort() }, "aborted"],
  ];
  test.each(impossible)("%s is refused", async (_, options, code) => {
    const error: unknown = await trainTokenizer({
      kind: "byte-level-bpe",
      ...quick,
      ...options,
    }).catch((caught: unknown) => caught);
    expect(JetonError.isInstance(error) ? error.code : error).toBe(code);
  });
});

describe("unigram training", () => {
  const words: [string, number][] = [
    ["▁un", 5],
    ["▁unable", 9],
    ["▁able", 12],
    ["▁unstable", 7],
    ["▁stable", 8],
    ["▁table", 6],
  ];
  const train = (pieceCount: number): Piece[] =>
    trainUnigram({
      words,
      pieceCount,
      requiredCharacters: [],
      maxPieceLength: 8,
      seedSize: 1000,
      shrinkingFactor: 0.75,
      rounds: 2,
    });

  test("keeps every character, the size, and the order of the scores", () => {
    const characters = new Set(words.map(([word]) => word).join(""));
    for (const size of [characters.size, 12, 16]) {
      const pieces = train(size);
      expect(pieces.length).toBe(size);
      for (const character of characters) expect(pieces.map(([text]) => text)).toContain(character);
      const scores = pieces.map(([, score]) => score);
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
    }
    expect(train(16).map(([text]) => text)).toContain("▁able");
  });

  test("the seeds are the substrings that plain counting finds", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[ab😀😁]{1,9}$/u), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 2, max: 5 }),
        (list, longest) => {
          const counted = list.map((word, i): [string, number] => [word, 1 + (i % 3)]);
          const counts = new Map<string, number>();
          const followers = new Map<string, Set<string>>();
          for (const [word, count] of counted) {
            const characters = [...word];
            for (let i = 0; i < characters.length; i++) {
              for (let end = i + 2; end <= characters.length; end++) {
                const text = characters.slice(i, end).join("");
                counts.set(text, (counts.get(text) ?? 0) + count);
                const known = followers.get(text) ?? new Set();
                // The end of a word is a follower of its own in every word.
                followers.set(text, known.add(characters[end] ?? "end"));
              }
            }
          }
          const expected = [...counts]
            .filter(([text, count]) => count >= 2 && [...text].length <= longest)
            .filter(([text]) => followers.get(text)!.size > 1 || followers.get(text)!.has("end"));
          const found: [string, number][] = [];
          visitFrequentSubstrings(counted, longest, ({ text, count, characters }) => {
            expect(characters).toBe([...text].length);
            found.push([text, count]);
          });
          expect(found.sort()).toEqual(expected.sort());
        },
      ),
      { numRuns: 300 },
    );
  });

  test("digamma satisfies its recurrence and its value at one", () => {
    expect(digamma(1)).toBeCloseTo(-0.5772156649, 8);
    for (const x of [0.3, 1.7, 12.5]) expect(digamma(x + 1) - digamma(x)).toBeCloseTo(1 / x, 9);
  });
});

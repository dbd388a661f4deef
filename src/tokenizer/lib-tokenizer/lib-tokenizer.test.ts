import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runCommand } from "../../cli/testing/run-command.ts";
import { createRandom } from "../../core/index.ts";
import { toWellFormed } from "../decoders/byte-alphabet.ts";
import { loadTokenizer } from "../formats/load-tokenizer.ts";
import { createTokenizer } from "../tokenizer.ts";
import { trainTokenizer } from "../training/train-any-tokenizer.ts";
import { saveTokenizer } from "../training/train-tokenizer.ts";
import { choosePath, type RankedTokens } from "./choose-path.ts";
import { Lexicon } from "./lexicon.ts";
import { learnLexicon } from "./lib-tokenizer.ts";
import { trainLibTokenizer } from "./train-lib-tokenizer.ts";

/** Sentences of a few invented words, some of which always follow each other. */
function inventSentences(seed: number, count: number): string[] {
  const random = createRandom(seed, "sentences");
  const words = ["you", "want", "to", "look at", "the", "dog", "is", "a", "big", "what"];
  return Array.from({ length: count }, () =>
    Array.from({ length: 3 + random.integer(4) }, () => words[random.integer(words.length)]).join(
      " ",
    ),
  );
}

/** A lexicon as the path choice sees it, by plain search. */
function rankedTokens(tokens: readonly string[]): RankedTokens {
  const ranked: RankedTokens = {
    chunkRank: -1,
    chunkLength: 0,
    smallRank: -1,
    smallLength: 0,
    match(text, at) {
      const fitting = tokens
        .map((token, rank) => ({ token, rank }))
        .filter(({ token }) => text.startsWith(token, at))
        .sort((a, b) => b.token.length - a.token.length);
      ranked.chunkRank = fitting[0]?.rank ?? -1;
      ranked.chunkLength = fitting[0]?.token.length ?? 0;
      ranked.smallRank = fitting[1]?.rank ?? -1;
      ranked.smallLength = fitting[1]?.token.length ?? 0;
    },
  };
  return ranked;
}

function cut(tokens: readonly string[], text: string): string[] {
  const parts: string[] = [];
  choosePath(rankedTokens(tokens), text, (_, start, end) => parts.push(text.slice(start, end)));
  return parts;
}

/** The rule of two ways, written as the rule is said: whole ways first, then their first meeting. */
function cutPlainly(tokens: readonly string[], text: string): string[] {
  const byLength = [...tokens].sort((a, b) => b.length - a.length);
  const fitting = (at: number) => byLength.filter((token) => text.startsWith(token, at));
  const greedy = (at: number): string[] => {
    const way: string[] = [];
    while (at < text.length) {
      const part = fitting(at)[0] ?? text[at]!;
      way.push(part);
      at += part.length;
    }
    return way;
  };
  const ends = (way: readonly string[]) => way.map((_, i) => way.slice(0, i + 1).join("").length);
  const sum = (way: readonly string[]) =>
    way.reduce((total, part) => total + Math.max(0, tokens.indexOf(part)), 0);
  const result: string[] = [];
  for (let at = 0; at < text.length; ) {
    const [chunk, small] = fitting(at);
    let best = [chunk ?? text[at]!];
    if (chunk !== undefined && small !== undefined) {
      const long = [chunk, ...greedy(at + chunk.length)];
      const short = [small, ...greedy(at + small.length)];
      const meeting = ends(long).find((end) => ends(short).includes(end))!;
      const a = long.slice(0, ends(long).indexOf(meeting) + 1);
      const b = short.slice(0, ends(short).indexOf(meeting) + 1);
      best = b.length < a.length || (b.length === a.length && sum(b) < sum(a)) ? b : a;
    }
    result.push(...best);
    at += best.join("").length;
  }
  return result;
}

describe("the choice of a path", () => {
  test("fewer tokens win, then better ranks", () => {
    expect(cut(["ab", "a", "bcd", "c", "d"], "abcd")).toEqual(["a", "bcd"]);
    expect(cut(["a", "b", "ab", "bc", "c"], "abc")).toEqual(["a", "bc"]);
    expect(cut(["ab", "c", "a", "b", "bc"], "abc")).toEqual(["ab", "c"]);
    expect(cut(["aé"], "aé😀x")).toEqual(["aé", "😀", "x"]);
  });

  test("equals the rule said plainly, and loses nothing", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[abc]{1,4}$/), { maxLength: 12 }),
        fc.stringMatching(/^[abc]{0,10}$/),
        (tokens, text) => {
          expect(cut(tokens, text)).toEqual(cutPlainly(tokens, text));
          expect(cut(tokens, text).join("")).toBe(text);
        },
      ),
    );
  });
});

describe("the lexicon", () => {
  test("order, ranks and matches agree with a plain list under random operations", () => {
    const action = fc.record({
      kind: fc.constantFrom("append", "remove", "reward", "punish", "settle"),
      token: fc.stringMatching(/^[ab]{1,4}$/),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const lexicon = new Lexicon();
        let list: string[] = [];
        for (const { kind, token } of actions) {
          const number = lexicon.numberOf(token);
          expect(number >= 0).toBe(list.includes(token));
          const at = list.indexOf(token);
          if (kind === "settle") lexicon.settle();
          if (kind === "append" && at < 0) {
            lexicon.append(token);
            list.push(token);
          }
          if (at < 0) continue;
          if (kind === "remove") {
            lexicon.remove(number);
            list = list.filter((other) => other !== token);
          }
          if (kind === "reward" || kind === "punish") {
            const step = (kind === "reward" ? -1 : 1) * (Math.floor(at * 0.3) + 1);
            lexicon.move(number, () => step);
            if (at === 0) continue;
            list.splice(at, 1);
            const to = Math.max(0, at + step);
            if (to <= list.length) list.splice(to, 0, token);
          }
        }
        lexicon.settle();
        expect(Array.from(list, (_, rank) => lexicon.tokens[lexicon.at(rank)])).toEqual(list);
        expect(lexicon.size).toBe(list.length);
        for (const [rank, token] of list.entries()) {
          expect(lexicon.rankOf(lexicon.numberOf(token))).toBe(rank);
        }
        const found = { chunk: -1, small: -1 };
        lexicon.match("abab", 0, found);
        const fitting = ["a", "ab", "aba", "abab"]
          .filter((token) => list.includes(token))
          .reverse();
        const textOf = (number: number) => (number < 0 ? undefined : lexicon.tokens[number]);
        expect([textOf(found.chunk), textOf(found.small)]).toEqual([fitting[0], fitting[1]]);
      }),
    );
  });
});

describe("learning", () => {
  const sentences = inventSentences(1, 400);
  const quick = { steps: 60, sentencesPerStep: 40, probationRate: 0.01, probationSteps: 3 };

  test("the same seed gives the same lexicon, another seed another", () => {
    expect(learnLexicon(sentences, quick)).toEqual(learnLexicon(sentences, quick));
    expect(learnLexicon(sentences, { ...quick, seed: 1 })).not.toEqual(
      learnLexicon(sentences, quick),
    );
  });

  test("words that always stand together become one token", () => {
    const lexicon = learnLexicon(sentences, quick);
    expect(lexicon.some((token) => token.includes("look at"))).toBe(true);
    expect(new Set(lexicon).size).toBe(lexicon.length);
    for (const token of lexicon) {
      expect(sentences.some((sentence) => sentence.includes(token))).toBe(true);
    }
  });

  test("without joins only characters are learned, and no token is too long", () => {
    const characters = learnLexicon(sentences, { ...quick, joinRate: 0, inspectContext: false });
    expect(characters.every((token) => token.length === 1)).toBe(true);
    const short = learnLexicon(sentences, { ...quick, maxTokenLength: 5 });
    expect(Math.max(...short.map((token) => [...token].length))).toBe(5);
  });

  test("impossible options, no text and a stop are refused", () => {
    const code = (expected: string) => expect.objectContaining({ code: expected });
    const few = sentences.slice(0, 90);
    expect(learnLexicon(few, { steps: 40, probationSteps: 10 })).toEqual(
      learnLexicon(few, { steps: 40, probationSteps: 10, sentencesPerStep: 6 }),
    );
    expect(() => learnLexicon(sentences, { joinRate: 2 })).toThrowError(
      code("tokenizer-training-option"),
    );
    expect(() => learnLexicon(sentences, { steps: 0 })).toThrowError(
      code("tokenizer-training-option"),
    );
    expect(() => learnLexicon(["", ""])).toThrowError(code("tokenizer-training-text"));
    expect(() => learnLexicon(sentences, { signal: AbortSignal.abort() })).toThrowError(
      code("aborted"),
    );
  });
});

describe("the tokenizer", () => {
  const training = { steps: 30, sentencesPerStep: 40, probationRate: 0.01, probationSteps: 3 };

  test("any text comes back, tokens stand where their offsets say, every long token was learned", async () => {
    const texts = [inventSentences(2, 200).join("\n")];
    const { tokenizer, lexicon } = await trainLibTokenizer({ ...training, texts });
    const known = new Set(lexicon);
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...inventSentences(3, 20))),
        (text) => {
          const { ids, tokens, offsets } = tokenizer.encode(text, { allowedSpecial: "none" });
          expect(tokenizer.decode(ids)).toBe(toWellFormed(text));
          for (const [i, [start, end]] of offsets.entries()) {
            const covered = toWellFormed(text).slice(start, end);
            if (known.has(tokens[i]!)) expect(covered).toBe(tokens[i]);
            else expect(tokens[i]).toMatch(/^<0x[0-9A-F]{2}>$/);
          }
        },
      ),
    );
  });

  test("saved and loaded again it is the same, and of the size that was asked for", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jeton-lib-"));
    try {
      const texts = inventSentences(4, 200);
      const options = { kind: "lib", vocabSize: 300, texts, steps: 2, seed: 5 } as const;
      const trained = await trainTokenizer({
        ...options,
        specialTokens: ["<s>", "</s>"],
        eosToken: "</s>",
      });
      await saveTokenizer(folder, trained);
      const loaded = await loadTokenizer(folder);
      expect(loaded.kind).toBe("LiB");
      expect(loaded.vocabSize).toBeLessThanOrEqual(300);
      expect([loaded.bosTokenId, loaded.eosTokenId]).toEqual([0, 1]);
      const text = "you want to look at the dög";
      expect(loaded.encode(text)).toEqual(trained.tokenizer.encode(text));
      expect(loaded.encode(text).tokens[0]).toBe("<s>");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("from the command line to a language model that writes", { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "jeton-lib-lm-"));
    const at = (name: string): string => join(folder, name);
    const jeton = async (...args: string[]): Promise<unknown> => {
      const { status, stdout, stderr } = await runCommand([...args, "--json"]);
      expect({ args, status, stderr }).toMatchObject({ status: 0 });
      return JSON.parse(stdout);
    };
    try {
      writeFileSync(at("corpus.txt"), inventSentences(9, 300).join("\n"));
      const shape = {
        model_type: "llama",
        hidden_size: 16,
        intermediate_size: 32,
        num_attention_heads: 2,
        num_hidden_layers: 1,
        num_key_value_heads: 1,
        max_position_embeddings: 64,
      };
      writeFileSync(at("config.json"), JSON.stringify(shape));
      const corpus = ["--corpus", at("corpus.txt")];
      const kind = ["--kind", "lib", "-n", "320", "--steps", "3"];
      await jeton("train", "tokenizer", ...kind, ...corpus, "-o", at("tokenizer"));
      const short = ["--steps", "3", "--batch", "2", "--sequence-length", "16", "--threads", "1"];
      const parts = ["--config", at("config.json"), "--tokenizer", at("tokenizer"), ...corpus];
      await jeton("train", "lm", ...parts, ...short, "-o", at("run"));
      const model = ["--model", at("run/model"), "--threads", "1"];
      const written = await jeton(
        "run",
        ...model,
        "--max-tokens",
        "5",
        "--temperature",
        "0",
        "you",
      );
      const tokenizer = await loadTokenizer(at("run/model"));
      expect(tokenizer.kind).toBe("LiB");
      const { text, ids } = written as { text: string; ids: number[] };
      expect(text).toBe(tokenizer.decode(ids));
      expect(await jeton("score", ...model, "you want to look at")).toMatchObject({
        bytes: "you want to look at".length,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("text that spells a byte or a special token is text", async () => {
    const texts = ["<0x41> <|endoftext|>\n".repeat(30)];
    const { tokenizer } = await trainLibTokenizer({ ...training, texts });
    const { ids } = tokenizer.encode("<0x41>");
    expect(tokenizer.decode(ids)).toBe("<0x41>");
    expect(ids.length).toBeGreaterThan(1);
  });

  test("a file without its bytes or its first token is refused", () => {
    const refusal = expect.objectContaining({ code: "tokenizer-json-invalid" });
    const model = { type: "LiB", vocab: { a: 0 }, first_token: 0 };
    expect(() => createTokenizer({ model })).toThrowError(refusal);
    expect(() => createTokenizer({ model: { ...model, first_token: "a" } })).toThrowError(refusal);
  });
});

const data = process.env["JETON_DATA"];
if (data === undefined) console.log("LiB's own corpus skipped: JETON_DATA is not set");

describe.skipIf(data === undefined)("LiB's own corpus", () => {
  test("the lexicon grows as the author's does", () => {
    const path = join(data!, "tokenizers", "lib", "br-text.txt");
    const sentences = readFileSync(path, "utf8").trim().split("\n");
    const sizes: number[] = [];
    learnLexicon(sentences, {
      probationRate: 0.01,
      probationSteps: 3,
      sentencesPerStep: 200,
      steps: 101,
      onStep: ({ types }) => sizes.push(types),
    });
    // The author's log: 415 types after the first step, 2015 after a hundred more.
    expect(Math.abs(sizes[0]! / 415 - 1)).toBeLessThan(0.1);
    expect(Math.abs(sizes[100]! / 2015 - 1)).toBeLessThan(0.15);
  });
});

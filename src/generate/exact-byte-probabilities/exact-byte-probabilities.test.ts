import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { loadModel } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { createTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import type { TokenRow, TokenRows } from "../bytes/token-rows.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";
import { openExactBytes } from "./open-byte-distribution.ts";

const nano = fileURLToPath(new URL("../../../models/jeton-nano", import.meta.url));
const encoder = new TextEncoder();

/** A byte-pair tokenizer without pre-tokenizer: `</s>`, the characters, one token for each merge. */
function toyTokenizer(
  characters: string,
  merges: readonly (readonly [string, string])[],
): Tokenizer {
  const tokens = ["</s>", ...characters, ...merges.map(([left, right]) => left + right)];
  return createTokenizer({
    added_tokens: [{ id: 0, content: "</s>", special: true }],
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  });
}

/** A model given by its probabilities after a token sequence. */
function toyRows(probabilities: (ids: readonly number[]) => readonly number[]): TokenRows {
  return {
    name: "toy",
    contextLength: 1000,
    endIds: [0],
    beginning: [0],
    async evaluate({ base, ids, parents }) {
      const sequences = [[...base]];
      for (const [at, id] of ids.entries()) sequences.push([...sequences[parents[at]! + 1]!, id]);
      return sequences.map((sequence): TokenRow => {
        const logits = Float64Array.from(probabilities(sequence.slice(1)), Math.log);
        return { logits, logSumExp: 0 };
      });
    },
    async close() {},
  };
}

describe("worked example", () => {
  // After the token A, B would have been AB: the model gives it no probability.
  const tokenizer = toyTokenizer("AB", [["A", "B"]]);
  const rows = toyRows((ids) => {
    if (ids.length === 0) return [0, 0.3, 0.2, 0.5];
    return ids.at(-1) === 1 ? [0, 0.375, 0, 0.625] : [0, 0.3, 0.2, 0.5];
  });

  test("after A the byte B has .625, although the token B has none", async () => {
    const bytes = createExactBytes(rows, tokenizer);
    await bytes.prefill(encoder.encode("A"));
    expect(await bytes.coverings()).toEqual([
      { ids: [1], logProbability: Math.log(0.3), rest: new Uint8Array(0) },
      { ids: [3], logProbability: Math.log(0.5), rest: encoder.encode("B") },
    ]);
    const logs = await bytes.logProbabilities();
    expect(Math.exp(logs[65]!)).toBeCloseTo(0.375, 12);
    expect(Math.exp(logs[66]!)).toBeCloseTo(0.625, 12);
    expect(logs.filter((log) => log > -Infinity)).toHaveLength(2);
  });

  test("a byte that no encoding contains ends in an error", async () => {
    const bytes = createExactBytes(rows, tokenizer);
    await bytes.prefill(encoder.encode("A"));
    expect(await codeOf(() => bytes.advance(67))).toBe("byte-impossible");
    expect(await codeOf(() => bytes.advance(256))).toBe("byte-invalid");
    // The state is as before.
    await bytes.advance(66);
    expect(bytes.length).toBe(2);
  });
});

describe("random toys", () => {
  test.each([1, 2, 3, 4, 5, 6])("brute force over all sequences, seed %i", async (seed) => {
    const random = createRandom(seed, "toy");
    const tokens = ["a", "b", "c"];
    const merges: [string, string][] = [];
    while (merges.length < 9) {
      const left = tokens[random.integer(tokens.length)]!;
      const right = tokens[random.integer(tokens.length)]!;
      if (tokens.includes(left + right)) continue;
      merges.push([left, right]);
      tokens.push(left + right);
    }
    const tokenizer = toyTokenizer("abc", merges);
    const probabilities = (ids: readonly number[]): number[] => {
      const own = createRandom(seed, "row", ids.at(-2) ?? -1, ids.at(-1) ?? -1);
      const weights = Array.from({ length: 13 }, () => own.uniform() ** 3 + 1e-3);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return weights.map((weight) => weight / total);
    };
    const isValid = (ids: readonly number[]): boolean => {
      const text = ids.map((id) => tokens[id - 1]!).join("");
      return `${[...tokenizer.encodeIds(text)]}` === `${ids}`;
    };
    /** Sum of P over all valid sequences that spell at least `text`, the last token first to reach its end. */
    const coverSum = (text: string, ids: readonly number[] = [], product = 1): number => {
      const spelt = ids.map((id) => tokens[id - 1]!).join("");
      if (spelt.length >= text.length) return product;
      const row = probabilities(ids);
      let sum = 0;
      for (let id = 1; id <= tokens.length; id++) {
        const longer = spelt + tokens[id - 1]!;
        if (!longer.startsWith(text) && !text.startsWith(longer)) continue;
        if (isValid([...ids, id])) sum += coverSum(text, [...ids, id], product * row[id]!);
      }
      return sum;
    };
    const text = Array.from({ length: 8 }, () => "abc"[random.integer(3)]!).join("");
    const whole = createExactBytes(toyRows(probabilities), tokenizer, { whole: true });
    const stepped = createExactBytes(toyRows(probabilities), tokenizer, { maxAhead: seed % 3 });
    for (let length = 0; length < text.length; length++) {
      const prefix = text.slice(0, length);
      await whole.prefill(encoder.encode(prefix));
      const found = (await whole.coverings()).map(({ logProbability }) => Math.exp(logProbability));
      const sum = found.reduce((total, one) => total + one, 0);
      expect(Math.abs(sum - coverSum(prefix))).toBeLessThan(1e-12);
      // W(b) by enumeration: coverings of the longer text, and the end after the one that spells it.
      const weights = [..."abc"].map((byte) => coverSum(prefix + byte));
      const spelling = [...tokenizer.encodeIds(prefix)];
      const logOf = spelling.reduce(
        (log, id, at) => log + Math.log(probabilities(spelling.slice(0, at))[id]!),
        0,
      );
      weights.push(Math.exp(logOf) * probabilities(spelling)[0]!);
      const total = weights.reduce((all, weight) => all + weight, 0);
      for (const logs of [await whole.logProbabilities(), await stepped.logProbabilities()]) {
        for (const [at, outcome] of [97, 98, 99, 256].entries()) {
          expect(Math.abs(Math.exp(logs[outcome]!) - weights[at]! / total)).toBeLessThan(1e-12);
        }
      }
      await stepped.advance(text.charCodeAt(length));
    }
  });
});

test("tokenizers of other kinds end in an error", async () => {
  const tokenizer = createTokenizer({
    model: { type: "WordPiece", vocab: { "[UNK]": 0, a: 1, "##b": 2 }, unk_token: "[UNK]" },
  });
  expect(
    await codeOf(() =>
      createExactBytes(
        toyRows(() => [1]),
        tokenizer,
      ),
    ),
  ).toBe("byte-tokens-unsupported");
});

describe("jeton-nano", () => {
  test("sums to one at every step; products equal sums over coverings; passes change nothing", async () => {
    await using model = await loadModel(nano, { exact: false });
    const text = "of the Roman  empire,\n\té 12345";
    const bytes = encoder.encode(text);
    const ahead = await openExactBytes(model);
    const single = await openExactBytes(model, { maxAhead: 0 });
    const whole = await openExactBytes(model, { whole: true });
    let chain = 0;
    for (const [at, byte] of bytes.entries()) {
      const logs = await ahead.logProbabilities();
      const alone = await single.logProbabilities();
      const sum = logs.reduce((total, log) => total + Math.exp(log), 0);
      expect(Math.abs(sum - 1)).toBeLessThan(1e-12);
      expect(Math.abs(logs[byte]! - alone[byte]!)).toBeLessThan(1e-4);
      if (at % 6 === 5) {
        await whole.prefill(bytes.subarray(0, at));
        const again = await whole.logProbabilities();
        expect(Math.abs(logs[byte]! - again[byte]!)).toBeLessThan(1e-4);
      }
      chain += logs[byte]!;
      await ahead.advance(byte);
      await single.advance(byte);
    }
    expect(ahead.passes).toBeLessThan(single.passes);
    await whole.prefill(bytes);
    const coverings = await whole.coverings();
    const logs = coverings.map(({ logProbability }) => logProbability);
    const largest = Math.max(...logs);
    const sum = largest + Math.log(logs.reduce((total, log) => total + Math.exp(log - largest), 0));
    // The chain is normalized at every byte; the model leaks a little to sequences that are not valid.
    expect(chain).toBeGreaterThanOrEqual(sum - 1e-3);
    expect(chain - sum).toBeLessThan(1);
    for (const distribution of [ahead, single, whole]) await distribution.close();
    expect(model.openSequences).toBe(0);
  });
});

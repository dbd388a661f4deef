import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { createTokenizer, loadTokenizer } from "../index.ts";
import { createTokenValidity } from "./token-validity.ts";

const bundled = fileURLToPath(
  new URL("../../../models/jeton-nano/tokenizer.json", import.meta.url),
);
const data = process.env["JETON_DATA"];
const others = ["gpt2", "llama-2"].flatMap((name) => {
  const path = join(data ?? "", "tokenizers", name, "tokenizer.json");
  return data !== undefined && existsSync(path) ? [path] : [];
});

const text = "The emperor's 1,234 men  were\n\tsold: naïve 日本 😀 ÿ…  ";

describe.each([bundled, ...others])("%s", (path) => {
  test("a token asked for alone is judged as in the mask, whichever came first", async () => {
    const tokenizer = await loadTokenizer(path);
    const [alone, together] = [createTokenValidity(tokenizer), createTokenValidity(tokenizer)];
    const random = createRandom(3, "ids");
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: false });
    let [one, other] = [alone.start, together.start];
    for (const id of ids) {
      const mask = together.mask(other);
      expect([mask[id], alone.mayFollow(one, id)]).toEqual([1, true]);
      const asked = Array.from({ length: 150 }, () => random.integer(tokenizer.vocabSize));
      // Bytes that begin or continue characters are what pre-tokenizers look ahead for.
      for (let low = 0; low < 300; low += 7) asked.push(low);
      const wrong = asked.filter((id) => alone.mayFollow(one, id) !== (mask[id] === 1));
      expect(wrong, `after ${one.last}`).toEqual([]);
      one = alone.after(one, id)!;
      other = together.after(other, id)!;
      expect(one.ends).toEqual(other.ends);
    }
    expect(alone.certainStart(ids)).toBe(together.certainStart(ids));
  });
});

test("ids without bytes, special ones and unknown ones, follow nothing", async () => {
  const tokenizer = await loadTokenizer(bundled);
  const validity = createTokenValidity(tokenizer);
  for (const id of [0, 1, -1, tokenizer.vocabSize, 1e9]) {
    expect(validity.mayFollow(validity.start, id)).toBe(false);
    expect(validity.after(validity.start, id)).toBeUndefined();
  }
});

describe("tokens that no merges give", () => {
  const open = (more: readonly string[], merges: readonly [string, string][], ignores: boolean) => {
    const vocabulary = ["a", "b", "c", "ab", "bc", ...more];
    return createTokenizer({
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: null,
      decoder: null,
      model: {
        type: "BPE",
        vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
        merges,
        ignore_merges: ignores,
      },
    });
  };
  const merges: readonly [string, string][] = [
    ["b", "c"],
    ["a", "b"],
  ];
  test("are no outcome where words are merged", () => {
    const validity = createTokenValidity(open(["cab"], merges, false));
    expect(validity.bytesOf(5)).toBeUndefined();
    expect(validity.mayFollow(validity.start, 5)).toBe(false);
  });

  test("stand for whole words where a word that is a token is not merged", () => {
    const tokenizer = open(["cab"], merges, true);
    expect([...tokenizer.encodeIds("cab")]).toEqual([5]);
    const validity = createTokenValidity(tokenizer);
    const { start } = validity;
    expect(validity.mayFollow(start, 5)).toBe(true);
    // Nothing cuts this text, so that nothing stands behind its only word.
    expect(validity.mask(validity.after(start, 5)!).some((may) => may === 1)).toBe(false);
    // "c", "ab" is no whole text, but the beginning of one.
    const spelt = validity.after(validity.after(start, 2)!, 3)!;
    expect(validity.isWhole(spelt)).toBe(false);
    expect(validity.mayFollow(spelt, 0)).toBe(true);
  });
});

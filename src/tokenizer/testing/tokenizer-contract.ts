/** What holds for every tokenizer on every text. */
import fc from "fast-check";
import { expect } from "vitest";
import type { Tokenizer } from "../tokenizer-interface.ts";

/** Text that mixes what tokenizers trip over: marks, surrogates, spaces, special spellings. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 6 }),
      fc.string({ unit: "grapheme", maxLength: 6 }),
      fc.constantFrom(
        " ",
        "  ",
        "\n",
        "the",
        "cats",
        "hello",
        "é",
        "e\u0301",
        "▁",
        "<s>",
        "<|end|>",
      ),
      fc.constantFrom(
        "</s>",
        "[SEP]",
        "1234",
        "don't",
        "中文",
        "한국어",
        "\ud800",
        "\u0085",
        "aaaa",
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

export function streamed(
  tokenizer: Tokenizer,
  ids: ArrayLike<number>,
  skipSpecialTokens: boolean,
): string {
  const decoder = tokenizer.streamDecoder({ skipSpecialTokens });
  let text = "";
  for (const id of Array.from(ids)) text += decoder.push(id);
  return text + decoder.end();
}

/** What holds for every tokenizer on every text. */
export function checkContract(tokenizer: Tokenizer, text: string): void {
  const encoding = tokenizer.encode(text);
  expect(tokenizer.encodeIds(text)).toEqual(encoding.ids);
  const count = encoding.ids.length;
  expect([encoding.tokens.length, encoding.offsets.length, encoding.typeIds.length]).toEqual([
    count,
    count,
    count,
  ]);
  for (const [start, end] of encoding.offsets) {
    expect(start).toBeGreaterThanOrEqual(0);
    expect(end).toBeGreaterThanOrEqual(start);
    expect(end).toBeLessThanOrEqual(text.length);
  }
  for (const id of encoding.ids) expect(id).toBeLessThan(tokenizer.vocabSize);
  for (const skip of [true, false]) {
    const decoded = tokenizer.decode(encoding.ids, { skipSpecialTokens: skip });
    expect(streamed(tokenizer, encoding.ids, skip)).toBe(decoded);
  }
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "./formats/load-tokenizer.ts";
import { readJsonLines, vocabularyFolder, vocabularyNames } from "./testing/fixtures.ts";
import { anyText, checkContract, streamed } from "./testing/tokenizer-contract.ts";

interface Vector {
  text: string;
  ids: number[];
  idsWithSpecial: number[];
  tokens?: string[];
  offsets?: [number, number][];
  decoded: string;
}

const folder = vocabularyFolder();
describe.skipIf(folder === undefined)("published vocabularies", () => {
  for (const name of folder === undefined ? [] : vocabularyNames(folder)) {
    describe(name, async () => {
      const tokenizer = await loadTokenizer(join(folder!, name));

      test("every field of every vector", () => {
        for (const vector of readJsonLines<Vector>(join(folder!, name, "vectors.jsonl"))) {
          const { text } = vector;
          const bare = { addSpecialTokens: false, offsetUnit: "codepoint" } as const;
          const encoding = tokenizer.encode(text, bare);
          expect([...encoding.ids], text).toEqual(vector.ids);
          if (vector.tokens !== undefined) expect(encoding.tokens, text).toEqual(vector.tokens);
          if (vector.offsets !== undefined) expect(encoding.offsets, text).toEqual(vector.offsets);
          expect([...tokenizer.encodeIds(text, bare)], text).toEqual(vector.ids);
          expect([...tokenizer.encode(text).ids], text).toEqual(vector.idsWithSpecial);
          expect([...tokenizer.encodeIds(text)], text).toEqual(vector.idsWithSpecial);
          const decoded = tokenizer.decode(vector.ids, { skipSpecialTokens: false });
          expect(decoded, text).toBe(vector.decoded);
          expect(streamed(tokenizer, vector.ids, false), text).toBe(vector.decoded);
        }
      });

      test("the contract holds on random text", () => {
        fc.assert(
          fc.property(anyText, (text) => checkContract(tokenizer, text)),
          { numRuns: 100 },
        );
      });

      const lossless = !/^(bert|t5|claude)/.test(name);
      test.skipIf(!lossless)("every line of 14 languages survives the round trip", () => {
        const pud = join(folder!, "..", "text", "pud");
        for (const file of readdirSync(pud)) {
          for (const line of readFileSync(join(pud, file), "utf8").split("\n")) {
            const ids = tokenizer.encodeIds(line, { addSpecialTokens: false });
            // A normal form is part of two of these schemes.
            const expected = /neox|stablelm/.test(name) ? line.normalize("NFC") : line;
            expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(expected);
          }
        }
      });
    });
  }
});

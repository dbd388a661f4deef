import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { JetonError } from "../../core/error.ts";
import { byteFallbackFile } from "../testing/fixtures.ts";
import { createTokenizer } from "../tokenizer.ts";
import { createTokenizerPool } from "./tokenizer-pool.ts";

describe("tokenizer pool", () => {
  const folder = mkdtempSync(join(tmpdir(), "jeton-pool-"));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byteFallbackFile()));
  afterAll(() => rmSync(folder, { recursive: true }));

  const codeOf = (error: unknown): unknown => (JetonError.isInstance(error) ? error.code : error);

  test("gives the ids that one thread gives, in order, also for several batches at once", async () => {
    const tokenizer = createTokenizer(byteFallbackFile());
    const pool = await createTokenizerPool(folder, { threads: 2 });
    try {
      const texts = Array.from({ length: 500 }, (_, i) => `the cat ${i} sat on the mat é`);
      texts.push("", "the ".repeat(100_000));
      const expected = texts.map((text) => tokenizer.encodeIds(text));
      const [first, second, none] = await Promise.all([
        pool.encodeBatch(texts),
        pool.encodeBatch(["the"], { addSpecialTokens: false }),
        pool.encodeBatch([]),
      ]);
      expect(first).toEqual(expected);
      expect(second).toEqual([tokenizer.encodeIds("the", { addSpecialTokens: false })]);
      expect(none).toEqual([]);
    } finally {
      await pool.close();
    }
    expect(codeOf(await pool.encodeBatch(["the"]).catch((error) => error))).toBe(
      "tokenizer-pool-closed",
    );
  });

  test("errors of the threads arrive as they are", async () => {
    const absent = await createTokenizerPool(join(folder, "absent"), { threads: 1 });
    const error: unknown = await absent.encodeBatch(["a"]).catch((caught: unknown) => caught);
    expect(codeOf(error)).toBe("tokenizer-not-found");
    await absent.close();
    const refused: unknown = await createTokenizerPool(folder, { threads: 0 }).catch((e) => e);
    expect(codeOf(refused)).toBe("tokenizer-pool-option");
  });
});

/** Next-byte probabilities equal those found by enumerating every covering (data folder, `bytes`). */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { type FormulaModel, formulaLogit, formulaRows } from "../testing/formula-model.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";
import type { ExactBytesOptions } from "./exact-bytes.ts";
import { tokenBaselines } from "./token-baselines.ts";

const data = process.env["JETON_DATA"];
const folder = data === undefined ? undefined : join(data, "bytes");
const isPresent = folder !== undefined && existsSync(folder);
if (!isPresent) console.log("byte oracles skipped: JETON_DATA has no folder bytes");

interface Case {
  readonly bytes: string;
  readonly covers: readonly (readonly [readonly number[], number, string])[];
  readonly exact: readonly (number | null)[];
  readonly fast: readonly (number | null)[];
  readonly text?: string;
  readonly naive: readonly (readonly [number, number])[];
  readonly healing: readonly (readonly [number, number])[];
}

interface Chain {
  readonly bytes: string;
  readonly start: number;
  readonly exact: readonly number[];
  readonly fast: readonly number[];
}

function lines<T>(path: string): T[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T);
}

const texts = { letters: "utf8", english: "bytes", "look-ahead": "utf8" } as const;

describe.skipIf(!isPresent).each(Object.keys(texts) as (keyof typeof texts)[])("%s", (name) => {
  const load = async (): Promise<{ tokenizer: Tokenizer; model: FormulaModel }> => {
    const at = join(folder!, name);
    return {
      tokenizer: await loadTokenizer(join(at, "tokenizer.json")),
      model: JSON.parse(readFileSync(join(at, "model.json"), "utf8")) as FormulaModel,
    };
  };
  const open = (loaded: Awaited<ReturnType<typeof load>>, options: ExactBytesOptions) =>
    createExactBytes(formulaRows(loaded.model), loaded.tokenizer, {
      text: texts[name],
      ...options,
    });

  test("the model is the formula", async () => {
    const { model } = await load();
    const { samples } = model as FormulaModel & {
      samples: { a: number; b: number; v: number; logit: number }[];
    };
    for (const { a, b, v, logit } of samples)
      expect(formulaLogit(model, a, b, v)).toBeCloseTo(logit, 12);
  });

  test("coverings and probabilities of every prefix", async () => {
    const loaded = await load();
    const whole = open(loaded, { whole: true });
    const short = open(loaded, {});
    const fast = open(loaded, { mode: "fast" });
    for (const one of lines<Case>(join(folder!, name, "cases.jsonl"))) {
      const bytes = Buffer.from(one.bytes, "hex");
      await whole.prefill(bytes);
      const found = (await whole.coverings()).map(
        ({ ids, rest }) => `${ids} ${Buffer.from(rest).toString("hex")}`,
      );
      expect(found.sort(), one.bytes).toEqual(
        one.covers.map(([ids, , rest]) => `${ids} ${rest}`).sort(),
      );
      for (const { ids, logProbability } of await whole.coverings()) {
        const expected = one.covers.find(([other]) => `${other}` === `${ids}`)![1];
        expect(Math.abs(logProbability - expected), one.bytes).toBeLessThan(1e-8);
      }
      for (const distribution of [whole, short]) {
        if (distribution === short) await short.prefill(bytes);
        const found = await distribution.logProbabilities();
        if (name === "look-ahead" && /(2020|0a0a)$/.test(one.bytes)) {
          compare(withoutFeff(found), withoutFeff(one.exact), one.bytes);
        } else {
          compare(found, one.exact, one.bytes);
        }
      }
      await fast.prefill(bytes);
      compare(await fast.logProbabilities(), one.fast, `fast ${one.bytes}`);
    }
  });

  test("plain tokens and token healing of every text", async () => {
    const { tokenizer, model } = await load();
    const rows = formulaRows(model);
    for (const { text, naive, healing } of lines<Case>(join(folder!, name, "cases.jsonl"))) {
      if (text === undefined || text === "") continue;
      const { plain, healed } = await tokenBaselines(rows, tokenizer, text);
      for (const [found, expected] of [
        [plain, naive],
        [healed, healing],
      ] as const) {
        const wrong = expected.filter(([byte, log]) => !(Math.abs(found[byte]! - log) < 1e-8));
        expect(wrong, text).toEqual([]);
      }
    }
  });

  test("chains, byte by byte", async () => {
    const loaded = await load();
    for (const chain of lines<Chain>(join(folder!, name, "chains.jsonl"))) {
      for (const mode of ["exact", "fast"] as const) {
        const bytes = Buffer.from(chain.bytes, "hex");
        const distribution = open(loaded, { mode });
        await distribution.prefill(bytes.subarray(0, chain.start));
        for (const [at, expected] of chain[mode].entries()) {
          const found = await distribution.logProbabilities();
          const byte = bytes[chain.start + at];
          expect(
            Math.abs(found[byte ?? 256]! - expected),
            `${mode} ${chain.bytes} ${at}`,
          ).toBeLessThan(1e-8);
          if (byte !== undefined) await distribution.advance(byte);
        }
      }
    }
  });
});

/**
 * The distribution without byte 0xEF. The enumeration takes U+FEFF (EF BB BF) for white space, which the
 * reference tokenizer does not (`"  \ufeff"` is `Ġ Ġ ï » ¿` there, too): after two spaces it lets 0xEF
 * follow the token of both.
 */
function withoutFeff(logs: ArrayLike<number | null>): (number | null)[] {
  const kept = Array.from(logs, (log, byte) => (byte === 0xef ? null : log));
  const total = Math.log(kept.reduce<number>((sum, log) => sum + Math.exp(log ?? -Infinity), 0));
  return kept.map((log) => (log === null || log === -Infinity ? null : log - total));
}

/** Probabilities to 1e-9, logarithms to 1e-8, and zero where the oracle has zero. */
function compare(
  found: ArrayLike<number | null>,
  expected: readonly (number | null)[],
  name: string,
): void {
  const wrong = expected.filter((log, byte) => {
    const own = found[byte] ?? -Infinity;
    if (log === null) return own !== -Infinity;
    return !(Math.abs(Math.exp(own) - Math.exp(log)) < 1e-9 && Math.abs(own - log) < 1e-8);
  });
  expect(wrong, name).toEqual([]);
}

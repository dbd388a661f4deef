import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Highs } from "highs";
import { describe, expect, test } from "vitest";
import { createRandom, type Random } from "../../core/index.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import { PairNumbers, recordPairCounts } from "./count-pairs.ts";
import { cutSample, inferMixture, type MixtureCategory } from "./data-mixture-inference.ts";
import { loadSolver } from "./linear-program.ts";
import {
  isSentencePiecePiece,
  loadMergeList,
  type MergeList,
  readMergeList,
  recoverMerges,
} from "./merge-list.ts";
import { chooseSteps, solveMixture } from "./mixture-program.ts";
import { readSampleFolder } from "./read-samples.ts";

/** Texts of an invented language: its own words, the first ones commoner. */
function inventTexts(random: Random, letters: string, count: number): string[] {
  const words = Array.from({ length: 60 }, () =>
    Array.from(
      { length: 2 + random.integer(5) },
      () => letters[random.integer(letters.length)],
    ).join(""),
  );
  return Array.from({ length: count }, () => {
    const line = Array.from({ length: 8 }, () => words[random.integer(1 + random.integer(60))]);
    return `${line.join(" ")}.\n`;
  });
}

const alphabets = ["abcdefgh", "aeioumnrst", "dehilopuyz"] as const;

/** A tokenizer trained on a mixture of invented languages, and other text of the same languages. */
async function invent(counts: readonly number[], seed = 1) {
  const languages = counts.map((count, i) => {
    const texts = inventTexts(createRandom(seed, "language", i), alphabets[i]!, 400 + count);
    return { name: `language ${i}`, training: texts.slice(0, count), attack: texts.slice(count) };
  });
  const { json } = await trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 257 + 80,
    texts: languages.flatMap(({ training }) => training),
  });
  const bytes = languages.map(({ training }) => training.join("").length);
  const total = bytes.reduce((sum, size) => sum + size, 0);
  const sampleOf = (part: "training" | "attack"): MixtureCategory[] =>
    languages.map((language) => ({ name: language.name, texts: language[part] }));
  return { list: readMergeList(json), truth: bytes.map((size) => size / total), sampleOf };
}

const shares = (answer: { readonly shares: readonly { readonly share: number }[] }): number[] =>
  answer.shares.map(({ share }) => share);

describe("counting", () => {
  test("recorded counts equal a recount after each merge", () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[abc]{1,9}$/), { minLength: 1, maxLength: 12 }),
        fc.array(fc.tuple(fc.nat(8), fc.nat(8)), { maxLength: 6 }),
        (words, choices) => {
          const symbols = ["a", "b", "c"];
          const pairs: number[] = [];
          const products: number[] = [];
          for (const [x, y] of choices) {
            const [left, right] = [x % symbols.length, y % symbols.length];
            const token = symbols[left]! + symbols[right]!;
            pairs.push(left, right);
            if (!symbols.includes(token)) symbols.push(token);
            products.push(symbols.indexOf(token));
          }
          const list: MergeList = {
            alphabetSize: 3,
            symbols,
            pairs: Int32Array.from(pairs),
            products: Int32Array.from(products),
            dropped: [],
            createCounter: () => {
              throw new Error("not used");
            },
          };
          const numbers = new PairNumbers();
          const current = words.map((word) => [...word].map((letter) => symbols.indexOf(letter)));
          const collector = {
            add() {},
            words: () => current.map((word) => ({ symbols: [...word], count: 1 })),
          };
          const history = recordPairCounts(list, collector, numbers);
          const recorded = new Map<string, number>();
          for (let step = 0; step <= products.length; step++) {
            for (let i = history.starts[step]!; i < history.starts[step + 1]!; i++) {
              const key = numbers.symbols(history.changedPairs[i]!).join();
              recorded.set(key, (recorded.get(key) ?? 0) + history.changes[i]!);
            }
            const recount = new Map<string, number>();
            for (const word of current) {
              for (let i = 0; i + 1 < word.length; i++) {
                const key = [word[i], word[i + 1]].join();
                recount.set(key, (recount.get(key) ?? 0) + 1);
              }
            }
            expect(new Map([...recorded].filter(([, count]) => count !== 0))).toEqual(recount);
            for (const word of current) {
              for (let i = 0; i + 1 < word.length; i++) {
                const fits = word[i] === pairs[step * 2] && word[i + 1] === pairs[step * 2 + 1];
                if (fits) word.splice(i, 2, products[step]!);
              }
            }
          }
        },
      ),
    );
  });

  test("a sample is cut into parts of about equal length without loss", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom("a", "é", "\n", " ") })),
        fc.integer({ min: 1, max: 5 }),
        (texts, parts) => {
          const cut = cutSample(texts, parts);
          expect(cut).toHaveLength(parts);
          expect(cut.flat().join("")).toBe(texts.join(""));
        },
      ),
    );
    const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join("");
    for (const part of cutSample([lines], 4)) {
      expect(Math.abs(part.join("").length / lines.length - 0.25)).toBeLessThan(0.01);
      expect(part.join("")).toMatch(/^line \d+\n/);
    }
  });
});

describe("merge lists", () => {
  test("merges follow from the tokens in the order of their making", async () => {
    const { list } = await invent([300, 100]);
    const tokens = Array.from(list.products, (product) => list.symbols[product]!);
    const { merges, dropped } = recoverMerges(tokens, new Set(list.symbols.slice(0, 256)));
    expect(dropped).toEqual([]);
    expect(merges.flat()).toEqual(Array.from(list.pairs, (symbol) => list.symbols[symbol]!));
  });

  test("of several ways to make a token the one that training took is kept", () => {
    // "abc" can only have come of "ab" and "c", since "ab" was merged before "bc".
    const { merges } = recoverMerges(["ab", "bc", "abc", "xyz"], new Set("abcxyz"));
    expect(merges).toEqual([
      ["ab".slice(0, 1), "b"],
      ["b", "c"],
      ["ab", "c"],
    ]);
    expect(recoverMerges(["ab", "xyz"], new Set("abxyz")).dropped).toEqual(["xyz"]);
  });

  test("SentencePiece joins characters of one script, no digits, spaces in front", () => {
    const allowed = ["▁the", "▁▁▁▁", "ная", "...", "▁,", "7"];
    const forbidden = ["a▁b", "a.", "12", "▁1", "aя", "abcdefghijklmnopq"];
    expect(allowed.filter(isSentencePiecePiece)).toEqual(allowed);
    expect(forbidden.filter(isSentencePiecePiece)).toEqual([]);
  });

  test("models that keep no merges are refused", () => {
    const json = { model: { type: "WordLevel", vocab: { "[UNK]": 0 }, unk_token: "[UNK]" } };
    expect(() => readMergeList(json)).toThrowError(
      expect.objectContaining({ code: "mixture-not-bpe" }),
    );
  });
});

describe("inference", () => {
  test("from the very training data: no slack, and the truth", async () => {
    const { list, truth, sampleOf } = await invent([500, 200, 100]);
    const answer = await inferMixture(list, sampleOf("training"), { parts: 1 });
    expect(answer.violation).toBeLessThan(1e-6);
    // Several mixtures may explain the list; they lie close together.
    for (const [i, share] of shares(answer).entries()) expect(share).toBeCloseTo(truth[i]!, 1);
    expect(answer.missingMerges).toEqual([]);
  });

  test("from other text: close to the truth, permuted with the categories", async () => {
    const { list, truth, sampleOf } = await invent([500, 200, 100]);
    const answer = await inferMixture(list, sampleOf("attack"), { parts: 3 });
    for (const [i, share] of shares(answer).entries()) {
      expect(Math.abs(share - truth[i]!)).toBeLessThan(0.05);
      expect(answer.shares[i]!.standardError).toBeGreaterThan(0);
    }
    expect(shares(answer).reduce((sum, share) => sum + share)).toBeCloseTo(1, 9);
    const [a, b, c] = sampleOf("attack");
    const permuted = await inferMixture(list, [c!, a!, b!], { parts: 1 });
    expect(permuted.violation).toBeCloseTo(answer.violation, 3);
    for (const [i, from] of [2, 0, 1].entries()) {
      expect(shares(permuted)[i]).toBeCloseTo(shares(answer)[from]!, 3);
    }
  });

  test("constraints of some merges only: as close to the truth, with fewer of them", async () => {
    const { list, truth, sampleOf } = await invent([500, 200, 100]);
    const every = await inferMixture(list, sampleOf("attack"), { parts: 1 });
    const some = await inferMixture(list, sampleOf("attack"), { parts: 1, constrainedMerges: 40 });
    expect(some.constraints).toBeLessThan(every.constraints);
    for (const [i, share] of shares(some).entries()) {
      expect(Math.abs(share - truth[i]!)).toBeLessThan(0.08);
    }
    await expect(
      inferMixture(list, sampleOf("attack"), { constrainedMerges: 0.5 }),
    ).rejects.toMatchObject({ code: "option-invalid" });
  });

  test("chosen steps begin with the first, end with the last, and are as many as asked", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 500 }),
        (all, most) => {
          const chosen = chooseSteps(all, most);
          expect(chosen.reduce((sum, is) => sum + is, 0)).toBe(Math.min(all, most));
          expect(chosen[0]).toBe(1);
          if (most > 1) expect(chosen.at(-1)).toBe(1);
        },
      ),
    );
  });

  test("one category is all; twins share what one of them would have", async () => {
    const { list, sampleOf } = await invent([300, 150]);
    const [a, b] = sampleOf("attack");
    expect(shares(await inferMixture(list, [a!], { parts: 1 }))).toEqual([1]);
    const plain = shares(await inferMixture(list, [a!, b!], { parts: 1 }));
    const twin = { ...b!, name: "twin" };
    const twins = shares(await inferMixture(list, [a!, b!, twin], { parts: 1 }));
    expect(twins[1]! + twins[2]!).toBeCloseTo(plain[1]!, 4);
  });

  test("a missing category shows as slack and as merges that occur nowhere", async () => {
    const { list, sampleOf } = await invent([300, 300]);
    const both = await inferMixture(list, sampleOf("attack"), { parts: 1 });
    const one = await inferMixture(list, sampleOf("attack").slice(0, 1), { parts: 1 });
    expect(one.violation).toBeGreaterThan(2 * both.violation);
    expect(one.missingMerges.length).toBeGreaterThan(both.missingMerges.length);
  });

  test("noise gets no share, but does where slack is weighed against all pairs", async () => {
    const { list, sampleOf } = await invent([300, 300]);
    const random = createRandom(2, "noise");
    const noise = Array.from({ length: 4000 }, () => String.fromCharCode(34 + random.integer(60)));
    const samples = [...sampleOf("attack"), { name: "noise", texts: [noise.join("")] }];
    const perMerge = shares(await inferMixture(list, samples, { parts: 1 }));
    const perPair = shares(await inferMixture(list, samples, { parts: 1, slackPer: "pair" }));
    expect(perMerge[2]).toBeLessThan(0.01);
    expect(perPair[2]).toBeGreaterThan(0.3);
  });

  test("lazy constraints reach the optimum of the whole program", async () => {
    const { list, sampleOf } = await invent([200, 100]);
    const numbers = new PairNumbers();
    const categories = sampleOf("attack").map(({ texts }) => {
      const collector = list.createCounter();
      for (const text of texts as string[]) collector.add(text);
      return { histories: [recordPairCounts(list, collector, numbers)] };
    });
    const merges = Int32Array.from(list.products, (_, step) =>
      numbers.of(list.pairs[step * 2]!, list.pairs[step * 2 + 1]!),
    );
    const solver = await loadSolver();
    const highs = solver.highs as Highs;
    const lazy = solveMixture(solver, categories, merges, { slackPer: "pair" });
    const lazyPerMerge = solveMixture(solver, categories, merges);

    // Every constraint at once: two shares, a slack for each merge, one for each pair.
    const steps = merges.length;
    const counts = categories.map(() => new Float64Array(numbers.size));
    const rows: { indices: number[]; values: number[] }[] = [];
    const explained = [0, 0];
    for (let step = 0; step < steps; step++) {
      for (const [i, { histories }] of categories.entries()) {
        const { starts, changedPairs, changes, total } = histories[0]!;
        for (let at = starts[step]!; at < starts[step + 1]!; at++) {
          counts[i]![changedPairs[at]!]! += (changes[at]! / total) * 1e6;
        }
      }
      const merged = merges[step]!;
      for (const i of explained.keys()) explained[i]! += counts[i]![merged]! / 1e6;
      if (counts.every((count) => count[merged] === 0)) continue;
      for (let pair = 0; pair < numbers.size; pair++) {
        if (pair === merged) continue;
        rows.push({
          indices: [0, 1, 2 + step, 2 + steps + pair],
          values: [...counts.map((count) => count[merged]! - count[pair]!), 1, 1],
        });
      }
    }
    const solveWith = (low: number, high: number, weights: readonly number[] = [1, 1]): number =>
      highs.withModel((model) => {
        model.options.set({ output_flag: false });
        const columns = 2 + steps + numbers.size;
        model.addVars(new Float64Array(columns), new Float64Array(columns).fill(highs.infinity));
        model.changeColsCost(
          { kind: "range", from: 2, to: columns - 1 },
          new Float64Array(columns - 2).fill(1),
        );
        model.changeColBounds(0, low, high);
        model.addRow(1, 1, { indices: [0, 1], values: [...weights] });
        const present = rows.map(({ indices, values }) => {
          const kept = indices.flatMap((index, i) =>
            values[i] === 0 ? [] : [[index, values[i]!]],
          );
          return kept as [number, number][];
        });
        const starts = [0];
        for (const row of present) starts.push(starts.at(-1)! + row.length);
        model.addRows({
          lower: new Float64Array(rows.length),
          upper: new Float64Array(rows.length).fill(highs.infinity),
          matrix: {
            format: "csr",
            numRows: rows.length,
            numCols: columns,
            starts: Int32Array.from(starts),
            indices: Int32Array.from(present.flat(), ([index]) => index),
            values: Float64Array.from(present.flat(), ([, value]) => value),
          },
        });
        model.run();
        const { colValue } = model.getSolution();
        return model.getObjectiveValue() / (colValue[0]! + colValue[1]!);
      });
    expect(lazy.objective).toBeCloseTo(solveWith(0, 1), 2);
    expect(lazyPerMerge.objective).toBeCloseTo(solveWith(0, 10, explained), 2);
    // And no mixture on a grid is better.
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      expect(solveWith(share, share)).toBeGreaterThanOrEqual(lazy.objective - 1e-3);
    }
  });

  test("parts that hold what no other part holds are no obstacle", async () => {
    const { list, sampleOf } = await invent([200, 100]);
    const [a, b] = sampleOf("attack");
    const odd = { ...b!, texts: [...(b!.texts as string[]), `${"zq xj ".repeat(40)}\n`] };
    const answer = await inferMixture(list, [a!, odd], { parts: 5 });
    for (const { standardError } of answer.shares) expect(standardError).toBeGreaterThan(0);
  });

  test("what cannot be inferred is refused", async () => {
    const { list, sampleOf } = await invent([50]);
    const [a] = sampleOf("attack");
    const code = (expected: string) => expect.objectContaining({ code: expected });
    await expect(inferMixture(list, [])).rejects.toEqual(code("mixture-category"));
    await expect(inferMixture(list, [a!, a!])).rejects.toEqual(code("mixture-category"));
    await expect(inferMixture(list, [{ name: "none", texts: [""] }])).rejects.toEqual(
      code("mixture-category"),
    );
    await expect(inferMixture(list, [{ name: "other", texts: ["北京北京"] }])).rejects.toEqual(
      code("mixture-no-merge"),
    );
    const stopped = inferMixture(list, [a!], { signal: AbortSignal.abort() });
    await expect(stopped).rejects.toEqual(code("aborted"));
  });
});

describe("samples in a folder", () => {
  test("files and folders are categories, everything else is refused", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jeton-mixture-"));
    try {
      mkdirSync(join(folder, "code", "deep"), { recursive: true });
      writeFileSync(join(folder, "code", "a.ts"), "one");
      writeFileSync(join(folder, "code", "deep", "b.ts"), "two");
      writeFileSync(join(folder, "prose.txt"), "three");
      writeFileSync(join(folder, ".hidden"), "four");
      expect(await readSampleFolder(folder)).toEqual([
        { name: "code", texts: ["one", "two"] },
        { name: "prose", texts: ["three"] },
      ]);
      const refusal = expect.objectContaining({ code: "mixture-samples" });
      await expect(readSampleFolder(join(folder, "absent"))).rejects.toEqual(refusal);
      writeFileSync(join(folder, "bytes.bin"), Uint8Array.of(0xff, 0xfe, 0x00));
      await expect(readSampleFolder(folder)).rejects.toEqual(refusal);
      await expect(loadMergeList(join(folder, "absent"))).rejects.toEqual(
        expect.objectContaining({ code: "tokenizer-not-found" }),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

const data = process.env["JETON_DATA"];
if (data === undefined)
  console.log("merges of published tokenizers skipped: JETON_DATA is not set");

describe.skipIf(data === undefined)("merges of published tokenizers", () => {
  test("the same from ranks as from the list", async () => {
    const fromRanks = await loadMergeList(join(data!, "tokenizers", "r50k_base.tiktoken"));
    const fromList = await loadMergeList(join(data!, "tokenizers", "gpt2"));
    const spell = (list: MergeList) => Array.from(list.pairs, (symbol) => list.symbols[symbol]!);
    expect(spell(fromRanks)).toEqual(spell(fromList));
  });

  test("of Llama 2's list about half is real, as the paper says", async () => {
    const { products, dropped } = await loadMergeList(join(data!, "tokenizers", "llama-2"));
    expect(products.length / 61_249).toBeCloseTo(0.483, 2);
    expect(dropped.length).toBeLessThan(30);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../../cli/testing/byte-checkpoint.ts";
import { createRandom } from "../../core/index.ts";
import { complete, createPromptLookupDrafter, generate, score } from "../../generate/index.ts";
import { loadModel } from "../../model/index.ts";
import { formOfText } from "../token-forms.ts";
import { createDirectionIndex, type DirectionIndex, searchExactly } from "./direction-index.ts";
import { openDynamicModel } from "./dynamic-model.ts";
import { generateLarge, makeLargeVocabulary } from "./large-vocabulary.ts";
import { type DynamicToken, mergeBatch, mergePair, pairRule } from "./merge-batch.ts";
import { RowCache } from "./row-cache.ts";

describe("mergeBatch", () => {
  const token = fc.constantFrom<DynamicToken>("a", "b", "Ġ", "Ċ", "1", 7);
  const batch = fc.array(fc.array(token, { maxLength: 12 }), { maxLength: 4 });

  test("equals counting all pairs anew for every merge", () => {
    fc.assert(
      fc.property(batch, fc.nat(8), (sequences, merges) => {
        const isValid = pairRule(/ ?[ab]+| ?1+|\s+/u);
        let expected: DynamicToken[][] = sequences.map((sequence) => [...sequence]);
        for (let step = 0; step < merges; step++) {
          const counts = new Map<string, number>();
          for (const sequence of expected) {
            for (let at = 1; at < sequence.length; at++) {
              const [left, right] = [sequence[at - 1]!, sequence[at]!];
              if (typeof left === "number" || typeof right === "number") continue;
              if (isValid(left, right)) {
                counts.set(`${left} ${right}`, (counts.get(`${left} ${right}`) ?? 0) + 1);
              }
            }
          }
          const [best] = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
          if (!best) break;
          const [left, right] = best[0].split(" ") as [string, string];
          expected = expected.map((sequence) => mergePair(sequence, left, right));
        }
        const merged = mergeBatch(sequences, { merges, boundary: / ?[ab]+| ?1+|\s+/u });
        expect(merged.sequences).toEqual(expected);
      }),
    );
  });

  test("keeps the text and the special tokens, and never makes a sequence longer", () => {
    fc.assert(
      fc.property(batch, fc.nat(20), (sequences, merges) => {
        const merged = mergeBatch(sequences, { merges, boundary: "text" }).sequences;
        for (const [place, sequence] of sequences.entries()) {
          expect(merged[place]!.join("")).toBe(sequence.join(""));
          expect(merged[place]!.length).toBeLessThanOrEqual(sequence.length);
          const specials = (list: readonly DynamicToken[]): DynamicToken[] =>
            list.filter((item) => typeof item === "number");
          expect(specials(merged[place]!)).toEqual(specials(sequence));
        }
      }),
    );
  });

  test("without a budget it ends at the words of the text, in any alphabet", () => {
    const texts = [
      "The quick brown fox, 12 times.",
      "Größe über alles; 예쁜 꽃이 피었다",
      "हिन्दी में",
    ];
    const batchOfBytes = texts.map((text) => [...formOfText(text)]);
    const pattern = / ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+/u;
    const { sequences } = mergeBatch(batchOfBytes, { boundary: pattern });
    for (const [place, text] of texts.entries()) {
      const words = Array.from(text.matchAll(new RegExp(pattern.source, "gu")), ([word]) =>
        formOfText(word),
      );
      expect(sequences[place]).toEqual(words);
    }
  });
});

describe("RowCache", () => {
  test("gives what prediction gives at any size, and keeps no more than that", async () => {
    const forms = fc.uniqueArray(fc.constantFrom(..."abcdefgh"), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(forms, { maxLength: 8 }),
        fc.integer({ min: 5, max: 7 }),
        async (batches, capacity) => {
          const cache = new RowCache(capacity);
          let asked = 0;
          for (const batch of batches) {
            const rows = await cache.take(batch, async (missing) => {
              asked += missing.length;
              return missing.map((form) => Float32Array.of(form.charCodeAt(0)));
            });
            expect([...rows.keys()].sort()).toEqual([...batch].sort());
            for (const form of batch) expect(rows.get(form)![0]).toBe(form.charCodeAt(0));
            expect(cache.size).toBeLessThanOrEqual(capacity);
          }
          expect(cache.use.misses).toBe(asked);
          expect(cache.use.hits + asked).toBe(batches.flat().length);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("says when one batch does not fit", async () => {
    const take = new RowCache(2).take(["a", "b", "c"], async () => []);
    await expect(take).rejects.toMatchObject({ code: "dynamic-cache-too-small" });
  });
});

describe("DirectionIndex", () => {
  const random = createRandom(1, "rows");
  const width = 8;
  const rows = Float32Array.from({ length: 300 * width }, () => random.normal());
  const options = { partitions: 12, seed: 1, inline: true };
  let index: DirectionIndex;
  beforeAll(async () => {
    index = await createDirectionIndex(rows, width, options);
  });
  const queries = Array.from({ length: 40 }, () =>
    Float32Array.from({ length: width }, () => random.normal()),
  );

  test("with all groups probed equals exact search, which equals sorting", () => {
    for (const query of queries) {
      const exact = searchExactly(rows, width, query, 20);
      expect(index.search(query, 20, { probes: 12 })).toEqual(exact);
      const logits = Array.from({ length: 300 }, (_, row) =>
        query.reduce((sum, value, i) => sum + value * rows[row * width + i]!, 0),
      );
      const sorted = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
      expect([...exact.ids]).toEqual(sorted.slice(0, 20));
    }
  });

  test("looks at fewer rows with fewer probes, and finds no fewer of the best with more", () => {
    const recall = (probes: number): number =>
      queries.reduce((sum, query) => {
        const found = index.search(query, 10, { probes });
        expect(found.scanned).toBeLessThan(300);
        const best = new Set(searchExactly(rows, width, query, 10).ids);
        return sum + found.ids.filter((id) => best.has(id)).length;
      }, 0);
    const found = [1, 3, 6].map(recall);
    expect(found[0]).toBeLessThan(found[1]!);
    expect(found[1]).toBeLessThan(found[2]!);
  });

  test("repeats with its seed, in a worker as on the calling thread", async () => {
    const other = await createDirectionIndex(rows, width, { ...options, inline: false });
    for (const query of queries) expect(other.search(query, 5)).toEqual(index.search(query, 5));
  });

  test("looks at the longest rows for every query", async () => {
    const uneven = rows.slice();
    // Opposite to the query, but longer than any other: it would never be found by its direction.
    const query = queries[0]!;
    for (let i = 0; i < width; i++) uneven[i] = -9 * query[i]!;
    const found = await createDirectionIndex(uneven, width, { ...options, always: 1 / 300 });
    const { ids, scanned } = found.search(query, 300, { probes: 1 });
    expect(ids.at(-1)).toBe(0);
    expect(scanned).toBeLessThan(300);
  });

  test("takes rows alike, fewer rows than groups, and refuses none", async () => {
    const alike = new Float32Array(5 * width).fill(1);
    const found = await createDirectionIndex(alike, width, options);
    expect(found.search(queries[0]!, 3, { probes: 5 }).ids).toEqual(Int32Array.of(0, 1, 2));
    const none = createDirectionIndex(new Float32Array(0), width, options);
    await expect(none).rejects.toMatchObject({ code: "index-rows" });
  });
});

describe("a model under dynamic tokenization", () => {
  let folder = "";
  const inline = { inline: true, threads: 1 } as const;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "jeton-dynamic-"));
    createByteCheckpoint(folder, { width: 32, layers: 1 });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const questions = [
    { prompt: "the cat and the hat", continuation: " sat" },
    { prompt: "that", continuation: " is the end" },
  ];

  test("without merges scores as the model does, alone or in a batch", async () => {
    await using model = await loadModel(folder, inline);
    await using dynamic = await openDynamicModel(folder, inline);
    const { logProbabilities, lengths } = await dynamic.score(questions, { merges: 0 });
    for (const [place, { prompt, continuation }] of questions.entries()) {
      const prefix = [...model.tokenizer.encodeIds(prompt)];
      expect(lengths[place]).toBe(prefix.length);
      const { logProbability } = await score(model, continuation, { prefix });
      expect(logProbabilities[place]).toBeCloseTo(logProbability, 3);
    }
  });

  test("reads fewer tokens when it merges; the cache changes nothing", async () => {
    await using dynamic = await openDynamicModel(folder, inline);
    const first = await dynamic.score(questions, { merges: 5 });
    expect(first.lengths[0]).toBeLessThan(first.baseLengths[0]!);
    const { misses } = dynamic.cacheUse;
    const second = await dynamic.score(questions, { merges: 5 });
    expect(second).toEqual(first);
    expect(dynamic.cacheUse).toEqual({ hits: misses, misses });
    // A merged token has the mean of the rows that spell it.
    const row = (await dynamic.rows(["th"])).get("th")!;
    const { embedding } = dynamic.source.tables;
    for (const [i, value] of row.entries()) {
      const [t, h] = ["t", "h"].map((letter) => embedding[letter.charCodeAt(0) * 32 + i]!);
      expect(value).toBeCloseTo((t! + h!) / 2, 5);
    }
  });

  test("without merges a prompt is continued as the model does, with and without drafting", async () => {
    await using model = await loadModel(folder, inline);
    await using dynamic = await openDynamicModel(model, inline);
    const prompt = "the cat and the hat and the cat";
    const options = { maxTokens: 12, greedy: true, ignoreEos: true };
    const expected = await complete(model, prompt, options);
    const drafter = createPromptLookupDrafter();
    for (const more of [{}, { drafter }, { prefillChunk: 3 }]) {
      const ids: number[] = [];
      for await (const { id } of dynamic.generate(prompt, { merges: 0, ...options, ...more })) {
        ids.push(id);
      }
      expect(ids).toEqual(expected.ids);
    }
    let promptTokens = 0;
    const iterator = dynamic.generate(prompt, { merges: 9, ...options });
    for (;;) {
      const next = await iterator.next();
      if (!next.done) continue;
      promptTokens = next.value.promptTokens;
      break;
    }
    expect(promptTokens).toBeLessThan(expected.promptTokens);
    expect(model.openSequences).toBe(0);
  });

  test("writes with a large vocabulary what it writes itself when that holds nothing else", async () => {
    await using model = await loadModel(folder, inline);
    await using dynamic = await openDynamicModel(folder, inline);
    const vocabulary = await makeLargeVocabulary(dynamic.source, [], { ...inline, partitions: 4 });
    const expected: string[] = [];
    for await (const { id } of generate(model, "the cat", { maxTokens: 5, temperature: 0 })) {
      expected.push(dynamic.source.vocabulary.forms[id] ?? "");
    }
    const found: string[] = [];
    const options = { maxTokens: 5, probes: 4 };
    for await (const { form } of generateLarge(dynamic, vocabulary, "the cat", options)) {
      found.push(form);
    }
    expect(found).toEqual(expected);
    const larger = await makeLargeVocabulary(dynamic.source, ["the", "Ġcat", "cat"], inline);
    expect(larger.encode("the cat cat")).toEqual(["the", "Ġcat", "Ġcat"]);
  });
});

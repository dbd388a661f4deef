import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../../cli/testing/byte-checkpoint.ts";
import { createRandom } from "../../core/index.ts";
import { complete, createPromptLookupDrafter, generate, score } from "../../generate/index.ts";
import { loadModel } from "../../model/index.ts";
import { formOfText, type TokenForms } from "../token-forms.ts";
import { createDirectionIndex, type DirectionIndex, searchExactly } from "./direction-index.ts";
import { openDynamicModel } from "./dynamic-model.ts";
import {
  type GenerateLargeOptions,
  type GenerateLargeResult,
  generateLarge,
} from "./generate-large.ts";
import { growVocabulary, makeLargeVocabulary } from "./large-vocabulary.ts";
import {
  type DynamicToken,
  mergeBatch,
  mergePair,
  mergesForReduction,
  pairRule,
} from "./merge-batch.ts";
import { cutByMerging } from "./merged-texts.ts";
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

  test("a prompt longer than a pass, under rotations that depend on its length, scores as of the model", async () => {
    const long = join(folder, "long");
    mkdirSync(long);
    createByteCheckpoint(long, { width: 32, layers: 1, contextLength: 64 });
    const path = join(long, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    const scaled = { ...config, rope_scaling: { rope_type: "dynamic", factor: 8 } };
    writeFileSync(path, JSON.stringify(scaled));
    const [prompt, continuation] = ["the cat and the hat. ".repeat(20), "the end"];
    await using model = await loadModel(long, inline);
    await using dynamic = await openDynamicModel(model, inline);
    const { logProbabilities } = await dynamic.score([{ prompt, continuation }], { merges: 0 });
    const prefix = [...model.tokenizer.encodeIds(prompt)];
    const { logProbability } = await score(model, continuation, { prefix });
    expect(logProbabilities[0]).toBeCloseTo(logProbability, 4);
  });

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

  describe("generation with a large vocabulary", () => {
    const prompt = "the cat";
    const collect = async (
      options: GenerateLargeOptions,
    ): Promise<[string[], GenerateLargeResult]> => {
      await using dynamic = await openDynamicModel(folder, inline);
      const vocabulary = await makeLargeVocabulary(dynamic.source, ["the", "Ġcat"], inline);
      const forms: string[] = [];
      const iterator = generateLarge(dynamic, vocabulary, prompt, { probes: 1e6, ...options });
      for (;;) {
        const next = await iterator.next();
        if (next.done) return [forms, next.value];
        forms.push(next.value.form);
      }
    };

    test("ends at the EOS token where a bias makes it the best, and nowhere where it is excluded", async () => {
      const [forms, result] = await collect({ maxTokens: 4, eosBias: 1000 });
      expect([forms, result.finishReason, result.text]).toEqual([[], "stop", ""]);
      const [others, rest] = await collect({ maxTokens: 4, eosBias: -Infinity });
      expect([others.length, rest.finishReason, rest.tokens]).toEqual([4, "length", 4]);
    });

    test("a repetition penalty below 1 brings tokens back, one above 1 none", async () => {
      const options = { maxTokens: 8, eosBias: -Infinity };
      const [favoured] = await collect({ ...options, repetitionPenalty: 0.01 });
      const [penalized] = await collect({ ...options, repetitionPenalty: 100 });
      expect(new Set(favoured).size).toBeLessThan(5);
      expect(new Set(penalized).size).toBe(8);
    });

    test("min-p of 1 and top-k of 1 leave the best token at any temperature", async () => {
      const options = { maxTokens: 6, eosBias: -Infinity };
      const [greedy] = await collect(options);
      const sampled = { ...options, temperature: 50, seed: 3 };
      expect((await collect(sampled))[0]).not.toEqual(greedy);
      expect((await collect({ ...sampled, minP: 1 }))[0]).toEqual(greedy);
      expect((await collect({ ...sampled, topK: 1 }))[0]).toEqual(greedy);
    });

    test("ends before a stop string, which several tokens may spell", async () => {
      const [forms, whole] = await collect({ maxTokens: 6, eosBias: -Infinity });
      const middle = whole.text.slice(1, 3);
      expect(forms.length).toBeGreaterThan(3);
      const [, cut] = await collect({ maxTokens: 6, eosBias: -Infinity, stop: [middle] });
      expect(cut).toMatchObject({
        text: whole.text.slice(0, whole.text.indexOf(middle)),
        tail: "",
        finishReason: "stop",
      });
    });

    test("refuses options that it cannot keep", async () => {
      for (const [name, value] of [
        ["minP", 2],
        ["shortlist", 0],
        ["eosBias", Number.NaN],
        ["repetitionPenalty", 0],
        ["stop", [""]],
      ] as const) {
        const bad = collect({ [name]: value } as GenerateLargeOptions);
        await expect(bad).rejects.toMatchObject({
          code: "generate-option-invalid",
          details: { name },
        });
      }
    });
  });

  test("grows a vocabulary from the model's own tokens up to the words of a text", async () => {
    await using dynamic = await openDynamicModel(folder, inline);
    const { vocabulary } = dynamic.source;
    const texts = ["the cat sat on the mat", "the cat and the hat"];
    const grown = growVocabulary(vocabulary, texts);
    expect(grown.slice(0, vocabulary.ids.size)).toEqual([...vocabulary.ids.keys()]);
    for (const word of ["the", "Ġthe", "Ġcat", "Ġhat", "Ġsat"]) expect(grown).toContain(word);
    // By hand: "Ġt", "Ġth" and "Ġthe" are among the merges, and "Ġthe" comes before any rarer word.
    expect(grown.indexOf("Ġthe")).toBeLessThan(grown.indexOf("Ġhat"));
    expect(growVocabulary(vocabulary, texts, { size: vocabulary.ids.size + 2 })).toHaveLength(
      vocabulary.ids.size + 2,
    );
  });
});

describe("texts of a hypernetwork's training", () => {
  const letters = Array.from("abcdefghijklmnopqrstuvwxyzĠ");
  const vocabulary = {
    ids: new Map(letters.map((form, id) => [form, id])),
    forms: letters,
    tokenizer: {
      encodeIds: (text: string) =>
        Int32Array.from(formOfText(text), (form) => letters.indexOf(form)),
    },
  } as unknown as TokenForms;
  const texts = ["the cat sat on the mat and the hat", "the hat and the cat and the bat"];

  test("are the text: merged in front, then the model's own tokens", () => {
    const cutter = cutByMerging(vocabulary, { vocabSize: 30 });
    for (let step = 0; step < 20; step++) {
      const { forms, rows } = cutter.cut(texts, createRandom(step));
      expect(new Set(forms).size).toBe(forms.length);
      for (const [at, { predicted, known }] of rows.entries()) {
        const [merged, own] = [predicted.map((id) => forms[id]), known!.map((id) => letters[id])];
        expect([...merged, ...own].join("")).toBe(formOfText(texts[at]!));
        expect(own[0]).toBe("Ġ");
      }
    }
  });

  test("budgets are drawn over all of the reduction, from no merge to whole words", () => {
    const cutter = cutByMerging(vocabulary, { prompt: [0.9, 0.9] });
    const lengths = Array.from({ length: 60 }, (_, step) =>
      cutter
        .cut(texts, createRandom(step))
        .rows.reduce((sum, row) => sum + row.predicted.length, 0),
    );
    const all = mergeBatch(
      texts.map((text) => [...formOfText(text.slice(0, text.lastIndexOf(" ")))]),
    );
    const [least, base] = [all.sequences.flat().length, texts.join("").length - 8];
    expect(Math.min(...lengths)).toBeLessThan(least + 5);
    expect(Math.max(...lengths)).toBeGreaterThan(base - 10);
    expect(mergesForReduction(all, 0)).toBe(0);
    expect(mergesForReduction(all, 100)).toBe(all.merges.length);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { trainTokenizer } from "../../tokenizer/index.ts";
import { formOfText, readTokenForms, type TokenForms } from "../token-forms.ts";
import { alignBothWays, alignWords } from "./align-words.ts";
import { containedIn, mapWordLinks, smoothEvidence, startingWith } from "./map-tokens.ts";
import { translateTokens } from "./trans-tokenization.ts";
import { splitWords, type WordCorpus } from "./word-units.ts";

/** A corpus of numbered words, each its own token. */
const corpusOf = (sentences: readonly (readonly number[])[], words = 6): WordCorpus => ({
  words: Array.from({ length: words }, (_, word) => [word]),
  sentences: sentences.map((sentence) => Int32Array.from(sentence)),
});

const sentence = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 });
const pairs = fc.array(fc.tuple(sentence, sentence), { minLength: 1, maxLength: 8 });

describe("alignWords", () => {
  test("never makes the sentences less likely, and accounts for every target word", () => {
    fc.assert(
      fc.property(pairs, fc.constantFrom(0.08, 0), (list, nullProbability) => {
        const source = corpusOf(list.map(([e]) => e));
        const target = corpusOf(list.map(([, f]) => f));
        const { links, nullCounts, logLikelihoods } = alignWords(source, target, {
          nullProbability,
        });
        for (let round = 1; round < logLikelihoods.length; round++) {
          expect(logLikelihoods[round]).toBeGreaterThanOrEqual(logLikelihoods[round - 1]! - 1e-9);
        }
        for (let f = 0; f < 6; f++) {
          const occurrences = list
            .flatMap(([, words]) => words)
            .filter((word) => word === f).length;
          let sum = nullCounts[f]!;
          for (const link of links) if (link.target === f) sum += link.count;
          expect(sum).toBeCloseTo(occurrences, 9);
        }
      }),
    );
  });

  test("equals Model 1 written out", () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const source = corpusOf(list.map(([e]) => e));
        const target = corpusOf(list.map(([, f]) => f));
        const t = Array.from({ length: 7 }, () => new Array<number>(6).fill(1 / 6));
        let c: number[][] = [];
        for (let round = 0; round < 4; round++) {
          c = Array.from({ length: 7 }, () => new Array<number>(6).fill(0));
          for (const [e, f] of list) {
            for (const word of f) {
              const shares = [
                0.08 * t[6]![word]!,
                ...e.map((s) => (0.92 / e.length) * t[s]![word]!),
              ];
              const total = shares.reduce((a, b) => a + b, 0);
              c[6]![word]! += shares[0]! / total;
              for (const [i, s] of e.entries()) c[s]![word]! += shares[i + 1]! / total;
            }
          }
          for (const [s, row] of c.entries()) {
            const total = row.reduce((a, b) => a + b, 0);
            if (total > 0) t[s] = row.map((count) => count / total);
          }
        }
        for (const link of alignWords(source, target, { iterations: 4 }).links) {
          expect(link.count).toBeCloseTo(c[link.source]![link.target]!, 9);
        }
      }),
    );
  });

  test("does not depend on the order of the pairs", () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const counts = (order: typeof list): Map<string, number> =>
          new Map(
            alignWords(
              corpusOf(order.map(([e]) => e)),
              corpusOf(order.map(([, f]) => f)),
            ).links.map(({ source, target, count }) => [`${source} ${target}`, count]),
          );
        const [one, other] = [counts(list), counts([...list].reverse())];
        expect(one.size).toBe(other.size);
        for (const [link, count] of one) expect(other.get(link)).toBeCloseTo(count, 9);
      }),
    );
  });

  test("finds the key of a word cipher, in either direction and in both", () => {
    const key = [3, 5, 0, 1, 4, 2];
    const sentences = fc.sample(sentence, { numRuns: 200, seed: 1 });
    const source = corpusOf(sentences);
    const target = corpusOf(sentences.map((words) => words.map((word) => key[word]!)));
    for (const links of [alignWords(source, target).links, alignBothWays(source, target)]) {
      for (let e = 0; e < 6; e++) {
        const own = links.filter((link) => link.source === e);
        const best = own.reduce((a, b) => (b.count > a.count ? b : a));
        expect(best.target).toBe(key[e]);
      }
    }
  });
});

describe("mapWordLinks", () => {
  test("equals a double loop over the stretched words", () => {
    const word = fc.array(fc.nat(9), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(word, word, fc.integer({ min: 2, max: 50 }), (from, to, count) => {
        const expected = new Map<string, number>();
        const add = (s: number, t: number, amount: number): void => {
          expected.set(`${s} ${t}`, (expected.get(`${s} ${t}`) ?? 0) + amount);
        };
        if (from.length === 1 && to.length === 1) add(from[0]!, to[0]!, count);
        else {
          const half = Math.max(1, Math.floor(count / 2));
          for (const s of from) {
            for (const t of to) add(s, t, Math.max(1, Math.floor(half / from.length)));
          }
          let common = Math.max(from.length, to.length);
          while (common % from.length !== 0 || common % to.length !== 0) common++;
          const stretch = (list: readonly number[]): number[] =>
            list.flatMap((item) => new Array<number>(common / list.length).fill(item));
          const [s, t] = [stretch(from), stretch(to)];
          for (let at = 0; at < common; at++) {
            // p / gcd(p, q) = lcm(p, q) / q
            add(s[at]!, t[at]!, Math.max(1, Math.floor(half / (common / to.length))));
          }
        }
        const links = [{ source: 0, target: 0, count }];
        const evidence = mapWordLinks(links, { words: [from] }, { words: [to] }, { minCount: 2 });
        const found = new Map(
          [...evidence].flatMap(([target, shares]) =>
            [...shares].map(([source, amount]) => [`${source} ${target}`, amount] as const),
          ),
        );
        expect(found).toEqual(expected);
      }),
    );
  });

  test("leaves rare pairs out", () => {
    const links = [{ source: 0, target: 0, count: 9.4 }];
    expect(mapWordLinks(links, { words: [[1]] }, { words: [[2]] }).size).toBe(0);
  });
});

describe("smoothing", () => {
  test("finds what begins with a string, and what lies within it, as a search does", () => {
    const string = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.uniqueArray(string), string, (list, form) => {
        const sorted = [...list].sort();
        expect(startingWith(sorted, form)).toEqual(
          sorted.filter((other) => other.startsWith(form)),
        );
        const inside = containedIn(new Map(list.map((other) => [other, 1])), form);
        // Every known proper part is covered by a chosen one.
        for (const other of list) {
          if (other.length < form.length && form.includes(other)) {
            expect(inside.some((chosen) => chosen.includes(other))).toBe(true);
          }
        }
        for (const chosen of inside) expect(form.includes(chosen) && chosen !== form).toBe(true);
      }),
    );
  });

  test("gives a token the translations of its parts, words before pieces", () => {
    const forms = (...texts: string[]): TokenForms =>
      ({
        forms: texts.map(formOfText),
        ids: new Map(texts.map((text, id) => [formOfText(text), id])),
        size: texts.length,
      }) as unknown as TokenForms;
    const source = forms(" snow", "man");
    const target = forms("schnee", "mann", "schneemann");
    const evidence = new Map([
      [0, new Map([[0, 40]])],
      [1, new Map([[1, 7]])],
    ]);
    const smoothed = smoothEvidence(evidence, source, target);
    expect(smoothed.get(2)).toEqual(
      new Map([
        [0, 2000],
        [1, 1000],
      ]),
    );
    expect(evidence.has(2)).toBe(false);
  });
});

const english = [
  "a red dog runs",
  "a red house",
  "the dog sleeps",
  "a house stands",
  "the red sun",
  "the sun rises",
];
const german = [
  "ein roter hund rennt",
  "ein rotes haus",
  "der hund schläft",
  "ein haus steht",
  "die rote sonne",
  "die sonne geht auf",
];

describe("translateTokens", () => {
  const formsOf = async (texts: readonly string[]) =>
    readTokenForms(
      (await trainTokenizer({ kind: "byte-level-bpe", vocabSize: 330, texts })).tokenizer,
    );

  test("gives every token weights that sum to 1", async () => {
    const [source, target] = [await formsOf(english), await formsOf(german)];
    const text = english.map((line, i) => ({ source: line, target: german[i]! }));
    const { mixture } = translateTokens(source, target, { pairs: text, minCount: 1 });
    for (const [id, entry] of mixture.entries()) {
      if (target.forms[id] === undefined) continue;
      expect(entry!.weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
      expect(entry!.sources.every((s) => source.forms[s] !== undefined)).toBe(true);
    }
  });

  test("between a language and itself a word is above all itself", async () => {
    const source = await formsOf(english);
    const text = Array.from({ length: 20 }, () => english).flat();
    const { mixture } = translateTokens(source, source, {
      pairs: text.map((line) => ({ source: line, target: line })),
      directions: "both",
    });
    for (const word of [" dog", " red", " sun"]) {
      const id = source.ids.get(formOfText(word))!;
      const { sources, weights } = mixture[id]!;
      expect(sources[weights.indexOf(Math.max(...weights))]).toBe(id);
    }
  });

  test("keeps a word's pieces together and punctuation apart", async () => {
    const { tokenizer } = await formsOf(["x"]);
    const words = splitWords(tokenizer, "Käse, 12 Äpfel!");
    expect(words.map((word) => tokenizer.decode(word))).toEqual([
      "Käse",
      ",",
      " ",
      "1",
      "2",
      " ",
      "Äpfel",
      "!",
    ]);
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { makeRecallTask, type RecallTaskOptions, recallTaskKinds } from "./recall-tasks.ts";
import { sampleWording, unseenWordings } from "./recall-wordings.ts";

const words = Array.from(
  { length: 200 },
  (_, index) => `word${String.fromCharCode(97 + (index % 26))}${"xyzuvwrs"[index >> 5]}`,
);
const filler = Array.from(
  { length: 30 },
  (_, index) => `This is sentence ${index} of the text between.`,
);

const options: fc.Arbitrary<RecallTaskOptions> = fc.record({
  kind: fc.constantFrom(...recallTaskKinds),
  words: fc.constant(words),
  filler: fc.constant(filler),
  length: fc.integer({ min: 100, max: 3000 }),
  questions: fc.integer({ min: 1, max: 12 }),
  wordings: fc.constantFrom("fixed", "composed", "unseen"),
});

test("every answer stands in the document before its question, and the document holds all of them", () => {
  fc.assert(
    fc.property(options, fc.integer(), (options, seed) => {
      const { text, questions } = makeRecallTask(createRandom(seed), options);
      expect(questions.length).toBeGreaterThan(0);
      for (const { prompt, answer, distance } of questions) {
        expect(text.startsWith(prompt + answer)).toBe(true);
        expect(prompt).not.toMatch(/ $/);
        const value = answer.trim();
        const first = prompt.indexOf(value);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(distance).toBeGreaterThan(0);
        expect(distance).toBeLessThanOrEqual(prompt.length);
      }
    }),
  );
});

test("the answer ends where it is said to have been told", () => {
  fc.assert(
    fc.property(options, fc.integer(), (options, seed) => {
      if (options.kind === "copy") return;
      const { questions } = makeRecallTask(createRandom(seed), options);
      for (const { prompt, answer, distance } of questions) {
        expect(prompt.slice(0, prompt.length - distance)).toContain(answer.trim());
      }
    }),
  );
});

test("a document whose keys are few ends, however long it was to be", () => {
  for (let seed = 0; seed < 300; seed++) {
    const wordings = (["fixed", "composed", "unseen"] as const)[seed % 3]!;
    const drawn = { kind: "key-value", length: 20_000, questions: 5, wordings } as const;
    const options = { ...drawn, words, filler };
    expect(makeRecallTask(createRandom(seed), options).questions).toHaveLength(5);
  }
});

test("unseen wordings are never drawn for training", () => {
  const shape = (told: (key: string, value: string) => string): string =>
    told("KEY", "VALUE").trim();
  const unseen = new Set(unseenWordings.map(({ told }) => shape(told)));
  const drawn = new Set<string>();
  for (let seed = 0; seed < 20_000; seed++) {
    drawn.add(shape(sampleWording(createRandom(seed), words).told));
  }
  expect([...drawn].filter((told) => unseen.has(told))).toEqual([]);
  // Hardly two documents are worded alike.
  expect(drawn.size).toBeGreaterThan(8_000);
});

test("the same stream gives the same document, another one another", () => {
  const make = (seed: number): string =>
    makeRecallTask(createRandom(seed), { kind: "key-value", words, filler, length: 400 }).text;
  expect(make(3)).toBe(make(3));
  expect(make(3)).not.toBe(make(4));
});

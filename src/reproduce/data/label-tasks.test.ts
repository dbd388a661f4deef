import { describe, expect, it } from "vitest";
import { createRandom } from "../../core/index.ts";
import { type LabelledInput, makeLabelTask } from "./label-tasks.ts";

const syllables = ["ka", "lo", "mi", "tu", "re", "so", "van", "der", "pol", "grim"];
const words = syllables.flatMap((a) => syllables.map((b) => `${a}${b}x`.slice(0, 8)));
const kinds = [
  ["The ship came late.", "Nobody saw the king.", "It rained for a week."],
  ["const a = 1;", "return value;", "if (x) y();"],
];

describe("documents of labelled examples", () => {
  it("shows every class that is asked for before it is asked for", () => {
    let shown = 0;
    let asked = 0;
    for (let index = 0; index < 200; index++) {
      const task = makeLabelTask(createRandom(1, index), { words, kinds, length: 900 });
      expect(task.questions).toHaveLength(4);
      for (const { prompt, answer, labels } of task.questions) {
        asked++;
        expect(labels).toContain(answer);
        expect(prompt.endsWith(" ")).toBe(false);
        if (prompt.includes(answer.trim())) shown++;
      }
      const last = task.questions.at(-1)!;
      expect(task.text.startsWith(last.prompt + last.answer)).toBe(true);
    }
    expect(shown / asked).toBeGreaterThan(0.97);
  });

  it("can be answered by what inputs of a class have in common", () => {
    let right = 0;
    let chance = 0;
    let asked = 0;
    for (let index = 0; index < 200; index++) {
      const task = makeLabelTask(createRandom(2, index), { words, kinds, length: 1500 });
      for (const { input, label, labels } of task.questions) {
        asked++;
        chance += 1 / labels.length;
        if (nearest(input, task.examples) === label) right++;
      }
    }
    expect(right / asked).toBeGreaterThan(chance / asked + 0.3);
  });

  it("is the same for the same stream", () => {
    const make = (seed: number) =>
      makeLabelTask(createRandom(seed, "labels"), { words, kinds, length: 600, questions: 2 }).text;
    expect(make(3)).toBe(make(3));
    expect(make(3)).not.toBe(make(4));
  });
});

/** The label of the example that shares most with the input: words, and signs where it has no others. */
function nearest(input: string, examples: readonly LabelledInput[]): string {
  const parts = (text: string): Set<string> =>
    new Set([
      ...text.split(/\W+/),
      ...text
        .replaceAll(/\d+/g, "9")
        .replaceAll(/[a-z]+/g, "a")
        .replaceAll(/[A-Z]+/g, "A")
        .split(" "),
    ]);
  const wanted = parts(input);
  const shared = (text: string): number =>
    [...parts(text)].filter((part) => wanted.has(part)).length;
  return examples.reduce((best, one) => (shared(one.input) > shared(best.input) ? one : best))
    .label;
}

import { describe, expect, test } from "vitest";
import { dataFolder } from "../../data/index.ts";
import { type DecodingTaskKind, decodingTaskKinds, decodingTasks } from "./reproduction-tasks.ts";

const available = dataFolder() !== undefined;
if (!available) console.log("decoding tasks: skipped, JETON_DATA is not set");

function describeKind(kind: DecodingTaskKind): void {
  test("are distinct, within the limit, and determined by the seed", async () => {
    const tasks = await decodingTasks({ kind, count: 220, seed: 3, maxCharacters: 900 });
    expect(new Set(tasks.map(({ prompt }) => prompt)).size).toBe(220);
    for (const { kind: own, prompt } of tasks) {
      expect(own).toBe(kind);
      expect(prompt.length).toBeGreaterThan(20);
      expect(prompt.length).toBeLessThanOrEqual(900);
    }
    const again = await decodingTasks({
      kind,
      count: 210,
      seed: 3,
      skip: 10,
      maxCharacters: 900,
    });
    expect(again).toEqual(tasks.slice(10));
    const others = await decodingTasks({ kind, count: 220, seed: 4, maxCharacters: 900 });
    expect(others.map(({ prompt }) => prompt)).not.toEqual(tasks.map(({ prompt }) => prompt));
  });
}

describe.skipIf(!available).each(decodingTaskKinds)("decoding tasks of kind %s", describeKind);

test.skipIf(!available)("asking for too many is an error with the available number", async () => {
  await expect(decodingTasks({ kind: "code", count: 100_000 })).rejects.toMatchObject({
    code: "decoding-tasks-too-few",
  });
});

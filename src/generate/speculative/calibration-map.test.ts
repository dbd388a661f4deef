import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { createCalibrationMap, observeVerdict } from "./calibration-map.ts";

const confidence = fc.double({ min: 0, max: 1, noNaN: true });

describe("calibration map", () => {
  test("starts as the identity", () => {
    const table = createCalibrationMap();
    fc.assert(fc.property(confidence, (c) => Math.abs(table.estimate(c) - c) < 1e-12));
  });

  test("is monotone, between 0 and 1, and 0 at 0, for any observations", () => {
    const observations = fc.array(fc.tuple(confidence, fc.boolean()), { maxLength: 300 });
    fc.assert(
      fc.property(observations, (seen) => {
        const table = createCalibrationMap({ priorWeight: 0.5 });
        for (const [c, accepted] of seen) table.observe(c, accepted);
        let last = 0;
        for (let step = 0; step <= 200; step++) {
          const value = table.estimate(step / 200);
          expect(value).toBeGreaterThanOrEqual(last - 1e-12);
          expect(value).toBeLessThanOrEqual(1);
          last = value;
        }
        expect(table.estimate(0)).toBe(0);
      }),
    );
  });

  test("learns a level that differs from the confidence", () => {
    const table = createCalibrationMap();
    const random = createRandom(3);
    for (let index = 0; index < 5000; index++) {
      const c = random.uniform();
      table.observe(c, random.uniform() < Math.sqrt(c));
    }
    for (const c of [0.15, 0.35, 0.55, 0.75, 0.95]) {
      expect(Math.abs(table.estimate(c) - Math.sqrt(c))).toBeLessThan(0.08);
    }
  });

  test("forgets old observations", () => {
    const table = createCalibrationMap({ decay: 0.98 });
    for (let index = 0; index < 1000; index++) table.observe(0.55, true);
    for (let index = 0; index < 300; index++) table.observe(0.55, false);
    expect(table.estimate(0.55)).toBeLessThan(0.15);
  });

  test("a loaded map estimates like the saved one; a reset one is the identity", () => {
    const table = createCalibrationMap();
    for (let index = 0; index < 40; index++) table.observe((index % 10) / 10, index % 3 === 0);
    const copy = createCalibrationMap();
    copy.load(table.save());
    for (let step = 0; step <= 20; step++) {
      expect(copy.estimate(step / 20)).toBe(table.estimate(step / 20));
    }
    copy.reset();
    expect(copy.estimate(0.42)).toBeCloseTo(0.42, 12);
  });

  test("a verdict on a part of a tree is learned with the whole tree's confidences", () => {
    const whole = { ids: [5, 6, 7, 8], parents: [-1, -1, 1, 1] };
    const part = { ids: [6, 8], parents: [-1, 0] };
    const table = createCalibrationMap({ priorWeight: 1 });
    const verdict = { tree: part, accepted: [0], rejected: [1] };
    observeVerdict(table, whole, [0.15, 0.25, 0.35, 0.85], verdict);
    expect([...table.save().tested.entries()].filter(([, count]) => count > 0)).toEqual([
      [2, 1],
      [8, 1],
    ]);
    expect(table.save().accepted[2]).toBe(1);
    expect(table.save().accepted[8]).toBe(0);
  });
});

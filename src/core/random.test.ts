import { describe, expect, test } from "vitest";
import { createRandom } from "./random.ts";

describe("createRandom", () => {
  test("equal keys give equal streams, different keys different ones", () => {
    const draw = (...keys: (number | string)[]) => {
      const random = createRandom(7, ...keys);
      return Array.from({ length: 8 }, () => random.uint32());
    };
    expect(draw(1, 2)).toEqual(draw(1, 2));
    expect(draw(1, 2)).not.toEqual(draw(2, 1));
    expect(draw("1")).not.toEqual(draw(1));
    expect(draw()).not.toEqual(draw(0));
  });

  test("uniform draws have the moments of the uniform distribution, also across keys", () => {
    let sum = 0;
    let squares = 0;
    const count = 100_000;
    for (let i = 0; i < count; i++) {
      const value = createRandom(3, "sample", i).uniform();
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(1);
      sum += value;
      squares += value * value;
    }
    // Four standard errors.
    expect(Math.abs(sum / count - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / count));
    expect(Math.abs(squares / count - 1 / 3)).toBeLessThan(4 * Math.sqrt(4 / 45 / count));
  });

  test("normal draws have mean 0 and variance 1", () => {
    const random = createRandom(11);
    let sum = 0;
    let squares = 0;
    const count = 50_000;
    for (let i = 0; i < count; i++) {
      const value = random.normal();
      sum += value;
      squares += value * value;
    }
    expect(Math.abs(sum / count)).toBeLessThan(4 / Math.sqrt(count));
    expect(Math.abs(squares / count - 1)).toBeLessThan(4 * Math.sqrt(2 / count));
  });

  test("integer is unbiased and stays inside its bound", () => {
    const random = createRandom(5);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.integer(7)]!++;
    const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chi).toBeLessThan(22.5); // 0.999 quantile with 6 degrees of freedom
  });

  test("save and restore continue the stream; fork does not advance it", () => {
    const random = createRandom(1);
    random.uint32();
    const saved = random.save();
    const forked = random.fork("child").uint32();
    const next = [random.uint32(), random.uint32()];
    random.restore(saved);
    expect([random.uint32(), random.uint32()]).toEqual(next);
    expect(random.fork("child").uint32()).toBe(forked);
  });

  test("shuffle permutes", () => {
    const items = Array.from({ length: 50 }, (_, i) => i);
    const shuffled = createRandom(2).shuffle([...items]);
    expect(shuffled).not.toEqual(items);
    expect([...shuffled].sort((a, b) => a - b)).toEqual(items);
  });
});

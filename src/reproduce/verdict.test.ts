import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import type { Measurement, Thresholds } from "./define-reproduction.ts";
import {
  averageSeeds,
  constantOf,
  meanOf,
  ratioOfSums,
  type Sample,
  statisticOf,
  wholeValue,
} from "./sample.ts";
import { type Condition, effectOf, judge, type Verdict } from "./verdict.ts";

type Shape = Partial<Pick<Condition, "direction" | "effect">>;

const conditionOf = ({ direction = "higher", effect = "value" }: Shape = {}): Condition =>
  effect === "value"
    ? { id: "claim", direction, effect, noEffect: 0 }
    : ({ id: "claim", direction, effect } as Condition);

/** Ten units that are all alike: their interval is a point. */
const ten = (value: number): Sample => constantOf(value, 10);

describe("effectOf", () => {
  test.each<[Shape, number, number | undefined, number]>([
    [{}, 80, undefined, 80],
    [{ effect: "difference" }, 15, 10, 5],
    [{ effect: "difference", direction: "lower" }, 8, 10, 2],
    [{ effect: "ratio" }, 20, 10, 2],
    [{ effect: "ratio", direction: "lower" }, 5, 10, 2],
    [{ effect: "ratio", direction: "lower" }, 0, 10, Number.POSITIVE_INFINITY],
    [{ effect: "ratio" }, 1, 0, Number.NaN],
    [{ effect: "ratio" }, 1, -1, Number.NaN],
    [{ effect: "ratio", direction: "lower" }, -1, 1, Number.NaN],
    [{ effect: "difference" }, 1, undefined, Number.NaN],
  ])("%j: %d beside %d is %d", (shape, measured, baseline, expected) => {
    expect(effectOf(conditionOf(shape), measured, baseline)).toBe(expected);
  });
});

describe("judge", () => {
  test.each<[Shape, Thresholds, number, number | undefined, number, Verdict]>([
    [{}, { reproduced: 80, partly: 50 }, 80, undefined, 10, "reproduced"],
    [{}, { reproduced: 80, partly: 50 }, 79.9, undefined, 10, "partly"],
    [{}, { reproduced: 80, partly: 50 }, 49.9, undefined, 10, "not reproduced"],
    [{ direction: "lower" }, { reproduced: 0, partly: 2 }, 0, undefined, 9, "reproduced"],
    [{ direction: "lower" }, { reproduced: 0, partly: 2 }, 3, undefined, 9, "not reproduced"],
    [{ effect: "ratio" }, { reproduced: 2, partly: 1.5 }, 20, 10, 10, "reproduced"],
    [{ effect: "ratio" }, { reproduced: 2, partly: 1.5 }, 20, 10, 16, "not reproduced"],
    [{}, { reproduced: 80, partly: 50 }, 90, undefined, 60, "not reproduced"],
  ])("%j, %j: %d beside %d, control %d, is %s", (shape, thresholds, a, b, control, verdict) => {
    const measurement: Measurement = {
      measured: ten(a),
      control: ten(control),
      ...(b !== undefined && { baseline: ten(b) }),
    };
    expect(judge(conditionOf(shape), measurement, { thresholds }).verdict).toBe(verdict);
  });

  test("by the worse end of the interval, not by the point", () => {
    // The mean is 3, and far from certain: 0 and 6 are equally frequent.
    const measured = meanOf([0, 6, 0, 6, 0, 6, 0, 6]);
    const thresholds = { reproduced: 2.5, partly: 0.5 };
    const found = judge(
      conditionOf(),
      { measured, control: meanOf(Array(8).fill(-9)) },
      { thresholds },
    );
    expect(found.effect).toBe(3);
    expect(found.interval[0]).toBeGreaterThan(0.5);
    expect(found.interval[0]).toBeLessThan(2.5);
    expect(found.verdict).toBe("partly");
  });

  test("pairs the units: a small gain over a baseline that varies much is seen", () => {
    const hard = Array.from({ length: 30 }, (_, at) => 10 + 3 * at);
    const baseline = meanOf(hard);
    const measured = meanOf(hard.map((value) => value + 1));
    const thresholds = { reproduced: 0.9, partly: 0.5 };
    const condition = conditionOf({ effect: "difference" });
    const control = baseline;
    expect(judge(condition, { measured, baseline, control }, { thresholds })).toMatchObject({
      verdict: "reproduced",
      interval: [1, 1],
    });
  });

  test("95 % intervals of a mean hold it in about 95 of 100 samples", () => {
    let held = 0;
    for (let round = 0; round < 200; round++) {
      const random = createRandom(round, "coverage");
      const measured = meanOf(Array.from({ length: 40 }, () => 5 + random.normal()));
      const options = { thresholds: { reproduced: 1, partly: 1 }, resamples: 400, random };
      const { interval } = judge(conditionOf(), { measured, control: constantOf(0, 40) }, options);
      if (interval[0] <= 5 && 5 <= interval[1]) held++;
    }
    expect(held).toBeGreaterThan(178);
    expect(held).toBeLessThan(199);
  });

  test("a method that is not beyond its control fails, however much it reaches", () => {
    const values = Array.from({ length: 20 }, (_, at) => 90 + (at % 5));
    const shuffled = createRandom(1, "shuffled").shuffle([...values]);
    const thresholds = { reproduced: 89, partly: 95 };
    const found = judge(
      conditionOf(),
      { measured: meanOf(values), control: meanOf(shuffled) },
      { thresholds: { ...thresholds, partly: 89 } },
    );
    expect(found.control.passes).toBe(true);
    expect(found.verdict).toBe("not reproduced");
  });

  test("a better measurement never has a worse verdict", () => {
    const order: Verdict[] = ["not reproduced", "partly", "reproduced"];
    const number = fc.double({ min: 0.01, max: 100, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom<Condition["effect"]>("value", "difference", "ratio"),
        fc.constantFrom<Condition["direction"]>("higher", "lower"),
        fc.tuple(number, number),
        fc.array(number, { minLength: 6, maxLength: 6 }),
        number,
        (effect, direction, levels, values, gain) => {
          levels.sort((a, b) => a - b);
          if (effect === "value" && direction === "lower") levels.reverse();
          const thresholds = { partly: levels[0], reproduced: levels[1] };
          const verdictOf = (by: number): number => {
            const measured = meanOf(values.map((value) => value + by));
            const worst = direction === "higher" ? 0.001 : 1e6;
            const samples = {
              measured,
              baseline: constantOf(50, 6),
              control: constantOf(worst, 6),
            };
            const options = { thresholds, resamples: 60 };
            return order.indexOf(
              judge(conditionOf({ effect, direction }), samples, options).verdict,
            );
          };
          const [from, to] = [verdictOf(0), verdictOf(gain)];
          return direction === "higher" ? from <= to : from >= to;
        },
      ),
    );
  });

  test.each<[string, Shape, Partial<Measurement>]>([
    ["reproduction-units-few", {}, { measured: constantOf(1, 4), control: constantOf(0, 4) }],
    ["reproduction-units-unpaired", {}, { control: constantOf(0, 11) }],
    ["reproduction-units-unpaired", { effect: "ratio" }, { baseline: constantOf(1, 9) }],
    ["reproduction-measurement-invalid", {}, { measured: ten(Number.NaN) }],
    ["reproduction-measurement-invalid", {}, { measured: ten(Number.POSITIVE_INFINITY) }],
    ["reproduction-measurement-invalid", { effect: "difference" }, {}],
    ["reproduction-measurement-invalid", { effect: "ratio" }, { baseline: ten(0) }],
  ])("%s: %j, %j", (code, shape, change) => {
    const measurement = { measured: ten(1), control: ten(0), ...change };
    const thresholds = { reproduced: 2, partly: 1.5 };
    expect(() => judge(conditionOf(shape), measurement, { thresholds })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe("samples", () => {
  test("are ratios of sums, means, and any statistic", () => {
    const parts = [
      { sum: 6, weight: 2 },
      { sum: 2, weight: 2 },
    ];
    expect(wholeValue(ratioOfSums(parts))).toBe(2);
    expect(ratioOfSums(parts).over([0, 0, 1])).toBe(14 / 6);
    expect(wholeValue(meanOf([1, 2, 6]))).toBe(3);
    expect(
      averageSeeds([
        [1, 4],
        [2, 4],
        [6, 1],
      ]),
    ).toEqual([3, 3]);
    expect(wholeValue(statisticOf([3, 1, 2], (some) => Math.max(...some)))).toBe(3);
    expect(() => meanOf([])).toThrow(expect.objectContaining({ code: "reproduction-units-few" }));
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Condition, effectOf, judge, type Verdict } from "./verdict.ts";

const condition = (change: Partial<Condition>): Condition => ({
  id: "claim",
  direction: "higher",
  effect: "value",
  reproduced: 80,
  partly: 50,
  ...change,
});

describe("judge", () => {
  test.each<[Partial<Condition>, number, number | undefined, Verdict]>([
    [{}, 80, undefined, "reproduced"],
    [{}, 79.9, undefined, "partly"],
    [{}, 49.9, undefined, "not reproduced"],
    [{ direction: "lower", reproduced: 0, partly: 2 }, 0, undefined, "reproduced"],
    [{ direction: "lower", reproduced: 0, partly: 2 }, 2, undefined, "partly"],
    [{ direction: "lower", reproduced: 0, partly: 2 }, 3, undefined, "not reproduced"],
    [{ effect: "difference", reproduced: 5, partly: 1 }, 15, 10, "reproduced"],
    [{ effect: "difference", reproduced: 5, partly: 1 }, 9, 10, "not reproduced"],
    [{ effect: "difference", direction: "lower", reproduced: 5, partly: 1 }, 8, 10, "partly"],
    [{ effect: "ratio", reproduced: 2, partly: 1.5 }, 20, 10, "reproduced"],
    [{ effect: "ratio", direction: "lower", reproduced: 2, partly: 1.5 }, 6, 10, "partly"],
    [{ effect: "ratio", direction: "lower", reproduced: 2, partly: 1.5 }, 20, 10, "not reproduced"],
    [{ effect: "ratio", direction: "lower", reproduced: 2, partly: 1.5 }, 0, 10, "reproduced"],
  ])("%j: %d beside %d is %s", (change, measured, baseline, verdict) => {
    const measurement = { measured, ...(baseline !== undefined && { baseline }) };
    expect(judge(condition(change), measurement)).toBe(verdict);
  });

  test("a better measurement never has a worse verdict", () => {
    const order: Verdict[] = ["not reproduced", "partly", "reproduced"];
    const number = fc.double({ min: 0.01, max: 100, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom<Condition["effect"]>("value", "difference", "ratio"),
        fc.constantFrom<Condition["direction"]>("higher", "lower"),
        fc.tuple(number, number),
        fc.tuple(number, number),
        number,
        (effect, direction, thresholds, measured, baseline) => {
          thresholds.sort((a, b) => a - b);
          measured.sort((a, b) => a - b);
          if (effect === "value" && direction === "lower") thresholds.reverse();
          const [partly, reproduced] = thresholds;
          const given = condition({ effect, direction, partly, reproduced });
          const [low, high] = measured.map((one) =>
            order.indexOf(judge(given, { measured: one, baseline })),
          ) as [number, number];
          return direction === "higher" ? low <= high : low >= high;
        },
      ),
    );
  });

  test.each<[Partial<Condition>, number, number | undefined]>([
    [{}, Number.NaN, undefined],
    [{}, Number.POSITIVE_INFINITY, undefined],
    [{}, 1, Number.NaN],
    [{ effect: "difference" }, 1, undefined],
    [{ effect: "ratio" }, 1, 0],
    [{ effect: "ratio" }, 1, -1],
    [{ effect: "ratio", direction: "lower" }, 0, 0],
    [{ effect: "ratio", direction: "lower" }, -1, 1],
  ])("%j: %d beside %d cannot be judged", (change, measured, baseline) => {
    const measurement = { measured, ...(baseline !== undefined && { baseline }) };
    expect(() => effectOf(condition(change), measurement)).toThrow(
      expect.objectContaining({ code: "reproduction-measurement-invalid" }),
    );
  });
});

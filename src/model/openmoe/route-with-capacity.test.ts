import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import { type CapacityRule, capacityOf, routeWithCapacity } from "./route-with-capacity.ts";

interface Case {
  readonly name: string;
  readonly sequences: number;
  readonly length: number;
  readonly k: number;
  readonly rule: "floor" | "round" | "none";
  readonly factor: number | null;
  readonly least: number | null;
  readonly group: "batch" | "sequence" | number;
  readonly byProbability: boolean;
  readonly lengths: number[] | null;
  readonly logits: number[][];
  readonly expected: {
    readonly capacity: (number | null)[];
    readonly weights: number[][];
    readonly balancePerGroup: number[];
    readonly balance: number;
    readonly balanceWhole: number;
    readonly zLoss: number;
    readonly [exact: string]: unknown;
  };
}

const data = testData("routing/cases.jsonl");
const cases: Case[] = data.skip
  ? []
  : readFileSync(data.folder, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Case);

describe.skipIf(data.skip)("dispatch, weights and losses of the expected settings", () => {
  test.each(cases)("$name", ({ k, rule, factor, least, lengths, logits, expected, ...batch }) => {
    const capacity = { rule, ...(rule !== "none" && { factor, least }) } as CapacityRule;
    const { sequences, length, group, byProbability } = batch;
    const routed = routeWithCapacity(logits, {
      perToken: k,
      capacity,
      sequences,
      length,
      group,
      byProbability,
      ...(lengths && { lengths }),
    });
    expect(routed.capacity.map((limit) => limit ?? null)).toEqual(expected.capacity);
    for (const exact of ["choices", "positions", "kept", "used", "dropped"] as const) {
      expect(routed[exact], exact).toEqual(expected[exact]);
    }
    const close = (got: number, wanted: number, what: string): void =>
      expect(Math.abs(got - wanted), what).toBeLessThan(1e-9);
    for (const [token, weights] of expected.weights.entries()) {
      for (const [rank, weight] of weights.entries()) {
        close(routed.weights[token]![rank]!, weight, `weight of token ${token}`);
      }
    }
    expect(routed.balancePerGroup).toHaveLength(expected.balancePerGroup.length);
    for (const [at, balance] of expected.balancePerGroup.entries()) {
      close(routed.balancePerGroup[at]!, balance, `balance of group ${at}`);
    }
    for (const loss of ["balance", "balanceWhole", "zLoss"] as const) {
      close(routed[loss], expected[loss], loss);
    }
  });
});

test("capacities of the paper's sizes", () => {
  const group = { tokens: 2048, experts: 32, perToken: 2 };
  const rule = (factor: number): CapacityRule => ({ rule: "floor", factor, least: 4 });
  expect(capacityOf(rule(1.25), group)).toBe(160);
  expect(capacityOf(rule(2), group)).toBe(256);
  expect(capacityOf(rule(1.25), { ...group, tokens: 1 })).toBe(4);
  expect(capacityOf({ rule: "none" }, group)).toBeUndefined();
});

test("by hand: the second token's first choice pushes out the first token's second choice", () => {
  const routed = routeWithCapacity(
    [
      [2, 1, 0],
      [0, 2, 1],
    ],
    { perToken: 2, capacity: { rule: "round", factor: 0.5, least: 1 }, sequences: 1, length: 2 },
  );
  expect(routed.capacity).toEqual([1]);
  expect(routed.choices).toEqual([
    [0, 1],
    [1, 2],
  ]);
  expect(routed.positions).toEqual([
    [0, 1],
    [0, 0],
  ]);
  expect(routed.kept).toEqual([
    [true, false],
    [true, true],
  ]);
  expect(routed.dropped).toEqual({ byChoice: [0, 1], whole: 0 });
});

test("tokens that are equally sure queue by position, however their logits are arranged", () => {
  // 0.1 + 0.2 + 0.3 is another number than 0.3 + 0.2 + 0.1: so are sums of these in other orders.
  const arranged = [
    [2.5, -1, 0, 1],
    [1, 0, -1, 2.5],
    [0, 2.5, 1, -1],
    [-1, 1, 2.5, 0],
    [1, -1, 2.5, 0],
    [2.5, 1, 0, -1],
  ];
  for (let first = 0; first < arranged.length; first++) {
    const logits = [...arranged.slice(first), ...arranged.slice(0, first)];
    const options = { perToken: 4, capacity: { rule: "none" }, sequences: 1, length: 6 } as const;
    expect(routeWithCapacity(logits, { ...options, byProbability: true }).positions).toEqual(
      routeWithCapacity(logits, options).positions,
    );
  }
});

test("a group of padding has no balance", () => {
  const logits = [
    [1, 0],
    [0, 1],
    [1, 0],
  ];
  const { balancePerGroup, balance, used } = routeWithCapacity(logits, {
    ...{ perToken: 1, capacity: { rule: "none" }, sequences: 3, length: 1, group: "sequence" },
    lengths: [1, 0, 1],
  });
  expect(used).toEqual([
    [1, 0],
    [0, 0],
    [1, 0],
  ]);
  const one = 2 / (1 + Math.exp(-1));
  expect(balancePerGroup).toEqual([expect.closeTo(one, 12), expect.closeTo(one, 12)]);
  expect(balance).toBeCloseTo(one, 12);
});

test("perfect balance costs as much as a token has choices", () => {
  const logits = [
    [1, 1, -9, -9],
    [-9, -9, 1, 1],
  ];
  const options = { perToken: 2, capacity: { rule: "none" }, sequences: 1, length: 2 } as const;
  expect(routeWithCapacity(logits, options).balance).toBeCloseTo(2, 9);
  const alike = routeWithCapacity([logits[0]!, logits[0]!], options);
  expect(alike.balance).toBeGreaterThan(3.9);
});

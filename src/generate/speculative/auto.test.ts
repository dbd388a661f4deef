import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { chainDrafter, linear, type Machine, simulate } from "../testing/auto-simulation.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import { describeDrafterDistribution } from "../testing/drafter-distribution.ts";
import { createAutoDrafter } from "./auto.ts";
import { CostCurve } from "./cost-curve.ts";
import { createDraftModelDrafter } from "./draft-model.ts";
import type { Drafter } from "./drafter.ts";
import { createPromptLookupDrafter } from "./prompt-lookup.ts";

describeDrafter({ name: "auto", open: () => createAutoDrafter([createPromptLookupDrafter()]) });
describeDrafterDistribution({
  name: "auto",
  open: (model, draft) =>
    onCheapForwards(
      createAutoDrafter(
        [
          createPromptLookupDrafter(),
          createDraftModelDrafter(model, draft, { minConfidence: 0.2 }),
        ],
        {
          now: () => 0,
        },
      ),
    ),
});

/** The same drafter where all forward passes take equally long, so that drafting always pays. */
function onCheapForwards(drafter: Drafter): Drafter {
  return {
    ...drafter,
    begin(request) {
      const sequence = drafter.begin(request);
      return {
        propose: (context) => sequence.propose(context),
        observe: (outcome) => sequence.observe({ ...outcome, seconds: 0.01 }),
        end: () => sequence.end(),
      };
    },
  };
}

describe("auto", () => {
  test("rejected drafts cost at most 3 %, at any cost of wide forward passes", async () => {
    for (const share of [0, 0.03, 0.2, 1]) {
      const { speed } = await simulate(
        (machine) => [
          chainDrafter(machine, { name: "wrong", chance: () => 0 }),
          chainDrafter(machine, { name: "slow", chance: () => 0, cost: 4, start: 30 }),
        ],
        linear(share),
      );
      expect(speed).toBeGreaterThan(0.97);
    }
  });

  test("good drafts are long where wide forward passes are cheap, short where they are not", async () => {
    const members = (machine: Machine) => [
      chainDrafter(machine, { name: "good", chance: () => 0.8 }),
    ];
    const cheap = await simulate(members, linear(0.02));
    const dear = await simulate(members, linear(0.25));
    expect(cheap.speed).toBeGreaterThan(2.5);
    expect(dear.speed).toBeGreaterThan(1.3);
    expect(cheap.nodes).toBeGreaterThan(2 * dear.nodes);
    const hopeless = await simulate(members, linear(0.9));
    expect(hopeless.speed).toBeGreaterThan(0.97);
    expect(hopeless.shares.get("none")).toBeGreaterThan(0.85);
  });

  test("the better of two drafters is found, also when it is slow, and when the text changes", async () => {
    const { shares, speed } = await simulate(
      (machine) => [
        chainDrafter(machine, { name: "poor", chance: () => 0.2 }),
        chainDrafter(machine, { name: "rich", chance: () => 0.85, cost: 1, start: 10 }),
      ],
      linear(0.03),
      6,
    );
    expect(shares.get("rich")).toBeGreaterThan(0.6);
    expect(speed).toBeGreaterThan(2);
    // Nothing is accepted in the first two thirds of each request.
    const changing = await simulate(
      (machine) => [chainDrafter(machine, { name: "late", chance: (at) => (at < 200 ? 0 : 0.95) })],
      linear(0.03),
      6,
    );
    expect(changing.speed).toBeGreaterThan(1.1);
  });

  test("a drafter that is good on one kind of text is not trusted on another", async () => {
    for (const share of [0.02, 0.1, 0.2, 0.35]) {
      for (const worst of [0.02, 0.15]) {
        const { perRequest } = await simulate(
          (machine) => [
            chainDrafter(machine, {
              name: "one-sided",
              chance: (_position, request) => (request % 2 === 0 ? 0.9 : worst),
            }),
          ],
          linear(share),
          8,
        );
        for (const [request, speed] of perRequest.entries()) {
          expect(speed).toBeGreaterThan(request % 2 === 0 ? 1.4 : 0.965);
        }
      }
    }
  });

  test("a draft model is not tried before the budget covers its first draft, and is used where it is good", async () => {
    const members = (chance: number) => (machine: Machine) => [
      chainDrafter(machine, {
        name: "model",
        chance: () => chance,
        cost: 1,
        start: 5,
        preparation: 40,
        runsModel: true,
      }),
    ];
    // A small model: the first draft takes as long as twenty forward passes.
    const small = (rows: number) => 0.2 * linear(0.03)(rows);
    const short = await simulate(members(0), small, 40, 60);
    expect(short.perRequest[0]).toBeGreaterThan(0.97);
    expect(short.speed).toBeGreaterThan(0.97);
    // A large model, beside which the first draft costs little.
    const large = (rows: number) => 4 * linear(0.03)(rows);
    const good = await simulate(members(0.85), large, 2);
    expect(good.perRequest[0]).toBeGreaterThan(1.5);
    expect((await simulate(members(0.85), small, 20)).perRequest.at(-1)).toBeGreaterThan(1.5);
  });

  test("a row that would only fill up the pass holds a draft, however improbable", async () => {
    const members = (machine: Machine) => [
      chainDrafter(machine, { name: "rare", chance: () => 0.15 }),
    ];
    // Wide passes are so dear that no draft would pay, and a second row is free.
    const pairs = (rows: number) => linear(0.9)(rows + (rows % 2));
    const filled = await simulate(members, pairs, 4, 256, { rowTile: 2 });
    expect(filled.shares.get("none") ?? 0).toBeLessThan(0.1);
    expect(filled.speed).toBeGreaterThan(1.1);
    const plain = await simulate(members, linear(0.9), 4, 256);
    expect(plain.shares.get("none")).toBeGreaterThan(0.85);
  });

  test("several cheap useless drafters cost no more than one", async () => {
    for (const share of [0, 0.03, 0.2, 1]) {
      const { speed } = await simulate(
        (machine) =>
          ["a", "b", "c", "d"].map((name) =>
            chainDrafter(machine, { name, chance: () => 0, cost: 0.095 }),
          ),
        linear(share),
      );
      expect(speed).toBeGreaterThan(0.965);
    }
  });

  test("a drafter that samples is used where its record is good, and left where it is not", async () => {
    const run = (chance: number) =>
      simulate(
        (machine) => [
          chainDrafter(machine, {
            name: "draws",
            chance: () => chance,
            cost: 1.5,
            start: 20,
            sampled: true,
          }),
        ],
        linear(0.04),
        6,
      );
    const good = await run(0.85);
    expect(good.shares.get("draws")).toBeGreaterThan(0.5);
    expect(good.speed).toBeGreaterThan(1.3);
    expect((await run(0.1)).speed).toBeGreaterThan(0.96);
  });
});

describe("CostCurve", () => {
  test("finds the costs of all widths under noise, and follows a change of level", () => {
    const random = createRandom(4, "cost-curve");
    const truth = (rows: number) => 0.01 * (1 + 0.04 * (rows - 1));
    const curve = new CostCurve();
    const run = (scale: number, steps: number, widths: readonly number[]) => {
      for (let step = 0; step < steps; step++) {
        const rows = widths[random.integer(widths.length)]!;
        const spike = random.uniform() < 0.02 ? 5 : 1;
        curve.observe(rows, scale * truth(rows) * spike * (0.9 + 0.2 * random.uniform()));
      }
    };
    run(1, 400, [1, 1, 3, 8, 9, 17, 33]);
    for (const rows of [1, 2, 3, 5, 8, 12, 16, 24, 32]) {
      expect(curve.seconds(rows) / truth(rows)).toBeGreaterThan(0.8);
      expect(curve.seconds(rows) / truth(rows)).toBeLessThan(1.3);
    }
    // Twice as slow, observed at one width, applies to all.
    run(2, 60, [1]);
    expect(curve.seconds(16) / truth(16)).toBeGreaterThan(1.5);
    for (let rows = 2; rows < 200; rows++) {
      expect(curve.seconds(rows)).toBeGreaterThanOrEqual(curve.seconds(rows - 1) - 1e-12);
    }
  });

  test("passes that are filled up to an even number of rows cost as much as the next even number", () => {
    const curve = new CostCurve(2);
    for (let step = 0; step < 8; step++) {
      curve.observe(1, 0.01);
      curve.observe(3, 0.013);
    }
    for (const [rows, seconds] of [
      [1, 0.01],
      [2, 0.01],
      [3, 0.013],
      [4, 0.013],
    ] as const) {
      expect(curve.seconds(rows)).toBeCloseTo(seconds, 10);
    }
    curve.observe(2, 0.01);
    expect(curve.singleRowPasses).toBe(9);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import {
  attend,
  createState,
  mergeState,
  type RingArray,
  type RingShape,
} from "./attention-state.ts";
import { sampleRingInput } from "./reproduction-input.ts";
import { planTokenRing } from "./schedule.ts";
import {
  countCosts,
  ringAttentionBytes,
  simulateRingAttention,
  simulateSchedule,
} from "./simulate-ring.ts";
import { attendInRing, type RingInput, type RingMessage } from "./token-ring.ts";

type Precision = "float64" | "float32";

/** Normal elements times `spread`. */
function sampleInput(
  tokens: number,
  shape: RingShape,
  precision: Precision,
  spread = 1,
): RingInput {
  const random = createRandom(7, "ring", tokens, shape.kvHeads);
  const input = sampleRingInput(random, tokens, shape, spread);
  if (precision === "float64") return input;
  const { queries, keys, values } = input;
  return {
    ...input,
    queries: Float32Array.from(queries),
    keys: Float32Array.from(keys),
    values: Float32Array.from(values),
  };
}

/** Attention in the plainest form, in float64: every score, one softmax, no maximum taken off. */
function attendPlainly(
  input: RingInput,
  causal: boolean,
): { output: number[]; logSumExp: number[] } {
  const { queries, keys, values, heads, kvHeads, headDim } = input;
  const tokens = queries.length / (heads * headDim);
  const output: number[] = [];
  const logSumExp: number[] = [];
  for (let i = 0; i < tokens; i++) {
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor(head / (heads / kvHeads));
      const scores = Array.from({ length: causal ? i + 1 : tokens }, (_, j) => {
        let dot = 0;
        for (let d = 0; d < headDim; d++) {
          dot +=
            queries[(i * heads + head) * headDim + d]! * keys[(j * kvHeads + kv) * headDim + d]!;
        }
        return dot / Math.sqrt(headDim);
      });
      const most = Math.max(...scores);
      const sum = scores.reduce((total, score) => total + Math.exp(score - most), 0);
      logSumExp.push(Math.log(sum) + most);
      for (let d = 0; d < headDim; d++) {
        output.push(
          scores.reduce(
            (total, score, j) =>
              total + (Math.exp(score - most) / sum) * values[(j * kvHeads + kv) * headDim + d]!,
            0,
          ),
        );
      }
    }
  }
  return { output, logSumExp };
}

function largestDifference(found: RingArray, expected: readonly number[]): number {
  expect(found).toHaveLength(expected.length);
  return Math.max(...expected.map((value, i) => Math.abs(found[i]! - value)));
}

const mha: RingShape = { heads: 4, kvHeads: 4, headDim: 8 };
const gqa: RingShape = { heads: 4, kvHeads: 2, headDim: 8 };
const ranksTried = [1, 2, 3, 4, 5, 8];

describe("merging states", () => {
  test("a key of score 0 and one of score ln 3: a quarter and three quarters", () => {
    const shape = { heads: 1, kvHeads: 1, headDim: 1 };
    const one = Float64Array.of(1);
    const state = attend(one, Float64Array.of(0), Float64Array.of(10), shape);
    mergeState(state, attend(one, Float64Array.of(Math.log(3)), Float64Array.of(20), shape), shape);
    expect(state.output[0]).toBeCloseTo(17.5, 12);
    expect(state.logSumExp[0]).toBeCloseTo(Math.log(4), 12);
    const empty = createState(one, 1, shape);
    mergeState(empty, createState(one, 1, shape), shape);
    expect([empty.output[0], empty.logSumExp[0]]).toEqual([0, Number.NEGATIVE_INFINITY]);
    mergeState(empty, state, shape);
    expect(empty).toEqual(state);
  });

  test("any cut, in any order, scores to 50: the same as in one piece", () => {
    const input = sampleInput(24, gqa, "float64", 4);
    const { output, logSumExp } = attendPlainly(input, false);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 23 }), { maxLength: 5 });
    fc.assert(
      fc.property(cuts, fc.boolean(), (inner, isReversed) => {
        const places = [0, ...inner.sort((a, b) => a - b), 24];
        const parts = places.slice(1).map((end, i) => [places[i]!, end] as const);
        if (isReversed) parts.reverse();
        const state = createState(input.queries, 24, gqa);
        const width = gqa.kvHeads * gqa.headDim;
        for (const [from, to] of parts) {
          const [keys, values] = [input.keys, input.values].map((array) =>
            array.subarray(from * width, to * width),
          );
          mergeState(state, attend(input.queries, keys!, values!, gqa), gqa);
        }
        expect(largestDifference(state.output, output)).toBeLessThan(1e-12);
        expect(largestDifference(state.logSumExp, logSumExp)).toBeLessThan(1e-12);
      }),
    );
  });
});

describe("the ring equals one process", () => {
  for (const causal of [true, false]) {
    for (const [name, shape] of Object.entries({ mha, gqa })) {
      test.each(ranksTried)(`${causal ? "causal" : "whole"}, ${name}, %i ranks`, async (ranks) => {
        const tokens = 6 * ranks;
        for (const [precision, bound] of [
          ["float64", 1e-12],
          ["float32", 1e-5],
        ] as const) {
          const input = sampleInput(tokens, shape, precision);
          const { output, logSumExp } = attendPlainly(input, causal);
          const result = await attendInRing(input, { ranks, causal });
          expect(largestDifference(result.output, output)).toBeLessThan(bound);
          expect(largestDifference(result.logSumExp, logSumExp)).toBeLessThan(bound);
        }
      });
    }
  }
});

describe("the schedule", () => {
  test("four ranks, not causal: who holds whose queries, and when results go home", () => {
    const { operations } = planTokenRing({ ranks: 4, causal: false });
    const owners = operations.map((own) =>
      own.flatMap((operation) => (operation.type === "compute" ? [operation.owner] : [])),
    );
    expect(owners).toEqual([
      [0, 3, 2, 1],
      [1, 0, 3, 2],
      [2, 1, 0, 3],
      [3, 2, 1, 0],
    ]);
    const results = operations[0]!.flatMap((operation) =>
      operation.type === "send" && operation.kind === "result"
        ? [[operation.step, operation.peer]]
        : [],
    );
    expect(results).toEqual([
      [1, 3],
      [2, 2],
      [3, 1],
    ]);
  });

  test("any ring: what is sent is received, and bytes are those of the formulas", async () => {
    for (const causal of [true, false]) {
      for (const ranks of ranksTried) {
        const schedule = planTokenRing({ ranks, causal });
        const messages = (wanted: "send" | "receive"): string[] =>
          schedule.operations.flat().flatMap((operation) => {
            if (operation.type !== wanted) return [];
            const { rank, peer, kind, step, rows } = operation;
            const [from, to] = wanted === "send" ? [rank, peer] : [peer, rank];
            return [`${from} ${to} ${kind} ${step} ${rows}`];
          });
        expect(messages("send").sort()).toEqual(messages("receive").sort());
        expect(messages("send")).toHaveLength(2 * ranks * (ranks - 1));
        const tokens = 4 * ranks;
        const sizes = { ...gqa, tokens, queryBytes: 8, logSumExpBytes: 8 };
        const costs = countCosts(schedule, sizes);
        // Messages of a causal ring are half as large once they wrapped: three quarters on average.
        const share = causal ? 0.75 : 1;
        const block = (tokens / ranks) * gqa.heads;
        const sum = (kind: "queryBytes" | "resultBytes"): number =>
          costs.reduce((total, cost) => total + cost[kind], 0);
        const per = ranks * (ranks - 1) * share * block;
        expect(sum("queryBytes")).toBe(per * gqa.headDim * 8);
        expect(sum("resultBytes")).toBe(per * (gqa.headDim * 8 + 8));
        expect(new Set(costs.map(({ scores }) => scores)).size).toBe(1);
        const input = sampleInput(tokens, gqa, "float64");
        const { traffic } = await attendInRing(input, { ranks, causal });
        for (const [rank, cost] of costs.entries()) {
          const measured = (kind: string): number =>
            traffic
              .filter((link) => link.from === rank && link.kind === kind)
              .reduce((total, { bytes }) => total + bytes, 0);
          expect(measured("query")).toBe(cost.queryBytes);
          expect(measured("result")).toBe(cost.resultBytes);
        }
      }
    }
  });

  test("the paper's case: steps of 3.8 ms against 7.6 ms where links are slow", () => {
    const sizes = { tokens: 24_000, heads: 32, kvHeads: 32, headDim: 128 };
    const slow = { bandwidth: 13e9, scoresPerSecond: 1e12 };
    const schedule = planTokenRing({ ranks: 4, causal: false });
    const [query] = countCosts(schedule, sizes).map(({ queryBytes }) => queryBytes / 3);
    expect(query! / 13e9).toBeCloseTo(3.78e-3, 5);
    expect(ringAttentionBytes(4, sizes) / 3 / 13e9).toBeCloseTo(7.56e-3, 5);
    const ring = simulateRingAttention(4, sizes, slow);
    const tokenRing = simulateSchedule(schedule, sizes, slow);
    expect(tokenRing).toBeLessThan(ring);
    // With one port for all that a rank sends, or keys and values of few heads, the gain is gone.
    const shared = { ...slow, network: "port" as const };
    expect(simulateSchedule(schedule, sizes, shared)).toBeGreaterThan(0.95 * ring);
    const grouped = { ...sizes, kvHeads: 8 };
    expect(simulateSchedule(schedule, grouped, slow)).toBeGreaterThan(
      simulateRingAttention(4, grouped, slow),
    );
    // Where compute is slow, both wait for it alone.
    const fast = { bandwidth: 1e15, scoresPerSecond: 1e9 };
    expect(simulateSchedule(schedule, sizes, fast)).toBeCloseTo(4 * 0.036, 6);
  });
});

describe("faults", () => {
  const input = sampleInput(16, gqa, "float64");
  const expected = attendPlainly(input, true);
  const run = (onMessage: (message: RingMessage, deliver: () => void) => void) =>
    attendInRing(input, { ranks: 4, deadline: 0.3, onMessage });
  const expectRight = async (onMessage: (message: RingMessage, deliver: () => void) => void) => {
    const { output, logSumExp } = await run(onMessage);
    expect(largestDifference(output, expected.output)).toBeLessThan(1e-12);
    expect(largestDifference(logSumExp, expected.logSumExp)).toBeLessThan(1e-12);
  };

  test("doubled, delayed and reordered messages change nothing", async () => {
    await expectRight((_, deliver) => {
      deliver();
      deliver();
    });
    const random = createRandom(3, "delays");
    await expectRight((_, deliver) => void setTimeout(deliver, random.integer(20)));
    const held: (() => void)[] = [];
    await expectRight((_, deliver) => {
      held.push(deliver);
      // All that waits is delivered together, the last one first.
      if (held.length > 1) return;
      setTimeout(() => {
        for (const one of held.splice(0).reverse()) one();
      }, 5);
    });
  });

  test("a lost message, and a rank that sends nothing more, end in an error that names both ends", async () => {
    const lost = run(({ from, tag }, deliver) => {
      if (from !== 1 || tag !== "result 2") deliver();
    });
    await expect(lost).rejects.toMatchObject({
      code: "ring-deadline",
      details: { peer: 1, kind: "result", step: 2 },
    });
    const killed = run(({ from, tag }, deliver) => {
      if (from !== 2 || tag === "query 0") deliver();
    });
    await expect(killed).rejects.toMatchObject({ code: "ring-deadline", details: { peer: 2 } });
  });

  test("a message of another size is refused", async () => {
    const cut = run((message, deliver) => {
      if (message.tag === "query 1" && message.from === 3) {
        (message.arrays as RingArray[])[0] = message.arrays[0]!.subarray(1);
      }
      deliver();
    });
    await expect(cut).rejects.toMatchObject({ code: "ring-message-invalid" });
  });

  test.each([
    [{ ranks: 0 }, "ring-option-invalid"],
    [{ ranks: 2, deadline: Number.NaN }, "ring-option-invalid"],
    [{ ranks: 2, deadline: 0 }, "ring-option-invalid"],
    // A timer of so many milliseconds would fire at once.
    [{ ranks: 2, deadline: 1e9 }, "ring-option-invalid"],
    [{ ranks: 2, dedline: 3 }, "ring-option-invalid"],
    [{ ranks: 3 }, "ring-shape-invalid"],
    [{ ranks: 16 }, "ring-shape-invalid"],
  ])("%j over 16 tokens is refused", async (options, code) => {
    await expect(attendInRing(input, options)).rejects.toMatchObject({ code });
  });
});

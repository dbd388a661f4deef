import fc from "fast-check";
import { expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import {
  compile,
  concat,
  evaluateReference,
  float32,
  int32,
  overwrite,
  trace,
} from "../../tensor/index.ts";
import { type AttentionInput, joinedAttention, twoPartAttention } from "./attention.ts";

/** Both attentions over one cache, new tokens as a random tree. */
function traceBoth(group: number, cap: number | undefined) {
  const [kvHeads, width] = [2, 8];
  return trace(
    {
      query: float32(["batch", kvHeads, `${group}*time`, width]),
      key: float32(["batch", kvHeads, "time", width]),
      value: float32(["batch", kvHeads, "time", width]),
      pastKey: float32(["batch", kvHeads, "capacity", width]),
      pastValue: float32(["batch", kvHeads, "capacity", width]),
      pastMask: float32(["batch", 1, "time", "capacity"]),
      newMask: float32(["batch", 1, "time", "time"]),
      lengths: int32(["batch"]),
    },
    ({ pastMask, newMask, lengths, ...rest }) => {
      const repeat = (mask: typeof pastMask) => concat(new Array(group).fill(mask), 2);
      const input: AttentionInput = {
        ...rest,
        pastMask: repeat(pastMask),
        newMask: repeat(newMask),
        joined: { lengths, mask: repeat(overwrite(pastMask, newMask, lengths, 3)) },
        scale: 0.3,
        cap,
        layer: 0,
      };
      const [joined, parts] = [joinedAttention(input), twoPartAttention(input)];
      return {
        joined: joined.output,
        parts: parts.output,
        joinedSum: joined.logSumExp!(),
        partsSum: parts.logSumExp!(),
      };
    },
  );
}

test("joined and two-part attention agree for all lengths, trees, windows and caps", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      async (seed, batch, time, group, capped) => {
        const random = createRandom(seed);
        const capacity = time + 1 + random.integer(6);
        const normal = (...shape: number[]) => ({
          shape,
          data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
            random.normal(),
          ),
        });
        const lengths = Int32Array.from({ length: batch }, () =>
          random.integer(capacity - time + 1),
        );
        const pastMask = new Float32Array(batch * time * capacity).fill(-Infinity);
        const newMask = new Float32Array(batch * time * time).fill(-Infinity);
        for (let row = 0; row < batch * time; row++) {
          for (let at = 0; at < lengths[Math.floor(row / time)]!; at++) {
            // Windows: some rows of the cache are too old for some tokens.
            if (random.uniform() < 0.8) pastMask[row * capacity + at] = 0;
          }
          newMask[row * time + (row % time)] = 0;
          for (let at = 0; at < row % time; at++) {
            if (random.uniform() < 0.5) newMask[row * time + at] = 0;
          }
        }
        const inputs = {
          query: normal(batch, 2, group * time, 8),
          key: normal(batch, 2, time, 8),
          value: normal(batch, 2, time, 8),
          pastKey: normal(batch, 2, capacity, 8),
          pastValue: normal(batch, 2, capacity, 8),
          pastMask: { shape: [batch, 1, time, capacity], data: pastMask },
          newMask: { shape: [batch, 1, time, time], data: newMask },
          lengths: { shape: [batch], data: lengths },
        };
        const graph = traceBoth(group, capped ? 2 : undefined);
        const exact = evaluateReference(
          graph,
          Object.fromEntries(
            Object.entries(inputs).map(([name, { shape, data }]) => [
              name,
              { shape, data: Float64Array.from(data) },
            ]),
          ),
        );
        const program = await compile(graph, { inline: true });
        try {
          const run = await program.run(inputs);
          for (const [one, other] of [
            ["joined", "parts"],
            ["joinedSum", "partsSum"],
          ] as const) {
            for (const [index, value] of exact[one].data.entries()) {
              expect(value).toBeCloseTo(exact[other].data[index]!, 10);
              expect(run[one].data[index]!).toBeCloseTo(value, 4);
              expect(run[other].data[index]!).toBeCloseTo(value, 4);
            }
          }
        } finally {
          await program.release();
        }
      },
    ),
    { numRuns: 30 },
  );
});

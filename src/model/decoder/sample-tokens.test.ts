import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compile, float32, max, type Program, trace } from "../../tensor/index.ts";
import { type RunningSums, sampleColumns, sampleTokens } from "./sample-tokens.ts";

const rows = 4;
/** One block, a whole number of blocks, and a rest. */
const vocabularies = [7, 512, 700];

/** How far a draw may be from the boundary that it passes, by the elements of the sums. */
const tolerances: Readonly<Record<RunningSums, number>> = { float64: 1e-5, float32: 5e-5 };
const kinds = Object.keys(tolerances) as RunningSums[];

const programs: Map<string, Program<"logits" | "sampling", "ids">> = new Map();
beforeAll(async () => {
  for (const [vocabulary, sums] of vocabularies.flatMap((size) =>
    kinds.map((kind) => [size, kind] as const),
  )) {
    const graph = trace(
      { logits: float32(["rows", vocabulary]), sampling: float32(["rows", sampleColumns]) },
      ({ logits, sampling }) => {
        const largest = max(logits, { axes: [1], keepAxes: true });
        return { ids: sampleTokens(logits, { largest, sampling, sums }) };
      },
    );
    programs.set(`${vocabulary} ${sums}`, await compile(graph, { inline: true, threads: 1 }));
  }
});
afterAll(async () => {
  for (const program of programs.values()) await program.release();
});

/** Cumulative probability before and after a token in the distribution cut at min-p; ids ascending. */
function share(
  logits: Float32Array,
  id: number,
  { temperature, minP }: { temperature: number; minP: number },
): { from: number; to: number } {
  const largest = Math.max(...logits);
  const masses = Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const kept = masses.map((mass) => (mass < minP ? 0 : mass));
  const sumTo = (end: number): number => kept.slice(0, end).reduce((a, b) => a + b, 0);
  const total = sumTo(kept.length);
  return { from: sumTo(id) / total, to: sumTo(id + 1) / total };
}

test("sampled is the token at which the exact cumulative distribution passes the uniform number", async () => {
  const logit = fc.oneof(fc.float({ min: -30, max: 30, noNaN: true }), fc.constant(-Infinity));
  const uniform = fc.oneof(
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.constantFrom(0, 1 - 2 ** -53),
  );
  const cases = fc.constantFrom(...vocabularies).chain((vocabulary) =>
    fc.record({
      vocabulary: fc.constant(vocabulary),
      sums: fc.constantFrom(...kinds),
      logits: fc
        .array(logit, { minLength: rows * vocabulary, maxLength: rows * vocabulary })
        .filter((values) => values.some(Number.isFinite)),
      uniform: fc.array(uniform, { minLength: rows, maxLength: rows }),
      temperature: fc.constantFrom(0.1, 0.8, 1, 5),
      minP: fc.constantFrom(0, 0.05, 1),
    }),
  );
  await fc.assert(
    fc.asyncProperty(cases, async ({ vocabulary, sums, logits, uniform, temperature, minP }) => {
      const data = Float32Array.from(logits);
      // Every row has a token that is possible.
      for (let row = 0; row < rows; row++) data[row * vocabulary + (row % vocabulary)] = 25;
      const sampling = uniform.flatMap((number) => [number, 1 / temperature, Math.log(minP), 0]);
      const { ids } = await programs.get(`${vocabulary} ${sums}`)!.run({
        logits: { data, shape: [rows, vocabulary] },
        sampling: { data: Float32Array.from(sampling), shape: [rows, sampleColumns] },
      });
      for (let row = 0; row < rows; row++) {
        const id = ids.data[row] as number;
        const own = data.subarray(row * vocabulary, (row + 1) * vocabulary);
        const { from, to } = share(own, id, { temperature, minP });
        expect(to).toBeGreaterThan(from);
        expect(uniform[row]).toBeGreaterThan(from - tolerances[sums]);
        expect(uniform[row]).toBeLessThan(to + tolerances[sums]);
      }
    }),
    { numRuns: 100 },
  );
});

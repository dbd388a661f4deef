import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { fill, float32, matmul, multiply, parameter, subtract, sum } from "../tensor/index.ts";
import { objectiveGraph, openTrainer, type Trainer } from "../train/index.ts";
import { trainResumably } from "./train-resumably.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-resumable-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const graph = objectiveGraph(
  { x: float32([8, 3]), y: float32([8, 1]) },
  new Map([["w", [3, 1]]]),
  ["w"],
  ({ x, y }) => {
    const wrong = subtract(matmul(x!, parameter("w", [3, 1])), y!);
    return { loss: sum(multiply(wrong, wrong)), weight: sum(fill([8], 1)) };
  },
);

const openSmall = (): Promise<Trainer> =>
  openTrainer({
    graph,
    parameters: new Map([["w", { shape: [3, 1], data: new Float32Array(3) }]]),
    schedule: { kind: "constant", peak: 0.05 },
    inline: true,
    threads: 1,
  });

const batch = (step: number) => {
  const random = createRandom(3, "batch", step);
  const x = Float32Array.from({ length: 24 }, () => random.normal());
  const y = Float32Array.from({ length: 8 }, (_, row) => x[3 * row]! - 2 * x[3 * row + 2]!);
  return [
    {
      x: { dtype: "float32", shape: [8, 3], data: x },
      y: { dtype: "float32", shape: [8, 1], data: y },
    },
  ] as const;
};

test("a training that was interrupted ends like an unbroken one", async () => {
  const steps = 30;
  const notices: string[] = [];
  const notice = (line: string): void => void notices.push(line);
  const unbroken = await openSmall();
  const whole = await trainResumably(unbroken, { folder: join(root), steps, batch, notice });
  const expected = (await unbroken.parameters()).get("w")!.data;
  expect(whole.losses).toHaveLength(steps);
  expect(whole.losses.at(-1)!).toBeLessThan(whole.losses[0]!);
  await unbroken.close();

  const folder = mkdtempSync(join(root, "broken-"));
  const controller = new AbortController();
  const first = await openSmall();
  await expect(
    trainResumably(first, {
      folder,
      steps,
      batch,
      signal: controller.signal,
      notice,
      onStep: ({ step }) => step === 11 && controller.abort(new Error("stop")),
    }),
  ).rejects.toThrow("stop");
  await first.close();

  const second = await openSmall();
  const taken: number[] = [];
  const rest = await trainResumably(second, {
    folder,
    steps,
    batch,
    notice,
    onStep: ({ step }) => taken.push(step),
  });
  expect(notices).toEqual([expect.stringMatching(/^11 of 30 .* remembered from 2\d{3}-/)]);
  expect(taken).toEqual(Array.from({ length: steps - 11 }, (_, at) => at + 12));
  expect(rest.losses).toEqual(whole.losses);
  expect(rest.earlierSeconds).toBeGreaterThan(0);
  expect((await second.parameters()).get("w")!.data).toEqual(expected);

  // A finished one returns at once.
  const again = await trainResumably(second, {
    folder,
    steps,
    batch: () => expect.unreachable(),
    notice,
  });
  expect(again.losses).toEqual(whole.losses);
  expect(again.earlierSeconds).toBe(again.seconds);
  await second.close();
});

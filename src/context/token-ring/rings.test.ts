/** The same attention by threads and by processes on NATS. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { findNatsServer, type NatsServer, startNatsServer } from "../../transport/index.ts";
import { attend, type RingArray } from "./attention-state.ts";
import { openProcessRing, type ProcessRing } from "./process-ring.ts";
import { sampleRingInput } from "./reproduction-input.ts";
import { openThreadRing } from "./thread-ring.ts";
import type { RingInput } from "./token-ring.ts";

function sampleInput(tokens: number): RingInput {
  return sampleRingInput(createRandom(5, "rings"), tokens, { heads: 4, kvHeads: 2, headDim: 8 });
}

function expectNear(found: RingArray, expected: RingArray): void {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of found.entries())
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-12);
}

const input = sampleInput(24);
const whole = (causal: boolean) => attend(input.queries, input.keys, input.values, input, causal);

async function expectRight(ring: Pick<ProcessRing, "attend">): Promise<void> {
  const [causal, free] = await Promise.all([
    ring.attend(input),
    ring.attend(input, { causal: false }),
  ]);
  for (const [found, expected] of [
    [causal, whole(true)],
    [free, whole(false)],
  ] as const) {
    expectNear(found.output, expected.output);
    expectNear(found.logSumExp, expected.logSumExp);
  }
}

test("three threads", async () => {
  await using ring = await openThreadRing({ ranks: 3 });
  await expectRight(ring);
});

test("threads over shaped links, with and without overlap", async () => {
  await using ring = await openThreadRing({ ranks: 3, bytesPerSecond: 1e6 });
  await expectRight(ring);
  const { output } = await ring.attend(input, { overlap: false });
  expectNear(output, whole(true).output);
});

const server = { url: "nats://127.0.0.1:1", token: "none" };

test.each<[object, string]>([
  [{ ranks: 0 }, "ranks"],
  [{ ranks: 1.5 }, "ranks"],
  [{ ranks: "2" }, "ranks"],
  [{ ranks: 1, deadline: Number.NaN }, "deadline"],
  [{ ranks: 1, deadline: -1 }, "deadline"],
  [{ ranks: 1, deadline: Number.POSITIVE_INFINITY }, "deadline"],
])("the ring %j is refused before anything starts", async (options, name) => {
  const refusal = { code: "ring-option-invalid", details: { name } };
  const open = [
    openThreadRing(options as { ranks: number }),
    openProcessRing({ ...(options as { ranks: number }), server }),
  ];
  for (const opening of open) await expect(opening).rejects.toMatchObject(refusal);
});

test("a link needs a speed, a ring of processes a server", async () => {
  for (const bytesPerSecond of [0, -1, Number.NaN]) {
    await expect(openThreadRing({ ranks: 2, bytesPerSecond })).rejects.toMatchObject({
      details: { name: "bytesPerSecond" },
    });
  }
  await expect(openProcessRing({ ranks: 1 } as never)).rejects.toMatchObject({
    details: { name: "server" },
  });
});

// Skipped, and shown as skipped, where nats-server is not installed.
describe.skipIf((await findNatsServer()) === undefined)("processes on NATS", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server?.close());

  test("two processes; one that is killed is named, at once", { timeout: 120_000 }, async () => {
    await using ring = await openProcessRing({ ranks: 2, server });
    await expectRight(ring);
    await expect(ring.attend(sampleInput(6))).rejects.toMatchObject({ code: "ring-shape-invalid" });
    process.kill(ring.pids[1]!, "SIGKILL");
    await expect(ring.attend(input)).rejects.toMatchObject({
      code: "ring-rank-lost",
      details: { rank: 1, reason: "SIGKILL" },
    });
  });

  test("processes that do not become ready end in an error", { timeout: 60_000 }, async () => {
    await expect(openProcessRing({ ranks: 1, server, startDeadline: 0.001 })).rejects.toMatchObject(
      { code: "ring-start-deadline", details: { ranks: [0] } },
    );
  });
});

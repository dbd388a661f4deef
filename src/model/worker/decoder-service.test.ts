import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { type Remote, startInline } from "../../tensor/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { decoderConfig } from "../decoder/config.ts";
import { fileBindings } from "../weights/trace-weights.ts";
import type { DecoderService, DecoderStart } from "./decoder-service.ts";
import * as decoderService from "./decoder-service.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-service-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function startFamily(
  family: string,
  options: Partial<DecoderStart> = {},
): Promise<{ service: Remote<DecoderService>; vocabulary: number }> {
  const path = join(folder, family);
  await createRandomCheckpoint(path, { family, seed: 5, dtype: "F32", shards: 1 });
  await using checkpoint = await openCheckpoint(path);
  const config = decoderConfig(checkpoint.config);
  const service = await startInline<DecoderService>(decoderService, "createDecoderService", {
    config,
    tensors: checkpoint.tensors,
    bindings: fileBindings(checkpoint.tensors),
    format: "f32",
    threads: 1,
    slots: 4,
    ...options,
  });
  return { service, vocabulary: config.vocabSize };
}

/** Random ids, the same for the same seed. */
function sampleIds(seed: number, count: number, vocabulary: number): number[] {
  const random = createRandom(seed, "ids");
  return Array.from({ length: count }, () => random.integer(vocabulary));
}

function expectNear(got: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number): void {
  expect(got.length).toBe(wanted.length);
  let largest = 0;
  for (let i = 0; i < got.length; i++) largest = Math.max(largest, Math.abs(got[i]! - wanted[i]!));
  expect(largest).toBeLessThan(tolerance);
}

test("a nucleus of a long step has whole rows of all its passes, or their mass would mislead", async () => {
  const { service, vocabulary } = await startFamily("llama");
  const ids = sampleIds(3, 300, vocabulary);
  const { handle } = await service.open({ prefix: [], promptLength: 0 });
  // The most probable token alone is enough: no pass needs its rows by itself.
  const nucleus = { temperature: 0.7, topP: 1e-6 };
  const asked = { results: "all", topK: 2, nucleus } as const;
  const [all] = await service.forward([{ handle, ids, ...asked }]);
  expect(all!.logits).toHaveLength(300 * vocabulary);
  const masses = ids.map((_, row) => {
    const logits = all!.logits!.subarray(row * vocabulary, (row + 1) * vocabulary);
    const largest = all!.topLogits[2 * row]!;
    return logits.reduce((sum, logit) => sum + Math.exp((logit - largest) / 0.7), 0);
  });
  expectNear(all!.nucleusMass!, masses, 1e-2);
  await service.close();
});

test("a long step gives what its parts give, and enters the cache whole or not at all", async () => {
  const { service, vocabulary } = await startFamily("llama");
  const ids = sampleIds(1, 300, vocabulary);
  const targets = sampleIds(2, 300, vocabulary);
  const open = async () => (await service.open({ prefix: [], promptLength: 0 })).handle;
  const whole = await open();
  const parts = await open();
  const asked = { results: "all", topK: 3, logits: true } as const;
  const [all] = await service.forward([{ handle: whole, ids, targets, ...asked }]);
  expect(all!.topIds).toHaveLength(3 * ids.length);
  for (let at = 0; at < ids.length; at += 100) {
    const part = { ids: ids.slice(at, at + 100), targets: targets.slice(at, at + 100) };
    const [some] = await service.forward([{ handle: parts, ...part, ...asked }]);
    const rows = <T extends { subarray(from: number, to: number): T }>(x: T, width: number): T =>
      x.subarray(at * width, (at + 100) * width);
    expectNear(rows(all!.topLogits, 3), some!.topLogits, 1e-4);
    expectNear(rows(all!.logSumExp, 1), some!.logSumExp, 1e-4);
    expectNear(rows(all!.logits!, vocabulary), some!.logits!, 1e-4);
    expectNear(rows(all!.targetLogProbabilities!, 1), some!.targetLogProbabilities!, 1e-4);
  }

  // The unknown id is met in the third pass, when two are in the cache already.
  const spoilt = [...ids.slice(0, 290), vocabulary + 1];
  await expect(service.forward([{ handle: whole, ids: spoilt }])).rejects.toMatchObject({
    code: "model-token-unknown",
    details: { id: vocabulary + 1, vocabulary },
  });
  const [after] = await service.forward([{ handle: whole, ids: [7], logits: true }]);
  const [same] = await service.forward([{ handle: parts, ids: [7], logits: true }]);
  expectNear(after!.logits!, same!.logits!, 1e-4);

  const last = await open();
  const [end] = await service.forward([{ handle: last, ids, logits: true, targets: [3] }]);
  expectNear(end!.logits!, all!.logits!.subarray(299 * vocabulary), 1e-4);
  expect(end!.targetLogProbabilities).toHaveLength(1);
  await service.close();
});

test("drafts that wait to be accepted outlive the shrinking of the cache", async () => {
  const { service, vocabulary } = await startFamily("llama");
  const [a, b, c] = await Promise.all(
    [0, 1, 2].map(async () => (await service.open({ prefix: [], promptLength: 0 })).handle),
  );
  const ids = sampleIds(3, 150, vocabulary);
  await service.forward([{ handle: b!, ids: sampleIds(4, 380, vocabulary) }]);
  const before = (await service.memory()).cache;
  await service.forward([{ handle: a!, ids, commit: false }]);
  await service.truncate(b!, 0);
  await service.forward([{ handle: b!, ids: [1] }]);
  expect((await service.memory()).cache).toBeLessThan(before);
  await service.accept(
    a!,
    ids.map((_, row) => row),
  );
  await service.forward([{ handle: c!, ids }]);
  const [drafted] = await service.forward([{ handle: a!, ids: [2], logits: true }]);
  const [plain] = await service.forward([{ handle: c!, ids: [2], logits: true }]);
  expectNear(drafted!.logits!, plain!.logits!, 1e-4);
  await service.close();
});

test.each(["llama", "gemma2", "mistral"])(
  "%s: a cache in half precision gives the logits of one in single precision",
  async (family) => {
    const results: Float32Array[] = [];
    for (const cacheType of ["float32", "float16"] as const) {
      const { service, vocabulary } = await startFamily(family, { cacheType });
      const open = async () => (await service.open({ prefix: [], promptLength: 0 })).handle;
      const [a, b] = [await open(), await open()];
      const logits: Float32Array[] = [];
      const run = async (steps: Parameters<DecoderService["forward"]>[0]) => {
        for (const result of await service.forward(steps)) logits.push(result.logits!);
      };
      await run([{ handle: a, ids: sampleIds(1, 21, vocabulary), logits: true }]);
      // Sequences of different lengths in one pass, one of them with a tree of drafts.
      await run([
        { handle: b, ids: [4, 9, 11], logits: true },
        {
          handle: a,
          ids: [5, 6, 7, 8],
          parents: [-1, 0, 0, 2],
          results: "all",
          commit: false,
          logits: true,
        },
      ]);
      await service.accept(a, [0, 2, 3]);
      await run([
        { handle: a, ids: [1], logits: true },
        { handle: b, ids: [2], logits: true },
      ]);
      results.push(Float32Array.from(logits.flatMap((row) => [...row])));
      await service.close();
    }
    expectNear(results[1]!, results[0]!, 0.02 * Math.max(...results[0]!.map(Math.abs)));
  },
);

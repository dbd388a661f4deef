/** Causality of decoders: a token changes nothing before it; what is cached equals what is computed anew. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { byteTokenizerFiles } from "./byte/byte-vocabulary.ts";
import { loadModel } from "./load-model.ts";
import type { LoadedModel, WeightFormat } from "./types.ts";

/** One of each way to attend, to rotate, to norm and to mix experts; formats in turns. */
const subjects: readonly [string, WeightFormat][] = [
  ["llama", "f32"],
  ["llama", "int4"],
  ["mistral", "int8"],
  ["qwen2", "int8-channel"],
  ["qwen3", "f32"],
  ["smollm3", "f32"],
  ["phi3-longrope", "int8"],
  ["olmo2", "int4"],
  ["gemma2", "f32"],
  ["gemma3", "int8-channel"],
  ["mixtral", "int4"],
  ["olmoe", "f32"],
  ["qwen2-moe-window", "int8"],
  ["qwen3-moe", "f32"],
  ["granitemoe", "int8-channel"],
  ["phimoe", "f32"],
  ["gpt-oss", "int8"],
  ["openmoe", "f32"],
];
/** Within the original contexts of 24 tokens, beyond the windows of 8 to 13. */
const length = 22;
const vocabulary = 256;

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-causality-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function open(family: string, format: WeightFormat): Promise<LoadedModel> {
  const folder = join(root, `${family}-${format}`);
  createRandomCheckpoint(folder, { family, seed: 12, vocabulary, layers: 3 });
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byteTokenizerFiles().tokenizer));
  return loadModel(folder, { format, threads: 1, inline: true, slots: 2, onWarning() {} });
}

/** Logits of every token, in steps of these sizes. */
async function read(
  model: LoadedModel,
  ids: readonly number[],
  sizes: readonly number[] = [ids.length],
): Promise<Float32Array> {
  const sequence = await model.openSequence();
  const all: number[] = [];
  for (let [start, turn] = [0, 0]; start < ids.length; turn++) {
    const end = Math.min(ids.length, start + sizes[turn % sizes.length]!);
    const step = { ids: ids.slice(start, end), results: "all", logits: true } as const;
    all.push(...(await sequence.step(step)).logits!);
    start = end;
  }
  await sequence.release();
  return Float32Array.from(all);
}

function furthest(a: Float32Array, b: Float32Array, from = 0, to = a.length): number {
  let most = 0;
  for (let i = from; i < to; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

describe.each(subjects)("%s in %s", (family, format) => {
  test("a token changes nothing before it, and the prediction behind it", async () => {
    await using model = await open(family, format);
    const random = createRandom(family.length, "ids");
    const ids = Array.from({ length }, () => random.integer(vocabulary));
    const whole = await read(model, ids);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: length - 1 }),
        fc.integer({ min: 1, max: vocabulary - 1 }),
        async (at, step) => {
          const changed = await read(model, ids.with(at, (ids[at]! + step) % vocabulary));
          const place = at * vocabulary;
          expect(furthest(whole, changed, 0, place)).toBeLessThan(1e-4);
          expect(furthest(whole, changed, place, place + vocabulary)).toBeGreaterThan(1e-2);
        },
      ),
      { numRuns: 12 },
    );
    for (const sizes of [[1], [3, 7], [13, 1, 8]]) {
      expect(furthest(whole, await read(model, ids, sizes))).toBeLessThan(2e-4);
    }
  });
});

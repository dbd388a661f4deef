/** Steps that read embeddings in place of tokens, and hidden states as results. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { readReferenceCheckpoint } from "../testing/reference-checkpoint.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { decoderNames } from "./decoder/decoder-names.ts";
import { loadModel } from "./load-model.ts";
import type { LoadedModel } from "./types.ts";

let root = "";
let tokenizer = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-embeddings-"));
  tokenizer = join(root, "tokenizer.json");
  await writeFile(tokenizer, JSON.stringify(wordTokenizer(512)));
});
afterAll(() => rm(root, { recursive: true, force: true }));

// Gemma scales its embeddings and caps its logits; its table is also its head.
describe.each(["llama", "gemma2"])("%s", (family) => {
  let model: LoadedModel;
  let table: Float64Array;
  let width = 0;
  beforeAll(async () => {
    const folder = join(root, family);
    await createRandomCheckpoint(folder, { family, seed: 3, dtype: "F32", shards: 1, tokenizer });
    model = await loadModel(folder, { format: "f32", inline: true });
    width = model.config.hiddenSize;
    table = readReferenceCheckpoint(folder).tensors.get(decoderNames.embedding)!.data;
  });
  afterAll(() => model.close());

  const rowsOf = (ids: readonly number[]): Float32Array =>
    Float32Array.from(ids.flatMap((id) => [...table.subarray(id * width, (id + 1) * width)]));

  /** Logits after each of the ids, read as ids or as their rows, in parts of some size. */
  async function read(ids: readonly number[], size: number, asRows: boolean): Promise<number[]> {
    const sequence = await model.openSequence();
    try {
      const logits: number[] = [];
      for (let at = 0; at < ids.length; at += size) {
        const part = ids.slice(at, at + size);
        const result = await sequence.step({
          ids: asRows ? part.map(() => -1) : part,
          ...(asRows && { embeddings: rowsOf(part) }),
          results: "all",
          logits: true,
        });
        logits.push(...result.logits!);
      }
      return logits;
    } finally {
      await sequence.release();
    }
  }

  const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
  const ids = Array.from({ length: 200 }, (_, at) => (at * 37 + 11) % 90);

  test("rows of the table, given as embeddings, are read as the ids are", async () => {
    const expected = await read(ids, 200, false);
    expect(difference(await read(ids, 200, true), expected)).toBe(0);
    expect(difference(await read(ids, 7, true), expected)).toBeLessThan(1e-3);
  });

  test("sequences of ids and of embeddings run beside each other", async () => {
    const [a, b, c, d] = await Promise.all([
      read(ids.slice(0, 20), 4, false),
      read(ids.slice(0, 20), 4, true),
      read(ids.slice(20, 40), 5, true),
      read(ids.slice(20, 40), 20, false),
    ]);
    expect(difference(a, b)).toBeLessThan(1e-3);
    expect(difference(c, d)).toBeLessThan(1e-3);
  });

  test("the cached rows of embeddings are never reused as a prefix, not even for the same ids", async () => {
    const prompt = [5, 6, 7, 8, 9];
    const first = await model.openSequence();
    await first.step({ ids: prompt, embeddings: rowsOf([50, 51, 52, 53, 54]) });
    await first.release();
    const second = await model.openSequence({ prefix: prompt });
    expect(second.reused).toBe(0);
    await second.release();
  });

  test("hidden states are what the head multiplies", async () => {
    const sequence = await model.openSequence();
    const { hidden, logits } = await sequence.step({
      ids: [3, 1, 4],
      results: "all",
      hidden: true,
      logits: true,
    });
    await sequence.release();
    const { tensors } = readReferenceCheckpoint(model.folder);
    const head = (tensors.get(decoderNames.head) ?? tensors.get(decoderNames.embedding)!).data;
    const cap = model.config.finalLogitSoftcap;
    const vocabulary = model.config.vocabSize;
    const expected = Array.from({ length: 3 * vocabulary }, (_, at) => {
      const [row, id] = [Math.floor(at / vocabulary), at % vocabulary];
      let sum = 0;
      for (let i = 0; i < width; i++) sum += hidden![row * width + i]! * head[id * width + i]!;
      return cap === undefined ? sum : cap * Math.tanh(sum / cap);
    });
    expect(hidden).toHaveLength(3 * width);
    expect(difference(logits!, expected)).toBeLessThan(1e-3);
  });

  test("embeddings of another size are refused", async () => {
    const sequence = await model.openSequence();
    await expect(
      sequence.step({ ids: [0, 0], embeddings: new Float32Array(width) }),
    ).rejects.toMatchObject({
      code: "model-embeddings-size",
      details: { found: width, rows: 2, hiddenSize: width },
    });
    await sequence.release();
  });
});

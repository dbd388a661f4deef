/** Hidden states of a chosen layer, and its queries and keys before rotation, as results of a step. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { startReference } from "../testing/reference-decoder.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { stepParts } from "./decoder/step-outputs.ts";
import { loadModel } from "./load-model.ts";
import type { LoadedModel, OpenSequence, StepResult } from "./types.ts";

let root = "";
let tokenizer = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-step-outputs-"));
  tokenizer = join(root, "tokenizer.json");
  writeFileSync(tokenizer, JSON.stringify(wordTokenizer(512)));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ids = Array.from({ length: 150 }, (_, at) => (at * 37 + 11) % 200);

function expectNear(got: ArrayLike<number> | undefined, rows: readonly Float64Array[]): void {
  const wanted = rows.flatMap((row) => [...row]);
  expect(got).toHaveLength(wanted.length);
  const largest = wanted.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - got![at]!)),
    0,
  );
  expect(largest).toBeLessThan(1e-4 * Math.max(1, ...wanted.map(Math.abs)));
}

// Norms of heads, norms of whole projections, fused projections, scaled embeddings.
describe.each(["llama", "qwen3", "olmo2", "phi3", "gemma3"])("%s", (family) => {
  let model: LoadedModel;
  let reference: ReturnType<typeof startReference>;
  beforeAll(async () => {
    const folder = join(root, family);
    const made = createRandomCheckpoint(folder, { family, seed: 3, dtype: "F32", tokenizer });
    model = await loadModel(folder, { format: "f32", inline: true });
    reference = startReference(made.config, made.tensors, { sequenceLength: ids.length });
    reference.append(ids);
  });
  afterAll(() => model.close());

  async function inSequence<T>(body: (sequence: OpenSequence) => Promise<T>): Promise<T> {
    const sequence = await model.openSequence({ expectedLength: ids.length });
    try {
      return await body(sequence);
    } finally {
      await sequence.release();
    }
  }

  test("hidden states of every layer equal those of the float64 reference", async () => {
    const { embeddings, layers } = reference.trace;
    for (let layer = 0; layer <= layers.length; layer++) {
      const { layerHidden } = await inSequence((sequence) =>
        sequence.step({ ids, results: "all", hiddenLayer: layer }),
      );
      expectNear(layerHidden, layer === 0 ? embeddings : layers[layer - 1]!.hidden);
    }
  });

  test("queries and keys before rotation of every layer equal those of the reference", async () => {
    for (const [layer, trace] of reference.trace.layers.entries()) {
      const { queries, keys } = await inSequence((sequence) =>
        sequence.step({ ids, results: "all", queryKeyLayer: layer }),
      );
      expectNear(queries, trace.queries);
      expectNear(keys, trace.keys);
    }
  });

  test("asking for them changes no bit of the other results, nor later ones", async () => {
    const run = (extra: object): Promise<StepResult[]> =>
      inSequence(async (sequence) => [
        await sequence.step({ ids: ids.slice(0, 9), results: "all", logits: true, ...extra }),
        await sequence.step({ ids: [5], topK: 3, logits: true, hidden: true }),
      ]);
    const plain = await run({});
    const asked = await run({ hiddenLayer: 1, queryKeyLayer: 0 });
    const { layerHidden, queries, keys, ...same } = asked[0]!;
    expect(layerHidden).toHaveLength(9 * model.config.hiddenSize);
    expect(queries!.length / keys!.length).toBe(
      model.config.numAttentionHeads / model.config.numKeyValueHeads,
    );
    expect(same).toEqual(plain[0]);
    expect(asked[1]).toEqual(plain[1]);
  });

  test("steps of one batch get what each asked for, of different layers", async () => {
    const asks = [
      { hiddenLayer: 0 },
      {},
      { hiddenLayer: 2, queryKeyLayer: 1 },
      { queryKeyLayer: 3 },
    ];
    const alone = await Promise.all(
      asks.map((ask) => inSequence((sequence) => sequence.step({ ids: ids.slice(0, 3), ...ask }))),
    );
    const { embeddings, layers } = reference.trace;
    expectNear(alone[0]!.layerHidden, [embeddings[2]!]);
    expect(Object.keys(alone[1]!).sort()).toEqual(["logSumExp", "topIds", "topLogits"]);
    expectNear(alone[2]!.layerHidden, [layers[1]!.hidden[2]!]);
    expectNear(alone[2]!.keys, [layers[1]!.keys[2]!]);
    expectNear(alone[3]!.queries, [layers[3]!.queries[2]!]);
    expect(alone[3]!.layerHidden).toBeUndefined();
  });

  test("a layer that does not exist is refused before the step joins a batch", async () => {
    const count = model.config.layers.length;
    for (const request of [
      { hiddenLayer: count + 1 },
      { hiddenLayer: -1 },
      { hiddenLayer: 0.5 },
      { queryKeyLayer: count },
    ]) {
      const [[name, value]] = Object.entries(request) as [[string, number]];
      await expect(
        inSequence((sequence) => sequence.step({ ids: [1], ...request })),
      ).rejects.toMatchObject({ code: "model-layer-unknown", details: { name, value } });
    }
  });
});

test("every result of the table has one row, and every part gives one at least", () => {
  const names = stepParts.flatMap(({ results }) => results.map(({ name }) => name));
  expect(new Set(names).size).toBe(names.length);
  expect(stepParts.every(({ results }) => results.length > 0)).toBe(true);
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { compile, float32, gradients, oneHot, reshape, sum, trace } from "../../tensor/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { referenceForward } from "../../testing/reference-decoder.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { initializeDecoder } from "../../train/index.ts";
import { decoderConfig } from "../decoder/config.ts";
import { routeRows } from "../layers/experts.ts";
import { loadModel } from "../load-model.ts";
import { keptChoices, mixWithinCapacity } from "./mix-within-capacity.ts";
import { routeWithCapacity } from "./route-with-capacity.ts";
import {
  dropByPosition,
  routingSimilarity,
  specialization,
  staticTable,
  tableAgreement,
  topTokens,
} from "./routing-reports.ts";
import { type RoutingTrace, recordRouting } from "./routing-trace.ts";

const [batch, time, experts, width, k] = [3, 16, 4, 6, 2];
const random = createRandom(3, "openmoe");
const normal = (count: number) => Float32Array.from({ length: count }, () => random.normal());
const shape = ["batch", "time"] as const;
const routerLogits = normal(batch * time * experts);
const rows = Array.from({ length: batch * time }, (_, at) =>
  Array.from(routerLogits.subarray(at * experts, (at + 1) * experts)),
);
const options = {
  perToken: k,
  capacity: { rule: "floor", factor: 1, least: 4 },
  sequences: batch,
  length: time,
  group: "sequence",
} as const;

/** Logits come as `[batch, time, experts]`, so that sizes have names. */
const types = { logits: float32([...shape, experts]), x: float32([...shape, width]) };
const values = {
  logits: { data: routerLogits, shape: [batch, time, experts] },
  x: { data: normal(batch * time * width), shape: [batch, time, width] },
};

describe("the traced capacity", () => {
  test("keeps the choices and has the losses of the plain routing, and their gradients", async () => {
    const graph = trace(types, ({ logits, x }) => {
      const flat = reshape(logits, [-1, experts]);
      const routing = routeRows(flat, { perToken: k, weighting: "all", jitter: 0 });
      const kept = keptChoices(oneHot(routing.choices, experts), shape, options.capacity);
      const losses: { balance: typeof flat; z: typeof flat }[] = [];
      const mix = mixWithinCapacity({
        shape,
        capacity: options.capacity,
        onLosses: (own) => losses.push(own),
      });
      const mixed = mix({
        ...routing,
        logits: flat,
        x: reshape(x, [-1, width]),
        experts,
        enter: (_index, some) => some,
        activate: (some) => some,
        leave: (_index, some) => some,
      });
      const [{ balance, z }] = losses as [(typeof losses)[number]];
      const [slope] = gradients(balance, [logits]);
      return { kept, balance, z, mixed: sum(mixed, { axes: [1] }), slope: slope! };
    });
    const program = await compile(graph, { inline: true });
    const plain = routeWithCapacity(rows, options);
    const result = await program.run(values);
    expect([...result.kept.data]).toEqual(plain.kept.flat().map(Number));
    expect(plain.dropped.byChoice[1]).toBeGreaterThan(0);
    expect(result.balance.data[0]).toBeCloseTo(plain.balance, 5);
    expect(result.z.data[0]).toBeCloseTo(plain.zLoss, 4);
    // Experts that give back what they get: the sum of the surviving weights.
    for (const [token, weights] of plain.weights.entries()) {
      const own = values.x.data.subarray(token * width, (token + 1) * width);
      const wanted = weights.reduce((a, b) => a + b, 0) * own.reduce((a, b) => a + b, 0);
      expect(result.mixed.data[token]).toBeCloseTo(wanted, 4);
    }
    // Finite differences of the plain loss: choices do not change.
    for (const at of [0, 17, 101, 190]) {
      const shifted = (step: number): number => {
        const moved = rows.map((row) => [...row]);
        moved[Math.floor(at / experts)]![at % experts]! += step;
        return routeWithCapacity(moved, options).balance;
      };
      const slope = (shifted(1e-4) - shifted(-1e-4)) / 2e-4;
      expect(result.slope.data[at]).toBeCloseTo(slope, 4);
    }
    await program.release();
  });
});

test("a new model's router sends tokens to different experts", () => {
  const config = decoderConfig({
    model_type: "openmoe",
    hidden_size: 32,
    intermediate_size: 32,
    moe_intermediate_size: 32,
    num_hidden_layers: 4,
    vocab_size: 64,
  });
  const router = initializeDecoder(config, 1).get("model.layers.3.mlp.gate.weight")!;
  expect(router.shape).toEqual([16, 32]);
  expect(new Set(router.data).size).toBeGreaterThan(500);
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-openmoe-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a recorded trace", () => {
  test("holds the choices of the router at every position, in chunks as in one pass", async () => {
    const path = join(folder, "model");
    const made = createRandomCheckpoint(path, { family: "openmoe", seed: 4 });
    writeFileSync(join(path, "tokenizer.json"), JSON.stringify(smallTokenizer(512)));
    const ids = Array.from({ length: 150 }, (_, at) => (at * at * 7 + 3) % 512);
    await using model = await loadModel(path, { format: "f32", threads: 1, inline: true });
    const texts = [
      { text: ids, domain: "one" },
      { text: ids.slice(0, 20), domain: "two" },
    ];
    const recorded = await recordRouting(model, texts, { sequenceLength: 140 });
    expect(recorded).toMatchObject({
      layers: 2,
      experts: 4,
      perToken: 2,
      domainNames: ["one", "two"],
    });
    expect([...recorded.positions]).toEqual([
      ...Array.from({ length: 140 }, (_, at) => at),
      ...Array.from({ length: 10 }, (_, at) => at),
      ...Array.from({ length: 20 }, (_, at) => at),
    ]);
    expect([...recorded.ids.subarray(0, 140)]).toEqual(ids.slice(0, 140));
    const { choices } = recorded;
    // The same text again gives the same choices, in any chunk.
    expect([...choices.subarray(150 * 4, 170 * 4)]).toEqual([...choices.subarray(0, 20 * 4)]);
    expect(referenceForward(made.config, made.tensors, [1]).every(Number.isFinite)).toBe(true);
  });

  test("is refused for a dense model", async () => {
    await using model = await loadModel(bundledModel, { inline: true, threads: 1 });
    expect(await codeOf(() => recordRouting(model, [{ text: "x" }]))).toBe("model-experts-none");
  });
});

/** A vocabulary of so many words; texts are given as ids. */
function smallTokenizer(size: number): object {
  const vocab = Object.fromEntries(Array.from({ length: size }, (_, id) => [`w${id}`, id]));
  return { version: "1.0", model: { type: "WordLevel", vocab, unk_token: "w0" } };
}

/** Four tokens, two experts of four each; token id decides the first choice. */
function madeTrace(choose: (id: number, at: number) => [number, number]): RoutingTrace {
  const ids = Int32Array.from({ length: 64 }, (_, at) => at % 4);
  return {
    layers: 1,
    experts: 4,
    perToken: 2,
    domainNames: ["text"],
    ids,
    positions: Int32Array.from(ids, (_, at) => at % 32),
    sequences: Int32Array.from(ids, (_, at) => Math.floor(at / 32)),
    domains: new Int32Array(64),
    choices: Int32Array.from([...ids].flatMap((id, at) => choose(id, at))),
    weights: new Float32Array(128),
  };
}

describe("reports, by hand", () => {
  const byToken = madeTrace((id) => [id, (id + 1) % 4]);
  const minCount = 1;

  test("routing by token id has all of the information, positions and domain none", () => {
    const { deviation, oneHotDeviation, information } = specialization(byToken, "token", {
      minCount,
    });
    expect(deviation).toBeCloseTo(oneHotDeviation, 9);
    // Two of four experts get a half each.
    expect(oneHotDeviation).toBeCloseTo(0.25, 9);
    expect(information).toBeCloseTo(1, 9);
    const domain = specialization(byToken, "domain", { minCount });
    expect(domain.deviation).toBeCloseTo(0, 9);
    expect(domain.information).toBeCloseTo(0, 9);
  });

  test("a static table agrees where the token decides, and by chance where it does not", () => {
    expect(tableAgreement(byToken, staticTable(byToken))).toEqual([1, 1]);
    const byPlace = madeTrace((_id, at) => [Math.floor(at / 4) % 4, 3 - (Math.floor(at / 4) % 4)]);
    expect(tableAgreement(byPlace, staticTable(byToken))).toEqual([0.25, 0.25]);
    expect(routingSimilarity(byToken, byToken, { minCount }).mean).toBeCloseTo(1, 9);
    const shifted = madeTrace((id) => [(id + 2) % 4, (id + 3) % 4]);
    expect(routingSimilarity(byToken, shifted, { minCount }).mean).toBeCloseTo(0, 9);
    expect(topTokens(byToken, 0)).toEqual([
      { id: 0, share: 0.5 },
      { id: 3, share: 0.5 },
    ]);
  });

  test("drops rise towards the end of a sequence", () => {
    const same = madeTrace(() => [0, 1]);
    const ranges = dropByPosition(same, { capacity: () => 12 });
    expect(ranges.map(({ from, tokens }) => [from, tokens])).toEqual([
      [0, 16],
      [8, 16],
      [16, 16],
      [24, 16],
    ]);
    expect(ranges.map(({ byChoice }) => byChoice[0])).toEqual([0, 0.5, 1, 1]);
    expect(ranges.map(({ whole }) => whole)).toEqual([0, 0.5, 1, 1]);
  });
});

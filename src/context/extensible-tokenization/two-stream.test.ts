import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { decoderConfig, loadModel } from "../../model/index.ts";
import {
  ignoredTarget,
  openArchitecture,
  openTrainer,
  type ParameterValue,
  sgd,
  type Trainer,
} from "../../train/index.ts";
import { readWeights } from "../../train/run/first-values.ts";
import {
  hasPolicyOracle,
  largestDifference,
  oracleCases,
  oracleModel,
} from "../testing/policy-oracle.ts";
import { type CompressorConfig, compressorPrefix } from "./compressor.ts";
import {
  compressorShapes,
  contextRows,
  initializeCompressor,
  keptPlaces,
  layOutSample,
  openCompressor,
  type TwoStreamLayout,
  twoStreamGraph,
  twoStreamInputs,
} from "./index.ts";
import { joinRows, readEmbeddings } from "./prompt-with-context.ts";
import { type DownScaling, membersOf } from "./reproduction-training.ts";
import { logitsAfter, openSmallModel, type SmallModel, someIds } from "./testing/small-model.ts";

const inline = { inline: true, threads: 1 } as const;

/** Targets of a sample: the next token of each. */
const nextOf = (sample: readonly number[]): number[] => [...sample.slice(1), ignoredTarget];

/** All parameters of a graph: the model's, and the compressor's behind the prefix. */
function joinValues(
  model: ReadonlyMap<string, ParameterValue>,
  compressor: ReadonlyMap<string, ParameterValue>,
): Map<string, ParameterValue> {
  const own = [...compressor].map(
    ([name, value]) => [`${compressorPrefix}${name}`, value] as const,
  );
  return new Map([...model, ...own]);
}

function openFor(small: SmallModel, rate = 0.1): Promise<Trainer> {
  return openTrainer({
    graph: twoStreamGraph({ model: small.model.config, compressor: small.compressor.config }),
    parameters: joinValues(small.values, small.compressor.parameters),
    schedule: { kind: "constant", peak: rate },
    optimizer: sgd(),
    sameSizes: false,
    ...inline,
  });
}

describe("layout", () => {
  test("the paper's example: chunks of 3, factor 3, 15 tokens", () => {
    const { kept, positions, visible, predictions } = layOutSample(15, {
      ...{ window: 12, chunk: 3, factor: 3 },
    });
    expect(kept).toEqual([2, 5, 8, 11]);
    // Four embeddings, then tokens 3 to 14 in chunks of three.
    expect([...positions]).toEqual([0, 1, 2, 3, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]);
    const seen = (row: number): number[] =>
      [...visible.subarray(row * 16, (row + 1) * 16)].flatMap((one, at) => (one ? [at] : []));
    expect(seen(3)).toEqual([0, 1, 2, 3]);
    // The sixth token x_6 (place 5) is predicted from et_1 and x_4, x_5 (places 3 and 4).
    const sixth = predictions.find(({ token }) => token === 5)!;
    expect(sixth.row).toBe(5);
    expect(seen(sixth.row)).toEqual([0, 4, 5]);
    expect(predictions.map(({ token }) => token)).toEqual(
      [...Array(12).keys()].map((at) => at + 3),
    );
    expect(predictions.filter(({ row }) => row < 4).map(({ token }) => token)).toEqual([
      3, 6, 9, 12,
    ]);
  });
});

describe.each(["llama", "gemma2", "mistral", "mixtral"])("a random %s", (family) => {
  const sizes = { window: 16, chunk: 8 };
  const samples = [someIds(40, 1), someIds(40, 2)];

  test("stream 2 as one sequence equals its chunks one by one, as they are read at inference", async () => {
    await using small = await openSmallModel(family);
    const { model } = small;
    await using compressor = await openCompressor(model, small.compressor, inline);
    await using trainer = await openFor(small);
    const toInputs = twoStreamInputs(model.config, sizes);
    for (const factor of [2, 8]) {
      const inputs = toInputs({ samples, targets: samples.map(nextOf), factor });
      const [found] = await trainer.values([inputs]);
      const logits = found!.get("logits")!.data;
      const vocabulary = model.config.vocabSize;
      let row = 0;
      for (const sample of samples) {
        for (let start = 8; start < 40; start += 8) {
          // The chunk's own text is not compressed: no token of it can reach an embedding.
          const packed = await compressor.compress(sample.slice(0, start));
          const { embeddings } = contextRows(packed, factor);
          const own = sample.slice(start, start + 7);
          const table = await readEmbeddings(model, own);
          const rows = joinRows([embeddings, ...own.map((id) => table.get(id)!)]);
          const expected = await logitsAfter(model, rows, "all");
          const last = expected.subarray((start / factor - 1) * vocabulary);
          const got = logits.subarray(row * vocabulary, (row + 8) * vocabulary);
          expect(largestDifference(got, last)).toBeLessThan(2e-4);
          row += 8;
        }
      }
      expect(row * vocabulary).toBe(logits.length);
    }
  });
});

test("outputs as products with a matrix: that of the kept places gives what the places give", async () => {
  await using small = await openSmallModel("llama");
  const { config } = small.model;
  const sample = someIds(40, 8);
  const batch = { samples: [sample], targets: [nextOf(sample)], factor: 4 };
  const oneHot = ({ kept }: TwoStreamLayout, tokens: number): Float32Array => {
    const matrix = new Float32Array(kept.length * tokens);
    for (const [row, place] of kept.entries()) matrix[row * tokens + place] = 1;
    return matrix;
  };
  const sizes = { window: 16, chunk: 8 };
  const found: Float32Array[] = [];
  for (const downScaling of ["places", "matrix"] as const) {
    await using trainer = await openTrainer({
      graph: twoStreamGraph({ model: config, compressor: small.compressor.config, downScaling }),
      parameters: joinValues(small.values, small.compressor.parameters),
      schedule: { kind: "constant", peak: 0 },
      ...inline,
    });
    const matrix = downScaling === "matrix" ? oneHot : undefined;
    const inputs = twoStreamInputs(config, sizes, matrix)(batch);
    found.push((await trainer.values([inputs]))[0]!.get("logits")!.data);
  }
  expect(largestDifference(found[0]!, found[1]!)).toBeLessThan(1e-5);
});

test("ways of keeping outputs: as many of each window, terminal ones last, strided ones as the method keeps them", () => {
  const how = { factor: 8, seed: 3 };
  const places = (way: DownScaling): number[] => membersOf(way, 256, how).flat();
  expect(places("strided")).toEqual(keptPlaces(256, { window: 128, factor: 8 }));
  expect(places("terminal").slice(0, 16)).toEqual([...Array(16).keys()].map((at) => 112 + at));
  expect(membersOf("mean", 256, how)[1]).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  const random = places("random");
  expect(random).toEqual([...new Set(random)].sort((a, b) => a - b));
  expect(random.filter((at) => at < 128)).toHaveLength(16);
});

describe("gradients", () => {
  const sizes = { window: 16, chunk: 8 };
  const sample = someIds(40, 5);
  const targets = nextOf(sample).with(12, ignoredTarget);

  test("equal slopes of the loss, of the compressor's parameters alone", async () => {
    await using small = await openSmallModel("llama");
    const inputs = twoStreamInputs(
      small.model.config,
      sizes,
    )({
      ...{ samples: [sample], targets: [targets], factor: 4 },
    });
    await using trainer = await openFor(small);
    const { gradients } = await trainer.gradients([inputs]);
    const names = [...small.compressor.parameters.keys()].map(
      (name) => `${compressorPrefix}${name}`,
    );
    expect([...gradients.keys()].sort()).toEqual(names.sort());
    const random = createRandom(7, "directions");
    const lossAlong = async (direction: ReadonlyMap<string, Float32Array>, by: number) => {
      const moved = new Map(
        [...joinValues(small.values, small.compressor.parameters)].map(([name, value]) => {
          const step = direction.get(name);
          if (!step) return [name, value] as const;
          return [name, { ...value, data: value.data.map((x, at) => x + by * step[at]!) }] as const;
        }),
      );
      await using other = await openTrainer({
        graph: twoStreamGraph({ model: small.model.config, compressor: small.compressor.config }),
        parameters: moved,
        schedule: { kind: "constant", peak: 0 },
        ...inline,
      });
      return (await other.evaluate([inputs])).loss;
    };
    for (const name of [names[0]!, names.find((one) => one.endsWith("projection.weight"))!]) {
      const gradient = gradients.get(name)!;
      const direction = gradient.map(() => random.normal());
      const along = direction.reduce((sum, value, at) => sum + value * gradient[at]!, 0);
      const of = new Map([[name, direction]]);
      const by = 2e-3;
      const slope = ((await lossAlong(of, by)) - (await lossAlong(of, -by))) / (2 * by);
      expect(Math.abs(slope - along) / Math.abs(along)).toBeLessThan(0.03);
    }
  });

  test("steps leave the model's weights as they are, bit for bit", async () => {
    await using small = await openSmallModel("llama");
    const toInputs = twoStreamInputs(small.model.config, sizes);
    await using trainer = await openFor(small, 0.5);
    const inputs = toInputs({ samples: [sample], targets: [targets], factor: 2 });
    const first = await trainer.step([inputs]);
    for (let step = 0; step < 4; step++) await trainer.step([inputs]);
    const last = await trainer.evaluate([inputs]);
    expect(last.loss).toBeLessThan(first.loss);
    const parameters = await trainer.parameters();
    for (const [name, { data }] of small.values) expect(parameters.get(name)!.data).toEqual(data);
    const isMoved = [...small.compressor.parameters].every(([name, { data }]) => {
      const now = parameters.get(`${compressorPrefix}${name}`)!.data;
      return largestDifference(now, data) > 0;
    });
    expect(isMoved).toBe(true);
  });

  test("a loss does not change with tokens behind the predicted one", async () => {
    await using small = await openSmallModel("llama");
    await using trainer = await openFor(small);
    const toInputs = twoStreamInputs(small.model.config, sizes);
    const read = async (tokens: readonly number[]): Promise<Float32Array> => {
      const batch = { samples: [tokens], targets: [nextOf(tokens)], factor: 4 };
      return (await trainer.values([toInputs(batch)]))[0]!.get("logits")!.data;
    };
    const vocabulary = small.model.config.vocabSize;
    const before = await read(sample);
    const after = await read(sample.with(21, sample[21]! + 1));
    for (let token = 8; token < 40; token++) {
      const rows = [before, after].map((logits) =>
        logits.subarray((token - 8) * vocabulary, (token - 7) * vocabulary),
      );
      const difference = largestDifference(rows[0]!, rows[1]!);
      if (token <= 21) expect(difference).toBe(0);
      else expect(difference).toBeGreaterThan(1e-6);
    }
  });
});

describe.skipIf(!hasPolicyOracle)("equals an independent float64 program", () => {
  interface TwoStreamCase {
    readonly settings: {
      readonly layers: number;
      readonly norm: "none" | "final";
      readonly window: number;
      readonly k: number;
      readonly chunk: number;
    };
    readonly promptIds: readonly number[];
    readonly expected: {
      readonly losses: readonly number[];
      readonly logits: readonly (readonly number[])[];
    };
  }
  const cases = oracleCases("extensible").filter(
    ({ policy }) => policy === "extensible-two-stream",
  );

  test.each(cases.map((case_) => [case_.name, case_] as const))("%s", async (_name, case_) => {
    const { settings, promptIds, expected } = case_ as unknown as TwoStreamCase;
    const path = oracleModel(case_);
    const { layers, window, norm, k, chunk } = settings;
    const compressor: CompressorConfig = { layers, window, norm, factors: [k], projection: false };
    await using opened = await loadModel(path, { ...inline, format: "f32" });
    const { config: file } = opened.checkpoint;
    const model = decoderConfig(file);
    const values = await readWeights(path, openArchitecture(file));
    const own = initializeCompressor(compressorShapes(model, compressor), values);
    await using trainer = await openTrainer({
      graph: twoStreamGraph({ model, compressor }),
      parameters: joinValues(values, own),
      schedule: { kind: "constant", peak: 0 },
      sameSizes: false,
      ...inline,
    });
    const inputs = twoStreamInputs(model, { window, chunk })({
      ...{ samples: [promptIds], targets: [nextOf(promptIds)], factor: k },
    });
    const logits = (await trainer.values([inputs]))[0]!.get("logits")!.data;
    const vocabulary = model.vocabSize;
    for (const [at, loss] of expected.losses.entries()) {
      const rows = Array.from({ length: chunk }, (_, row) =>
        logits.subarray((at * chunk + row) * vocabulary, (at * chunk + row + 1) * vocabulary),
      );
      const losses = rows.map((row, place) => {
        const sum = row.reduce((total, value) => total + Math.exp(value), 0);
        return Math.log(sum) - row[promptIds[(at + 1) * chunk + place]!]!;
      });
      const mean = losses.reduce((a, b) => a + b, 0) / chunk;
      expect(Math.abs(mean - loss)).toBeLessThan(1e-4);
      expect(largestDifference(rows[0]!, expected.logits[2 * at]!)).toBeLessThan(1e-3);
      expect(largestDifference(rows.at(-1)!, expected.logits[2 * at + 1]!)).toBeLessThan(1e-3);
    }
  });
});

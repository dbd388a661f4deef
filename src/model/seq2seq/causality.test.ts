/**
 * Causality of encoder-decoders: an output token changes nothing before it, however the source is read; what is
 * cached equals what is computed anew; training's forward pass equals inference.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { compile, float32, int32, parameter, type Tensor, trace } from "../../tensor/index.ts";
import { writeReferenceCheckpoint } from "../../testing/reference-checkpoint.ts";
import { byteTokenizerFiles } from "../byte/byte-vocabulary.ts";
import { runShortened } from "../mrt5/mrt5.ts";
import {
  boundaryShortener,
  convolutionShortener,
  gateShortener,
  givenShortener,
  noShortener,
  type Shortener,
} from "../mrt5/shortener.ts";
import { traceFloat32Weights } from "../weights/trace-weights.ts";
import { type Seq2SeqConfig, seq2seqConfig } from "./config.ts";
import { loadSeq2Seq } from "./load-seq2seq.ts";
import { seq2seqParameterShapes } from "./parameter-shapes.ts";
import type { ConditionedModel, LoadedSeq2Seq } from "./types.ts";

const vocabulary = 64;
const common = {
  vocab_size: vocabulary,
  d_model: 32,
  d_kv: 8,
  d_ff: 48,
  num_heads: 4,
  num_layers: 3,
  num_decoder_layers: 2,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 20,
  decoder_start_token_id: 0,
  eos_token_id: 1,
  pad_token_id: 0,
};
const files = {
  t5: {
    ...common,
    model_type: "t5",
    architectures: ["T5ForConditionalGeneration"],
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
  },
  "t5 of the first version": {
    ...common,
    model_type: "t5",
    architectures: ["T5ForConditionalGeneration"],
    feed_forward_proj: "relu",
    tie_word_embeddings: true,
  },
  umt5: {
    ...common,
    model_type: "umt5",
    architectures: ["UMT5ForConditionalGeneration"],
    tie_word_embeddings: false,
  },
  mrt5: {
    ...common,
    model_type: "mrt5",
    architectures: ["MrT5ForConditionalGeneration"],
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
    use_softmax1: true,
    delete_gate_layer: 1,
  },
} as const;
type Kind = keyof typeof files;

/** Random values that make every part show in the logits. */
function randomValues(
  shapes: ReadonlyMap<string, readonly number[]>,
): Map<string, { shape: readonly number[]; data: Float64Array }> {
  return new Map(
    Array.from(shapes, ([name, shape]) => {
      const random = createRandom(7, name);
      const isNorm = shape.length === 1 && !name.endsWith("bias");
      const deviation = shape.length === 1 ? 0.3 : 1.2 * (shape[1] ?? 1) ** -0.5;
      const size = shape.reduce((a, b) => a * b, 1);
      const data = Float64Array.from(
        { length: size },
        () => (isNorm ? 1 : 0) + deviation * random.normal(),
      );
      return [name, { shape, data }];
    }),
  );
}

const random = createRandom(3, "ids");
const source = Array.from({ length: 19 }, () => 3 + random.integer(vocabulary - 3)).concat(1);
const output = [0, ...Array.from({ length: 17 }, () => 3 + random.integer(vocabulary - 3))];

function furthest(a: ArrayLike<number>, b: ArrayLike<number>, from = 0, to = a.length): number {
  let most = 0;
  for (let i = from; i < to; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

/** What `read` gives with one output id changed: nothing before it, something at it. */
async function expectCausal(
  read: (ids: readonly number[]) => Promise<Float32Array>,
): Promise<Float32Array> {
  const whole = await read(output);
  expect(whole.length).toBe(output.length * vocabulary);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: output.length - 1 }),
      fc.integer({ min: 1, max: vocabulary - 1 }),
      async (at, step) => {
        const changed = await read(output.with(at, (output[at]! + step) % vocabulary));
        const place = at * vocabulary;
        expect(furthest(whole, changed, 0, place)).toBeLessThan(1e-4);
        expect(furthest(whole, changed, place, place + vocabulary)).toBeGreaterThan(1e-3);
      },
    ),
    { numRuns: 10 },
  );
  return whole;
}

/** Logits of every output id, in steps of these sizes. */
async function readSteps(
  decoder: ConditionedModel,
  ids: readonly number[],
  sizes: readonly number[] = [ids.length],
): Promise<Float32Array> {
  const sequence = await decoder.openSequence();
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

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-seq2seq-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function open(kind: Kind): Promise<LoadedSeq2Seq> {
  const folder = join(root, kind.replaceAll(" ", "-"));
  const file = files[kind];
  const config = seq2seqConfig(file as never);
  const shapes = seq2seqParameterShapes(config, !file.tie_word_embeddings);
  writeReferenceCheckpoint(
    folder,
    { config: file, tensors: randomValues(shapes) },
    { dtype: "F32" },
  );
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byteTokenizerFiles().tokenizer));
  return loadSeq2Seq(folder, { inline: true, threads: 1, format: "f32" });
}

describe.each([
  ["t5", {}],
  ["t5 of the first version", {}],
  ["mrt5", { soft: true }],
  ["mrt5", { threshold: -15 }],
] as const)("%s, read with %j", (kind, options) => {
  test("an output token changes nothing before it; cached equals computed anew", async () => {
    await using model = await open(kind);
    const decoder = await model.read(source, options);
    if ("threshold" in options) {
      // Random gates delete some of the source, and not all of it.
      expect(decoder.sourceLength).toBeLessThan(source.length);
      expect(decoder.sourceLength).toBeGreaterThan(1);
    }
    const whole = await expectCausal((ids) => readSteps(decoder, ids));
    for (const sizes of [[1], [3, 7], [13, 1, 2]]) {
      expect(furthest(whole, await readSteps(decoder, output, sizes))).toBeLessThan(2e-4);
    }
    // Another source is another output.
    const other = await model.read(source.with(4, 60), options);
    expect(furthest(whole, await readSteps(other, output))).toBeGreaterThan(1e-3);
    await other.close();
    await decoder.close();
  });
});

describe("training's forward pass", () => {
  const config: Seq2SeqConfig = seq2seqConfig(files.mrt5 as never);
  const { hiddenSize } = config.encoder;
  const gate = config.deleteGate!;
  const shorteners: readonly (readonly [string, () => Shortener])[] = [
    ["no deletion", () => noShortener()],
    ["the gate, softly", () => gateShortener(gate, hiddenSize)],
    ["the gate, hard", () => gateShortener(gate, hiddenSize, { hard: true })],
    ["given positions", () => givenShortener("random")],
    ["a convolution", () => convolutionShortener("shorten", 2, hiddenSize)],
    ["predicted boundaries", () => boundaryShortener("shorten", hiddenSize)],
  ];

  async function openPass(make: () => Shortener) {
    const shortener = make();
    const plain = seq2seqParameterShapes({ ...config, deleteGate: undefined }, true);
    const shapes = new Map<string, readonly number[]>([...plain, ...shortener.parameters]);
    // A convolution needs to know that its step divides the length.
    const length = shortener.name === "convolution" ? source.length : "time";
    const types = {
      ids: int32(["batch", length]),
      attended: float32(["batch", length]),
      decoderIds: int32(["batch", "output"]),
      ...shortener.inputs,
    };
    const graph = trace(types, (input): Record<string, Tensor> => {
      for (const [name, shape] of shapes) parameter(name, [...shape]);
      const inputs = input as Readonly<Record<string, Tensor>>;
      const weights = traceFloat32Weights(shapes);
      const model = {
        config,
        weights,
        shortener,
        layer: gate.layer,
        has: (name: string) => shapes.has(name),
      };
      const { logits } = runShortened(model, {
        ids: inputs["ids"]!,
        attended: inputs["attended"]!,
        decoderIds: inputs["decoderIds"]!,
        targets: inputs["decoderIds"]!,
        counted: inputs["attended"]!,
        inputs,
      });
      return { logits };
    });
    const program = await compile(graph, { inline: true, threads: 1 });
    const values = Object.fromEntries(
      Array.from(randomValues(shapes), ([name, { shape, data }]) => [
        name,
        { shape, data: Float32Array.from(data) },
      ]),
    );
    const time = source.length;
    const row = (value: (at: number) => number) => ({
      shape: [1, time],
      data: Float32Array.from({ length: time }, (_, at) => value(at)),
    });
    const fixed: Record<string, unknown> = {
      ids: { shape: [1, time], data: Int32Array.from(source) },
      attended: row(() => 1),
      ...("keep" in shortener.inputs && { keep: row((at) => (at % 3 === 1 ? 0 : 1)) }),
      ...("noise" in shortener.inputs && { noise: row((at) => Math.sin(7 * at)) }),
    };
    const read = async (ids: readonly number[]): Promise<Float32Array> => {
      const decoderIds = { shape: [1, ids.length], data: Int32Array.from(ids) };
      const { logits } = await program.run({ ...fixed, ...values, decoderIds } as never);
      return logits!.data as Float32Array;
    };
    return { read, [Symbol.asyncDispose]: () => program.release() };
  }

  test.each(shorteners)("%s: an output token changes nothing before it", async (_, make) => {
    await using pass = await openPass(make);
    await expectCausal(pass.read);
  });

  test("hard and soft passes equal inference in both modes", async () => {
    await using model = await open("mrt5");
    for (const hard of [true, false]) {
      await using pass = await openPass(() => gateShortener(gate, hiddenSize, { hard }));
      const decoder = await model.read(source, hard ? {} : { soft: true });
      const difference = furthest(await pass.read(output), await readSteps(decoder, output));
      expect(difference).toBeLessThan(2e-4);
      await decoder.close();
    }
  });
});

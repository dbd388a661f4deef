/** The grouped softmax and landmark attention of whole sequences. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/index.ts";
import {
  compile,
  concat,
  evaluateReference,
  float32,
  gradients,
  int32,
  multiply,
  type ParameterBinding,
  reshape,
  sum,
  type Tensor,
  trace,
} from "../../tensor/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { insertLandmarks } from "../../train/graph/landmark-rows.ts";
import { decoderConfig } from "../decoder/config.ts";
import { decoderHead } from "../decoder/decoder.ts";
import { embedIds } from "../decoder/embeddings.ts";
import { decodeFullSequence, rotationTables, rotationTypes } from "../decoder/full-sequence.ts";
import { decoderParameterShapes } from "../decoder/parameter-shapes.ts";
import { readParameter } from "../weights/read-parameter.ts";
import { traceStoredWeights } from "../weights/stacked-weights.ts";
import {
  attendLandmarks,
  type GroupedWeights,
  groupedSoftmax,
  landmarkTime,
  rowsOfTokens,
  tokensOfRows,
} from "./index.ts";

const [rows, own, blocks, block] = [3, 4, 3, 2];
const graph = trace(
  {
    own: float32([rows, own]),
    gates: float32([rows, blocks]),
    inner: float32([rows, blocks, block]),
    factors: float32([rows, own + blocks * block]),
  },
  (input) => {
    const weights = groupedSoftmax({ own: input.own, gates: input.gates, inner: input.inner });
    const first = weights.own;
    const last = reshape(weights.inner, [rows, blocks * block]);
    const loss = sum(multiply(concat([first, last], 1), input.factors));
    const [ofOwn, ofGates, ofInner] = gradients(loss, [input.own, input.gates, input.inner]);
    return { first, last, loss, ofOwn: ofOwn!, ofGates: ofGates!, ofInner: ofInner! };
  },
);

type Scores = Record<"own" | "gates" | "inner" | "factors", number[]>;

function evaluate(scores: Scores) {
  return evaluateReference(graph, {
    own: { shape: [rows, own], data: scores.own },
    gates: { shape: [rows, blocks], data: scores.gates },
    inner: { shape: [rows, blocks, block], data: scores.inner },
    factors: { shape: [rows, own + blocks * block], data: scores.factors },
  });
}

const list = (count: number) =>
  fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: count, maxLength: count });
const anyScores = fc.record({
  own: list(rows * own),
  gates: list(rows * blocks),
  inner: list(rows * blocks * block),
  factors: list(rows * (own + blocks * block)),
});

describe("grouped softmax", () => {
  test("by hand: a landmark's share is shared by its block", () => {
    const zeros: Scores = {
      own: new Array(12).fill(0),
      gates: new Array(9).fill(0),
      inner: new Array(18).fill(0),
      factors: new Array(30).fill(0),
    };
    // Four own tokens and three landmarks have a seventh each, tokens of a block half of it.
    const { first, last } = evaluate(zeros);
    for (const weight of first.data) expect(weight).toBeCloseTo(1 / 7, 12);
    for (const weight of last.data) expect(weight).toBeCloseTo(1 / 14, 12);
  });

  test("weights of a row sum to 1, and a block's to its gate", () => {
    fc.assert(
      fc.property(anyScores, (scores) => {
        const { first, last } = evaluate(scores);
        for (let row = 0; row < rows; row++) {
          const near = Array.from(first.data).slice(row * own, (row + 1) * own);
          const far = Array.from(last.data).slice(row * 6, (row + 1) * 6);
          expect([...near, ...far].reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
          // Ratios of gates and own tokens are those of one softmax.
          const gate = far[0]! + far[1]!;
          const ratio = Math.exp(scores.gates[row * blocks]! - scores.own[row * own]!);
          expect(gate / near[0]!).toBeCloseTo(ratio, 9);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("its gradient is that of finite differences", () => {
    fc.assert(
      fc.property(anyScores, fc.nat(), (scores, pick) => {
        const found = evaluate(scores);
        const parts = [
          ["own", found.ofOwn],
          ["gates", found.ofGates],
          ["inner", found.ofInner],
        ] as const;
        for (const [name, slope] of parts) {
          const at = pick % scores[name].length;
          const moved = (step: number): number =>
            evaluate({ ...scores, [name]: scores[name].with(at, scores[name][at]! + step) }).loss
              .data[0] as number;
          expect(slope.data[at]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 6);
        }
      }),
      { numRuns: 25 },
    );
  });
});

test("rows of tokens and tokens of rows", () => {
  expect([0, 6, 7, 8, 13, 14].map((tokens) => rowsOfTokens(tokens, 7))).toEqual([
    0, 6, 8, 9, 14, 16,
  ]);
  for (let tokens = 0; tokens < 40; tokens++) {
    expect(tokensOfRows(rowsOfTokens(tokens, 7), 7)).toBe(tokens);
  }
});

const tiny = {
  model_type: "llama",
  vocab_size: 20,
  hidden_size: 16,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  intermediate_size: 16,
  max_position_embeddings: 64,
};

test.each([
  [{ mem_freq: 7 }, "mem_id"],
  [{ mem_id: 20, mem_freq: 7 }, "mem_id"],
  [{ mem_id: 19 }, "mem_freq"],
  [{ mem_id: 19, mem_freq: 0 }, "mem_freq"],
  [{ mem_id: 19, mem_freq: 40 }, "max_position_embeddings"],
  [{ mem_id: 19, mem_freq: 7, train_context_length: 15 }, "train_context_length"],
])("config.json with %j is refused: %s", async (keys, name) => {
  const open = (): unknown => decoderConfig({ ...tiny, ...keys } as never);
  expect(await codeOf(open)).toBe("model-config-invalid");
  expect(open).toThrow(name);
});

/** Landmark attention of a checkpoint over one sequence that holds its landmarks. */
async function readSequence(
  folder: string,
  promptIds: readonly number[],
  first: number,
): Promise<{ rowOf: (at: number) => number; logits: Float32Array; weights: Float32Array[][] }> {
  await using checkpoint = await openCheckpoint(folder);
  const config = decoderConfig(checkpoint.config);
  const landmark = config.landmark!;
  const tokens = promptIds.filter((id) => id !== landmark.id);
  const startsWithLandmark = first === 0;
  const batch = {
    batch: 1,
    time: tokens.length,
    ids: Int32Array.from(tokens),
    targets: Int32Array.from(tokens),
  };
  const laid = insertLandmarks(landmark, batch, { first: first || landmark.block });
  const period = landmark.block + 1;
  let { ids, segments } = laid;
  if (startsWithLandmark) {
    // An empty block before the first: only its landmark is there.
    const empty = new Int32Array(period);
    const ended = new Int32Array(period).fill(-2);
    empty[landmark.block] = landmark.id;
    ended[landmark.block] = 0;
    ids = Int32Array.from([...empty, ...ids]);
    segments = Int32Array.from([...ended, ...segments]);
  }
  const shapes = decoderParameterShapes(config);
  const bindings = new Map<string, ParameterBinding>();
  for (const [name, shape] of shapes) {
    bindings.set(name, { kind: "data", data: await readParameter(checkpoint, name, shape) });
  }
  const kept: GroupedWeights[] = [];
  const types = [1, "blocks", period] as const;
  const flat = (x: Tensor): Tensor => reshape(x, [1, landmarkTime(landmark, "blocks")]);
  const whole = trace<string, string>(
    { ids: int32(types), segments: int32(types), ...rotationTypes(config) },
    (input): Record<string, Tensor> => {
      const weights = traceStoredWeights(config, shapes);
      const rows = { segments: flat(input["segments"]!), blocks: "blocks" };
      const hidden = decodeFullSequence(
        config,
        weights,
        embedIds(config, weights, flat(input["ids"]!)),
        input,
        { attend: attendLandmarks(landmark, rows, (layer) => kept.push(layer)) },
      );
      return {
        logits: decoderHead(config, weights, hidden),
        ...Object.fromEntries(
          kept.flatMap(({ own: local, inner }, layer) => [
            [`own.${layer}`, local],
            [`inner.${layer}`, inner],
          ]),
        ),
      };
    },
  );
  await using program = await compile(whole, { parameters: bindings, inline: true });
  const result = await program.run({
    ids: { data: ids, shape: [1, ids.length / period, period] },
    segments: { data: segments, shape: [1, ids.length / period, period] },
    ...(rotationTables(config, ids.length) as Record<string, never>),
  });
  const offset = startsWithLandmark ? landmark.block : landmark.block - first;
  const dataOf = (name: string): Float32Array => result[name]!.data as Float32Array;
  return {
    rowOf: (at) => at + offset,
    logits: dataOf("logits"),
    weights: kept.map((_, layer) => [dataOf(`own.${layer}`), dataOf(`inner.${layer}`)]),
  };
}

const data = process.env["JETON_DATA"];
const folder = data ? join(data, "context/policies") : "";

describe.skipIf(!data)("training attention equals an independent float64 program", () => {
  interface Case {
    readonly policy: string;
    readonly name: string;
    readonly promptIds: readonly number[];
    readonly settings: { readonly first: number };
    readonly queries: readonly number[];
    readonly expected: {
      readonly weights: readonly {
        readonly layer: number;
        readonly head: number;
        readonly query: number;
        readonly weights: readonly number[];
      }[];
      readonly logits: readonly (readonly number[])[];
    };
  }
  const cases: Case[] = data
    ? JSON.parse(gunzipSync(readFileSync(join(folder, "landmark.json.gz"))).toString("utf8")).cases
    : [];
  const training = cases.filter(({ policy }) => policy === "landmark-training");

  test.each(training.map((case_) => [case_.name, case_] as const))("%s", async (_name, case_) => {
    const { promptIds, settings, queries, expected } = case_;
    const read = await readSequence(join(folder, "landmark-a"), promptIds, settings.first);
    const [vocabulary, block, id] = [513, 7, 512];
    for (const [at, query] of queries.entries()) {
      const row = read.rowOf(query);
      const own = read.logits.subarray(row * vocabulary, row * vocabulary + id);
      for (const [token, logit] of own.entries()) {
        expect(Math.abs(logit - expected.logits[at]![token]!)).toBeLessThan(1e-3);
      }
    }
    const time = read.logits.length / vocabulary;
    const blocks = time / (block + 1);
    for (const { layer, head, query, weights } of expected.weights) {
      const row = head * time + read.rowOf(query);
      const [local, inner] = read.weights[layer]!;
      const ownBlock = Math.floor(read.rowOf(query) / (block + 1));
      for (const [key, weight] of weights.entries()) {
        const place = read.rowOf(key);
        const [of, offset] = [Math.floor(place / (block + 1)), place % (block + 1)];
        const isSelf = promptIds[0] === id && query === 0;
        const found =
          offset === block || isSelf
            ? 0
            : of === ownBlock
              ? local![row * block + offset]!
              : inner![(row * blocks + of) * block + offset]!;
        expect(Math.abs(found - weight), `${layer} ${head} ${query} ${key}`).toBeLessThan(1e-5);
      }
    }
  });
});

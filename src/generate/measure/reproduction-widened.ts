/**
 * The bundled model in the shape of a larger one: the same function, as what is added is zero, at the cost of
 * the larger shape. Speedups of drafting depend on that cost, and no trained model of that size is at hand.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  openCheckpoint,
  type TensorToWrite,
  writeFileAtomically,
  writeShardedSafetensors,
} from "../../checkpoint/index.ts";
import { type DecoderConfig, decoderConfig, decoderNames, loadModel } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { copyTokenizer } from "../../tokenizer/index.ts";
import { type BenchSettings, DrafterBench, type Requests } from "./reproduction-bench.ts";

/** Sizes of the larger shape. Heads keep their size; each is at least that of the model. */
export interface WiderShape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly keyValueHeads: number;
  /** Query heads of each key and value head. */
  readonly group: number;
}

/** Of SmolLM-135M and its relatives, but for the vocabulary. */
export const shapeOf135M: WiderShape = {
  ...{ hiddenSize: 576, intermediateSize: 1536, layers: 30 },
  ...{ keyValueHeads: 3, group: 3 },
};

/** Writes a model of the Llama family with more of everything, whose text is that of the original. */
export async function writeWidened(from: string, out: string, shape: WiderShape): Promise<void> {
  await using checkpoint = await openCheckpoint(from);
  const config = decoderConfig(checkpoint.config);
  await mkdir(out, { recursive: true });
  await writeShardedSafetensors(out, widenedTensors(checkpoint, config, shape));
  await copyTokenizer(from, out);
  const sizes = {
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.keyValueHeads * shape.group,
    num_key_value_heads: shape.keyValueHeads,
    head_dim: config.headDim,
    rms_norm_eps: (config.rmsNormEps * config.hiddenSize) / shape.hiddenSize,
    torch_dtype: "float32",
  };
  const json = JSON.stringify({ ...checkpoint.config, ...sizes }, null, 2);
  await writeFileAtomically(join(out, "config.json"), json);
}

/** Places of rows and columns in a larger matrix. Default: where they are. */
interface Places {
  readonly row?: (at: number) => number;
  readonly column?: (at: number) => number;
}

/** Tensors by the shapes of the larger model; those of further layers are zeros. */
function widenedTensors(
  checkpoint: Checkpoint,
  config: DecoderConfig,
  shape: WiderShape,
): TensorToWrite[] {
  const { hiddenSize } = shape;
  const tensors: TensorToWrite[] = [];
  const add = (name: string, dims: number[], data: () => Promise<Float32Array>): void => {
    tensors.push({ name, dtype: "F32", shape: dims, data });
  };
  const matrix = (
    name: string,
    [rows, columns]: readonly [number, number],
    { row = (at) => at, column = (at) => at }: Places = {},
  ): void =>
    add(name, [rows, columns], async () => {
      const wide = new Float32Array(rows * columns);
      const width = checkpoint.tensors.get(name)?.shape[1];
      if (width === undefined) return wide;
      for (const [at, value] of (await checkpoint.readFloat32(name)).entries()) {
        wide[row(Math.floor(at / width)) * columns + column(at % width)] = value;
      }
      return wide;
    });
  // The mean square is over more numbers: what it divides by is smaller by the root of their ratio.
  const scale = Math.sqrt(config.hiddenSize / hiddenSize);
  const norm = (name: string): void =>
    add(name, [hiddenSize], async () => {
      const wide = new Float32Array(hiddenSize);
      if (!checkpoint.tensors.has(name)) return wide;
      wide.set((await checkpoint.readFloat32(name)).map((value) => value * scale));
      return wide;
    });
  const { embedding, head, finalNorm } = decoderNames;
  matrix(embedding, [config.vocabSize, hiddenSize]);
  if (!config.tieWordEmbeddings) matrix(head, [config.vocabSize, hiddenSize]);
  norm(finalNorm);
  const heads = headPlaces(config, shape);
  const keys = shape.keyValueHeads * config.headDim;
  const queries = keys * shape.group;
  for (let layer = 0; layer < shape.layers; layer++) {
    const at = (part: string): string => `${decoderNames.layer(layer)}.${part}.weight`;
    norm(at("input_layernorm"));
    norm(at("post_attention_layernorm"));
    matrix(at("self_attn.q_proj"), [queries, hiddenSize], { row: heads });
    matrix(at("self_attn.k_proj"), [keys, hiddenSize]);
    matrix(at("self_attn.v_proj"), [keys, hiddenSize]);
    matrix(at("self_attn.o_proj"), [hiddenSize, queries], { column: heads });
    matrix(at("mlp.gate_proj"), [shape.intermediateSize, hiddenSize]);
    matrix(at("mlp.up_proj"), [shape.intermediateSize, hiddenSize]);
    matrix(at("mlp.down_proj"), [hiddenSize, shape.intermediateSize]);
  }
  return tensors;
}

/** Where each number of the query heads goes: heads stay with their key and value head. */
function headPlaces(config: DecoderConfig, { group }: WiderShape): (at: number) => number {
  const { headDim, numAttentionHeads, numKeyValueHeads } = config;
  const own = numAttentionHeads / numKeyValueHeads;
  return (at) => {
    const head = Math.floor(at / headDim);
    return (Math.floor(head / own) * group + (head % own)) * headDim + (at % headDim);
  };
}

/** Runs `body` on the bundled model in the shape of a 135M model, with greedy requests. */
export async function onWidened<Id extends string>(
  context: ReproductionContext<Id>,
  settings: BenchSettings,
  body: (bench: DrafterBench<Id>, requests: Requests) => Promise<void>,
): Promise<void> {
  context.progress("writing the wider model");
  const folder = await context.folder("wider-model", shapeOf135M);
  try {
    await writeWidened(await context.model(), folder, shapeOf135M);
    await using model = await loadModel(folder, { format: "f32", exact: false });
    const bench = new DrafterBench(context, model, settings);
    await body(bench, await bench.plan({ greedy: true }));
  } finally {
    // It takes half a gigabyte.
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The graph of an encoder's forward pass: states, and those of heads, pooled vectors and token vectors
 * that are asked for. Parts that are not wanted cost nothing.
 */
import { JetonError } from "../../core/index.ts";
import {
  add,
  bool,
  type Dimension,
  float32,
  gather,
  int32,
  matmul,
  max,
  multiply,
  optional,
  reshape,
  subtract,
  type Tensor,
  type TensorType,
  type TypedGraph,
  trace,
  where,
} from "../../tensor/index.ts";
import { maskedScore } from "../layers/bidirectional-attention.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { EncoderConfig } from "./config.ts";
import { encode } from "./encoder.ts";
import { encoderTableTypes } from "./encoder-tables.ts";
import { encoderHeads, type Head, type HeadName } from "./heads/heads.ts";
import { applyModules, type SentencePipeline } from "./sentence/sentence-modules.ts";
import { sparseWeights } from "./sentence/sparse-pooling.ts";

/** Results of a forward pass. */
export type EncoderOutput = "states" | "embedding" | "vectors" | "sparse" | HeadName;

/** The input that says whether a result is wanted. */
export const wanted = (output: EncoderOutput): string => `want.${output}`;

/** Whether a program has the input `present`. */
export const readsPresent = ({ mixer, backbone }: EncoderConfig): boolean =>
  mixer !== undefined || backbone !== undefined;

/** What an encoder's program is made of. */
export interface EncoderGraphOptions {
  readonly config: EncoderConfig;
  readonly weights: DecoderWeights;
  readonly pipeline: SentencePipeline;
  /** Whether a tensor is stored. */
  readonly has: (name: string) => boolean;
}

/**
 * The graph of a forward pass.
 *
 * Inputs: `ids`, `positions`, `types` int32 `[batch, time]`; `attended` float32 `[batch, time]`, 1 for
 * tokens that others see, and where `readsPresent` says so `present` likewise, 1 for positions of a text; the tables; `rows` int32 `[rows]`, flat positions whose tokens are predicted;
 * `pool.weights` float32 `[batch, pools, time]`, by which states are added up; `pool.tokens` float32
 * `[batch, time]`, 1 for tokens of which the largest numbers are taken where `pool.max` bool `[pools]`
 * says so, for any of them if `pool.any-max`; a bool `want.NAME` for each output.
 *
 * Outputs: `states` `[batch, time, hiddenSize]`, `embedding` `[batch, width]`, `vectors` `[batch, time,
 * width]`, `sparse` `[batch, vocabSize]` and those of the heads (`HeadName`).
 */
export function encoderGraph(options: EncoderGraphOptions): TypedGraph<string, EncoderOutput> {
  const { config, weights, pipeline, has } = options;
  const heads = encoderHeads(config, has);
  const outputs: EncoderOutput[] = ["states", "embedding", ...heads.keys()];
  if (pipeline.tokenModules) outputs.push("vectors");
  if (pipeline.sparse) outputs.push("sparse");
  const pools = fixedPools(pipeline) ?? "pools";
  const inputs: Record<string, TensorType> = {
    ids: int32(["batch", "time"]),
    positions: int32(["batch", "time"]),
    types: int32(["batch", "time"]),
    attended: float32(["batch", "time"]),
    ...(readsPresent(config) && { present: float32(["batch", "time"]) }),
    ...encoderTableTypes(config),
    rows: int32(["rows"]),
    "pool.weights": float32(["batch", pools, "time"]),
    "pool.tokens": float32(["batch", "time"]),
    "pool.max": bool([pools]),
    "pool.any-max": bool([]),
    ...Object.fromEntries(outputs.map((output) => [wanted(output), bool([])])),
  };
  return trace(inputs, (input): Record<EncoderOutput, Tensor> => {
    const attended = input["attended"]!;
    const states = encode(config, weights, {
      ids: input["ids"]!,
      positions: input["positions"]!,
      types: input["types"]!,
      mask: paddingMask(attended),
      present: input["present"],
      kernelType: "float64",
      tables: input,
    });
    const part = (name: EncoderOutput, body: () => Tensor): Record<string, Tensor> =>
      optional(input[wanted(name)]!, () => ({ [name]: body() }));
    const context = { config, weights, states, attended, has };
    const results: Record<string, Tensor> = {
      ...part("states", () => states),
      ...part("embedding", () => {
        const read = applyModules(weights, states, pipeline.stateModules ?? []);
        const pooled = poolStates(read, input);
        return applyModules(weights, pooled, pipeline.modules);
      }),
    };
    for (const [name, head] of heads) {
      const chosen = (): Tensor => gather(reshape(states, [-1, config.hiddenSize]), input["rows"]!);
      const body = (): Tensor =>
        head.graph(name === "masked" ? { ...context, states: chosen() } : context);
      Object.assign(results, part(name, body));
    }
    if (pipeline.tokenModules) {
      const { tokenModules } = pipeline;
      Object.assign(
        results,
        part("vectors", () => applyModules(weights, states, tokenModules)),
      );
    }
    const { sparse } = pipeline;
    if (sparse) {
      const logits = (): Tensor => maskedHead(heads).graph(context);
      Object.assign(
        results,
        part("sparse", () => sparseWeights(logits(), attended, sparse)),
      );
    }
    return results as Record<EncoderOutput, Tensor>;
  });
}

/** The head whose logits `SpladePooling` reads. @throws JetonError `encoder-head-missing` */
function maskedHead(heads: ReadonlyMap<HeadName, Head>): Head {
  const head = heads.get("masked");
  if (head) return head;
  throw new JetonError("SpladePooling reads a head for masked tokens, which the checkpoint lacks", {
    code: "encoder-head-missing",
    details: { output: "masked", heads: [...heads.keys()] },
  });
}

/** How many poolings a module behind them needs; undefined where it may be any number. */
export function fixedPools({ modules, poolings }: SentencePipeline): number | undefined {
  return modules.some(({ kind }) => kind !== "normalize") ? poolings.length : undefined;
}

/** What is added to scores of keys: `[batch, 1, 1, time]`. */
export function paddingMask(attended: Tensor): Tensor {
  const [batch, time] = attended.shape as [Dimension, Dimension];
  return reshape(multiply(subtract(1, attended), maskedScore), [batch, 1, 1, time]);
}

/** Poolings of each text side by side, `[batch, pools · hiddenSize]`. */
function poolStates(states: Tensor, input: Readonly<Record<string, Tensor>>): Tensor {
  const [batch, time, width] = states.shape as [Dimension, Dimension, number];
  const added = matmul(input["pool.weights"]!, states);
  const tokens = reshape(input["pool.tokens"]!, [batch, time, 1]);
  const hidden = multiply(subtract(1, tokens), maskedScore);
  const { largest } = optional(input["pool.any-max"]!, () => ({
    largest: max(add(states, hidden), { axes: [1], keepAxes: true }),
  }));
  const pools = added.shape[1]!;
  const pooled = where(reshape(input["pool.max"]!, [1, pools, 1]), largest, added);
  return reshape(pooled, [batch, typeof pools === "number" ? pools * width : -1]);
}

/** What sentence-transformers and PyLate folders put behind an encoder: traced, and how it is described. */
import {
  add,
  divide,
  layerNorm,
  maximum,
  multiply,
  sqrt,
  sum,
  type Tensor,
} from "../../../tensor/index.ts";
import { type Activation, activate } from "../../layers/activation.ts";
import type { DecoderWeights } from "../../weights/trace-weights.ts";
import { biasOf, weightOf } from "../encoder-names.ts";
import { projectStored } from "../project-stored.ts";
import type { PoolingMode } from "./pooling.ts";
import type { SparsePooling } from "./sparse-pooling.ts";

/** A module that changes vectors: of a text, or of each of its tokens. */
export type VectorModule =
  | {
      readonly kind: "dense";
      /** Name of the stored matrix, without `.weight`. */
      readonly name: string;
      readonly inputs: number;
      readonly outputs: number;
      readonly bias: boolean;
      readonly activation: Activation;
      /** What is added behind the activation: the input, or its product with the stored matrix of this name. */
      readonly residual?: "input" | { readonly name: string };
    }
  | { readonly kind: "layer-norm"; readonly name: string; readonly width: number }
  | { readonly kind: "normalize" };

/** What stands behind the encoder. */
export interface SentencePipeline {
  /** Poolings, joined where there are several. */
  readonly poolings: readonly PoolingMode[];
  /** Whether tokens of a prompt are pooled. */
  readonly includePrompt: boolean;
  /** Applied to each token's state in front of the pooling. Default: none. */
  readonly stateModules?: readonly VectorModule[] | undefined;
  /** Applied to the pooled vector. */
  readonly modules: readonly VectorModule[];
  /** Applied to each token's state, for late interaction; undefined where the model has no such vectors. */
  readonly tokenModules: readonly VectorModule[] | undefined;
  /** How weights of the vocabulary are made in the place of a vector (SPLADE). Default: none are. */
  readonly sparse?: SparsePooling | undefined;
}

/** The part of a folder's settings that crosses to a worker. */
export function sentencePipeline({
  poolings,
  includePrompt,
  stateModules,
  modules,
  tokenModules,
  sparse,
}: SentencePipeline): SentencePipeline {
  return { poolings, includePrompt, stateModules, modules, tokenModules, sparse };
}

/** Applies modules to vectors `[…, width]`, one after the other. */
export function applyModules(
  weights: DecoderWeights,
  x: Tensor,
  modules: readonly VectorModule[],
): Tensor {
  return modules.reduce((vectors, module) => applyModule(weights, vectors, module), x);
}

function applyModule(weights: DecoderWeights, x: Tensor, module: VectorModule): Tensor {
  switch (module.kind) {
    case "dense": {
      const { residual } = module;
      const output = activate(
        projectStored(weights, x, module.name, module.bias),
        module.activation,
      );
      if (residual === undefined) return output;
      const added = residual === "input" ? x : projectStored(weights, x, residual.name, false);
      return add(output, added);
    }
    case "layer-norm": {
      const scale = weights.vector(weightOf(module.name));
      return layerNorm(x, scale, weights.vector(biasOf(module.name)), { epsilon: 1e-5 });
    }
    case "normalize": {
      const squares = sum(multiply(x, x), { axes: [-1], keepAxes: true });
      // As torch: a vector of zeros stays one. Below the root, whose slope at 0 is infinite.
      return divide(x, sqrt(maximum(squares, 1e-24)));
    }
  }
}

/**
 * Width of a text's vector.
 *
 * @param hiddenSize width of a token's state
 * @param count how many poolings are joined. Default: those of the pipeline
 */
export function pipelineWidth(
  { poolings, stateModules = [], modules }: Omit<SentencePipeline, "tokenModules">,
  hiddenSize: number,
  count: number = poolings.length,
): number {
  return moduleWidth(modules, count * moduleWidth(stateModules, hiddenSize));
}

/** Width of the vectors behind modules, from the width before them. */
export function moduleWidth(modules: readonly VectorModule[], width: number): number {
  return modules.reduce(
    (before, module) => (module.kind === "dense" ? module.outputs : before),
    width,
  );
}

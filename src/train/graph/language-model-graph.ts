/**
 * The graph of a training step of a decoder: whole sequences attend to themselves, without a cache.
 */
import { JetonError } from "../../core/index.ts";
import {
  attendLandmarks,
  type DecoderConfig,
  decodeFullSequence,
  decoderHead,
  embedIds,
  everyDocument,
  type LandmarkConfig,
  landmarkTime,
  type MixExperts,
  mixWithinCapacity,
  type RouterLosses,
  rotationTables,
  rotationTypes,
  rowsOfBlock,
  traceStoredWeights,
} from "../../model/index.ts";
import {
  add,
  broadcastTo,
  cast,
  concat,
  crossEntropyRows,
  equal,
  fill,
  float32,
  int32,
  multiply,
  not,
  parameter,
  reshape,
  scoped,
  slice,
  sum,
  type Tensor,
  type TensorType,
  type TensorValue,
  where,
} from "../../tensor/index.ts";
import { insertLandmarks, landmarkRowCount } from "./landmark-rows.ts";
import {
  ignoredTarget,
  type Objective,
  objectiveGraph,
  type TrainingGraph,
} from "./training-graph.ts";

export { ignoredTarget } from "./training-graph.ts";

/** Options of `languageModelGraph`. */
export interface LanguageModelGraphOptions {
  /** Shapes of the parameters by name, as `decoderParameterShapes` gives them. */
  parameters: ReadonlyMap<string, readonly number[]>;
  /** Names of the parameters that learn. Default: all. */
  trainable?: ReadonlySet<string>;
  /** Tokens see only their own document: a batch then needs `segments`. Default false. */
  documentMask?: boolean;
  /**
   * Length of a soft prompt: rows of the parameter `softPromptName`, which stand before every
   * sequence as if they were embeddings of tokens. Default 0: none.
   */
  softPrompt?: number;
  /**
   * What a batch holds: `ids`, or `embeddings` float32 `[batch, time, width]` that the caller has made,
   * as they enter the first layer. Default `"ids"`.
   */
  reads?: "ids" | "embeddings";
  /**
   * Whether `inputGradients` of a trainer gives the gradient with respect to the tokens' `embeddings`
   * `[batch, time, width]`, as they enter the first layer. Default: when `embeddings` are read.
   */
  embeddingGradients?: boolean;
}

/** Name of the parameter that holds a soft prompt, `[length, width]`. */
export const softPromptName = "prompt.embeddings";

/**
 * Traces next-token prediction with all gradients.
 *
 * Inputs: `ids` and `targets` int32 `[batch, time]` (`[batch, blocks, rows of a block]` of a model with
 * landmarks), a target of `ignoredTarget` does not count;
 * `segments` int32 `[batch, time]` with `documentMask`: the number of each token's document;
 * `rope.N.cos` and `.sin` `[positions, half]`. `languageModelInputs` makes all of them.
 * The loss is the sum of cross-entropies in nats, its weight the number of targets that count.
 */
export function languageModelGraph(
  config: DecoderConfig,
  options: LanguageModelGraphOptions,
): TrainingGraph {
  const { parameters, documentMask = false, softPrompt = 0, reads = "ids" } = options;
  const { embeddingGradients = reads === "embeddings" } = options;
  const { landmark } = config;
  if (landmark && softPrompt > 0) throw noSoftPrompt(softPrompt);
  const rows = landmark ? ["batch", "blocks", rowsOfBlock(landmark)] : ["batch", "time"];
  const inputs: Record<string, TensorType> = {
    [reads]: reads === "ids" ? int32(rows) : float32([...rows, config.hiddenSize]),
    targets: int32(rows),
  };
  // Rows that fill up blocks are told from others by their document.
  if (documentMask || landmark) inputs["segments"] = int32(rows);
  Object.assign(inputs, rotationTypes(config));
  const shapes = new Map(parameters);
  if (softPrompt > 0) shapes.set(softPromptName, [softPrompt, config.hiddenSize]);
  const trainable = [...shapes.keys()].filter((name) => options.trainable?.has(name) ?? true);

  return objectiveGraph(inputs, shapes, trainable, (given, learns): Objective => {
    const input = landmark ? joinBlocks(given, landmark) : given;
    const weights = traceStoredWeights(config, shapes);
    const embeddings =
      reads === "ids" ? embedIds(config, weights, input["ids"]!) : input["embeddings"]!;
    let x = embeddings;
    let segments = input["segments"];
    if (softPrompt > 0) {
      const prompt = parameter(softPromptName, [softPrompt, config.hiddenSize]);
      x = concat([broadcastTo(prompt, ["batch", softPrompt, config.hiddenSize]), x], 1);
    }
    const time = x.shape[1]!;
    if (segments && softPrompt > 0) {
      const prompt = fill(["batch", softPrompt], everyDocument, "int32");
      segments = concat([prompt, segments], 1);
    }
    const routers: RouterLosses[] = [];
    x = decodeFullSequence(config, weights, x, input, {
      ...(segments && { segments }),
      ...(landmark && {
        attend: attendLandmarks(landmark, { segments: segments!, blocks: "blocks" }),
      }),
      ...routerTraining(config, x, learns, (losses) => routers.push(losses)),
    });
    if (softPrompt > 0) x = slice(x, { axis: 1, start: softPrompt, end: time });
    return scoped("loss", () => {
      const logits = decoderHead(config, weights, x);
      const targets = input["targets"]!;
      const isIgnored = equal(targets, ignoredTarget);
      const counts = cast(not(isIgnored), "float32");
      const rows = crossEntropyRows(logits, where(isIgnored, 0, targets));
      const loss = sum(multiply(rows, counts));
      const weight = sum(counts);
      return {
        loss,
        weight,
        ...(routers.length > 0 && { penalty: multiply(weight, routerPenalty(config, routers)) }),
        ...(embeddingGradients && { sensitive: { embeddings } }),
      };
    });
  });
}

/** Inputs `[batch, blocks, rows, …]` as `[batch, time, …]`; rotations stay as they are. */
function joinBlocks(
  inputs: Readonly<Record<string, Tensor>>,
  landmark: LandmarkConfig,
): Record<string, Tensor> {
  const joined = Object.entries(inputs).map(([name, x]) => {
    const [batch, blocks, , ...rest] = x.shape;
    const isRows = blocks === "blocks";
    return [name, isRows ? reshape(x, [batch!, landmarkTime(landmark, blocks), ...rest]) : x];
  });
  return Object.fromEntries(joined) as Record<string, Tensor>;
}

function noSoftPrompt(found: number): JetonError {
  return new JetonError("a model with landmark attention cannot learn a soft prompt", {
    code: "option-invalid",
    details: { option: "softPrompt", found, expected: 0 },
  });
}

/** OpenMoE's capacity while it learns, and its losses; nothing where routers train without them. */
function routerTraining(
  { experts }: DecoderConfig,
  x: Tensor,
  learns: boolean,
  onLosses: (losses: RouterLosses) => void,
): { mixExperts?: MixExperts } {
  if (experts?.training === undefined || !learns) return {};
  const capacity = { factor: experts.training.capacityFactor, least: leastCapacity };
  const shape = [x.shape[0]!, x.shape[1]!] as const;
  return { mixExperts: mixWithinCapacity({ shape, capacity, onLosses }) };
}

/** Choices that an expert always takes. */
const leastCapacity = 4;

/** The weighted losses, mean over sparse layers. */
function routerPenalty({ experts }: DecoderConfig, losses: readonly RouterLosses[]): Tensor {
  const { balanceLoss, zLoss } = experts!.training!;
  const terms = losses.map(({ balance, z }) =>
    add(multiply(balance, balanceLoss), multiply(z, zLoss)),
  );
  return multiply(
    terms.reduce((a, b) => add(a, b)),
    1 / losses.length,
  );
}

/** Sequences of equal length for one run of the graph. */
export interface LanguageModelBatch {
  /** Number of sequences. */
  readonly batch: number;
  /** Tokens of each sequence. */
  readonly time: number;
  /** `[batch * time]` */
  readonly ids: Int32Array;
  /** `[batch * time * width]`, for a graph that reads embeddings in place of `ids`. */
  readonly embeddings?: Float32Array;
  /** `[batch * time]`, `ignoredTarget` where nothing is asked. */
  readonly targets: Int32Array;
  /** `[batch * time]`: number of the document within its sequence. */
  readonly segments?: Int32Array;
}

/**
 * Makes the function that turns batches into inputs of `languageModelGraph`.
 *
 * @param options `sequenceLength`: the length for which scalings of rotations that depend on one are
 *   computed, and the longest sequence that comes (soft prompt included); `seed`: decides, with the ids, where
 *   the first block of a sequence ends under landmark attention, default 0
 */
export function languageModelInputs(
  config: DecoderConfig,
  options: { sequenceLength: number; documentMask?: boolean; seed?: number },
): (batch: LanguageModelBatch) => Record<string, TensorValue> {
  const { sequenceLength, documentMask = false, seed = 0 } = options;
  const { landmark } = config;
  const tables = rotationTables(
    config,
    landmark ? landmarkRowCount(landmark, sequenceLength) : sequenceLength,
  );
  return (given) => {
    const { embeddings } = given;
    const inserts = landmark && embeddings === undefined;
    const { batch, time, ids, targets, segments } = inserts
      ? insertLandmarks(landmark, given, { seed, documentMask })
      : given;
    const period = landmark && rowsOfBlock(landmark);
    const shape = period === undefined ? [batch, time] : [batch, time / period, period];
    return {
      ...(embeddings === undefined
        ? { ids: { dtype: "int32", shape, data: ids } }
        : {
            embeddings: {
              dtype: "float32",
              shape: [...shape, config.hiddenSize],
              data: embeddings,
            },
          }),
      targets: { dtype: "int32", shape, data: targets },
      ...((documentMask || landmark) && {
        segments: { dtype: "int32", shape, data: segments ?? new Int32Array(batch * time) },
      }),
      ...tables,
    };
  };
}

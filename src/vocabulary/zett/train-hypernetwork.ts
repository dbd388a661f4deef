/**
 * Trains a hypernetwork: the body of the model is frozen, every step brings another tokenizer, and the
 * loss is that of the language model with the predicted rows.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import {
  type DecoderConfig,
  type DecoderWeights,
  decodeFullSequence,
  decoderHead,
  decoderNames,
  embedIds,
  rotationTypes,
  traceWeights,
} from "../../model/index.ts";
import {
  add,
  cast,
  concat,
  crossEntropyRows,
  divide,
  equal,
  gather,
  int32,
  less,
  matmul,
  maximum,
  multiply,
  not,
  reshape,
  slice,
  sqrt,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import {
  adamW,
  decayMatricesOnly,
  ignoredTarget,
  objectiveGraph,
  openTrainer,
  type ParameterValue,
  type TrainingGraph,
  type TrainingInputs,
} from "../../train/index.ts";
import {
  type Hypernetwork,
  type HypernetworkConfig,
  hypernetworkConfig,
  hypernetworkShapes,
  initializeHypernetwork,
  learns,
  packSpellings,
  sourceTableNames,
  traceHypernetwork,
  traceSourceTables,
} from "../hypernetwork.ts";
import type { TextCutter } from "../text-cutter.ts";
import { type ModelFiles, readModelFiles } from "../whole-model.ts";
import {
  cutBySampledTokenizers,
  spellingGroups,
  spellingInput,
  transferBatches,
} from "./cut-texts.ts";

/** Options of `trainHypernetwork`. */
export interface TrainHypernetworkOptions {
  /** Text of the kind that the tokenizers are for, in pieces of a few hundred bytes. */
  texts: readonly string[];
  /** The form; what is left out is as `hypernetworkConfig` says. */
  form?: Partial<Omit<HypernetworkConfig, "width" | "tied" | "sourceSize">>;
  /** Steps that teach the rows of the source tokens. Default 200 for rows, none for corrections. */
  mimicSteps?: number;
  /** Steps with sampled tokenizers. Default 300. */
  steps?: number;
  /** Source tokens of a step of the first kind. Default 2048. */
  mimicTokens?: number;
  /** Texts of a step of the second kind. Default 8. */
  batch?: number;
  /** Tokens of a sampled vocabulary. Default 1024. */
  vocabSize?: number;
  /** Texts from which vocabularies are drawn. Default 256. */
  queue?: number;
  /**
   * How the texts of a step are cut, in place of `vocabSize` and `queue`. Default: by a tokenizer that is
   * sampled for each step.
   */
  cutter?: TextCutter;
  /** Default 1e-3. */
  learningRate?: number;
  /** Weight of the loss that holds tokens of the source to their rows. Default 0.5. */
  auxiliary?: number;
  /** Longer sequences are cut. Default 256. */
  longest?: number;
  /** Default 0. */
  seed?: number;
  /** Default 2. */
  threads?: number;
  /** True: it trains on the calling thread and blocks it. Default false. */
  inline?: boolean;
  onProgress?: (stage: "mimic" | "transfer", done: number, total: number, loss: number) => void;
  signal?: AbortSignal;
}

/**
 * Trains a hypernetwork for a model.
 *
 * @param model a checkpoint folder, or a model that has been read
 *
 * @throws JetonError `zett-texts-empty`, and the errors of training
 */
export async function trainHypernetwork(
  model: string | ModelFiles,
  options: TrainHypernetworkOptions,
): Promise<Hypernetwork> {
  const whole = typeof model === "string" ? await readModelFiles(model) : model;
  const { seed = 0 } = options;
  const texts = options.texts.filter((text) => text.trim() !== "");
  if (texts.length === 0) {
    throw new JetonError("a hypernetwork learns from text, and there is none", {
      code: "zett-texts-empty",
      details: { texts: options.texts.length },
    });
  }
  const config = hypernetworkConfig(whole.source.config, options.form);
  let hypernetwork = await initializeHypernetwork(config, whole.source.tables, seed, options);
  hypernetwork = await learnToMimic(whole, hypernetwork, options);
  const trained = await learnToTransfer(whole, hypernetwork, { ...options, texts });
  const { identity } = whole.source;
  return { ...trained, ...(identity !== undefined && { model: identity }) };
}

/** Shapes and values of everything that both stages use. */
function parametersOf(whole: ModelFiles, hypernetwork: Hypernetwork): Map<string, ParameterValue> {
  const { tables, config } = whole.source;
  const shape = [config.vocabSize, config.hiddenSize];
  const values = new Map(hypernetwork.parameters);
  values.set(sourceTableNames.embedding, { shape, data: tables.embedding });
  if (tables.head) values.set(sourceTableNames.head, { shape, data: tables.head });
  return values;
}

const shapesOf = (values: ReadonlyMap<string, ParameterValue>): Map<string, readonly number[]> =>
  new Map([...values].map(([name, { shape }]) => [name, shape]));

/** Squared distance of rows, summed over dimensions, of the tokens that count. */
function distance(predicted: Tensor, wanted: Tensor, counts: Tensor): Tensor {
  const difference = subtract(predicted, wanted);
  return sum(multiply(sum(multiply(difference, difference), { axes: [1] }), counts));
}

/** Stage 1: each source token, given as its own id, gets its own rows. */
async function learnToMimic(
  whole: ModelFiles,
  hypernetwork: Hypernetwork,
  options: TrainHypernetworkOptions,
): Promise<Hypernetwork> {
  const { config } = hypernetwork;
  const steps = options.mimicSteps ?? (config.predicts === "rows" ? 200 : 0);
  if (steps === 0) return hypernetwork;
  const { mimicTokens = 2048, seed = 0, learningRate = 1e-3 } = options;
  const values = parametersOf(whole, hypernetwork);
  const graph = objectiveGraph(
    { spellings: int32(["tokens", "length"]) },
    shapesOf(values),
    [...values.keys()].filter(learns),
    (input) => {
      const source = traceSourceTables(config);
      const spellings = input["spellings"]!;
      const predicted = traceHypernetwork(config, spellings, source);
      const own = reshape(slice(spellings, { axis: 1, end: 1 }), ["tokens"]);
      const all = cast(not(less(own, 0)), "float32");
      const outputs = config.tied ? (["embedding"] as const) : (["embedding", "head"] as const);
      const losses = outputs.map((output) =>
        distance(predicted[output]!, gather(source[output]!, own), all),
      );
      const loss = losses.reduce((a, b) => add(a, b));
      return { loss: multiply(loss, 1 / losses.length), weight: sum(all) };
    },
  );
  const random = createRandom(seed, "mimic");
  const batch = (): TrainingInputs[] => {
    const tokens = Math.min(mimicTokens, config.sourceSize);
    const ids = Array.from({ length: tokens }, () => [random.integer(config.sourceSize)]);
    return [{ spellings: { dtype: "int32", ...packSpellings(config, ids) } }];
  };
  const trained = await train(graph, values, batch, {
    steps,
    schedule: { kind: "linear", peak: learningRate, steps, warmupSteps: Math.ceil(steps / 10) },
    options,
    stage: "mimic",
  });
  return { config, parameters: onlyHypernetwork(config, trained) };
}

/** Stage 2: another tokenizer every step. */
async function learnToTransfer(
  whole: ModelFiles,
  hypernetwork: Hypernetwork,
  options: TrainHypernetworkOptions,
): Promise<Hypernetwork> {
  const { steps = 300, learningRate = 1e-3, seed = 0 } = options;
  if (steps === 0) return hypernetwork;
  const { config } = hypernetwork;
  const values = parametersOf(whole, hypernetwork);
  for (const [name, value] of whole.parameters) {
    if (name !== decoderNames.embedding && name !== decoderNames.head) values.set(name, value);
  }
  const { texts, batch: size = 8, vocabSize = 1024, longest = 256, queue = 256 } = options;
  const { auxiliary = 0.5, cutter = cutBySampledTokenizers({ vocabSize, queue }) } = options;
  const { continues = false } = cutter;
  const graph = transferObjective(whole, config, values, { auxiliary, continues });
  const cut = { texts, batch: size, longest, cutter };
  const batch = transferBatches(whole, config, cut, createRandom(seed, "transfer"));
  const trained = await train(graph, values, batch, {
    steps,
    schedule: {
      kind: "cosine",
      peak: learningRate,
      final: learningRate / 10,
      steps,
      warmupSteps: Math.ceil(steps / 20),
    },
    options,
    stage: "transfer",
  });
  return { config, parameters: onlyHypernetwork(config, trained) };
}

interface ObjectiveOptions {
  /** Weight of the auxiliary loss. */
  readonly auxiliary: number;
  /** Texts end in tokens of the source, with its rows and its head. */
  readonly continues: boolean;
}

/**
 * The language model's loss with predicted tables, and the auxiliary loss. Where texts continue in tokens of
 * the source, those are predicted by its own head.
 */
function transferObjective(
  whole: ModelFiles,
  config: HypernetworkConfig,
  values: ReadonlyMap<string, ParameterValue>,
  { auxiliary, continues }: ObjectiveOptions,
): TrainingGraph {
  const model = whole.source.config;
  const groups = spellingGroups(config).map((length, group) => [group, length] as const);
  const types = {
    ...Object.fromEntries(
      groups.map(([group, length]) => [spellingInput(group), int32([`tokens.${group}`, length])]),
    ),
    specials: int32(["specials"]),
    ids: int32(["batch", "time"]),
    targets: int32(["batch", "time"]),
    ...(continues && { knownTargets: int32(["batch", "time"]) }),
    ...rotationTypes(model),
  };
  return objectiveGraph(types, shapesOf(values), [...values.keys()].filter(learns), (input) => {
    const source = traceSourceTables(config);
    const predictions = groups.map(([group]) =>
      traceHypernetwork(config, input[spellingInput(group)]!, source),
    );
    // Special tokens come first and keep the rows of the source.
    const withSpecials = (output: "embedding" | "head", ...more: Tensor[]): Tensor =>
      concat(
        [
          gather(source[output]!, input["specials"]!),
          ...predictions.map((predicted) => predicted[output]!),
          ...more,
        ],
        0,
      );
    const table = withSpecials("embedding", ...(continues ? [source.embedding] : []));
    const head = withSpecials(config.tied ? "embedding" : "head");
    const weights = weightsWith(values, model, { table, head });
    const x = decodeFullSequence(model, weights, embedIds(model, weights, input["ids"]!), input);
    const own = languageLoss(model, weights, x, input["targets"]!);
    // Tokens that the source has are spelt by one: they are in the first group.
    const short = { spellings: input[spellingInput(0)]!, predicted: predictions[0]!, source };
    const lexical = lexicalLoss(config, short, auxiliary);
    if (!continues) {
      return { loss: add(own.loss, multiply(lexical, own.weight)), weight: own.weight };
    }
    const known = weightsWith(values, model, { table, head: source.head ?? source.embedding });
    const rest = languageLoss(model, known, x, input["knownTargets"]!);
    const weight = add(own.weight, rest.weight);
    return { loss: add(add(own.loss, rest.loss), multiply(lexical, weight)), weight };
  });
}

/** The body's own weights between other tables. */
function weightsWith(
  values: ReadonlyMap<string, ParameterValue>,
  model: DecoderConfig,
  { table, head }: { readonly table: Tensor; readonly head: Tensor },
): DecoderWeights {
  const stored = traceWeights(
    new Map([...values].map(([name, { shape }]) => [name, { dtype: "F32", shape: [...shape] }])),
    "f32",
  );
  const headName = model.tieWordEmbeddings ? decoderNames.embedding : decoderNames.head;
  return {
    vector: stored.vector,
    table: (name) => (name === decoderNames.embedding ? table : stored.table(name)),
    linear: (x, names) =>
      names[0] === headName ? matmul(x, head, { transposeB: true }) : stored.linear(x, names),
  };
}

/** Summed cross-entropy of the targets that count, and their number. */
function languageLoss(
  model: DecoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  targets: Tensor,
): { readonly loss: Tensor; readonly weight: Tensor } {
  const isIgnored = equal(targets, ignoredTarget);
  const counts = cast(not(isIgnored), "float32");
  const rows = crossEntropyRows(decoderHead(model, weights, x), where(isIgnored, 0, targets));
  return { loss: sum(multiply(rows, counts)), weight: sum(counts) };
}

/**
 * The auxiliary loss: the squared distance of tokens that the source has to their rows there, over the mean
 * norm of those rows.
 */
function lexicalLoss(
  config: HypernetworkConfig,
  {
    spellings,
    predicted,
    source,
  }: Readonly<Record<"predicted" | "source", TracedTables>> & {
    readonly spellings: Tensor;
  },
  auxiliary: number,
): Tensor {
  const tokens = spellings.shape[0]!;
  const own = reshape(slice(spellings, { axis: 1, end: 1 }), [tokens]);
  const second = reshape(slice(spellings, { axis: 1, start: 1, end: 2 }), [tokens]);
  const isKnown = cast(less(second, 0), "float32");
  const outputs = config.tied ? (["embedding"] as const) : (["embedding", "head"] as const);
  const losses = outputs.map((output) => {
    const wanted = stopGradient(gather(source[output]!, own));
    const known = maximum(sum(isKnown), 1);
    const norms = sqrt(sum(multiply(wanted, wanted), { axes: [1] }));
    const norm = divide(sum(multiply(norms, isKnown)), known);
    return divide(divide(distance(predicted[output]!, wanted, isKnown), known), add(norm, 1e-8));
  });
  return multiply(
    losses.reduce((a, b) => add(a, b)),
    auxiliary / losses.length,
  );
}

type TracedTables = ReturnType<typeof traceSourceTables>;

interface Stage {
  readonly steps: number;
  readonly schedule: Parameters<typeof openTrainer>[0]["schedule"];
  readonly options: TrainHypernetworkOptions;
  readonly stage: "mimic" | "transfer";
}

async function train(
  graph: TrainingGraph,
  parameters: ReadonlyMap<string, ParameterValue>,
  batch: () => TrainingInputs[],
  { steps, schedule, options, stage }: Stage,
): Promise<Map<string, ParameterValue>> {
  const { signal, onProgress, threads = 2, inline = false } = options;
  await using trainer = await openTrainer({
    graph,
    parameters,
    schedule,
    optimizer: adamW({ beta2: 0.95, weightDecay: 0.01, maxNorm: 1 }),
    group: decayMatricesOnly,
    threads,
    spinning: false,
    inline,
  });
  for (let step = 1; step <= steps; step++) {
    signal?.throwIfAborted();
    const { loss } = await trainer.step(batch());
    onProgress?.(stage, step, steps, loss);
  }
  return trainer.parameters();
}

function onlyHypernetwork(
  config: HypernetworkConfig,
  values: ReadonlyMap<string, ParameterValue>,
): Map<string, ParameterValue> {
  return new Map(
    [...hypernetworkShapes(config).keys()].map((name) => [name, values.get(name)!] as const),
  );
}

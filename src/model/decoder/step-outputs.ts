/**
 * The step table: everything that a step may ask of a forward pass besides its new keys and values.
 *
 * One row is one optional part: when a step asks for it, its graph, and the size of its results. The
 * graph of the decoder, the types, switches, feeds and outputs of a pass, and how results are split
 * among the steps of a batch and joined from the passes of a long step follow from these rows. A new
 * output is: its fields in `StepRequest` and `StepResult` (`step-types.ts`), its names in `PartResults`, its row.
 */
import { JetonError } from "../../core/index.ts";
import {
  add,
  broadcastTo,
  cast,
  concat,
  float32,
  gather,
  gatherElements,
  int32,
  less,
  reshape,
  subtract,
  type Tensor,
  type TensorType,
  transpose,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "./config.ts";
import { nucleusMass, type RunningSums, sampleColumns, sampleTokens } from "./sample-tokens.ts";
import type { StepRequest, StepResult } from "./step-types.ts";

export type { SampleRequest, StepRequest, StepResult } from "./step-types.ts";

/** Which results each part of the table gives. */
export interface PartResults {
  readonly tokens: "topIds" | "topLogits" | "logSumExp" | "targetLogProbabilities";
  readonly sample: "sampledIds" | "sampledLogits";
  readonly nucleus: "nucleusMass";
  readonly logits: "logits";
  readonly hidden: "hidden";
  readonly layerHidden: "layerHidden";
  readonly queryKey: "queries" | "keys";
  readonly routing: "expertChoices" | "expertWeights";
  readonly attended: "attended" | "policyReport";
  readonly promptScores: "promptScores";
}

/** Rows of the table. */
export type StepPartName = keyof PartResults;
/** Results of a step, which are also the names of the graph's outputs. */
export type StepResultName = keyof StepResult;
/** Name of the boolean input that switches a part on. */
export type StepSwitch = `want.${StepPartName}`;
/** Inputs that hold numbers for each wanted row. */
export type StepInputName = "targets" | "sampling" | "hiddenLayers" | "queryKeyLayers";

/** Intermediate values of one layer. */
export interface LayerTap {
  /** Residual stream after the layer, `[batch, time, hiddenSize]`. */
  readonly x: Tensor;
  /** Before the rotation, `[batch, heads, time, headDim]` and `[batch, kvHeads, time, headDim]`. */
  readonly query: Tensor;
  readonly key: Tensor;
  /** What the router of a sparse layer decided, `[batch * time, …]`. */
  readonly routing?: { readonly choices: Tensor; readonly weights: Tensor };
}

/** Values that the graph of a part may read. */
export interface PartState {
  readonly config: DecoderConfig;
  /** int32 `[rows]`: flat indices of the wanted rows in `[batch * time]`. */
  readonly rows: Tensor;
  readonly inputs: Readonly<Record<StepInputName, Tensor>>;
  /** What the first layer reads, `[batch, time, hiddenSize]`. */
  readonly embeddings: Tensor;
  readonly layers: readonly LayerTap[];
  /** Default float64. */
  readonly runningSums?: RunningSums | undefined;
  /** Marks of the tokens attended to and numbers of each layer, under a context policy. */
  readonly policy?: PolicyTap;
}

/** What the part of the filter layer reads. */
export interface FilterState {
  readonly config: DecoderConfig;
  /** Scores of the whole sequence by the filter layer for each wanted row, `[rows, capacity]`. */
  scoreSequence(): Tensor;
}

/** What a context policy tells of a pass. */
export interface PolicyTap {
  /** float32 `[layers, heads, capacity]` */
  attended(): Tensor;
  /** float32 `[layers, n]` */
  report(): Tensor;
}

/** Further values for parts that follow the head. */
export interface HeadState extends PartState {
  /** Final hidden states of the wanted rows, `[rows, hiddenSize]`. */
  readonly normed: Tensor;
  /** `[rows, vocabulary]` */
  readonly logits: Tensor;
  /** The most probable tokens `[rows, k]`. */
  readonly top: { readonly values: Tensor; readonly indices: Tensor };
  /** `[rows, 1]`: the largest logit. */
  readonly largest: Tensor;
  /** `[rows]` */
  readonly logSumExp: Tensor;
}

/** Sizes that depend on a pass. */
export interface PassSizes {
  readonly config: DecoderConfig;
  /** Tokens that the pass returns for each row. */
  readonly candidates: number;
}

/** One result of a part. */
export interface PartResult {
  readonly dtype: "float32" | "int32";
  /** Numbers of a row; default: as many as there are. */
  columns?(sizes: PassSizes): number;
  /** How many of them a step gets; default all. */
  kept?(step: StepRequest, sizes: PassSizes): number;
  /** Whether a step gets it; default: where the part is wanted. */
  wanted?(step: StepRequest): boolean;
}

/** A row of the table. */
export interface StepPart<State, Name extends StepResultName> {
  /** Whether a step asks for the part, so that its switch is on. */
  wanted(step: StepRequest): boolean;
  /** Whether its results may be there although its switch is off; default: no. */
  mayFollow?(step: StepRequest): boolean;
  /** When its graph runs, from its switch and what earlier parts computed; default: the switch alone. */
  runsIf?(wanted: Tensor, earlier: Readonly<Record<string, Tensor>>): Tensor;
  /** Its results, and further tensors for later parts. */
  graph(state: State): Readonly<Record<Name, Tensor> & Record<string, Tensor>>;
  readonly results: { readonly [Result in Name]: PartResult };
  /** The request for rows `start` to `end` alone of a step that is read in several passes. */
  slice?(step: StepRequest, start: number, end: number): Partial<StepRequest>;
  /** Whether a decoder has the part; default: all have. */
  exists?(state: PartState): boolean;
  /** Throws where a request cannot be met. */
  check?(step: StepRequest, config: DecoderConfig): void;
}

/** Rows of the table that read the same state. */
export type PartTable<State, Part extends StepPartName> = {
  readonly [Name in Part]: StepPart<State, PartResults[Name]>;
};

const one = (): number => 1;

/** Parts that read the logits. The first is there wherever a row is wanted and encloses the others. */
export const headParts: PartTable<
  HeadState,
  "tokens" | "sample" | "nucleus" | "logits" | "hidden"
> = {
  tokens: {
    wanted: ({ promptScores }) => promptScores !== true,
    graph({ inputs, logits, top, logSumExp }) {
      const targets = reshape(inputs.targets, ["rows", 1]);
      const targeted = reshape(gatherElements(logits, targets, 1), ["rows"]);
      return {
        topIds: top.indices,
        topLogits: top.values,
        logSumExp,
        targetLogProbabilities: subtract(targeted, logSumExp),
      };
    },
    results: {
      topIds: { dtype: "int32", columns: candidatesOf, kept: keptCandidates },
      topLogits: { dtype: "float32", columns: candidatesOf, kept: keptCandidates },
      logSumExp: { dtype: "float32", columns: one },
      targetLogProbabilities: {
        dtype: "float32",
        columns: one,
        wanted: ({ targets }) => targets !== undefined,
      },
    },
    slice: ({ targets }, start, end) => (targets ? { targets: targets.slice(start, end) } : {}),
  },
  sample: {
    wanted: ({ sample }) => sample !== undefined,
    graph({ inputs, logits, largest, runningSums: sums }) {
      const { sampling } = inputs;
      const ids = sampleTokens(logits, { largest, sampling, ...(sums && { sums }) });
      const chosen = gatherElements(logits, reshape(ids, ["rows", 1]), 1);
      return { sampledIds: ids, sampledLogits: reshape(chosen, ["rows"]) };
    },
    results: {
      sampledIds: { dtype: "int32", columns: one },
      sampledLogits: { dtype: "float32", columns: one },
    },
    slice: ({ sample }, start, end) =>
      sample ? { sample: { ...sample, uniform: sample.uniform.slice(start, end) } } : {},
  },
  nucleus: {
    wanted: ({ nucleus }) => nucleus !== undefined,
    graph({ inputs, logits, top, largest }) {
      const { mass, missing } = nucleusMass(logits, {
        top: top.values,
        largest,
        sampling: inputs.sampling,
      });
      return { nucleusMass: mass, missing };
    },
    results: { nucleusMass: { dtype: "float32", columns: one } },
    // Whole rows that only some of the passes give could not be joined.
    slice: ({ nucleus }) => (nucleus ? { logits: true } : {}),
  },
  logits: {
    wanted: ({ logits }) => logits === true,
    mayFollow: ({ nucleus }) => nucleus !== undefined,
    runsIf: (wanted, { missing }) => less(0, add(cast(wanted, "int32"), missing!)),
    graph: ({ logits }) => ({ logits }),
    results: { logits: { dtype: "float32", columns: ({ config }) => config.vocabSize } },
  },
  hidden: {
    wanted: ({ hidden }) => hidden === true,
    graph: ({ normed }) => ({ hidden: normed }),
    results: { hidden: { dtype: "float32", columns: ({ config }) => config.hiddenSize } },
  },
};

type LayerPartName = "layerHidden" | "queryKey" | "routing" | "attended";

/** Parts that read the layers, whether or not the head runs. */
export const layerParts: PartTable<PartState, LayerPartName> = {
  layerHidden: {
    wanted: ({ hiddenLayer }) => hiddenLayer !== undefined,
    graph({ config, rows, inputs, embeddings, layers }) {
      const states = [embeddings, ...layers.map(({ x }) => x)].map((x) =>
        gather(reshape(x, [-1, config.hiddenSize]), rows),
      );
      return { layerHidden: gather(concat(states, 0), inputs.hiddenLayers) };
    },
    results: {
      layerHidden: { dtype: "float32", columns: ({ config }) => config.hiddenSize },
    },
    check: ({ hiddenLayer }, { layers }) => checkLayer("hiddenLayer", hiddenLayer, layers.length),
  },
  queryKey: {
    wanted: ({ queryKeyLayer }) => queryKeyLayer !== undefined,
    graph({ config, rows, inputs, layers }) {
      const { numAttentionHeads, numKeyValueHeads, headDim } = config;
      const chosen = (heads: number, of: (layer: LayerTap) => Tensor): Tensor => {
        const perLayer = layers.map((layer) => {
          const byToken = reshape(transpose(of(layer), [0, 2, 1, 3]), [-1, heads * headDim]);
          return gather(byToken, rows);
        });
        return gather(concat(perLayer, 0), inputs.queryKeyLayers);
      };
      return {
        queries: chosen(numAttentionHeads, ({ query }) => query),
        keys: chosen(numKeyValueHeads, ({ key }) => key),
      };
    },
    results: {
      queries: {
        dtype: "float32",
        columns: ({ config }) => config.numAttentionHeads * config.headDim,
      },
      keys: {
        dtype: "float32",
        columns: ({ config }) => config.numKeyValueHeads * config.headDim,
      },
    },
    check: ({ queryKeyLayer }, { layers }) =>
      checkLayer("queryKeyLayer", queryKeyLayer, layers.length - 1),
  },
  routing: {
    exists: ({ config }) => config.experts !== undefined,
    wanted: ({ routing }) => routing === true,
    graph({ rows, layers }) {
      const sparse = layers.flatMap(({ routing }) => routing ?? []);
      const joined = (of: (layer: (typeof sparse)[number]) => Tensor): Tensor =>
        concat(
          sparse.map((layer) => gather(of(layer), rows)),
          1,
        );
      return {
        expertChoices: joined(({ choices }) => choices),
        expertWeights: joined(({ weights }) => weights),
      };
    },
    results: {
      expertChoices: { dtype: "int32", columns: choicesOf },
      expertWeights: { dtype: "float32", columns: choicesOf },
    },
    check({ routing }, { experts, family }) {
      if (routing !== true || experts !== undefined) return;
      throw new JetonError(`${family} has no experts whose routing could be asked for`, {
        code: "model-experts-none",
        details: { family },
      });
    },
  },
  attended: {
    exists: ({ policy }) => policy !== undefined,
    wanted: ({ attended }) => attended === true,
    graph: ({ policy }) => ({
      attended: forEveryRow(policy!.attended()),
      policyReport: forEveryRow(policy!.report()),
    }),
    results: { attended: { dtype: "float32" }, policyReport: { dtype: "float32" } },
  },
};

/** The part of models that filter their prompt, which needs no layer behind the filter's. */
export const filterParts: PartTable<FilterState, "promptScores"> = {
  promptScores: {
    wanted: ({ promptScores }) => promptScores === true,
    graph: ({ scoreSequence }) => ({ promptScores: scoreSequence() }),
    results: { promptScores: { dtype: "float32" } },
  },
};

/** Numbers of a whole pass, repeated for each wanted row. */
function forEveryRow(x: Tensor): Tensor {
  const [first, ...rest] = x.shape;
  return broadcastTo(reshape(x, [1, first!, ...rest]), ["rows", first!, ...rest]);
}

/** An input with numbers for each wanted row. */
export interface StepInput {
  readonly type: TensorType;
  /**
   * Numbers of one wanted row, as many as the type has columns.
   *
   * @param at which of the step's wanted rows
   * @param row the same row among those of the whole pass, of which there are `count`
   */
  values(step: StepRequest, at: number, row: number, count: number): readonly number[];
}

/** Inputs that parts read. Rows that fill up a pass hold zeros. */
export const stepInputs: { readonly [Name in StepInputName]: StepInput } = {
  targets: { type: int32(["rows"]), values: ({ targets }, at) => [targets?.[at] ?? 0] },
  sampling: {
    type: float32(["rows", sampleColumns]),
    values({ sample, nucleus }, at) {
      if (sample) {
        return [sample.uniform[at]!, 1 / sample.temperature, Math.log(sample.minP), 0];
      }
      return [0, nucleus ? 1 / nucleus.temperature : 0, 0, nucleus?.topP ?? 0];
    },
  },
  // Rows of one layer after the other stand below each other: a pass may ask for several layers.
  hiddenLayers: {
    type: int32(["rows"]),
    values: ({ hiddenLayer = 0 }, _at, row, count) => [hiddenLayer * count + row],
  },
  queryKeyLayers: {
    type: int32(["rows"]),
    values: ({ queryKeyLayer = 0 }, _at, row, count) => [queryKeyLayer * count + row],
  },
};

/** A row of the table with its name; the type of its graph is left open. */
export type NamedPart = Omit<StepPart<never, StepResultName>, "results"> & {
  readonly name: StepPartName;
  readonly results: readonly (PartResult & { readonly name: StepResultName })[];
};

/** All rows of the table. */
export const stepParts: readonly NamedPart[] = Object.entries({
  ...headParts,
  ...layerParts,
  ...filterParts,
}).map(([name, part]) => ({
  ...(part as StepPart<never, StepResultName>),
  name: name as StepPartName,
  results: Object.entries<PartResult>(part.results).map(([result, row]) => ({
    ...row,
    name: result as StepResultName,
  })),
}));

/** Name of the input that switches a part on. */
export function switchOf(part: StepPartName): StepSwitch {
  return `want.${part}`;
}

/** Whether a step gets a result of a part, if the pass computed it. */
export function getsResult(part: NamedPart, result: PartResult, step: StepRequest): boolean {
  const wanted = part.wanted(step) || part.mayFollow?.(step) === true;
  return wanted && (result.wanted?.(step) ?? true);
}

/** The request for rows `start` to `end` of a step whose rows are all wanted. */
export function sliceRequest(step: StepRequest, start: number, end: number): Partial<StepRequest> {
  return Object.assign({}, ...stepParts.map((part) => part.slice?.(step, start, end)));
}

/**
 * Checks a request before it joins a batch, where it would fail the steps of others too.
 *
 * @throws JetonError `model-layer-unknown`
 */
export function checkRequest(step: StepRequest, config: DecoderConfig): void {
  for (const part of stepParts) part.check?.(step, config);
}

function choicesOf({ config }: PassSizes): number {
  return config.layers.filter(({ sparse }) => sparse).length * config.experts!.perToken;
}

function candidatesOf({ candidates }: PassSizes): number {
  return candidates;
}

function keptCandidates({ topK = 1 }: StepRequest, { candidates }: PassSizes): number {
  return Math.min(candidates, topK);
}

function checkLayer(name: string, value: number | undefined, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= max)) return;
  throw new JetonError(`${name} is ${value}, expected an integer from 0 to ${max}`, {
    code: "model-layer-unknown",
    details: { name, value, max },
  });
}

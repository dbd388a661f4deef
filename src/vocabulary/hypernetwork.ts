/**
 * The hypernetwork of zero-shot tokenizer transfer (Minixhofer et al., 2024): a small transformer that
 * reads how a source model spells a token and predicts the token's rows of the embedding and the head.
 */
import { createRandom, JetonError } from "../core/index.ts";
import { type DecoderConfig, decoderNames } from "../model/index.ts";
import {
  add,
  cast,
  compile,
  concat,
  divide,
  gather,
  geluTanh,
  int32,
  layerNorm,
  less,
  matmul,
  multiply,
  not,
  type ParameterBinding,
  parameter,
  range,
  reshape,
  slice,
  softmax,
  sum,
  type Tensor,
  trace,
  transpose,
  where,
} from "../tensor/index.ts";
import type { ParameterValue } from "../train/index.ts";
import { describeRows, type VocabularyTables } from "./mixture.ts";
import { decompose, type TokenForms } from "./token-forms.ts";

/** The form of a hypernetwork. */
export interface HypernetworkConfig {
  /** Width of the model's rows. */
  readonly width: number;
  /** The model's head is its embedding table: one row is predicted instead of two. */
  readonly tied: boolean;
  /** Rows of the source table. */
  readonly sourceSize: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly layers: number;
  readonly heads: number;
  /** Source tokens of a spelling that are read; the rest is cut. */
  readonly longest: number;
  /**
   * `"rows"`: the network predicts rows, as published. `"corrections"`: it predicts what is added to the
   * mean of the rows of the spelling, nothing at first; a short training then starts from that mean.
   */
  readonly predicts: "rows" | "corrections";
}

/** A hypernetwork with its weights. */
export interface Hypernetwork {
  readonly config: HypernetworkConfig;
  /** Digest of the model that it was trained for, as `identifyModel` gives it. Default: unknown. */
  readonly model?: string;
  readonly parameters: ReadonlyMap<string, ParameterValue>;
}

/**
 * Checks that a hypernetwork was trained for a model, as far as both say which it is.
 *
 * @param source the model's folder and digest
 * @throws JetonError `zett-hypernetwork-foreign`
 */
export function checkTrainedFor(
  { model: found }: Hypernetwork,
  { folder, identity: expected }: { readonly folder: string; readonly identity?: string },
): void {
  if (found === undefined || expected === undefined || found === expected) return;
  throw new JetonError("the hypernetwork was trained for another model of the same shape", {
    code: "zett-hypernetwork-foreign",
    details: { model: folder, found, expected },
  });
}

const prefix = "hypernetwork";
const epsilon = 1e-6;

/** A form for a decoder, small enough to learn within minutes. */
export function hypernetworkConfig(
  model: DecoderConfig,
  options: Partial<Omit<HypernetworkConfig, "width" | "tied" | "sourceSize">> = {},
): HypernetworkConfig {
  const hidden = options.hidden ?? 128;
  return {
    width: model.hiddenSize,
    tied: model.tieWordEmbeddings,
    sourceSize: model.vocabSize,
    feedForward: 2 * hidden,
    layers: 2,
    heads: Math.max(1, Math.round(hidden / 64)),
    longest: 7,
    predicts: "corrections",
    ...options,
    hidden,
  };
}

/** Tables that are predicted. */
const outputsOf = (config: HypernetworkConfig): readonly ("embedding" | "head")[] =>
  config.tied ? ["embedding"] : ["embedding", "head"];

/** Width of the input of a source token: its rows of both tables side by side. */
const inputWidth = (config: HypernetworkConfig): number => config.width * outputsOf(config).length;

/** Shapes of the parameters by name. */
export function hypernetworkShapes(config: HypernetworkConfig): Map<string, number[]> {
  const { hidden, feedForward, layers, longest, width } = config;
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number): void => {
    shapes.set(`${prefix}.${name}.weight`, [outputs, inputs]);
    shapes.set(`${prefix}.${name}.bias`, [outputs]);
  };
  const vectors = (name: string, size: number): void => {
    shapes.set(`${prefix}.${name}.scale`, [size]);
    shapes.set(`${prefix}.${name}.bias`, [size]);
  };
  const projector = (name: string): void => {
    linear(`${name}.up`, feedForward, hidden);
    linear(`${name}.down`, hidden, feedForward);
    vectors(`${name}.norm`, hidden);
  };
  vectors("in_scaler", inputWidth(config));
  linear("input", hidden, inputWidth(config));
  projector("projector");
  shapes.set(`${prefix}.positions`, [longest, hidden]);
  vectors("norm", hidden);
  for (let layer = 0; layer < layers; layer++) {
    for (const name of ["query", "key", "value", "output"]) {
      linear(`layers.${layer}.${name}`, hidden, hidden);
    }
    vectors(`layers.${layer}.attention_norm`, hidden);
    projector(`layers.${layer}.feed_forward`);
  }
  for (const output of outputsOf(config)) {
    projector(`${output}.projector`);
    linear(`${output}.linear`, width, hidden);
    vectors(`${output}.scaler`, width);
  }
  return shapes;
}

/** Whether a parameter learns: the scalers are set once, from the tables of the source. */
export function learns(name: string): boolean {
  return name.startsWith(`${prefix}.`) && !name.includes("scaler.");
}

/**
 * First values. The scalers bring source rows to mean 0 and deviation 0.02, and predictions to the mean
 * and deviation of source rows in each dimension.
 */
export async function initializeHypernetwork(
  config: HypernetworkConfig,
  tables: VocabularyTables,
  seed: number,
  { threads = 2, inline = false }: OpenPredictorOptions = {},
): Promise<Hypernetwork> {
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of hypernetworkShapes(config)) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (name.endsWith(".scale")) data.fill(1);
    else if (shape.length === 2) {
      const random = createRandom(seed, "hypernetwork", name);
      const deviation = name.endsWith("positions") ? 0.02 : Math.sqrt(1 / shape[1]!);
      for (let i = 0; i < data.length; i++) data[i] = deviation * random.normal();
    }
    parameters.set(name, { shape, data });
  }
  const { width } = config;
  const of = (name: string): Float32Array => parameters.get(`${prefix}.${name}`)!.data;
  const sources = outputsOf(config).map((output) => tables[output]!);
  for (const [place, rows] of sources.entries()) {
    const { mean, deviation } = describeRows(rows, width);
    for (let i = 0; i < width; i++) {
      const scale = 0.02 / (deviation[i]! + 1e-8);
      of("in_scaler.scale")[place * width + i] = scale;
      of("in_scaler.bias")[place * width + i] = -mean[i]! * scale;
    }
  }
  if (config.predicts === "corrections") {
    for (const output of outputsOf(config)) {
      of(`${output}.linear.weight`).fill(0);
      const { deviation } = describeRows(tables[output]!, width);
      of(`${output}.scaler.scale`).set(deviation);
    }
    return { config, parameters };
  }
  const anchors = chooseAnchors(config.sourceSize, seed);
  const hypernetwork: Hypernetwork = { config, parameters };
  const predicted = await predictRows(
    hypernetwork,
    tables,
    anchors.map((id) => [id]),
    { threads, inline },
  );
  for (const output of outputsOf(config)) {
    const found = describeRows(predicted[output]!, width);
    const wanted = describeRows(tables[output]!, width);
    for (let i = 0; i < width; i++) {
      const scale = wanted.deviation[i]! / (found.deviation[i]! + 1e-8);
      of(`${output}.scaler.scale`)[i] = scale;
      of(`${output}.scaler.bias`)[i] = wanted.mean[i]! - found.mean[i]! * scale;
    }
  }
  return hypernetwork;
}

/** Source tokens whose predictions set the scalers: 2,048, or all where there are fewer. */
function chooseAnchors(size: number, seed: number): number[] {
  const ids = Array.from({ length: size }, (_, id) => id);
  return createRandom(seed, "anchors").shuffle(ids).slice(0, 2048);
}

/** Padding of a spelling. */
export const noToken = -1;

/**
 * Traces the prediction.
 *
 * @param spellings int32 `[tokens, length]`: source ids, at least one in front, then `noToken`
 * @param source the source tables `[sourceSize, width]`
 * @returns `[tokens, width]` each
 */
export function traceHypernetwork(
  config: HypernetworkConfig,
  spellings: Tensor,
  source: { readonly embedding: Tensor; readonly head?: Tensor },
): { readonly embedding: Tensor; readonly head?: Tensor } {
  const { hidden, heads, layers } = config;
  const [tokens, length] = spellings.shape as [Tensor["shape"][number], Tensor["shape"][number]];
  const shapes = hypernetworkShapes(config);
  const use = (name: string): Tensor => {
    const key = `${prefix}.${name}`;
    return parameter(key, shapes.get(key)!);
  };
  const linear = (x: Tensor, name: string): Tensor =>
    add(matmul(x, use(`${name}.weight`), { transposeB: true }), use(`${name}.bias`));
  const normed = (x: Tensor, name: string): Tensor =>
    layerNorm(x, use(`${name}.scale`), use(`${name}.bias`), { epsilon });
  const scaled = (x: Tensor, name: string): Tensor =>
    add(multiply(x, use(`${name}.scale`)), use(`${name}.bias`));
  const projector = (x: Tensor, name: string): Tensor => {
    const inner = linear(geluTanh(linear(x, `${name}.up`)), `${name}.down`);
    return normed(add(x, inner), `${name}.norm`);
  };

  const isPadding = less(spellings, 0);
  const ids = where(isPadding, 0, spellings);
  const rows = outputsOf(config).map((output) => gather(source[output]!, ids));
  // 1. What is known of each source token, 2. brought to the width of the network.
  let x = projector(linear(scaled(concat(rows, -1), "in_scaler"), "input"), "projector");
  // 4. An encoder over the spelling.
  x = normed(add(x, gather(use("positions"), range(length))), "norm");
  const mask = reshape(where(isPadding, Number.NEGATIVE_INFINITY, 0), [tokens, 1, 1, length]);
  const split = (value: Tensor, time: Tensor["shape"][number]): Tensor =>
    transpose(reshape(value, [tokens, time, heads, hidden / heads]), [0, 2, 1, 3]);
  for (let layer = 0; layer < layers; layer++) {
    const name = `layers.${layer}`;
    // 5. Only the first slot is read in the end: the last layer asks for nothing else.
    const isLast = layer === layers - 1;
    const asked = isLast ? slice(x, { axis: 1, start: 0, end: 1 }) : x;
    const time = isLast ? 1 : length;
    const query = split(linear(asked, `${name}.query`), time);
    const key = split(linear(x, `${name}.key`), length);
    const value = split(linear(x, `${name}.value`), length);
    const scores = matmul(query, key, { transposeB: true, alpha: 1 / Math.sqrt(hidden / heads) });
    const attended = transpose(matmul(softmax(add(scores, mask)), value), [0, 2, 1, 3]);
    const mixed = linear(reshape(attended, [tokens, time, hidden]), `${name}.output`);
    x = projector(normed(add(asked, mixed), `${name}.attention_norm`), `${name}.feed_forward`);
  }
  const first = reshape(x, [tokens, hidden]);
  // 6. A head of its own for each table.
  const predicted = outputsOf(config).map((output, place) => {
    const row = linear(projector(first, `${output}.projector`), `${output}.linear`);
    if (config.predicts === "rows") return scaled(row, `${output}.scaler`);
    const counts = reshape(cast(not(isPadding), "float32"), [tokens, length, 1]);
    const total = sum(multiply(rows[place]!, counts), { axes: [1] });
    return add(divide(total, sum(counts, { axes: [1] })), scaled(row, `${output}.scaler`));
  });
  return config.tied
    ? { embedding: predicted[0]! }
    : { embedding: predicted[0]!, head: predicted[1]! };
}

/** Spellings as the matrix that the graph reads, cut and padded. */
export function packSpellings(
  config: HypernetworkConfig,
  spellings: readonly (readonly number[])[],
): { data: Int32Array; shape: [number, number] } {
  // Two columns at least, so that one can be seen to be padding.
  const length = Math.max(
    2,
    Math.min(config.longest, Math.max(1, ...spellings.map((spelling) => spelling.length))),
  );
  const data = new Int32Array(spellings.length * length).fill(noToken);
  for (const [token, spelling] of spellings.entries()) {
    data.set(spelling.slice(0, length), token * length);
  }
  return { data, shape: [spellings.length, length] };
}

/** Names of the source tables as the graph calls them. */
export const sourceTableNames: { readonly embedding: string; readonly head: string } = {
  embedding: `source.${decoderNames.embedding}`,
  head: `source.${decoderNames.head}`,
};

/** The source tables as parameters of a graph. */
export function traceSourceTables(config: HypernetworkConfig): {
  embedding: Tensor;
  head?: Tensor;
} {
  const shape = [config.sourceSize, config.width];
  const embedding = parameter(sourceTableNames.embedding, shape);
  return config.tied ? { embedding } : { embedding, head: parameter(sourceTableNames.head, shape) };
}

export interface PredictRowsOptions extends OpenPredictorOptions {
  /** Tokens of one run. Default 1024. */
  chunk?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Predicts rows of tokens given by their spellings in source ids, each at least one id long. */
export async function predictRows(
  hypernetwork: Hypernetwork,
  source: VocabularyTables,
  spellings: readonly (readonly number[])[],
  options: PredictRowsOptions = {},
): Promise<VocabularyTables> {
  await using predictor = await openPredictor(hypernetwork, source, options);
  const { chunk = 1024, signal, onProgress } = options;
  const { width } = hypernetwork.config;
  const embedding = new Float32Array(spellings.length * width);
  const head = source.head && new Float32Array(spellings.length * width);
  for (let at = 0; at < spellings.length; at += chunk) {
    signal?.throwIfAborted();
    const rows = await predictor.predict(spellings.slice(at, at + chunk));
    embedding.set(rows.embedding, at * width);
    head?.set(rows.head!, at * width);
    onProgress?.(Math.min(spellings.length, at + chunk), spellings.length);
  }
  return head ? { embedding, head } : { embedding };
}

/** A hypernetwork that is ready to predict. */
export interface Predictor extends AsyncDisposable {
  /** Rows of tokens given by their spellings, each at least one source id long. */
  predict(spellings: readonly (readonly number[])[]): Promise<VocabularyTables>;
}

/** Options of `openPredictor`. */
export interface OpenPredictorOptions {
  /** Default 2. */
  threads?: number;
  /** True: it runs on the calling thread and blocks it. Default false. */
  inline?: boolean;
}

/** Compiles a hypernetwork. */
export async function openPredictor(
  { config, parameters }: Hypernetwork,
  source: VocabularyTables,
  options: OpenPredictorOptions = {},
): Promise<Predictor> {
  const graph = trace<"spellings", string>({ spellings: int32(["tokens", "length"]) }, (input) => {
    const rows = traceHypernetwork(config, input.spellings, traceSourceTables(config));
    return rows as Record<string, Tensor>;
  });
  const bindings = new Map<string, ParameterBinding>(
    [...parameters].map(([name, { data }]) => [name, { kind: "data", data }]),
  );
  bindings.set(sourceTableNames.embedding, { kind: "data", data: source.embedding });
  if (source.head) bindings.set(sourceTableNames.head, { kind: "data", data: source.head });
  const program = await compile(graph, {
    parameters: bindings,
    threads: options.threads ?? 2,
    spinning: false,
    inline: options.inline ?? false,
  });
  return {
    async predict(spellings) {
      const values = await program.run({ spellings: packSpellings(config, spellings) });
      const embedding = values["embedding"]!.data as Float32Array;
      const head = values["head"]?.data as Float32Array | undefined;
      return head ? { embedding, head } : { embedding };
    },
    [Symbol.asyncDispose]: () => program.release(),
  };
}

/** Spellings of a vocabulary in source tokens; undefined where there is none. */
export function spellTokens(
  source: TokenForms,
  forms: readonly (string | undefined)[],
): (number[] | undefined)[] {
  return forms.map((form) => {
    if (form === undefined) return undefined;
    const same = source.ids.get(form);
    if (same !== undefined) return [same];
    const spelling = decompose(source, form);
    return spelling.length > 0 ? spelling : undefined;
  });
}

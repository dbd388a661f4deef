/** Tables of vectors whose mean over a text's tokens is the text's vector: what there is to say of them besides numbers. */
import {
  type ModuleEntry,
  model2vecType,
  staticEmbeddingType,
} from "../../../checkpoint/module-list.ts";
import type { ModelConfig } from "../../../checkpoint/text-config.ts";
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import { flag, given } from "../../decoder/config-fields.ts";
import type { StoredShape } from "../../weights/trace-weights.ts";
import type { EncoderConfig } from "../config.ts";
import type { VectorModule } from "../sentence/sentence-modules.ts";

/** How a static model reads texts. */
export interface StaticConfig {
  readonly layout: typeof staticEmbeddingType | typeof model2vecType;
  /** Id that is left out of texts, that of unknown text; undefined: none is. */
  readonly skippedId: number | undefined;
  /**
   * Code points of a text that are read for each token that is kept at most, before it is cut into tokens; undefined: all
   * are read.
   */
  readonly charactersPerToken: number | undefined;
}

/** The tensors of a static model. */
export interface StaticTensors {
  /** Name of the table, `[rows, width]`. */
  readonly table: string;
  readonly rows: number;
  readonly width: number;
  /** Whether each token's row is multiplied by a number of its own (`weights`). */
  readonly hasWeights: boolean;
  /** Whether tokens share rows (`mapping`). */
  readonly hasMapping: boolean;
  /** Ids that have a vector: those below. */
  readonly vocabSize: number;
}

/** Tokens of a text that model2vec reads unless it is told otherwise. */
const model2vecLength = 512;

/** Whether a configuration describes a static model. */
export function isStaticConfig({ model_type: type }: ModelConfig): boolean {
  return type === staticEmbeddingType || type === model2vecType;
}

/** Tokens that a static model reads of a text by default; without an end where the layout has none. */
export function staticLength({ model_type: type }: ModelConfig): number {
  return type === model2vecType ? model2vecLength : Number.MAX_SAFE_INTEGER;
}

/**
 * Finds the tensors of a static model: `embedding.weight` (sentence-transformers) or `embeddings` (model2vec), and
 * model2vec's `weights` and `mapping`.
 *
 * @throws JetonError `model-weights-missing`, `model-weights-shape`
 */
export function staticTensors(
  config: ModelConfig,
  tensors: ReadonlyMap<string, StoredShape>,
): StaticTensors {
  const table = ["embedding.weight", "embeddings"].find((name) => tensors.has(name));
  if (table === undefined) {
    throw new JetonError(
      'the checkpoint has neither a tensor "embedding.weight" nor "embeddings", the table of a static model',
      { code: "model-weights-missing", details: { found: [...tensors.keys()].slice(0, 20) } },
    );
  }
  const [rows = 0, width = 0, ...more] = tensors.get(table)!.shape;
  if (rows < 1 || width < 1 || more.length > 0) {
    throw shapeError(table, tensors.get(table)!.shape, "[tokens, width]");
  }
  const isOwn = config.model_type === model2vecType;
  const [weights, mapping] = ["weights", "mapping"].map((name) => tensors.get(name)?.shape);
  const stray = isOwn ? undefined : weights ? "weights" : mapping && "mapping";
  if (stray) {
    throw new JetonError(
      `the checkpoint has a tensor "${stray}" of model2vec, and no config.json of its: sentence-transformers would not read it`,
      { code: "model-weights-shape", details: { name: stray } },
    );
  }
  const vocabSize = mapping?.[0] ?? rows;
  for (const [name, shape] of Object.entries({ weights, mapping })) {
    if (shape === undefined || (shape.length === 1 && shape[0] === vocabSize)) continue;
    throw shapeError(name, shape, `[${vocabSize}]`);
  }
  return {
    ...{ table, rows, width, vocabSize },
    ...{ hasWeights: weights !== undefined, hasMapping: mapping !== undefined },
  };
}

function shapeError(name: string, shape: readonly number[], expected: string): JetonError {
  return new JetonError(`"${name}" has the shape [${shape}], expected ${expected}`, {
    code: "model-weights-shape",
    details: { name, shape, expected },
  });
}

/**
 * Describes a static model as an encoder without layers.
 *
 * Source: sentence-transformers 6.0, `StaticEmbedding`; model2vec, `StaticModel.tokenize`.
 *
 * @param contextLength tokens of the longest text. Default: `staticLength`
 */
export function staticEncoderConfig(
  file: ModelConfig,
  { vocabSize, width }: StaticTensors,
  tokenizer: Tokenizer,
  contextLength: number = staticLength(file),
): EncoderConfig {
  const isOwn = file.model_type === model2vecType;
  return {
    family: isOwn ? model2vecType : staticEmbeddingType,
    static: {
      layout: isOwn ? model2vecType : staticEmbeddingType,
      skippedId: isOwn ? tokenizer.unkTokenId : undefined,
      charactersPerToken: isOwn ? medianLength(tokenizer) : undefined,
    },
    vocabSize,
    hiddenSize: width,
    embeddingSize: width,
    intermediateSize: width,
    // There are no layers.
    layers: [],
    numAttentionHeads: 1,
    headDim: width,
    attentionScale: 1,
    sharing: undefined,
    ropes: [],
    positionRows: 0,
    positionIds: "index",
    typeVocabSize: 0,
    relativeBias: undefined,
    contextLength,
    norm: "layer",
    normEps: 1e-12,
    normBias: false,
    normPlacement: "post",
    embeddingNorm: false,
    finalNorm: false,
    activation: "identity",
    gated: false,
    qkvBias: false,
    attentionOutputBias: false,
    upBias: false,
    downBias: false,
    padTokenId: 0,
    tieWordEmbeddings: true,
    labels: [],
    problemType: "single-label",
    classActivation: "softmax",
    scoreActivation: undefined,
    task: "states",
    headOptions: {
      poolerActivation: "gelu",
      classifierPooling: "cls",
      classifierBias: false,
      classifierActivation: "gelu",
      decoderBias: false,
    },
  };
}

/** Median length of a vocabulary's tokens in code points, rounded down. */
function medianLength(tokenizer: Tokenizer): number {
  const lengths = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.idToToken(id))
    .filter((token) => token !== undefined)
    .map((token) => [...token].length)
    .sort((a, b) => a - b);
  const middle = lengths.length / 2;
  return Math.floor(
    ((lengths[Math.ceil(middle) - 1] ?? 0) + (lengths[Math.floor(middle)] ?? 0)) / 2,
  );
}

/** Modules without weights that may stand behind a table of vectors. */
const weightless = ["Normalize", "Dropout"];
/** Those that sentence-transformers lets stand there: all that read vectors of texts. */
const vectorModules = ["Dense", "LayerNorm", ...weightless];

/**
 * Checks what stands behind a static model in `modules.json`.
 *
 * @throws JetonError `encoder-module-unknown` for a module that reads no vectors of texts, and behind model2vec, whose
 *   library would leave it out, for one with weights
 */
export function checkStaticModules({ layout }: StaticConfig, behind: readonly ModuleEntry[]): void {
  const isOwn = layout === model2vecType;
  const known = isOwn ? weightless : vectorModules;
  const other = behind.find(({ kind }) => !known.includes(kind));
  if (other === undefined) return;
  const { type, path } = other;
  const first = isOwn ? "a table of model2vec" : "a StaticEmbedding";
  throw new JetonError(
    `modules.json: ${JSON.stringify(type)} stands behind ${first}, expected ${known.join(", ")} or nothing`,
    { code: "encoder-module-unknown", details: { type, path } },
  );
}

/**
 * Modules behind the mean: model2vec's `normalize` goes before `modules.json`, which its library does not read.
 *
 * @throws JetonError `model-config-invalid`
 */
export function staticModules(
  file: ModelConfig,
  listed: readonly VectorModule[],
): readonly VectorModule[] {
  if (file.model_type !== model2vecType || !given(file["normalize"])) return listed;
  return flag(file, "normalize") ? [{ kind: "normalize" }] : [];
}

/** From examples to the inputs of an encoder's training graphs. */
import {
  type EncoderConfig,
  encodeEncoderText,
  encoderTables,
  type TextInput,
} from "../../model/index.ts";
import type { TensorValue } from "../../tensor/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { ignoredClass } from "./class-graph.ts";
import { type ContrastTargets, contrastValues } from "./contrast-loss.ts";
import { type EncodedText, poolValues, textValues, type VectorPipeline } from "./encoder-inputs.ts";
import type { ClassifiedExample, LabelledExample, RankedExample } from "./example-files.ts";
import { keptValues } from "./token-contrast-graph.ts";

/** What batches are made with. */
export interface BatchOptions {
  readonly config: EncoderConfig;
  readonly tokenizer: Tokenizer;
  /** Texts are cut to so many tokens. */
  readonly queryLength: number;
  readonly documentLength: number;
  /** Number of the pass over the examples; 0 for held-out ones. */
  readonly pass: number;
}

type Values = Record<string, TensorValue>;

/** Ids of a text or a pair, cut to a length. */
export function encodeExample(
  { tokenizer, config }: Pick<BatchOptions, "tokenizer" | "config">,
  text: string,
  maxLength: number,
  pair?: string,
): TextInput {
  return encodeEncoderText(tokenizer, config, text, { maxLength, pair });
}

/** The texts of a batch, and which document answers which query. */
export interface RankedBatch extends ContrastTargets {
  readonly queries: readonly EncodedText[];
  /** A query's own document, its negatives, then those of the next. */
  readonly documents: readonly EncodedText[];
}

/**
 * Encodes a batch; a document that stands for two queries is a negative of neither.
 *
 * @param negatives hard negatives of each example at most
 */
export function encodeRanked(
  examples: readonly RankedExample[],
  options: BatchOptions,
  negatives: number,
): RankedBatch {
  const { queryLength, documentLength } = options;
  const texts: string[] = [];
  const targets = new Int32Array(examples.length);
  for (const [row, { documents }] of examples.entries()) {
    targets[row] = texts.length;
    texts.push(...documents.slice(0, negatives + 1));
  }
  const excluded = new Uint8Array(examples.length * texts.length);
  for (const [row, { query, documents }] of examples.entries()) {
    // Documents that answer the same question under another query are no negatives either.
    const right = new Set(
      examples.filter((one) => one.query === query).map((one) => one.documents[0]!),
    );
    right.add(documents[0]!);
    for (const [at, text] of texts.entries()) {
      if (at !== targets[row] && right.has(text)) excluded[row * texts.length + at] = 1;
    }
  }
  return {
    queries: examples.map(({ query }) => encodeExample(options, query, queryLength)),
    documents: texts.map((text) => encodeExample(options, text, documentLength)),
    targets,
    excluded,
  };
}

const timeOf = (values: Values, side: string): number => values[`${side}.ids`]!.shape[1]!;

function pooledValues(
  side: string,
  config: EncoderConfig,
  texts: readonly EncodedText[],
  pipeline: VectorPipeline,
): Values {
  const values = textValues(side, config, texts);
  return { ...values, ...poolValues(side, texts, timeOf(values, side), pipeline) };
}

/** Tables for the longest text of a batch. */
export function tableValues(config: EncoderConfig, values: Values): Values {
  const times = Object.entries(values).map(([name, { shape }]) =>
    name.endsWith(".ids") ? shape[1]! : 0,
  );
  return encoderTables(config, Math.max(...times));
}

function withTables(config: EncoderConfig, values: Values): Values {
  return { ...values, ...tableValues(config, values) };
}

/** Inputs of `contrastiveGraph`. */
export function contrastiveInputs(
  batch: RankedBatch,
  config: EncoderConfig,
  pipeline: VectorPipeline,
): Values {
  return withTables(config, {
    ...pooledValues("query", config, batch.queries, pipeline),
    ...pooledValues("document", config, batch.documents, pipeline),
    ...contrastValues(batch, batch.documents.length),
  });
}

/** Inputs of `distillationGraph`. */
export function distillationInputs(
  examples: readonly RankedExample[],
  options: BatchOptions,
  pipeline: VectorPipeline,
): Values {
  const { config } = options;
  const { queries, documents } = encodeRanked(examples, options, Number.POSITIVE_INFINITY);
  const scores = examples.map((example) => example.scores!);
  const shape = [examples.length, scores[0]!.length];
  return withTables(config, {
    ...pooledValues("query", config, queries, pipeline),
    ...pooledValues("document", config, documents, pipeline),
    own: { dtype: "int32", shape, data: Int32Array.from(documents.keys()) },
    teacher: {
      dtype: "float32",
      shape,
      data: Float32Array.from(scores.flat()),
    },
  });
}

/** Inputs of `orthogonalProjectionGraph`. */
export function orthogonalProjectionInputs(
  examples: readonly RankedExample[],
  options: BatchOptions,
  pipeline: VectorPipeline,
): Values {
  const { config } = options;
  const { queries, documents } = encodeRanked(examples, options, Number.POSITIVE_INFINITY);
  const group = examples[0]!.documents.length;
  return withTables(config, {
    ...pooledValues("query", config, queries, pipeline),
    ...pooledValues("document", config, documents, pipeline),
    own: {
      dtype: "int32",
      shape: [examples.length, group],
      data: Int32Array.from(documents.keys()),
    },
  });
}

/** Inputs of `cachedVectorGraph` for a chunk of texts, without slopes. */
export function vectorInputs(
  texts: readonly EncodedText[],
  config: EncoderConfig,
  pipeline: VectorPipeline,
): Values {
  return withTables(config, pooledValues("text", config, texts, pipeline));
}

/** Inputs of `tokenContrastGraph`. */
export function tokenContrastInputs(
  batch: RankedBatch,
  config: EncoderConfig,
  /** Tokens of the batch that each token of a query retrieves; undefined: as many as it likes. */
  candidates: number | undefined,
): Values {
  const values = {
    ...textValues("query", config, batch.queries),
    ...textValues("document", config, batch.documents),
  };
  const kept = {
    ...keptValues("query", batch.queries, timeOf(values, "query")),
    ...keptValues("document", batch.documents, timeOf(values, "document")),
  };
  const pool = batch.documents.reduce((sum, { ids }) => sum + ids.length, 0);
  const count = Math.min(candidates ?? pool, pool);
  return withTables(config, {
    ...values,
    ...kept,
    ...(candidates !== undefined && {
      candidates: { dtype: "int32" as const, shape: [count], data: new Int32Array(count) },
    }),
    ...contrastValues(batch, batch.documents.length),
  });
}

/** Inputs of `hybridContrastGraph`. */
export function hybridInputs(batch: RankedBatch, config: EncoderConfig): Values {
  return withTables(config, {
    ...textValues("query", config, batch.queries),
    ...textValues("document", config, batch.documents),
    ...contrastValues(batch, batch.documents.length),
  });
}

/** Inputs of `classGraph` for texts. */
export function classInputs(examples: readonly ClassifiedExample[], options: BatchOptions): Values {
  const { config, documentLength } = options;
  const texts = examples.map(({ text, pair }) =>
    encodeExample(options, text, documentLength, pair),
  );
  const targets = examples.map(({ target }) => target);
  const rows = examples.length;
  const isExclusive = config.problemType === "single-label";
  return withTables(config, {
    ...textValues("text", config, texts),
    targets: isExclusive
      ? { dtype: "int32", shape: [rows], data: Int32Array.from(targets as number[]) }
      : {
          dtype: "float32",
          shape: [rows, config.labels.length],
          data: Float32Array.from(targets.flat() as number[]),
        },
  });
}

/** Inputs of `classGraph` for tokens: a token belongs to the span that holds its first character, or to `O`. */
export function tokenClassInputs(
  examples: readonly LabelledExample[],
  options: BatchOptions,
): Values {
  const { config, documentLength } = options;
  const outside = config.labels.indexOf("O");
  const texts = examples.map(({ text }) => encodeExample(options, text, documentLength));
  const values = textValues("text", config, texts);
  const time = timeOf(values, "text");
  const targets = new Int32Array(examples.length * time).fill(ignoredClass);
  for (const [row, { offsets }] of texts.entries()) {
    for (const [place, [start, end]] of offsets.entries()) {
      if (start === end) continue;
      const span = examples[row]!.spans.find(([from, to]) => from <= start && start < to);
      targets[row * time + place] = span?.[2] ?? outside;
    }
  }
  return withTables(config, {
    ...values,
    targets: { dtype: "int32", shape: [examples.length, time], data: targets },
  });
}

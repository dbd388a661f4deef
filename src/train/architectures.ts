/**
 * What the trainer asks of an architecture: parameters, the graph of a step, and how batches of ids become
 * its inputs. One row for each kind of model.
 */
import type { Checkpoint, ModelConfig } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import {
  byte2WordConfig,
  byte2WordParameterShapes,
  type DecoderConfig,
  decoderConfig,
  decoderParameterShapes,
  documentId,
  encoderClassName,
  encoderConfig,
  isByte2Word,
  isEncoderConfig,
  isSeq2SeqConfig,
  isWordModel,
  layerMatrixGroups,
  nameEncoderTensors,
  prefixEncoderName,
  publishedName,
  seq2seqConfig,
  transposed,
  withOwnNames,
  wordModelConfig,
  wordParameterShapes,
} from "../model/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import {
  checkTrainable,
  initializeEncoder,
  withFixedParameters,
} from "./encoder/encoder-parameters.ts";
import {
  maskedLanguageModelGraph,
  maskedLanguageModelInputs,
  maskedLanguageModelShapes,
} from "./encoder/masked-language-model.ts";
import { encoderGroups, isKernelParameter, stretchMixerValue } from "./encoder/mixer-training.ts";
import { byte2WordGraph, byte2WordInputs } from "./graph/byte2word-graph.ts";
import {
  type LanguageModelBatch,
  languageModelGraph,
  languageModelInputs,
} from "./graph/language-model-graph.ts";
import {
  type InitializationOptions,
  initializeByte2Word,
  initializeDecoder,
  initializeWordModel,
  type ParameterValue,
} from "./graph/parameters.ts";
import {
  checkSpans,
  type DeletionOptions,
  initializeSeq2Seq,
  openDeletionControl,
  type StepControl,
  spanCorruptionGraph,
  spanCorruptionInputs,
  spanCorruptionShapes,
} from "./graph/span-corruption-graph.ts";
import type { TrainingGraph } from "./graph/training-graph.ts";
import { wordModelGraph, wordModelInputs } from "./graph/word-model-graph.ts";
import type { ParameterGroup } from "./optimizer/optimizer.ts";
import { addLandmarkRow } from "./run/landmark-row.ts";
import type { Settings } from "./run/run-settings.ts";
import type { TrainingInputs } from "./run/training-interface.ts";

/** A model that `trainLanguageModel` can train. */
export interface Architecture {
  /** The family that the configuration names. */
  readonly family: string;
  /** Rows of the table of embeddings. */
  readonly vocabSize: number;
  /** Class that other tools load an export by; undefined: the family's own, if it has one. */
  readonly className?: string | undefined;
  /** A parameter's name in an export. Default: its own. */
  readonly storedName?: (name: string) => string;
  /** A parameter as an export stores it. Default: as it is. */
  readonly storedValue?: (name: string, value: ParameterValue) => ParameterValue;
  /** A checkpoint's tensors by the names of the parameters. Default: as they are stored. */
  readonly rename?: (checkpoint: Checkpoint) => Checkpoint;
  /** Whether head and table of embeddings are one. */
  readonly tieWordEmbeddings: boolean;
  /** Shapes of all parameters by name. */
  readonly parameters: ReadonlyMap<string, readonly number[]>;
  /** Whether batches of one size are computed in tensors of one size. */
  readonly hasFixedSizes: boolean;
  /** Whether the loss says how probable the whole text is, so that it can be told in bits per byte. */
  readonly predictsText: boolean;
  /** What the loss is a mean over, in nats. */
  readonly lossUnit: "token" | "byte" | "masked word" | "masked token" | "hidden byte";
  /** @throws JetonError `train-tokenizer-not-bytes` where the architecture needs bytes and has other tokens */
  checkTokenizer(tokenizer: Tokenizer): void;
  /** @throws JetonError `option-invalid`; default: any length */
  checkSequenceLength?(length: number): void;
  graph(options: {
    trainable: ReadonlySet<string>;
    documentMask: boolean;
    deletion?: DeletionOptions | undefined;
  }): TrainingGraph;
  inputs(options: {
    sequenceLength: number;
    documentMask: boolean;
    seed: number;
    tokenizer: Tokenizer;
  }): (batch: LanguageModelBatch) => TrainingInputs;
  initialize(seed: number, options?: InitializationOptions): Map<string, ParameterValue>;
  /** Whether tokens may see only their own document. Default true. */
  readonly masksDocuments?: boolean;
  /** Patterns of parameters that are constants. Default: none. */
  readonly fixed?: readonly string[];
  /** Parameters that an export stores in F32 with any `dtype`. Default: none. */
  readonly isExact?: (name: string) => boolean;
  /** Whether a parameter begins with its first values where a checkpoint lacks it. Default: none. */
  readonly mayBegin?: (name: string) => boolean;
  /** Opens what moves inputs by the reports of steps, from a state where a run goes on. Default: nothing does. */
  control?(deletion: DeletionOptions, state?: StepControl["state"]): StepControl;
  /** A stored value in the shape that the parameter has here. Default: as it is. */
  readonly adapt?: (name: string, value: ParameterValue) => ParameterValue;
  /** Optimizer settings by parameter. Default: matrices decay, vectors do not. */
  group?(
    settings: Pick<Settings, "schedule" | "optimizer">,
  ): (name: string, shape: readonly number[]) => ParameterGroup;
}

/**
 * The architecture of a `config.json`.
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`, `word-rule-invalid`
 */
export function openArchitecture(file: ModelConfig): Architecture {
  if (isWordModel(file)) return wordArchitecture(file);
  if (isByte2Word(file)) return byte2WordArchitecture(file);
  if (isSeq2SeqConfig(file)) return seq2seqArchitecture(file);
  return isEncoderConfig(file) && !isT5(file)
    ? encoderArchitecture(file)
    : decoderArchitecture(decoderConfig(file));
}

/** T5 encoders have no head for masked tokens. */
function isT5(file: ModelConfig): boolean {
  return encoderConfig(file).family === "t5";
}

function encoderArchitecture(file: ModelConfig): Architecture {
  const config = encoderConfig(file);
  checkTrainable(config);
  const { family } = config;
  const parameters = maskedLanguageModelShapes(config);
  return {
    family,
    className: encoderClassName(family, "masked"),
    storedName: (name) => prefixEncoderName(family, name),
    rename: (checkpoint) => nameEncoderTensors(config, checkpoint),
    vocabSize: config.vocabSize,
    tieWordEmbeddings: config.tieWordEmbeddings,
    parameters,
    hasFixedSizes: false,
    predictsText: false,
    lossUnit: "masked token",
    checkTokenizer() {},
    graph: (options) => maskedLanguageModelGraph(config, options),
    inputs: (options) => maskedLanguageModelInputs(config, options),
    initialize: (seed, options) => initializeEncoder(config, parameters, seed, options),
    // Convolutions run over all documents of a sequence.
    masksDocuments: config.mixer === undefined,
    fixed: withFixedParameters(config, []),
    group: (settings) => encoderGroups(config, settings),
    ...(config.mixer && {
      isExact: isKernelParameter,
      adapt: (name, value) => stretchMixerValue(name, value, parameters.get(name)!),
    }),
  };
}

function decoderArchitecture(config: DecoderConfig): Architecture {
  const parameters = decoderParameterShapes(config);
  const { learnedPositions: positions } = config;
  const turned = new Set(config.storesTransposed ? layerMatrixGroups(config).flat() : []);
  return {
    family: config.family,
    storedName: (name) => publishedName(config, name),
    storedValue: (name, { shape, data }) =>
      turned.has(name)
        ? { shape: shape.toReversed(), data: transposed(data, shape) }
        : { shape, data },
    rename: (checkpoint) => withOwnNames(checkpoint, config),
    vocabSize: config.vocabSize,
    tieWordEmbeddings: config.tieWordEmbeddings,
    parameters,
    ...(config.landmark && {
      adapt: (name, value) => addLandmarkRow(name, value, parameters.get(name)!),
    }),
    hasFixedSizes: true,
    predictsText: true,
    lossUnit: "token",
    checkTokenizer() {},
    ...(positions !== undefined && {
      checkSequenceLength: (length) => checkPositions(length, positions),
    }),
    graph: (options) => languageModelGraph(config, { parameters, ...options }),
    inputs: (options) => languageModelInputs(config, options),
    initialize: (seed, options) => initializeDecoder(config, seed, options),
  };
}

/** @throws JetonError `option-invalid` where sequences are longer than the table of positions */
function checkPositions(length: number, positions: number): void {
  if (length <= positions) return;
  throw new JetonError(
    `sequenceLength is ${length}, expected at most the ${positions} positions that the model learns`,
    {
      code: "option-invalid",
      details: { option: "sequenceLength", found: length, expected: positions },
    },
  );
}

function wordArchitecture(file: ModelConfig): Architecture {
  const config = wordModelConfig(file);
  return {
    family: config.family,
    vocabSize: config.backbone.vocabSize,
    tieWordEmbeddings: false,
    parameters: wordParameterShapes(config),
    hasFixedSizes: false,
    predictsText: true,
    lossUnit: "byte",
    checkTokenizer: (tokenizer) => checkBytes(tokenizer, config.family),
    graph: (options) => wordModelGraph(config, options),
    inputs: (options) => wordModelInputs(config, options),
    initialize: (seed, options) => initializeWordModel(config, seed, options),
  };
}

function byte2WordArchitecture(file: ModelConfig): Architecture {
  // The classes of a head are no part of masked language modelling.
  const config = { ...byte2WordConfig(file), labels: [] };
  return {
    family: "byte2word",
    vocabSize: config.pieceVocabSize,
    tieWordEmbeddings: false,
    parameters: byte2WordParameterShapes(config),
    hasFixedSizes: false,
    predictsText: false,
    lossUnit: "masked word",
    checkTokenizer() {},
    graph: (options) => byte2WordGraph(config, options),
    inputs: (options) => byte2WordInputs(config, options),
    initialize: (seed, options) => initializeByte2Word(config, seed, options),
  };
}

/** How the library's classes spell the family, where they do not say T5. */
const seq2seqClasses: Readonly<Record<string, string>> = {
  mt5: "MT5",
  umt5: "UMT5",
  mrt5: "MrT5",
};

function seq2seqArchitecture(file: ModelConfig): Architecture {
  const config = seq2seqConfig(file);
  const { family, deleteGate, encoder } = config;
  const parameters = spanCorruptionShapes(config);
  const isGate = (name: string): boolean => name.includes(".delete_gate.");
  return {
    family,
    vocabSize: encoder.vocabSize,
    tieWordEmbeddings: encoder.tieWordEmbeddings,
    className: `${seq2seqClasses[family] ?? "T5"}ForConditionalGeneration`,
    rename: (checkpoint) => nameEncoderTensors(encoder, checkpoint),
    parameters,
    // Ends of documents are left out of texts.
    hasFixedSizes: false,
    predictsText: false,
    lossUnit: "hidden byte",
    checkTokenizer: (tokenizer) => checkByT5(tokenizer, family),
    checkSequenceLength: checkSpans,
    graph: ({ trainable, deletion }) =>
      spanCorruptionGraph(config, { trainable, ...scorePenaltyOf(deletion) }),
    inputs: (options) => spanCorruptionInputs(config, options),
    initialize: (seed, options) => initializeSeq2Seq(config, parameters, seed, options),
    // Spans are hidden anywhere in a sequence.
    masksDocuments: false,
    ...(deleteGate && { mayBegin: isGate, control: openDeletionControl }),
  };
}

function scorePenaltyOf(deletion: DeletionOptions | undefined): { scorePenalty?: number } {
  const { scorePenalty } = deletion ?? {};
  return scorePenalty === undefined ? {} : { scorePenalty };
}

/** @throws JetonError `train-tokenizer-not-bytes` */
function checkByT5(tokenizer: Tokenizer, family: string): void {
  const ids = tokenizer.encodeIds("a\u00ff");
  const expected = [0x61 + 3, 0xc3 + 3, 0xbf + 3, 1];
  if (ids.length === expected.length && expected.every((id, at) => ids[at] === id)) return;
  throw new JetonError(
    `a ${family} model reads the ids of ByT5, but the tokenizer encodes "a\u00ff" as ${ids}: give "byt5"`,
    { code: "train-tokenizer-not-bytes", details: { found: [...ids], expected: "byt5" } },
  );
}

function checkBytes(tokenizer: Tokenizer, family: string): void {
  const { vocabSize, bosTokenId, eosTokenId } = tokenizer;
  const isBytes = vocabSize === 256 && bosTokenId === documentId && eosTokenId === documentId;
  if (isBytes) return;
  throw new JetonError(
    `a ${family} model reads bytes, but the tokenizer has ${vocabSize} tokens: give "bytes"`,
    { code: "train-tokenizer-not-bytes", details: { found: vocabSize, expected: "bytes" } },
  );
}

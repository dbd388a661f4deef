/** What a `config.json` says of a model, as jeton runs it. */
import {
  type Checkpoint,
  type JsonObject,
  type JsonValue,
  type ModelConfig,
  textConfig,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/error.ts";
import {
  isStaticConfig,
  staticLength,
  staticTensors,
} from "../../model/encoder/static/static-config.ts";
import {
  byte2WordConfig,
  type DecoderConfig,
  decoderConfig,
  type EncoderConfig,
  encoderConfig,
  isByte2Word,
  isWordModel,
  modelKind,
  seq2seqConfig,
  wordModelConfig,
} from "../../model/index.ts";

/** The model as jeton runs it; for an unsupported model the fields of `config.json`. */
export interface ArchitectureDescription {
  readonly runs: boolean;
  /** Why the model does not run; null if it does. */
  readonly reason: string | null;
  /** What it does; null if it does not run. */
  readonly kind: "decoder" | "encoder" | "encoder-decoder" | "encoder of words" | null;
  readonly architecture: string | null;
  readonly family: string | null;
  readonly contextLength: number | null;
  readonly layers: number | null;
  readonly hiddenSize: number | null;
  readonly heads: number | null;
  readonly keyValueHeads: number | null;
  readonly headDim: number | null;
  readonly intermediateSize: number | null;
  readonly vocabSize: number | null;
  readonly tieWordEmbeddings: boolean | null;
  readonly ropeTheta: number | null;
  /** Kind of RoPE scaling; null without scaling. */
  readonly ropeScaling: string | null;
  readonly slidingWindow: number | null;
  /** Number of layers with that window; null if unknown. */
  readonly slidingLayers: number | null;
}

/**
 * What a model is with the defaults of its family; for an unsupported model the fields as written.
 *
 * @param beside whether `modules.json` lies beside the file, and the stored tensors where the weights are there
 */
export function describeArchitecture(config: ModelConfig, beside: Beside): ArchitectureDescription {
  const file = describeFields(textConfig(config));
  try {
    return { ...file, ...readArchitecture(config, beside), runs: true, reason: null };
  } catch (error) {
    if (!JetonError.isInstance(error)) throw error;
    return { ...file, kind: null, runs: false, reason: error.message };
  }
}

/** What lies beside a `config.json`. */
interface Beside {
  readonly hasModules: boolean;
  readonly tensors?: Checkpoint["tensors"];
}

type Read = Partial<ArchitectureDescription> & Pick<ArchitectureDescription, "kind">;

/** @throws JetonError for a configuration that jeton cannot run */
function readArchitecture(config: ModelConfig, { hasModules, tensors }: Beside): Read {
  if (isStaticConfig(config)) return { kind: "encoder", ...describeStatic(config, tensors) };
  if (isWordModel(config)) {
    wordModelConfig(config);
    return { kind: "decoder" };
  }
  if (isByte2Word(config)) {
    byte2WordConfig(config);
    return { kind: "encoder of words" };
  }
  const kind = modelKind(config, { hasModules });
  if (kind === "encoder") {
    const encoder = encoderConfig(config, { hasModules });
    const { backbone } = encoder;
    return { kind, ...(backbone ? describeDecoder(backbone) : describeEncoder(encoder)) };
  }
  if (kind === "decoder") return { kind, ...describeDecoder(decoderConfig(config)) };
  const { encoder } = seq2seqConfig(config);
  // Their positions are relative, and have no end.
  return { kind: "encoder-decoder", ...describeEncoder(encoder), contextLength: null };
}

/** A table of vectors: what it says of itself is in its shape. */
function describeStatic(config: ModelConfig, tensors: Beside["tensors"]): Omit<Read, "kind"> {
  const found = tensors && staticTensors(config, tensors);
  const length = staticLength(config);
  return {
    // The layout of sentence-transformers has no longest text.
    contextLength: Number.isSafeInteger(length + 1) ? length : null,
    layers: 0,
    hiddenSize: found?.width ?? null,
    vocabSize: found?.vocabSize ?? null,
  };
}

function describeEncoder(config: EncoderConfig): Omit<Read, "kind"> {
  // Monarch mixers have no heads.
  const heads = config.mixer ? null : config.numAttentionHeads;
  return {
    contextLength: config.contextLength,
    layers: config.layers.length,
    hiddenSize: config.hiddenSize,
    ...{ heads, keyValueHeads: heads, headDim: heads === null ? null : config.headDim },
    intermediateSize: config.intermediateSize,
    vocabSize: config.vocabSize,
    tieWordEmbeddings: config.tieWordEmbeddings,
  };
}

function describeDecoder(decoder: DecoderConfig): Omit<Read, "kind"> {
  const [rope] = decoder.ropes;
  const windows = decoder.layers.flatMap(({ slidingWindow }) => slidingWindow ?? []);
  return {
    contextLength: decoder.contextLength,
    layers: decoder.layers.length,
    hiddenSize: decoder.hiddenSize,
    heads: decoder.numAttentionHeads,
    keyValueHeads: decoder.numKeyValueHeads,
    headDim: decoder.headDim,
    intermediateSize: decoder.intermediateSize,
    vocabSize: decoder.vocabSize,
    tieWordEmbeddings: decoder.tieWordEmbeddings,
    ropeTheta: rope?.theta ?? null,
    ropeScaling: rope === undefined || rope.kind === "default" ? null : rope.kind,
    slidingWindow: windows.length === 0 ? null : Math.min(...windows),
    slidingLayers: windows.length,
  };
}

/** The common fields of `config.json`, as written. */
function describeFields(
  config: JsonObject,
): Omit<ArchitectureDescription, "runs" | "reason" | "kind"> {
  const number = (...keys: string[]): number | null => {
    for (const key of keys) {
      const value = config[key];
      if (typeof value === "number") return value;
    }
    return null;
  };
  const text = (value: JsonValue | undefined): string | null =>
    typeof value === "string" ? value : null;
  const { architectures, tie_word_embeddings: tied } = config;
  const hiddenSize = number("hidden_size", "n_embd", "d_model");
  const heads = number("num_attention_heads", "n_head");
  return {
    architecture: Array.isArray(architectures) ? text(architectures[0]) : null,
    family: text(config["model_type"]),
    contextLength: number("max_position_embeddings", "n_positions"),
    layers: number("num_hidden_layers", "n_layer"),
    hiddenSize,
    heads,
    keyValueHeads: number("num_key_value_heads") ?? heads,
    headDim:
      number("head_dim") ?? (hiddenSize !== null && heads !== null ? hiddenSize / heads : null),
    intermediateSize: number("intermediate_size", "n_inner"),
    vocabSize: number("vocab_size"),
    tieWordEmbeddings: typeof tied === "boolean" ? tied : null,
    ropeTheta: number("rope_theta"),
    ropeScaling: null,
    slidingWindow: number("sliding_window"),
    slidingLayers: null,
  };
}

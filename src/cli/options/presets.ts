/** Sizes of models for `jeton train lm` without a configuration file. */
import type { ModelConfig } from "../../checkpoint/index.ts";
import { longEncoderConfig } from "../../retrieve/m2-bert-loco/index.ts";
import { UsageError } from "../command.ts";

interface Sizes {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly heads: number;
}

/** `tiny` learns a small text in minutes on a CPU, `small` in hours. */
export const presets: Readonly<Record<"tiny" | "small", Sizes>> = {
  tiny: { layers: 4, hiddenSize: 128, heads: 4 },
  small: { layers: 6, hiddenSize: 384, heads: 6 },
};

/** Kinds of models that sizes may be given for. */
export type PresetArchitecture =
  | "llama"
  | "openmoe"
  | "landmark"
  | "word-pooled"
  | "hierarchical-transformer"
  | "byte2word"
  | "mrt5"
  | "bert"
  | "m2-bert";

/** The options that choose sizes; undefined where not given. */
export interface SizeOptions {
  readonly architecture: PresetArchitecture | undefined;
  readonly preset: keyof typeof presets | undefined;
  readonly layers: number | undefined;
  readonly hiddenSize: number | undefined;
  readonly heads: number | undefined;
  /** Tokens of a block of a model with landmarks. */
  readonly landmarkBlock?: number | undefined;
}

/** The tokenizer that an architecture needs; undefined where any will do. */
export function defaultTokenizer(architecture: PresetArchitecture | undefined): string | undefined {
  if (architecture === "mrt5") return "byt5";
  return readsWords(architecture) ? "bytes" : undefined;
}

type WordArchitecture = "word-pooled" | "hierarchical-transformer";

function readsWords(
  architecture: PresetArchitecture | undefined,
): architecture is WordArchitecture {
  return architecture === "word-pooled" || architecture === "hierarchical-transformer";
}

/** The `config.json` of a model with these sizes; undefined if no size is given. */
export function presetConfig(
  options: SizeOptions,
  sequenceLength: number | undefined,
): ModelConfig | undefined {
  const { architecture = "llama", preset, layers, hiddenSize, heads } = options;
  const given = [options.architecture, preset, layers, hiddenSize, heads];
  if (given.every((value) => value === undefined)) return undefined;
  const base = presets[preset ?? "tiny"];
  const sizes: Sizes = {
    layers: layers ?? base.layers,
    hiddenSize: hiddenSize ?? base.hiddenSize,
    heads: heads ?? base.heads,
  };
  if (sizes.hiddenSize % (2 * sizes.heads) !== 0) {
    throw new UsageError(
      "option-value-invalid",
      `--hidden-size ${sizes.hiddenSize} must be a multiple of twice the number of heads, ${sizes.heads}`,
      {
        option: "--hidden-size",
        found: sizes.hiddenSize,
        expected: `a multiple of ${2 * sizes.heads}`,
      },
    );
  }
  const common = {
    hidden_size: sizes.hiddenSize,
    intermediate_size: intermediateSize(sizes.hiddenSize),
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.heads,
    head_dim: sizes.hiddenSize / sizes.heads,
    max_position_embeddings: Math.max(1024, sequenceLength ?? 0),
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
  };
  if (architecture === "byte2word" || architecture === "bert") {
    const { hidden_size, num_hidden_layers, num_attention_heads, max_position_embeddings } = common;
    return {
      model_type: architecture,
      ...{ hidden_size, num_hidden_layers, num_attention_heads, max_position_embeddings },
      intermediate_size: 4 * hidden_size,
      ...(architecture === "byte2word" && { max_word_bytes: 32, max_word_pieces: 8 }),
    };
  }
  if (architecture === "mrt5") return deletingConfig(sizes);
  if (architecture === "m2-bert") {
    return longEncoderConfig({ ...sizes, length: common.max_position_embeddings });
  }
  if (architecture === "openmoe")
    return { model_type: architecture, ...common, ...expertSizes(sizes) };
  if (readsWords(architecture)) {
    return { model_type: architecture, ...common, ...localSizes(architecture, sizes) };
  }
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    ...common,
    tie_word_embeddings: true,
    hidden_act: "silu",
    ...(architecture === "landmark" && { mem_freq: options.landmarkBlock ?? 15 }),
  };
}

/**
 * ByT5's proportions: a decoder of a third of the encoder's layers, which are those of `--layers`, and the gate
 * behind a quarter of them.
 */
function deletingConfig({ layers, hiddenSize, heads }: Sizes): ModelConfig {
  if (layers < 2) {
    throw new UsageError(
      "option-value-invalid",
      `--layers ${layers} leaves no place for the gate of --architecture mrt5, expected at least 2`,
      { option: "--layers", found: layers, expected: "at least 2" },
    );
  }
  return {
    architectures: ["MrT5ForConditionalGeneration"],
    model_type: "mrt5",
    d_model: hiddenSize,
    d_kv: hiddenSize / heads,
    d_ff: intermediateSize(hiddenSize),
    num_heads: heads,
    num_layers: layers,
    num_decoder_layers: Math.max(1, Math.round(layers / 3)),
    feed_forward_proj: "gated-gelu",
    delete_gate_layer: Math.max(1, Math.round(layers / 4)),
    deletion_threshold: -15,
    sigmoid_mask_scale: -30,
    use_softmax1: true,
    tie_word_embeddings: false,
    is_encoder_decoder: true,
  };
}

/** Eight thirds of the hidden size, as in Llama, in whole vectors of 32. */
function intermediateSize(hiddenSize: number): number {
  return 32 * Math.ceil((8 * hiddenSize) / 3 / 32);
}

/** Eight experts, each half as wide as a dense feed-forward, in every second layer, beside a residual one. */
function expertSizes({ hiddenSize }: Sizes): Record<string, number | boolean> {
  const width = 32 * Math.ceil(intermediateSize(hiddenSize) / 64);
  return {
    num_experts: 8,
    num_experts_per_tok: 2,
    moe_intermediate_size: width,
    shared_expert_intermediate_size: width,
    decoder_sparse_step: 2,
    tie_word_embeddings: true,
  };
}

/** Layers within words: as wide as the backbone where a word is several vectors, otherwise half as wide. */
function localSizes(
  architecture: WordArchitecture,
  { hiddenSize, heads }: Sizes,
): Record<string, number | string> {
  const isPooled = architecture === "word-pooled";
  const width = isPooled || hiddenSize % (4 * heads) !== 0 ? hiddenSize : hiddenSize / 2;
  return {
    local_hidden_size: width,
    local_intermediate_size: intermediateSize(width),
    local_num_attention_heads: heads,
    num_encoder_layers: 1,
    num_decoder_layers: 1,
    num_word_prefixes: isPooled ? 4 : 1,
    max_word_bytes: 24,
    word_rule: "unicode",
  };
}

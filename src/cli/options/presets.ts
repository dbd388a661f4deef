/** Sizes of models for `jeton train lm` without a configuration file. */
import type { ModelConfig } from "../../checkpoint/index.ts";
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

/** The options that choose sizes; undefined where not given. */
export interface SizeOptions {
  readonly preset: keyof typeof presets | undefined;
  readonly layers: number | undefined;
  readonly hiddenSize: number | undefined;
  readonly heads: number | undefined;
}

/** The `config.json` of a Llama model with these sizes; undefined if no size is given. */
export function presetConfig(
  options: SizeOptions,
  sequenceLength: number | undefined,
): ModelConfig | undefined {
  const { preset, layers, hiddenSize, heads } = options;
  if ([preset, layers, hiddenSize, heads].every((value) => value === undefined)) return undefined;
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
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: sizes.hiddenSize,
    // Eight thirds of the hidden size, as in Llama, in whole vectors of 32.
    intermediate_size: 32 * Math.ceil((8 * sizes.hiddenSize) / 3 / 32),
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.heads,
    head_dim: sizes.hiddenSize / sizes.heads,
    max_position_embeddings: Math.max(1024, sequenceLength ?? 0),
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    hidden_act: "silu",
  };
}

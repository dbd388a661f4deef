/** What a family's attention and feed-forward do otherwise than Llama's: norms, biases, activations, scales, layouts. */
import type { DecoderConfig } from "./config.ts";
import { type Fields, flag, given, positive, readActivation } from "./config-fields.ts";

/** A number that Granite's configs state and other families do not have. */
export function graniteFactor(family: string, fields: Fields, name: string): number {
  if (!family.startsWith("granite") || !given(fields[name])) return 1;
  return positive(fields, name, Number.isFinite);
}

type BlockFields =
  | "norm"
  | "qkvClip"
  | "attentionSinks"
  | "headBias"
  | "normOffset"
  | "normPlacement"
  | "qkNorm"
  | "activation"
  | "attentionScale"
  | "attnLogitSoftcap"
  | "finalLogitSoftcap"
  | "qkvBias"
  | "attentionOutputBias"
  | "mlpBias"
  | "parallelResidual"
  | "qkvLayout"
  | "feedForward"
  | "storesTransposed";

/** Differences of a family in attention and feed-forward. */
export function describeBlocks(
  family: string,
  fields: Fields,
  headDim: number,
): Pick<DecoderConfig, BlockFields> {
  const isGemma = family.startsWith("gemma");
  const isSandwich = family === "gemma2" || family === "gemma3_text";
  const number = (name: string): number | undefined =>
    isSandwich && given(fields[name]) ? positive(fields, name, Number.isFinite) : undefined;
  // The first Gemma's files say "gelu" although the models were trained with the tanh form.
  const isOldGelu = family === "gemma" && fields["hidden_act"] === "gelu";
  const key = isSandwich ? "hidden_activation" : "hidden_act";
  // The experts of gpt-oss have an activation of their own.
  const named = family === "gpt_oss" ? "silu" : fields[key];
  const clip = ["olmo", "olmoe"].includes(family) && given(fields["clip_qkv"]);
  return {
    norm: norms[family] ?? "rms",
    normOffset: isGemma ? 1 : 0,
    normPlacement: ["olmo2", "olmo3"].includes(family) ? "post" : isSandwich ? "sandwich" : "pre",
    parallelResidual: family === "gpt_neox" && flag(fields, "use_parallel_residual", true),
    qkNorm: qkNormOf(family),
    qkvClip: clip ? positive(fields, "clip_qkv", Number.isFinite) : undefined,
    activation: readActivation(key, isOldGelu ? "gelu_pytorch_tanh" : named),
    attentionScale: attentionScale(family, fields, number("query_pre_attn_scalar") ?? headDim),
    attentionSinks: family === "gpt_oss",
    // Gemma 3's files may state it too; its attention does not read it.
    attnLogitSoftcap: family === "gemma2" ? number("attn_logit_softcapping") : undefined,
    finalLogitSoftcap: number("final_logit_softcapping"),
    ...attentionBiases(family, fields),
    mlpBias: mlpBias(family, fields),
    headBias: family === "phimoe" && flag(fields, "lm_head_bias"),
    qkvLayout: qkvLayouts[family] ?? "separate",
    feedForward: feedForwards[family] ?? "gated",
    storesTransposed: family === "gpt2",
  };
}

const norms: Readonly<Record<string, DecoderConfig["norm"]>> = {
  phimoe: "layer",
  gpt2: "layer",
  gpt_neo: "layer",
  gpt_neox: "layer",
  olmo: "layer-unweighted",
};

const qkvLayouts: Readonly<Record<string, DecoderConfig["qkvLayout"]>> = {
  phi3: "joined",
  gpt2: "joined",
  gpt_neox: "joined-by-head",
};

const feedForwards: Readonly<Record<string, DecoderConfig["feedForward"]>> = {
  phi3: "gated-joined",
  gpt2: "plain",
  gpt_neo: "plain",
  gpt_neox: "plain",
};

/** @param width whose root divides the scores of most families */
function attentionScale(family: string, fields: Fields, width: number): number {
  if (family.startsWith("granite")) return graniteFactor(family, fields, "attention_multiplier");
  const isPlain =
    family === "gpt_neo" || (family === "gpt2" && !flag(fields, "scale_attn_weights", true));
  return isPlain ? 1 : width ** -0.5;
}

function mlpBias(family: string, fields: Fields): boolean {
  if (["gpt2", "gpt_neo", "gpt_neox"].includes(family)) return true;
  return ["llama", "smollm3", "granite"].includes(family) && flag(fields, "mlp_bias");
}

function qkNormOf(family: string): DecoderConfig["qkNorm"] {
  if (["olmo2", "olmo3", "olmoe"].includes(family)) return "projection";
  return ["qwen3", "qwen3_moe", "gemma3_text"].includes(family) ? "head" : "none";
}

function attentionBiases(
  family: string,
  fields: Fields,
): Pick<DecoderConfig, "qkvBias" | "attentionOutputBias"> {
  switch (family) {
    case "phi3":
    case "mistral":
    case "mixtral":
    case "openmoe":
      return { qkvBias: false, attentionOutputBias: false };
    case "qwen2":
      return { qkvBias: true, attentionOutputBias: false };
    case "gpt2":
      return { qkvBias: true, attentionOutputBias: true };
    case "gpt_neo":
      return { qkvBias: false, attentionOutputBias: true };
    case "qwen2_moe":
      return { qkvBias: flag(fields, "qkv_bias"), attentionOutputBias: false };
    default: {
      const biased = flag(fields, "attention_bias");
      return { qkvBias: biased, attentionOutputBias: biased };
    }
  }
}

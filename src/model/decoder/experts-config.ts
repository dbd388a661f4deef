/** The experts of a sparse decoder, from the fields of its `config.json`. */
import { type Fields, given, invalid, positive } from "./config-fields.ts";

/** How a router's logits become the weights of the chosen experts. */
export type RouterWeighting =
  /** Probabilities among all experts: those of the chosen ones need not sum to 1. */
  | "all"
  /** Probabilities among the chosen experts. */
  | "chosen"
  /** PhiMoE: two experts, each with its probability among those whose logit is close to its own. */
  | "sparsemixer";

/** Where a family stores its router and experts, and in which form. */
export type ExpertLayout = "mixtral" | "qwen" | "granite" | "gpt-oss";

/** Feed-forwards of sparse layers. */
export interface ExpertsConfig {
  /** Experts of a layer. */
  readonly count: number;
  /** Experts that a token is sent to. */
  readonly perToken: number;
  /** Width of an expert. */
  readonly intermediateSize: number;
  readonly weighting: RouterWeighting;
  /** `sparsemixer`: logits further from the chosen one than twice this, relatively, do not count. */
  readonly routerJitter: number;
  /** Whether the router and the experts have biases (gpt-oss). */
  readonly biases: boolean;
  /** `gated`: activation(gate) · up. `gpt-oss`: (up + 1) · gate · sigmoid(1.702 gate), both clamped at 7. */
  readonly gate: "gated" | "gpt-oss";
  /** An expert that every token visits besides (Qwen2-MoE), scaled by the sigmoid of a gate of its own. */
  readonly shared: { readonly intermediateSize: number } | undefined;
  readonly layout: ExpertLayout;
}

const layouts: Readonly<Record<string, ExpertLayout>> = {
  mixtral: "mixtral",
  phimoe: "mixtral",
  olmoe: "qwen",
  qwen2_moe: "qwen",
  qwen3_moe: "qwen",
  granitemoe: "granite",
  gpt_oss: "gpt-oss",
};

/** Families whose feed-forwards are experts. */
export function isSparseFamily(family: string): boolean {
  return family in layouts;
}

/**
 * The experts of a family; undefined where it has none.
 *
 * @throws JetonError `model-config-invalid`
 */
export function describeExperts(family: string, fields: Fields): ExpertsConfig | undefined {
  const layout = layouts[family];
  if (layout === undefined) return undefined;
  const whole = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const isQwen = family.startsWith("qwen");
  const count = whole(isQwen || family === "olmoe" ? "num_experts" : "num_local_experts");
  // PhiMoE's router chooses two, whatever the file says.
  const perToken = family === "phimoe" ? 2 : whole("num_experts_per_tok");
  if (perToken > count) {
    throw invalid("num_experts_per_tok", perToken, `at most the ${count} experts`);
  }
  const normalizes = layout !== "qwen" || fields["norm_topk_prob"] === true;
  return {
    count,
    perToken,
    intermediateSize: whole(isQwen ? "moe_intermediate_size" : "intermediate_size"),
    weighting: family === "phimoe" ? "sparsemixer" : normalizes ? "chosen" : "all",
    routerJitter: given(fields["router_jitter_noise"]) ? Number(fields["router_jitter_noise"]) : 0,
    biases: family === "gpt_oss",
    gate: family === "gpt_oss" ? "gpt-oss" : "gated",
    shared:
      family === "qwen2_moe"
        ? { intermediateSize: whole("shared_expert_intermediate_size") }
        : undefined,
    layout,
  };
}

/** Whether the feed-forward of a layer is made of experts: Qwen's families may mix dense layers in. */
export function isSparseLayer(family: string, fields: Fields, index: number): boolean {
  if (!isSparseFamily(family)) return false;
  if (!family.startsWith("qwen")) return true;
  const dense = fields["mlp_only_layers"];
  if (Array.isArray(dense) && dense.includes(index)) return false;
  return (index + 1) % positive(fields, "decoder_sparse_step", Number.isSafeInteger) === 0;
}

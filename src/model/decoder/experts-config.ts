/** The experts of a sparse decoder, from the fields of its `config.json`. */
import { type Fields, flag, given, invalid, positive } from "./config-fields.ts";

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

/** The experts of sparse layers. */
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
  /**
   * An expert that every token visits besides: OpenMoE's residual expert, Granite's shared one, or Qwen2-MoE's,
   * which is scaled by the sigmoid of a gate of its own.
   */
  readonly shared: { readonly intermediateSize: number; readonly gated: boolean } | undefined;
  /** How OpenMoE trains its router; undefined: the family trains without losses of its own. */
  readonly training: ExpertsTraining | undefined;
  readonly layout: ExpertLayout;
}

/** Capacity and losses of training. */
export interface ExpertsTraining {
  /** See `mixWithinCapacity`. */
  readonly capacityFactor: number;
  /** Weights of the balance loss and of the router's z-loss. */
  readonly balanceLoss: number;
  readonly zLoss: number;
}

const layouts: Readonly<Record<string, ExpertLayout>> = {
  mixtral: "mixtral",
  phimoe: "mixtral",
  olmoe: "qwen",
  qwen2_moe: "qwen",
  qwen3_moe: "qwen",
  granitemoe: "granite",
  granitemoeshared: "granite",
  gpt_oss: "gpt-oss",
  openmoe: "qwen",
};

/** Families with sparse layers. */
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
  // Files that name the width of an expert apart from that of a dense layer.
  const isQwen = mixesDenseLayers(family);
  if (hasNoExperts(family, fields)) return undefined;
  const count = whole(countName(family));
  // The router of SparseMixer chooses two.
  const perToken = family === "phimoe" ? 2 : whole("num_experts_per_tok");
  if (perToken > count) {
    throw invalid("num_experts_per_tok", perToken, `at most the ${count} experts`);
  }
  const normalizes = layout !== "qwen" || flag(fields, "norm_topk_prob");
  return {
    count,
    perToken,
    intermediateSize: whole(isQwen ? "moe_intermediate_size" : "intermediate_size"),
    weighting: family === "phimoe" ? "sparsemixer" : normalizes ? "chosen" : "all",
    routerJitter: family === "phimoe" ? notNegative(fields, "router_jitter_noise") : 0,
    biases: family === "gpt_oss",
    gate: family === "gpt_oss" ? "gpt-oss" : "gated",
    shared: sharedExpert(family, fields),
    training: family === "openmoe" ? trainingOf(fields) : undefined,
    layout,
  };
}

/** The key that counts a family's experts. */
function countName(family: string): "num_experts" | "num_local_experts" {
  return layouts[family] === "qwen" ? "num_experts" : "num_local_experts";
}

/**
 * The fields of a file with the number of experts under its family's own key: transformers takes either, and from
 * 5.0 on writes the other one for some families.
 *
 * @throws JetonError `model-config-invalid` where both are given and differ
 */
export function withExpertCount(family: string, fields: Fields): Fields {
  if (!isSparseFamily(family)) return fields;
  const own = countName(family);
  const other = own === "num_experts" ? "num_local_experts" : "num_experts";
  if (!given(fields[other])) return fields;
  if (given(fields[own]) && fields[own] !== fields[other]) {
    throw invalid(other, fields[other], `${own}, ${JSON.stringify(fields[own])}`);
  }
  return { ...fields, [own]: fields[other] };
}

/** 0 experts: every layer is dense. */
function hasNoExperts(family: string, fields: Fields): boolean {
  return family.startsWith("qwen") && fields[countName(family)] === 0;
}

/** A key of a file whose value its family does not read. */
export interface UnreadField {
  readonly name: string;
  readonly value: unknown;
  /** What is computed with instead. */
  readonly used: unknown;
}

/**
 * Keys whose values are built into a family's code, in the reference implementation too, and which say something
 * else.
 */
export function unreadExpertFields(family: string, fields: Fields): UnreadField[] {
  const fixed: Readonly<Record<string, unknown>> =
    family === "phimoe"
      ? { num_experts_per_tok: 2 }
      : family === "gpt_oss"
        ? {
            hidden_act: "silu",
            swiglu_alpha: 1.702,
            swiglu_limit: 7,
            // Published files say it twice.
            experts_per_token: fields["num_experts_per_tok"],
          }
        : {};
  return Object.entries(fixed).flatMap(([name, used]) => {
    const value = fields[name];
    return given(value) && value !== used ? [{ name, value, used }] : [];
  });
}

/** A number that may be 0; absent: 0. */
function notNegative(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw invalid(name, value, "a number of at least 0");
}

function mixesDenseLayers(family: string): boolean {
  return family.startsWith("qwen") || family === "openmoe";
}

function sharedExpert(family: string, fields: Fields): ExpertsConfig["shared"] {
  const name = "shared_expert_intermediate_size";
  if (family === "qwen2_moe") {
    return { intermediateSize: positive(fields, name, Number.isSafeInteger), gated: true };
  }
  if (family === "granitemoeshared") {
    const width = notNegative(fields, "shared_intermediate_size");
    if (width === 0) return undefined;
    const intermediateSize = positive(fields, "shared_intermediate_size", Number.isSafeInteger);
    return { intermediateSize, gated: false };
  }
  // 0: OpenMoE without its residual expert.
  if (family !== "openmoe" || fields[name] === 0) return undefined;
  const key = given(fields[name]) ? name : "intermediate_size";
  return { intermediateSize: positive(fields, key, Number.isSafeInteger), gated: false };
}

function trainingOf(fields: Fields): ExpertsTraining {
  return {
    capacityFactor: positive(fields, "expert_capacity_factor", Number.isFinite),
    balanceLoss: notNegative(fields, "router_aux_loss_coef"),
    zLoss: notNegative(fields, "router_z_loss_coef"),
  };
}

/** Whether the feed-forward of a layer is made of experts: Qwen's families may mix dense layers in. */
export function isSparseLayer(family: string, fields: Fields, index: number): boolean {
  if (!isSparseFamily(family) || hasNoExperts(family, fields)) return false;
  if (!mixesDenseLayers(family)) return true;
  const dense = fields["mlp_only_layers"] ?? [];
  if (!Array.isArray(dense) || !dense.every((layer) => Number.isSafeInteger(layer))) {
    throw invalid("mlp_only_layers", dense, "a list of layer numbers");
  }
  if (dense.includes(index)) return false;
  return (index + 1) % positive(fields, "decoder_sparse_step", Number.isSafeInteger) === 0;
}

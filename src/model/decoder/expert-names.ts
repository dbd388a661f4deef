/** Names of a sparse layer's weights: its router, its experts and its shared expert. */
import type { DecoderConfig } from "./config.ts";
import type { ExpertLayout } from "./experts-config.ts";

/** Stored matrices of one expert (or of the shared one), grouped as they are multiplied. */
export interface ExpertGroups {
  /** Gate and up projection. In gpt-oss one matrix whose rows alternate. */
  readonly gateUp: readonly string[];
  readonly down: readonly string[];
  /** Names of the biases of both products, where the family has biases. */
  readonly gateUpBias: string;
  readonly downBias: string;
}

/** Names of a sparse layer. */
export interface SparseLayerNames {
  readonly router: string;
  readonly routerBias: string;
  expert(index: number): ExpertGroups;
  readonly shared: ExpertGroups;
  /** `[1, hiddenSize]`: its product, through a sigmoid, scales the shared expert. */
  readonly sharedGate: string;
}

const routers: Readonly<Record<ExpertLayout, string>> = {
  mixtral: "block_sparse_moe.gate",
  qwen: "mlp.gate",
  granite: "block_sparse_moe.router.layer",
  "gpt-oss": "mlp.router",
};

/**
 * The name of one expert's part of a tensor that holds those of all experts, one after the other. The
 * decoder's own: `splitExperts` gives the tensors to it.
 */
export function expertPart(stacked: string, expert: number): string {
  return `${stacked}.${expert}`;
}

/** Names of a sparse layer, as its family's checkpoints spell them. */
export function sparseLayerNames(config: DecoderConfig, layer: number): SparseLayerNames {
  const prefix = `model.layers.${layer}`;
  const { layout } = config.experts!;
  const router = `${prefix}.${routers[layout]}`;
  const separate = (of: string, [gate, up, down]: readonly string[]): ExpertGroups => ({
    gateUp: [`${of}.${gate}.weight`, `${of}.${up}.weight`],
    down: [`${of}.${down}.weight`],
    gateUpBias: "",
    downBias: "",
  });
  const joined = (of: string): ExpertGroups => ({
    gateUp: [`${of}.input_linear.weight`],
    down: [`${of}.output_linear.weight`],
    gateUpBias: "",
    downBias: "",
  });
  const stacked = (of: string, gateUp: string, down: string, index: number): ExpertGroups => ({
    gateUp: [expertPart(`${of}.${gateUp}`, index)],
    down: [expertPart(`${of}.${down}`, index)],
    gateUpBias: expertPart(`${of}.${gateUp}_bias`, index),
    downBias: expertPart(`${of}.${down}_bias`, index),
  });
  const projections = ["gate_proj", "up_proj", "down_proj"];
  const expert = (index: number): ExpertGroups => {
    switch (layout) {
      case "mixtral":
        return separate(`${prefix}.block_sparse_moe.experts.${index}`, ["w1", "w3", "w2"]);
      case "qwen":
        return separate(`${prefix}.mlp.experts.${index}`, projections);
      case "granite":
        return stacked(
          `${prefix}.block_sparse_moe`,
          "input_linear.weight",
          "output_linear.weight",
          index,
        );
      case "gpt-oss":
        return stacked(`${prefix}.mlp.experts`, "gate_up_proj", "down_proj", index);
    }
  };
  return {
    router: `${router}.weight`,
    routerBias: `${router}.bias`,
    expert,
    shared:
      layout === "granite"
        ? joined(`${prefix}.shared_mlp`)
        : separate(`${prefix}.mlp.shared_expert`, projections),
    sharedGate: `${prefix}.mlp.shared_expert_gate.weight`,
  };
}

/** A stored tensor that holds a part of every expert of a layer, one after the other. */
export interface ExpertStack {
  readonly name: string;
  /** Whether each expert's matrix is stored as `[in, out]` (gpt-oss). */
  readonly isTransposed: boolean;
}

/** The stacked tensors of a sparse layer; none where every expert has tensors of its own. */
export function expertStacks(config: DecoderConfig, layer: number): ExpertStack[] {
  const { layout } = config.experts!;
  if (layout !== "granite" && layout !== "gpt-oss") return [];
  const { gateUp, down, gateUpBias, downBias } = sparseLayerNames(config, layer).expert(0);
  // Names of parts end in the number of the expert.
  const stackOf = (part: string): string => part.replace(/\.0$/, "");
  const matrices = [...gateUp, ...down].map(stackOf);
  if (layout === "granite") return matrices.map((name) => ({ name, isTransposed: false }));
  return [
    ...matrices.map((name) => ({ name, isTransposed: true })),
    ...[gateUpBias, downBias].map((part) => ({ name: stackOf(part), isTransposed: false })),
  ];
}

/** Every group of matrices of a sparse layer's experts. */
export function expertGroups(config: DecoderConfig, layer: number): (readonly string[])[] {
  const { count, shared } = config.experts!;
  const names = sparseLayerNames(config, layer);
  const groups = Array.from({ length: count }, (_, index) => names.expert(index));
  if (shared) groups.push(names.shared);
  return groups.flatMap(({ gateUp, down }) => [gateUp, down]);
}

/** Where a parameter of a sparse layer lies that is not stored under its family's own name. */
export interface OtherPlace {
  readonly name: string;
  /**
   * A tensor `[experts, parts · rows, columns]` of all experts, of whose rows an expert's parameter is one part. Absent: the
   * tensor is the parameter.
   */
  readonly part?: { readonly expert: number; readonly index: number; readonly parts: number };
}

const [fusedGateUp, fusedDown] = ["gate_up_proj", "down_proj"] as const;

/** Part of an expert's matrix in the fused tensors: gate above up, and down alone. */
const fusedParts: Readonly<Record<string, readonly [stack: string, index: number, parts: number]>> =
  {
    w1: [fusedGateUp, 0, 2],
    w3: [fusedGateUp, 1, 2],
    w2: [fusedDown, 0, 1],
    gate_proj: [fusedGateUp, 0, 2],
    up_proj: [fusedGateUp, 1, 2],
    down_proj: [fusedDown, 0, 1],
  };

/** Other names of whole tensors, by the end of the family's own. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  "block_sparse_moe.gate.weight": ["mlp.gate.weight", "mlp.router.weight"],
  "block_sparse_moe.router.layer.weight": ["block_sparse_moe.router.weight"],
  "block_sparse_moe.input_linear.weight": [`block_sparse_moe.experts.${fusedGateUp}`],
  "block_sparse_moe.output_linear.weight": [`block_sparse_moe.experts.${fusedDown}`],
};

/**
 * Where else a parameter of a sparse layer may be stored: under the names that transformers 5 has for it in memory and
 * writes with `save_original_format=False`, the experts of a layer fused.
 *
 * Source: transformers 5.18.0, `conversion_mapping.py` and the `modeling_*.py` of the families.
 *
 * @param name the family's own, as `decoderParameterShapes` gives it
 */
export function otherPlaces(name: string): readonly OtherPlace[] {
  const [, layer = "", own = ""] = /^(model\.layers\.\d+\.)(.*)$/.exec(name) ?? [];
  const whole = Object.hasOwn(otherNames, own) ? otherNames[own]! : [];
  const [, block, number, matrix = ""] =
    /^(block_sparse_moe|mlp)\.experts\.(\d+)\.(\w+)\.weight$/.exec(own) ?? [];
  const fused = Object.hasOwn(fusedParts, matrix) ? fusedParts[matrix] : undefined;
  const places: OtherPlace[] = whole.map((other) => ({ name: layer + other }));
  if (fused === undefined) return places;
  const [stack, index, parts] = fused;
  if (block !== "mlp") places.push({ name: `${layer}mlp.experts.${number}.${matrix}.weight` });
  const part = { expert: Number(number), index, parts };
  for (const of of new Set([block, "mlp"])) {
    places.push({ name: `${layer}${of}.experts.${stack}`, part });
  }
  return places;
}

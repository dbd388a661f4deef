import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { createRandomCheckpoint } from "./random-checkpoint.ts";
import { randomReferenceTensors, referenceParameterShapes } from "./random-weights.ts";
import {
  type FloatDtype,
  type ReferenceConfig,
  type ReferenceTensors,
  readReferenceCheckpoint,
  roundToDtype,
} from "./reference-checkpoint.ts";
import { referenceForward, referenceGreedy, startReference } from "./reference-decoder.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan, ReferenceRopePlan } from "./reference-plan.ts";
import { referenceFamilies } from "./tiny-config-variants.ts";

const folder = mkdtempSync(join(tmpdir(), "jeton-random-checkpoint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Small enough to compute thousands of variants. */
const tiny = {
  vocabulary: 64,
  width: 32,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 12,
  feedForward: 40,
};
const ids = Array.from({ length: 30 }, (_, i) => (i * i * 7 + i * 11 + 3) % tiny.vocabulary);

const families = Object.keys(referenceFamilies);
const subjects = new Map(
  families.map((family) => {
    const config = referenceFamilies[family]!(tiny);
    const tensors = randomReferenceTensors(config, 1);
    return [family, { config, tensors, logits: referenceForward(config, tensors, ids) }] as const;
  }),
);

/** The root mean square difference of two lists of logits. */
function difference(a: Float64Array, b: Float64Array): number {
  expect(a.length).toBe(b.length);
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);
}

/** What a fast engine's fp32 tests can see with ease. */
const noticeable = 1e-3;

describe("weights", () => {
  test.each(families)("%s: logits are finite, spread and not flat", (family) => {
    const { config, logits } = subjects.get(family)!;
    const deviation = difference(logits, new Float64Array(logits.length));
    expect(logits.every(Number.isFinite)).toBe(true);
    expect(deviation).toBeGreaterThan(1);
    expect(deviation).toBeLessThan(20);
    expect(describeReference(config).layers.length).toBe(tiny.layers);
  });

  test.each(families)("%s: every tensor matters, and no other is read", (family) => {
    const { config, tensors, logits } = subjects.get(family)!;
    for (const [name, tensor] of tensors) {
      if (/layers\.[12]\./.test(name)) continue; // Like those of the first and the last layer.
      const changed = new Map(tensors);
      // Not by one factor, which a norm behind the tensor would undo.
      const data = tensor.data.map((value, i) => value * (1 + 0.3 * Math.cos(i)));
      changed.set(name, { shape: tensor.shape, data });
      const seen = difference(logits, referenceForward(config, changed, ids));
      expect(seen, name).toBeGreaterThan(noticeable);
      changed.delete(name);
      expect(() => referenceForward(config, changed, ids)).toThrow(name);
    }
    const extra = new Map(tensors).set("lm_head.extra", { shape: [1], data: Float64Array.of(1) });
    expect(referenceForward(config, extra, ids)).toEqual(logits);
  });
});

/** Other carried-out plans that the logits must tell from the right one. */
function wrongPlans(plan: ReferencePlan): [string, ReferencePlan][] {
  const wrong: [string, ReferencePlan][] = [
    ["epsilon", { ...plan, rmsNormEps: plan.rmsNormEps + 0.01 }],
    [
      "embedding scale",
      { ...plan, embeddingScale: plan.embeddingScale === 1 ? Math.sqrt(plan.hiddenSize) : 1 },
    ],
    ["score scale", { ...plan, attentionScale: plan.attentionScale * 1.1 }],
    ["score cap", { ...plan, attnLogitSoftcap: plan.attnLogitSoftcap === null ? 5 : null }],
    ["logit cap", { ...plan, finalLogitSoftcap: plan.finalLogitSoftcap === null ? 10 : null }],
  ];
  // Layer norms have no offset, and gpt-oss has a gate of its own.
  if (!plan.layerNorms) wrong.push(["norm offset", { ...plan, normOffset: 1 - plan.normOffset }]);
  const activation = plan.activation === "silu" ? "gelu-tanh" : "silu";
  if (!plan.sinks) wrong.push(["activation", { ...plan, activation }]);
  if (plan.qkNorm !== "none") wrong.push(["q/k norm", { ...plan, qkNorm: "none" }]);
  if (plan.outputBias) wrong.push(["output bias", { ...plan, outputBias: false }]);
  if (plan.qkvBias) wrong.push(["bias", { ...plan, qkvBias: false }]);
  if (plan.mlpBias) wrong.push(["mlp bias", { ...plan, mlpBias: false }]);
  const { learnedPositions, ...unplaced } = plan;
  if (learnedPositions !== undefined) wrong.push(["positions", unplaced]);
  const { parallel, ...serial } = plan;
  if (parallel) wrong.push(["parallel sums", serial]);
  else if (plan.layerNorms && !plan.experts)
    wrong.push(["serial sums", { ...plan, parallel: true }]);
  for (const [index, layer] of plan.layers.entries()) {
    const change = (what: string, other: typeof layer): void => {
      wrong.push([
        `${what} of layer ${index}`,
        { ...plan, layers: plan.layers.with(index, other) },
      ]);
    };
    const { slidingWindow, rope } = layer;
    if (slidingWindow === null) change("window", { ...layer, slidingWindow: 8 });
    else if (slidingWindow < ids.length) {
      change("window", { ...layer, slidingWindow: null });
      change("window + 1", { ...layer, slidingWindow: slidingWindow + 1 });
      change("window - 1", { ...layer, slidingWindow: slidingWindow - 1 });
    }
    if (rope !== null) {
      change("rotation", { ...layer, rope: null });
      change("theta", { ...layer, rope: { ...rope, theta: rope.theta * 2 } });
      if (rope.type !== "default") {
        change("rope type", { ...layer, rope: { ...rope, type: "default" } });
      }
    } else {
      const rope = plan.layers.find((other) => other.rope)?.rope ?? someRotation(plan);
      change("no rotation", { ...layer, rope });
    }
    const { scoreDivisor } = layer;
    if (scoreDivisor !== undefined) change("divisor", { ...layer, scoreDivisor: scoreDivisor + 1 });
  }
  return wrong;
}

/** A rotation for families that have none. */
function someRotation({ headDim }: ReferencePlan): ReferenceRopePlan {
  return {
    type: "default",
    theta: 10000,
    rotaryDim: headDim,
    maxPositionEmbeddings: 64,
    originalMaxPositionEmbeddings: 64,
    scaling: {},
  };
}

/** Fields that say nothing about the logits of any family. */
const irrelevant = new Set(
  [
    "_name_or_path architectures attention_dropout auto_map bos_token_id cache_implementation",
    "embd_pdrop eos_token_id expert_capacity_factor full_attn_mod initializer_range interpolate_factor is_llama_config",
    "experts_per_token initial_context_length input_jitter_noise output_router_logits pad_token_id",
    "pretraining_tp resid_pdrop rope_interleaved router_aux_loss_coef router_z_loss_coef swiglu_limit transformers_version",
    "use_bidirectional_attention use_cache use_mrope",
    "attn_pdrop n_ctx reorder_and_upcast_attn summary_activation summary_first_dropout summary_proj_to_labels",
    "summary_type summary_use_proj embed_dropout resid_dropout",
  ]
    .join(" ")
    .split(" "),
);

/** Fields that say nothing in one family or variant, though they do in another. */
const silent: Record<string, string[]> = {
  // Without a window it is a Llama.
  "mistral-nemo": ["model_type"],
  qwen2: ["max_window_layers", "sliding_window"],
  "qwen2-layer-types": ["max_window_layers"],
  "qwen2-yarn": ["max_window_layers", "sliding_window"],
  qwen3: ["max_window_layers", "use_sliding_window"],
  "qwen3-bias": ["max_window_layers", "use_sliding_window"],
  "qwen3-parameters": ["layer_types", "max_window_layers", "use_sliding_window"],
  smollm3: ["max_window_layers", "no_rope_layer_interval", "use_sliding_window", "layer_types"],
  "smollm3-window": ["max_window_layers"],
  phi3: ["attention_bias", "original_max_position_embeddings"],
  "phi3-longrope": ["attention_bias", "sliding_window", "rope_scaling.short_factor"],
  "phi3-longrope-short": ["attention_bias", "sliding_window", "rope_scaling.long_factor"],
  "phi4-mini": [
    "attention_bias",
    "lm_head_bias",
    "mlp_bias",
    "sliding_window",
    "rope_scaling.short_factor",
  ],
  "phi4-mini-parameters": ["attention_bias", "rope_parameters.short_factor"],
  gemma: ["hidden_activation"],
  "gemma-bias": ["hidden_activation"],
  gemma2: ["hidden_act"],
  "gemma3-linear": ["_sliding_window_pattern"],
  "gemma3-parameters": ["attn_logit_softcapping", "sliding_window_pattern"],
  mixtral: ["router_jitter_noise"],
  "mixtral-window": ["router_jitter_noise"],
  "qwen2-moe": ["max_window_layers", "sliding_window"],
  "qwen3-moe": ["max_window_layers"],
  phimoe: ["num_experts_per_tok"],
  "phimoe-longrope": [
    "num_experts_per_tok",
    "rope_scaling.short_factor",
    "rope_scaling.short_mscale",
  ],
  "gpt-oss": ["hidden_act"],
};

/** A different value of the same type; undefined where there is none that can be made blindly. */
function different(key: string, value: unknown): unknown {
  if (/^beta|^original/.test(key)) return Number(value) * 16; // Yarn rounds them away if they change less.
  if (typeof value === "number") return Math.ceil(value * 1.25 + 1);
  if (typeof value === "boolean") return !value;
  if (key === "hidden_act" || key === "hidden_activation") return "relu";
  if (key === "model_type") return value === "llama" ? "olmo2" : "llama";
  if (typeof value === "string") return "default";
  if (Array.isArray(value)) {
    const [first] = value as unknown[];
    if (first === "full_attention") return ["sliding_attention", ...value.slice(1)];
    if (first === "sliding_attention") return ["full_attention", ...value.slice(1)];
    if (key === "no_rope_layers") return [1 - Number(first), ...value.slice(1)];
    if (typeof first === "number") return [first + 0.7, ...value.slice(1)];
  }
  return undefined;
}

/** All configs with one field changed, nested fields included, by the path of that field. */
function* changedConfigs(config: ReferenceConfig, path = ""): Generator<[string, ReferenceConfig]> {
  for (const [key, value] of Object.entries(config)) {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      if (key === "auto_map") continue;
      for (const [inner, changed] of changedConfigs(value as ReferenceConfig, `${path}${key}.`)) {
        yield [inner, { ...config, [key]: changed }];
      }
      continue;
    }
    const other = different(key, value);
    if (other !== undefined && other !== value) yield [path + key, { ...config, [key]: other }];
  }
}

describe("features", () => {
  test.each(families)("%s: the logits tell every other plan", (family) => {
    const { config, tensors, logits } = subjects.get(family)!;
    for (const [what, plan] of wrongPlans(describeReference(config))) {
      const seen = difference(logits, referenceForward(config, tensors, ids, { plan }));
      expect(seen, what).toBeGreaterThan(noticeable);
    }
  });

  test.each(families)("%s: every field of the config matters or is known not to", (family) => {
    const { config, tensors, logits } = subjects.get(family)!;
    const usesMaxPositions = /dynamic|phi3-longrope|phi4|^gpt-neo$/.test(family);
    for (const [path, changed] of changedConfigs(config)) {
      const isSilent =
        irrelevant.has(path) ||
        silent[family]?.includes(path) === true ||
        (path === "max_position_embeddings" && !usesMaxPositions);
      let seen: number;
      try {
        seen = difference(logits, referenceForward(changed, tensors, ids));
      } catch {
        seen = Number.POSITIVE_INFINITY; // Refused: noticed.
      }
      if (isSilent) expect(seen, path).toBe(0);
      else expect(seen, path).toBeGreaterThan(noticeable);
    }
  });

  test("a forward pass rotates by the length that it reaches, cached keys stay", () => {
    for (const family of ["llama-dynamic", "phi3-longrope", "phi4-mini"]) {
      const { config, tensors, logits } = subjects.get(family)!;
      const { vocabSize } = describeReference(config);
      const rows = (from: number, to: number) => logits.slice(from * vocabSize, to * vocabSize);
      const sequence = startReference(config, tensors);
      // Long or stretched for the whole pass, short for the first tokens alone.
      const first = sequence.append(ids.slice(0, 20));
      expect(difference(first, rows(0, 20)), family).toBeGreaterThan(noticeable);
      const rest = difference(sequence.append(ids.slice(20)), rows(20, ids.length));
      // The first tokens of these two lie beyond the original context, or are computed anew.
      if (family === "llama-dynamic") expect(rest).toBeGreaterThan(noticeable);
      else expect(rest, family).toBe(0);
    }
  });

  test("greedy stops at a stop id and keeps it", () => {
    const { config, tensors } = subjects.get("llama")!;
    const free = referenceGreedy(config, tensors, [1, 2], { maxTokens: 10 });
    const stopIds = [free.ids[3]!];
    const stopped = referenceGreedy(config, tensors, [1, 2], { maxTokens: 10, stopIds });
    expect(stopped.ids).toEqual(free.ids.slice(0, free.ids.indexOf(stopIds[0]!) + 1));
  });

  test("two writings of one config mean the same", () => {
    const same = (a: ReferenceConfig, b: ReferenceConfig): void => {
      const tensors: ReferenceTensors = randomReferenceTensors(a, 2);
      expect(referenceForward(b, tensors, ids)).toEqual(referenceForward(a, tensors, ids));
    };
    const llama = referenceFamilies["llama-yarn"]!(tiny);
    const { rope_scaling, rope_theta, ...rest } = llama;
    same(llama, { ...rest, rope_parameters: { ...(rope_scaling as object), rope_theta } });
    const gemma3 = referenceFamilies["gemma3"]!(tiny);
    const { sliding_window_pattern: _, ...others } = gemma3;
    const layer_types = Array.from({ length: tiny.layers }, (__, i) =>
      (i + 1) % 3 === 0 ? "full_attention" : "sliding_attention",
    );
    same(gemma3, { ...others, layer_types });
    const phi3 = referenceFamilies["phi3-longrope"]!(tiny);
    same(phi3, { ...phi3, rope_scaling: { ...(phi3["rope_scaling"] as object), type: "su" } });
    const mistral = referenceFamilies["mistral"]!(tiny);
    const { sliding_window: __, ...unsaid } = referenceFamilies["mistral-nemo"]!(tiny);
    same({ ...unsaid, sliding_window: 4096 }, unsaid);
    same(mistral, { ...mistral, head_dim: null });
  });
});

describe("files", () => {
  test.each(["F32", "F16", "BF16"] as const)(
    "%s: what is written is what the oracle used",
    (dtype) => {
      const path = join(folder, dtype);
      const options = {
        family: "gemma2",
        seed: 5,
        dtype,
        shards: dtype === "F16" ? 3 : 1,
        ...tiny,
      };
      const made = createRandomCheckpoint(path, options);
      const read = readReferenceCheckpoint(path);
      expect(read.config).toEqual(made.config);
      expect(Object.fromEntries(read.tensors)).toEqual(Object.fromEntries(made.tensors));
      const again = createRandomCheckpoint(join(folder, `${dtype}-again`), options);
      expect(Object.fromEntries(again.tensors)).toEqual(Object.fromEntries(made.tensors));
      const shapes = referenceParameterShapes(describeReference(made.config));
      expect([...read.tensors.keys()].sort()).toEqual([...shapes.keys()].sort());
      expect(existsSync(join(path, "model.safetensors.index.json"))).toBe(dtype === "F16");
    },
  );

  test("the tokenizer is copied and the generation config written", () => {
    const tokenizer = join(folder, "some-tokenizer.json");
    writeFileSync(tokenizer, "{}");
    const path = join(folder, "with-tokenizer");
    createRandomCheckpoint(path, { family: "olmo2", seed: 1, tokenizer, ...tiny });
    expect(readFileSync(join(path, "tokenizer.json"), "utf8")).toBe("{}");
    const generation = JSON.parse(readFileSync(join(path, "generation_config.json"), "utf8"));
    expect(generation).toMatchObject({ eos_token_id: 2 });
    expect(generation).not.toHaveProperty("bos_token_id");
  });

  test("an unknown family is refused before anything is written", () => {
    const path = join(folder, "unknown");
    expect(() => createRandomCheckpoint(path, { family: "gpt9", seed: 1 })).toThrow(/gpt9/);
    expect(existsSync(path)).toBe(false);
  });

  test("rounding goes to the nearest value of the dtype, ties to even", () => {
    const round = (value: number, dtype: FloatDtype): number =>
      roundToDtype(Float64Array.of(value), dtype)[0]!;
    expect(round(65519.99, "F16")).toBe(65504);
    expect(round(65520, "F16")).toBe(Number.POSITIVE_INFINITY);
    expect(round(1 + 2 ** -11, "F16")).toBe(1);
    expect(round(1 + 3 * 2 ** -11, "F16")).toBe(1 + 2 ** -9);
    expect(round(2 ** -25, "F16")).toBe(0);
    expect(round(2 ** -24 * 1.5, "F16")).toBe(2 ** -23);
    expect(round(1 + 2 ** -8, "BF16")).toBe(1);
    expect(round(1 + 3 * 2 ** -8, "BF16")).toBe(1 + 2 ** -6);
    // Once, not first to float32: 1 + 2^-8 + 2^-40 lies above the tie.
    expect(round(1 + 2 ** -8 + 2 ** -40, "BF16")).toBe(1 + 2 ** -7);
    expect(round(0.1, "F32")).toBe(Math.fround(0.1));
    const significand: Record<FloatDtype, number> = { F32: 24, F16: 11, BF16: 8 };
    const number = fc.double({ min: -60000, max: 60000, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(number, fc.constantFrom("F32", "F16", "BF16"), (value, dtype) => {
        const rounded = round(value, dtype);
        expect(round(rounded, dtype)).toBe(rounded);
        if (Math.abs(value) < 2 ** -14) return;
        const limit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - significand[dtype]);
        expect(Math.abs(rounded - value)).toBeLessThanOrEqual(limit);
      }),
    );
  });
});

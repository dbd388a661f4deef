import { describe, expect, test } from "vitest";
import { describeReference } from "../../testing/reference-families.ts";
import { referenceFamilies } from "../../testing/tiny-config-variants.ts";
import { restartLength } from "../layers/rotation-tables.ts";
import { type DecoderConfig, decoderConfig, decoderFamilies, unobeyedFields } from "./config.ts";

type File = Parameters<typeof decoderConfig>[0];

const tiny = {
  vocabulary: 512,
  width: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 24,
  feedForward: 96,
};

function contextOf(ropeScaling: Record<string, unknown> | null, positions: number): number {
  const file = referenceFamilies["llama"]!(tiny);
  return decoderConfig({
    ...file,
    max_position_embeddings: positions,
    rope_scaling: ropeScaling,
  } as File).contextLength;
}

describe("the context length", () => {
  test("is what the file states, or what its scaling stretches it to", () => {
    expect(contextOf(null, 512)).toBe(512);
    expect(contextOf({ type: "linear", factor: 4 }, 512)).toBe(512);
    expect(contextOf({ rope_type: "dynamic", factor: 4 }, 512)).toBe(2048);
    const yarn = { rope_type: "yarn", factor: 4 };
    expect(contextOf(yarn, 512)).toBe(2048);
    // Qwen's cards add this to a file that states the length before scaling, or a little more.
    expect(contextOf({ ...yarn, original_max_position_embeddings: 512 }, 512)).toBe(2048);
    expect(contextOf({ ...yarn, original_max_position_embeddings: 512 }, 640)).toBe(2048);
    // Other files state the length after it.
    expect(contextOf({ ...yarn, original_max_position_embeddings: 128 }, 512)).toBe(512);
  });
});

function expertsInOracleWords(
  experts: NonNullable<DecoderConfig["experts"]>,
  layers: DecoderConfig["layers"],
): unknown {
  const { intermediateSize, weighting, routerJitter, shared, layout, ...others } = experts;
  const { gate: _, training: __, ...rest } = others;
  // Probabilities among the chosen are those among all divided by their sum.
  const isDivided = weighting === "chosen" && (layout === "mixtral" || layout === "qwen");
  const routers = { all: "softmax", chosen: "softmax-of-chosen", sparsemixer: "sparsemixer" };
  const layouts = {
    mixtral: "w1-w2-w3",
    qwen: "projections",
    granite: "stacked",
    "gpt-oss": "interleaved",
  };
  return {
    ...rest,
    width: intermediateSize,
    router: isDivided ? "softmax" : routers[weighting],
    normalized: isDivided,
    jitter: weighting === "sparsemixer" ? routerJitter : 0,
    sharedWidth: shared?.intermediateSize ?? null,
    ...(shared?.gated === false && { sharedUngated: true }),
    layout: layouts[layout],
    sparse: layers.map(({ sparse }) => sparse),
  };
}

/** A description in the words of the oracle. */
function inOracleWords(config: DecoderConfig): unknown {
  const { layers, ropes, normPlacement, attentionOutputBias, tieWordEmbeddings, ...rest } = config;
  const { contextLength: _, bosTokenId: __, eosTokenIds: ___, experts, ...others } = rest;
  const { norm, qkvClip, residualScale, logitScale, headBias, attentionSinks, ...parts } = others;
  const { qkvLayout, feedForward, storesTransposed: ____, parallelResidual, ...shared } = parts;
  const isJoined = feedForward === "gated-joined";
  return {
    ...shared,
    ...(norm !== "rms" && { layerNorms: norm === "layer" ? "biased" : "bare" }),
    fusedProjections: isJoined,
    ...(qkvLayout === "joined" && !isJoined && { joinedHeads: "by-part" }),
    ...(qkvLayout === "joined-by-head" && { joinedHeads: "by-head" }),
    ...(parallelResidual && { parallel: true }),
    ...(feedForward === "plain" && { plainFeedForward: true }),
    ...(qkvClip !== undefined && { qkvClip }),
    ...(residualScale !== 1 && { residualScale }),
    ...(logitScale !== 1 && { logitDivisor: 1 / logitScale }),
    ...(headBias && { headBias }),
    ...(attentionSinks && { sinks: true }),
    ...(experts && { experts: expertsInOracleWords(experts, layers) }),
    attnLogitSoftcap: shared.attnLogitSoftcap ?? null,
    finalLogitSoftcap: shared.finalLogitSoftcap ?? null,
    norms: normPlacement,
    outputBias: attentionOutputBias,
    restartsBeyond: restartLength(config) ?? null,
    tiedHead: tieWordEmbeddings,
    layers: layers.map(({ slidingWindow, rope, scoreDivisor }) => {
      const scaled = { scoreDivisor, slidingWindow: slidingWindow ?? null };
      if (rope === undefined) return { ...scaled, rope: null };
      const { kind, ...others } = ropes[rope]!;
      return { ...scaled, rope: { type: kind, ...others } };
    }),
  };
}

describe("keys that a file leaves out", () => {
  test.each(decoderFamilies)("%s: all of them have the values of the config class", (family) => {
    const file = { model_type: family };
    expect(inOracleWords(decoderConfig(file))).toEqual(describeReference(file));
  });

  test.each(Object.keys(referenceFamilies))("%s: one at a time", (name) => {
    const file = referenceFamilies[name]!(tiny);
    for (const key of Object.keys(file)) {
      // Counts of heads and sizes depend on each other; the others stand alone.
      if (
        /model_type|heads|n_head|n_embd|n_layer|num_layers|attention_types|hidden_size|head_dim|num_hidden_layers|experts_per_tok|rope_|partial/.test(
          key,
        )
      )
        continue;
      const { [key]: _____, ...rest } = file;
      expect(inOracleWords(decoderConfig(rest as File)), key).toEqual(
        describeReference(rest as File),
      );
    }
  });

  test("Gemma 3's multimodal files open with a text_config that names a few sizes", () => {
    const text_config = {
      model_type: "gemma3_text",
      hidden_size: 2560,
      intermediate_size: 10240,
      num_hidden_layers: 34,
      rope_scaling: { factor: 8, rope_type: "linear" },
      sliding_window: 1024,
    };
    const config = decoderConfig({ model_type: "gemma3", text_config } as File);
    expect(config).toMatchObject({
      hiddenSize: 2560,
      numAttentionHeads: 8,
      numKeyValueHeads: 4,
      headDim: 256,
      vocabSize: 262208,
      contextLength: 131072,
      tieWordEmbeddings: true,
    });
    expect(config.layers.filter(({ slidingWindow }) => slidingWindow === 1024)).toHaveLength(29);
    expect(config.ropes.map(({ kind, theta }) => [kind, theta])).toEqual([
      ["default", 10000],
      ["linear", 1_000_000],
    ]);
    const { model_type: _, ...untyped } = text_config;
    expect(decoderConfig({ model_type: "gemma3", text_config: untyped } as File)).toEqual(config);
  });
});

describe("unusual values of sparse families", () => {
  const full = ["full_attention", "full_attention"];
  test.each<[string, object]>([
    ["mixtral", { tie_word_embeddings: true, head_dim: 24, hidden_act: "gelu" }],
    ["mixtral", { num_experts_per_tok: 1, sliding_window: 7 }],
    ["mixtral", { num_experts_per_tok: 5, num_key_value_heads: 1 }],
    ["olmoe", { norm_topk_prob: true, clip_qkv: null, attention_bias: true }],
    ["olmoe", { num_key_value_heads: 4, num_experts_per_tok: 6, tie_word_embeddings: true }],
    ["qwen2-moe", { mlp_only_layers: [0, 1], decoder_sparse_step: 1 }],
    ["qwen2-moe", { mlp_only_layers: null, decoder_sparse_step: 3 }],
    ["qwen2-moe", { qkv_bias: false, norm_topk_prob: true, num_experts_per_tok: 4 }],
    ["qwen2-moe", { use_sliding_window: true, layer_types: full, decoder_sparse_step: 1 }],
    ["qwen2-moe", { use_sliding_window: true, max_window_layers: 1, sliding_window: 3 }],
    ["qwen3-moe", { attention_bias: true, norm_topk_prob: false, mlp_only_layers: [] }],
    ["qwen3-moe", { decoder_sparse_step: 2, use_sliding_window: false, head_dim: 8 }],
    ["granitemoe", { attention_bias: true, tie_word_embeddings: false, logits_scaling: 3 }],
    ["granitemoe", { attention_multiplier: 0.01, residual_multiplier: 1, num_local_experts: 2 }],
    ["phimoe", { router_jitter_noise: 0, lm_head_bias: false, attention_bias: false }],
    ["phimoe", { sliding_window: null, num_local_experts: 2, tie_word_embeddings: true }],
    ["gpt-oss", { attention_bias: false, sliding_window: null, tie_word_embeddings: true }],
    ["gpt-oss", { layer_types: full, num_experts_per_tok: 1, experts_per_token: 1 }],
    ["gpt-oss", { rope_scaling: null }],
    ["gpt-oss", { rope_scaling: null, rope_parameters: { rope_type: "default", rope_theta: 9 } }],
    ["granitemoe-shared", { shared_intermediate_size: 0 }],
    ["granitemoe-shared", { shared_intermediate_size: 40, attention_bias: true }],
  ])("%s %o", (name, changes) => {
    const file = { ...referenceFamilies[name]!(tiny), ...changes } as File;
    expect(inOracleWords(decoderConfig(file))).toEqual(describeReference(file));
  });

  test.each<[string, string, unknown]>([
    ["mixtral", "num_experts_per_tok", 6],
    ["mixtral", "num_local_experts", 0],
    ["mixtral", "tie_word_embeddings", 1],
    ["olmoe", "norm_topk_prob", "true"],
    ["olmoe", "clip_qkv", -1],
    ["olmoe", "attention_bias", "no"],
    ["qwen2-moe", "mlp_only_layers", "1"],
    ["qwen2-moe", "mlp_only_layers", ["1"]],
    ["qwen2-moe", "decoder_sparse_step", 0],
    ["qwen2-moe", "qkv_bias", 0],
    ["qwen2-moe", "use_sliding_window", "yes"],
    ["qwen2-moe", "shared_expert_intermediate_size", 0],
    ["qwen3-moe", "moe_intermediate_size", 1.5],
    ["granitemoe", "logits_scaling", 0],
    ["granitemoe", "residual_multiplier", "1"],
    ["phimoe", "router_jitter_noise", "0.01"],
    ["phimoe", "lm_head_bias", 1],
    ["qwen3-moe", "num_local_experts", 9],
    ["granitemoe-shared", "shared_intermediate_size", -1],
    ["gpt-oss", "layer_types", ["full_attention"]],
  ])("%s: %s %o is refused by name", (name, key, value) => {
    const file = { ...referenceFamilies[name]!(tiny), [key]: value } as File;
    expect(() => decoderConfig(file)).toThrow(
      expect.objectContaining({
        code: "model-config-invalid",
        details: expect.objectContaining({ name: key }),
      }),
    );
  });
});

describe("the number of experts", () => {
  test.each([
    ["mixtral", "num_local_experts", "num_experts"],
    ["granitemoe", "num_local_experts", "num_experts"],
    ["gpt-oss", "num_local_experts", "num_experts"],
    ["olmoe", "num_experts", "num_local_experts"],
    // What transformers 5 writes for it.
    ["qwen3-moe", "num_experts", "num_local_experts"],
  ])("%s: %s may be spelled %s", (name, own, other) => {
    const file = referenceFamilies[name]!(tiny);
    const { [own]: _, ...rest } = file;
    expect(decoderConfig({ ...rest, [other]: 11 } as File).experts!.count).toBe(11);
    expect(decoderConfig({ ...file, [other]: file[own] } as File)).toEqual(
      decoderConfig(file as File),
    );
  });

  test.each(["qwen2-moe", "qwen3-moe"])("%s with 0 experts is dense", (name) => {
    const config = decoderConfig({ ...referenceFamilies[name]!(tiny), num_experts: 0 } as File);
    expect(config.experts).toBeUndefined();
    expect(config.layers.some(({ sparse }) => sparse)).toBe(false);
  });
});

describe("fields that a family does not read", () => {
  test("values that the code of a family has built in are warned of, and change nothing", () => {
    for (const [name, changes] of [
      ["gpt-oss", { swiglu_limit: 5 }],
      ["gpt-oss", { hidden_act: "gelu", swiglu_alpha: 2 }],
      ["gpt-oss", { experts_per_token: 3 }],
      ["phimoe", { num_experts_per_tok: 1 }],
    ] as const) {
      const file = referenceFamilies[name]!(tiny);
      expect(unobeyedFields(file as File)).toBeUndefined();
      const changed = { ...file, ...changes } as File;
      const warning = unobeyedFields(changed)!;
      expect(warning.code).toBe("model-config-unobeyed");
      expect(warning.details["keys"]).toEqual(Object.keys(changes));
      expect(decoderConfig(changed)).toEqual(decoderConfig(file as File));
    }
  });

  const headDims = (file: File): number[] => decoderConfig(file).ropes.map((r) => r.rotaryDim);
  test("only Phi-3 rotates a part of each head", () => {
    const half = { partial_rotary_factor: 0.5 };
    expect(headDims({ ...referenceFamilies["phi3"]!(tiny), ...half } as File)).toEqual([8]);
    expect(headDims({ ...referenceFamilies["llama"]!(tiny), ...half } as File)).toEqual([16]);
    const scaled = { ...half, rope_scaling: { rope_type: "linear", factor: 2 } };
    expect(() => headDims({ ...referenceFamilies["llama"]!(tiny), ...scaled } as File)).toThrow(
      /partial_rotary_factor/,
    );
  });

  test("Gemma reads hidden_act, Gemma 2 and 3 read hidden_activation", () => {
    const of = (family: string, extra: object) =>
      decoderConfig({ model_type: family, ...extra } as File).activation;
    expect(of("gemma", { hidden_act: "gelu" })).toBe("gelu-tanh");
    expect(of("gemma", { hidden_act: "relu", hidden_activation: "silu" })).toBe("relu");
    expect(of("gemma2", { hidden_act: "relu", hidden_activation: "gelu" })).toBe("gelu");
  });

  test("activations have the names that transformers knows", () => {
    const of = (name: string) =>
      decoderConfig({ model_type: "qwen3_moe", hidden_act: name } as File).activation;
    expect(of("swish")).toBe("silu");
    expect(of("gelu_fast")).toBe("gelu-tanh");
    expect(of("gelu_python")).toBe("gelu");
    expect(of("quick_gelu")).toBe("quick-gelu");
    expect(of("relu2")).toBe("relu-squared");
    expect(() => of("mish")).toThrow(/hidden_act is "mish", expected one of silu, /);
  });

  test("a sparse family whose layers are all dense has no experts", () => {
    const file = { model_type: "qwen3_moe", num_hidden_layers: 2, decoder_sparse_step: 2 };
    expect(decoderConfig(file as File).experts?.count).toBe(128);
    const dense = { ...file, mlp_only_layers: [1] } as File;
    expect(decoderConfig(dense).experts).toBeUndefined();
  });

  test("Ministral is Mistral with layer types, which may not name other kinds of attention", () => {
    const layer_types = ["full_attention", "sliding_attention"];
    const file = { num_hidden_layers: 2, sliding_window: 7, layer_types };
    const windows = (extra: object) =>
      decoderConfig({ ...file, ...extra } as File).layers.map((layer) => layer.slidingWindow);
    expect(windows({ model_type: "ministral" })).toEqual([undefined, 7]);
    expect(windows({ model_type: "mistral" })).toEqual([undefined, 7]);
    expect(windows({ model_type: "mistral", layer_types: null })).toEqual([7, 7]);
    const chunked = { model_type: "mistral", layer_types: ["full_attention", "chunked_attention"] };
    expect(() => windows(chunked)).toThrow(/layer_types\[1\] is "chunked_attention", expected one/);
  });

  test("caps and score scales are Gemma's alone", () => {
    const extra = {
      final_logit_softcapping: 5,
      attn_logit_softcapping: 5,
      query_pre_attn_scalar: 1,
    };
    expect(decoderConfig({ model_type: "llama", ...extra } as File)).toEqual(
      decoderConfig({ model_type: "llama" }),
    );
  });

  test("an encoder of Gemma 3's family is refused", () => {
    const file = { model_type: "gemma3_text", use_bidirectional_attention: true };
    expect(() => decoderConfig(file as File)).toThrow(/use_bidirectional_attention/);
  });
});

/**
 * Writes a checkpoint folder (`config.json`, safetensors, `tokenizer.json`) of the Llama family or of OLMoE as
 * GGUF v3, the format of llama.cpp, so that the peer of a benchmark runs the very weights that jeton runs.
 *
 *     node benchmarks/gguf.mjs <checkpoint folder> <out.gguf> [F32|F16|Q8_0|Q4_0]
 *
 * Layout after the GGUF specification of ggml; names of keys and tensors as llama.cpp reads them for
 * its `llama` and `olmoe` architectures. The experts of a layer are one tensor `[experts, out, in]`; routers stay
 * F32, as llama.cpp's own converter keeps them. Matrices whose rows are no multiple of 32 stay F16 in the block formats,
 * norms are always F32. Unlike llama.cpp's own `quantize`, which keeps a tied embedding table in more
 * bits (Q6_K, or Q8_0 where rows are no multiple of 256), Q4_0 here means *every* matrix: that is the
 * fastest choice for the peer, and `tableType` selects the other.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors, writeFully } from "./safetensors.mjs";

const blockSize = 32;
const alignment = 32;

/** Type numbers of ggml, and `general.file_type` of a file that consists mostly of the type. */
const types = {
  F32: { id: 0, fileType: 0, bytes: (count) => count * 4 },
  F16: { id: 1, fileType: 1, bytes: (count) => count * 2 },
  Q4_0: { id: 2, fileType: 2, bytes: (count) => (count / blockSize) * 18 },
  Q8_0: { id: 8, fileType: 7, bytes: (count) => (count / blockSize) * 34 },
};

/** The `tokenizer.ggml.token_type` of llama.cpp. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

// ---------------------------------------------------------------------------------------- numbers

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/**
 * Bits of the half-precision number nearest to a single-precision one, ties to even.
 * @param {number} value
 * @returns {number}
 */
export function toHalfBits(value) {
  scratch[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000)
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
  if (magnitude <= 0x33000000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const quotient = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (quotient + (rest > half || (rest === half && quotient & 1) ? 1 : 0));
}

/**
 * Half precision, row-major.
 * @param {Float32Array} source
 * @returns {Uint16Array}
 */
function encodeHalf(source) {
  const target = new Uint16Array(source.length);
  for (let i = 0; i < source.length; i++) target[i] = toHalfBits(source[i]);
  return target;
}

/**
 * Q8_0 as ggml's reference quantizer writes it: blocks of 32, a half-precision scale
 * `largest magnitude / 127`, then 32 signed bytes rounded half away from zero, in single precision.
 * @param {Float32Array} source length a multiple of 32
 * @returns {Uint8Array} 34 bytes a block
 */
export function quantizeQ8(source) {
  const fround = Math.fround;
  const blocks = source.length / blockSize;
  const target = new Uint8Array(blocks * 34);
  for (let block = 0; block < blocks; block++) {
    const start = block * blockSize;
    let largest = 0;
    for (let i = 0; i < blockSize; i++) {
      const magnitude = Math.abs(source[start + i]);
      if (magnitude > largest) largest = magnitude;
    }
    const scale = fround(largest / 127);
    const inverse = scale === 0 ? 0 : fround(1 / scale);
    const out = block * 34;
    const half = toHalfBits(scale);
    target[out] = half;
    target[out + 1] = half >>> 8;
    for (let i = 0; i < blockSize; i++) {
      const scaled = fround(source[start + i] * inverse);
      target[out + 2 + i] = scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(scaled + 0.5);
    }
  }
  return target;
}

/**
 * Q4_0 as ggml's reference quantizer writes it: blocks of 32, a half-precision scale
 * `value of largest magnitude / -8`, then 16 bytes, the low nibbles holding the first half of the
 * block and the high nibbles the second, each `min(15, trunc(x / scale + 8.5))` in single precision.
 * @param {Float32Array} source length a multiple of 32
 * @returns {Uint8Array} 18 bytes a block
 */
export function quantizeQ4(source) {
  const fround = Math.fround;
  const blocks = source.length / blockSize;
  const target = new Uint8Array(blocks * 18);
  for (let block = 0; block < blocks; block++) {
    const start = block * blockSize;
    let largest = 0;
    let extreme = 0;
    for (let i = 0; i < blockSize; i++) {
      const value = source[start + i];
      const magnitude = Math.abs(value);
      if (magnitude > largest) {
        largest = magnitude;
        extreme = value;
      }
    }
    const scale = extreme / -8;
    const inverse = scale === 0 ? 0 : fround(1 / scale);
    const out = block * 18;
    const half = toHalfBits(scale);
    target[out] = half;
    target[out + 1] = half >>> 8;
    for (let i = 0; i < 16; i++) {
      const low = fround(fround(source[start + i] * inverse) + 8.5) | 0;
      const high = fround(fround(source[start + 16 + i] * inverse) + 8.5) | 0;
      target[out + 2 + i] = Math.min(low, 15) | (Math.min(high, 15) << 4);
    }
  }
  return target;
}

/** @param {Float32Array} source @param {keyof typeof types} type */
function encode(source, type) {
  if (type === "F32") return source;
  if (type === "F16") return encodeHalf(source);
  return type === "Q8_0" ? quantizeQ8(source) : quantizeQ4(source);
}

/**
 * Reorders the rows of a query or key projection from the checkpoint's rotation (first half of a head
 * against the second) to the one of llama.cpp's `llama` architecture (neighbouring pairs): row
 * `2 i + s` of a head is row `s * headDim / 2 + i` of the checkpoint.
 * @param {Float32Array} source `[heads * headDim, width]`, or a bias of `heads * headDim`
 * @param {number} heads
 * @param {number} headDim
 * @returns {Float32Array}
 */
export function interleaveRotaryRows(source, heads, headDim) {
  const width = source.length / (heads * headDim);
  const target = new Float32Array(source.length);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      const from = (head * headDim + (row & 1) * (headDim / 2) + (row >> 1)) * width;
      target.set(source.subarray(from, from + width), (head * headDim + row) * width);
    }
  }
  return target;
}

/**
 * Divisors of the rotation's frequencies for `rope_type: "llama3"`, which llama.cpp takes as a tensor:
 * long wavelengths are divided by `factor`, short ones are kept, those between are blended.
 * @param {Record<string, number>} scaling `rope_scaling` of the config
 * @param {number} theta
 * @param {number} headDim
 * @returns {Float32Array} `[headDim / 2]`
 */
function llama3Divisors(scaling, theta, headDim) {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
  const original = scaling.original_max_position_embeddings;
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

// --------------------------------------------------------------------------------------- metadata

/** Tagged metadata values; GGUF stores the tag beside the value. */
const u32 = (value) => ({ tag: 4, value });
const i32 = (value) => ({ tag: 5, value });
const f32 = (value) => ({ tag: 6, value });
const bool = (value) => ({ tag: 7, value });
const text = (value) => ({ tag: 8, value });
const list = (make, values) => ({ tag: 9, element: make(values[0]).tag, values });

class ByteWriter {
  #chunks = [];
  length = 0;
  bytes(view) {
    this.#chunks.push(Buffer.from(view.buffer, view.byteOffset, view.byteLength));
    this.length += view.byteLength;
  }
  u32(value) {
    this.bytes(Uint32Array.of(value));
  }
  u64(value) {
    this.bytes(BigUint64Array.of(BigInt(value)));
  }
  text(value) {
    const bytes = Buffer.from(value, "utf8");
    this.u64(bytes.length);
    this.bytes(bytes);
  }
  value(tag, value) {
    if (tag === 4) this.u32(value);
    else if (tag === 5) this.bytes(Int32Array.of(value));
    else if (tag === 6) this.bytes(Float32Array.of(value));
    else if (tag === 7) this.bytes(Uint8Array.of(value ? 1 : 0));
    else this.text(value);
  }
  entry(key, { tag, value, element, values }) {
    this.text(key);
    this.u32(tag);
    if (tag !== 9) return this.value(tag, value);
    this.u32(element);
    this.u64(values.length);
    for (const item of values) this.value(element, item);
  }
  pad() {
    this.bytes(new Uint8Array((alignment - (this.length % alignment)) % alignment));
  }
  done() {
    return Buffer.concat(this.#chunks);
  }
}

/** Every object of a `tokenizer.json` component, sequences opened. */
function components(part, kind) {
  if (part === null || part === undefined) return [];
  return part.type === "Sequence" ? part[kind].flatMap((item) => components(item, kind)) : [part];
}

/** The name by which llama.cpp knows a byte-level pre-tokenizer. */
function preTokenizerName(tokenizer) {
  const parts = components(tokenizer.pre_tokenizer, "pretokenizers");
  const pattern = parts.find((part) => part.type === "Split")?.pattern?.Regex ?? "";
  if (pattern.includes("\\p{N}{1,3}")) return "llama-bpe";
  if (pattern !== "") return "qwen2";
  return parts.some((part) => part.type === "Digits") ? "smollm" : "gpt-2";
}

/**
 * Tokenizer metadata: `gpt2` for byte-level BPE, `llama` for SentencePiece-like BPE with byte fallback.
 * SentencePiece's scores are not in a `tokenizer.json`; minus the rank of the merge that makes a token
 * orders the merges in the same way.
 */
function tokenizerMetadata(tokenizer, config) {
  const { model } = tokenizer;
  if (model.type !== "BPE") throw new Error(`tokenizer model ${model.type}; expected BPE`);
  const size = config.vocab_size;
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const kinds = new Array(size).fill(tokenTypes.unused);
  const sentencePiece = model.byte_fallback === true;
  for (const [token, id] of Object.entries(model.vocab)) {
    tokens[id] = token;
    const isByte = sentencePiece && /^<0x[0-9A-F]{2}>$/.test(token);
    kinds[id] = isByte ? tokenTypes.byte : tokenTypes.normal;
  }
  for (const { id, content, special } of tokenizer.added_tokens ?? []) {
    tokens[id] = content;
    kinds[id] = special ? tokenTypes.control : tokenTypes.userDefined;
  }
  const unknown = tokens.indexOf(model.unk_token ?? "");
  if (sentencePiece && unknown >= 0) kinds[unknown] = tokenTypes.unknown;

  const merges = model.merges.map((merge) => (Array.isArray(merge) ? merge.join(" ") : merge));
  const first = tokenizer.post_processor?.single?.[0];
  const metadata = {
    "tokenizer.ggml.model": text(sentencePiece ? "llama" : "gpt2"),
    "tokenizer.ggml.pre": text(sentencePiece ? "default" : preTokenizerName(tokenizer)),
    "tokenizer.ggml.tokens": list(text, tokens),
    "tokenizer.ggml.token_type": list(i32, kinds),
    "tokenizer.ggml.add_bos_token": bool(first?.SpecialToken !== undefined),
    "tokenizer.ggml.add_eos_token": bool(false),
  };
  if (sentencePiece) {
    const scores = new Array(size).fill(0);
    const seen = new Set();
    merges.forEach((merge, rank) => {
      const token = merge.replace(" ", "");
      if (!seen.has(token)) scores[model.vocab[token]] = -rank;
      seen.add(token);
    });
    metadata["tokenizer.ggml.scores"] = list(f32, scores);
    const parts = [
      ...components(tokenizer.normalizer, "normalizers"),
      ...components(tokenizer.pre_tokenizer, "pretokenizers"),
    ];
    const prefixed = parts.some(
      (part) =>
        part.type === "Prepend" || (part.type === "Metaspace" && part.prepend_scheme !== "never"),
    );
    metadata["tokenizer.ggml.add_space_prefix"] = bool(prefixed);
  } else {
    metadata["tokenizer.ggml.merges"] = list(text, merges);
  }
  const single = (id) => (Array.isArray(id) ? id[0] : id);
  if (config.bos_token_id != null)
    metadata["tokenizer.ggml.bos_token_id"] = u32(single(config.bos_token_id));
  if (config.eos_token_id != null)
    metadata["tokenizer.ggml.eos_token_id"] = u32(single(config.eos_token_id));
  if (unknown >= 0) metadata["tokenizer.ggml.unknown_token_id"] = u32(unknown);
  return metadata;
}

function modelMetadata(config, headDim, type) {
  const scaling = config.rope_scaling ?? {};
  const scalingType = scaling.rope_type ?? scaling.type;
  const own = config.model_type;
  const metadata = {
    "general.architecture": text(own),
    "general.name": text(config._name_or_path || "checkpoint"),
    "general.file_type": u32(types[type].fileType),
    "general.quantization_version": u32(2),
    [`${own}.block_count`]: u32(config.num_hidden_layers),
    [`${own}.context_length`]: u32(config.max_position_embeddings),
    [`${own}.embedding_length`]: u32(config.hidden_size),
    [`${own}.feed_forward_length`]: u32(config.intermediate_size),
    [`${own}.attention.head_count`]: u32(config.num_attention_heads),
    [`${own}.attention.head_count_kv`]: u32(
      config.num_key_value_heads ?? config.num_attention_heads,
    ),
    [`${own}.attention.key_length`]: u32(headDim),
    [`${own}.attention.value_length`]: u32(headDim),
    [`${own}.attention.layer_norm_rms_epsilon`]: f32(config.rms_norm_eps),
    [`${own}.rope.freq_base`]: f32(config.rope_theta ?? 10000),
    [`${own}.rope.dimension_count`]: u32(headDim),
    [`${own}.vocab_size`]: u32(config.vocab_size),
  };
  if (own === "olmoe") {
    if (config.norm_topk_prob === true)
      throw new Error("norm_topk_prob true; llama.cpp's olmoe knows false");
    metadata["olmoe.expert_count"] = u32(config.num_experts);
    metadata["olmoe.expert_used_count"] = u32(config.num_experts_per_tok);
  }
  if (scalingType === "linear") {
    metadata[`${own}.rope.scaling.type`] = text("linear");
    metadata[`${own}.rope.scaling.factor`] = f32(scaling.factor);
  } else if (scalingType !== undefined && !["default", "llama3"].includes(scalingType)) {
    throw new Error(`rope scaling ${scalingType}; the writer knows default, linear and llama3`);
  }
  return metadata;
}

// ----------------------------------------------------------------------------------------- tensors

/** Matrices of equal shape, one after the other. */
function stack(matrices) {
  const size = matrices[0].length;
  const all = new Float32Array(matrices.length * size);
  for (const [index, matrix] of matrices.entries()) all.set(matrix, index * size);
  return all;
}

/**
 * The tensors of the file in order, each with a function that reads and rearranges its values; vectors stay F32.
 * @param {Record<string, any>} config
 * @param {number} headDim
 * @param {Pick<ReturnType<typeof openSafetensors>, "names" | "shape" | "read">} source
 * @returns {{ target: string, shape: number[], read: () => Float32Array }[]}
 */
export function planTensors(config, headDim, source) {
  const heads = config.num_attention_heads;
  const keyHeads = config.num_key_value_heads ?? heads;
  const plan = [];
  const add = (target, name, arrange = (values) => values) => {
    plan.push({
      target,
      shape: source.shape(name),
      read: () => arrange(source.read(name)),
    });
  };
  const has = new Set(source.names);
  add("token_embd.weight", "model.embed_tokens.weight");
  if (config.rope_scaling?.rope_type === "llama3") {
    plan.push({
      target: "rope_freqs.weight",
      shape: [headDim / 2],
      read: () => llama3Divisors(config.rope_scaling, config.rope_theta ?? 10000, headDim),
    });
  }
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const from = `model.layers.${layer}`;
    const to = `blk.${layer}`;
    add(`${to}.attn_norm.weight`, `${from}.input_layernorm.weight`);
    for (const part of ["weight", "bias"]) {
      if (part === "bias" && !has.has(`${from}.self_attn.q_proj.bias`)) continue;
      // llama.cpp rotates the halves of olmoe's heads against each other, as the checkpoint does.
      const rotate = (count) =>
        config.model_type === "olmoe"
          ? undefined
          : (values) => interleaveRotaryRows(values, count, headDim);
      add(`${to}.attn_q.${part}`, `${from}.self_attn.q_proj.${part}`, rotate(heads));
      add(`${to}.attn_k.${part}`, `${from}.self_attn.k_proj.${part}`, rotate(keyHeads));
      add(`${to}.attn_v.${part}`, `${from}.self_attn.v_proj.${part}`);
    }
    add(`${to}.attn_output.weight`, `${from}.self_attn.o_proj.weight`);
    add(`${to}.ffn_norm.weight`, `${from}.post_attention_layernorm.weight`);
    if (config.model_type === "olmoe") {
      add(`${to}.attn_q_norm.weight`, `${from}.self_attn.q_norm.weight`);
      add(`${to}.attn_k_norm.weight`, `${from}.self_attn.k_norm.weight`);
      add(`${to}.ffn_gate_inp.weight`, `${from}.mlp.gate.weight`);
    }
    for (const part of ["gate", "up", "down"]) {
      if (config.model_type !== "olmoe") {
        add(`${to}.ffn_${part}.weight`, `${from}.mlp.${part}_proj.weight`);
        continue;
      }
      const names = Array.from(
        { length: config.num_experts },
        (_, expert) => `${from}.mlp.experts.${expert}.${part}_proj.weight`,
      );
      plan.push({
        target: `${to}.ffn_${part}_exps.weight`,
        shape: [names.length, ...source.shape(names[0])],
        read: () => stack(names.map((name) => source.read(name))),
      });
    }
  }
  add("output_norm.weight", "model.norm.weight");
  if (!config.tie_word_embeddings) add("output.weight", "lm_head.weight");
  return plan;
}

/** The type in which one tensor is stored when the file's type is `wanted`. */
function storedType({ target, shape }, wanted) {
  if (shape.length < 2 || wanted === "F32" || target.endsWith("ffn_gate_inp.weight")) return "F32";
  return wanted !== "F16" && shape.at(-1) % blockSize !== 0 ? "F16" : wanted;
}

/**
 * Writes a checkpoint folder as one GGUF file. The file appears under its name only when complete.
 * @param {string} folder with `config.json`, safetensors and `tokenizer.json`
 * @param {string} path of the GGUF file
 * @param {{ type?: "F32" | "F16" | "Q8_0" | "Q4_0", tableType?: "F32" | "F16" | "Q8_0" | "Q4_0" }} [options]
 *   `type` of the matrices (default F32); `tableType` of the embedding table and the head (default `type`)
 * @returns {{ tensors: number, bytes: number }}
 */
export function writeGguf(folder, path, { type = "F32", tableType = type } = {}) {
  for (const name of [type, tableType])
    if (types[name] === undefined)
      throw new Error(`type ${name}; expected one of ${Object.keys(types).join(", ")}`);
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  if (!["llama", "olmoe"].includes(config.model_type))
    throw new Error(`model_type ${config.model_type}; the writer knows llama and olmoe`);
  const headDim = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  const tokenizer = JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8"));
  const source = openSafetensors(folder);
  const partial = `${path}.${process.pid}.partial`;
  const descriptor = openSync(partial, "w");
  try {
    const metadata = {
      ...modelMetadata(config, headDim, type),
      ...tokenizerMetadata(tokenizer, config),
    };
    const plan = planTensors(config, headDim, source).map((tensor) => {
      const isTable = ["token_embd.weight", "output.weight"].includes(tensor.target);
      const stored = storedType(tensor, isTable ? tableType : type);
      const count = tensor.shape.reduce((product, size) => product * size, 1);
      return { ...tensor, stored, bytes: types[stored].bytes(count) };
    });
    const head = new ByteWriter();
    head.bytes(Buffer.from("GGUF", "latin1"));
    head.u32(3);
    head.u64(plan.length);
    head.u64(Object.keys(metadata).length);
    for (const [key, value] of Object.entries(metadata)) head.entry(key, value);
    let offset = 0;
    for (const { target, shape, stored, bytes } of plan) {
      head.text(target);
      head.u32(shape.length);
      for (const size of shape.toReversed()) head.u64(size); // ggml counts from the fastest axis
      head.u32(types[stored].id);
      head.u64(offset);
      offset += Math.ceil(bytes / alignment) * alignment;
    }
    head.pad();
    writeFully(descriptor, head.done());
    for (const { read, stored, bytes } of plan) {
      writeFully(descriptor, encode(read(), stored));
      writeFully(descriptor, new Uint8Array((alignment - (bytes % alignment)) % alignment));
    }
    renameSync(partial, path);
    return { tensors: plan.length, bytes: head.length + offset };
  } finally {
    closeSync(descriptor);
    rmSync(partial, { force: true });
    source.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, path, type = "F32"] = process.argv.slice(2);
  if (folder === undefined || path === undefined) {
    console.error(
      "usage: node benchmarks/gguf.mjs <checkpoint folder> <out.gguf> [F32|F16|Q8_0|Q4_0]",
    );
    process.exit(2);
  }
  const { tensors, bytes } = writeGguf(folder, path, { type });
  console.error(`${path}: ${tensors} tensors, ${(bytes / 1e6).toFixed(1)} MB`);
}

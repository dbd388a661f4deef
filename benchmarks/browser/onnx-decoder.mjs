/**
 * Writes a Llama checkpoint as ONNX in the layout in which decoders are published for onnxruntime-web: fused
 * attention (GroupQueryAttention, with its rotation), fused norms, one product for queries, keys and values,
 * keys and values as inputs `past_key_values.N.*` and outputs `present.N.*`.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeModel } from "../../dist/tensor/onnx-schema.js";
import { openSafetensors } from "../safetensors.mjs";

const float = 1;
const int32 = 6;
const int64 = 7;
const contrib = "com.microsoft";

/**
 * Writes a folder that transformers.js opens: the graph, the tokenizer, and a configuration without end tokens.
 * @param {string} checkpoint folder of the checkpoint
 * @param {string} target
 */
export function writePublishedLayout(checkpoint, target) {
  mkdirSync(join(target, "onnx"), { recursive: true });
  const config = JSON.parse(readFileSync(join(checkpoint, "config.json"), "utf8"));
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    cpSync(join(checkpoint, name), join(target, name));
  }
  // Both sides generate the same number of tokens.
  const { eos_token_id: _, ...endless } = config;
  writeFileSync(join(target, "config.json"), JSON.stringify(endless));
  const generation = { bos_token_id: config.bos_token_id };
  writeFileSync(join(target, "generation_config.json"), JSON.stringify(generation));
  const weights = openSafetensors(checkpoint);
  const bytes = encodeModel(new DecoderWriter(config, weights).graph());
  weights.close();
  writeFileSync(join(target, "onnx/model.onnx"), bytes);
}

class DecoderWriter {
  #config;
  #weights;
  #nodes = [];
  #initializers = [];

  constructor(config, weights) {
    this.#config = config;
    this.#weights = weights;
  }

  graph() {
    const { num_hidden_layers: layers, num_key_value_heads: kvHeads, vocab_size } = this.#config;
    const width = this.#headDim();
    const cache = (prefix, time) =>
      Array.from({ length: layers }, (_, layer) =>
        ["key", "value"].map((part) =>
          value(`${prefix}.${layer}.${part}`, float, ["batch_size", kvHeads, time, width]),
        ),
      ).flat();
    this.#body();
    return {
      name: "decoder",
      node: this.#nodes,
      initializer: this.#initializers,
      input: [
        value("input_ids", int64, ["batch_size", "sequence_length"]),
        value("attention_mask", int64, ["batch_size", "total_sequence_length"]),
        ...cache("past_key_values", "past_sequence_length"),
      ],
      output: [
        value("logits", float, ["batch_size", "sequence_length", vocab_size]),
        ...cache("present", "total_sequence_length"),
      ],
    };
  }

  #headDim() {
    const {
      hidden_size,
      num_attention_heads,
      head_dim = hidden_size / num_attention_heads,
    } = this.#config;
    return head_dim;
  }

  #body() {
    const { num_hidden_layers: layers, tie_word_embeddings: isTied } = this.#config;
    this.#rotations();
    this.#lengths();
    this.#parameter("embed", this.#read("model.embed_tokens.weight"));
    this.#node("Gather", ["embed", "input_ids"], ["layer.0.in"]);
    const first = this.#norm("model.layers.0.input_layernorm.weight");
    this.#node("SimplifiedLayerNormalization", ["layer.0.in", first], ["layer.0.normed"], {
      axis: -1,
      epsilon: this.#config.rms_norm_eps,
      stash_type: 1,
    });
    for (let layer = 0; layer < layers; layer++) this.#layer(layer, layer + 1 === layers);
    const head = isTied ? "model.embed_tokens.weight" : "lm_head.weight";
    this.#product(`layer.${layers}.normed`, [head], "logits");
  }

  #layer(layer, isLast) {
    const { num_attention_heads: heads, num_key_value_heads: kvHeads } = this.#config;
    const prefix = `model.layers.${layer}`;
    const here = `layer.${layer}`;
    const projections = ["q", "k", "v"].map((part) => `${prefix}.self_attn.${part}_proj.weight`);
    this.#product(`${here}.normed`, projections, `${here}.qkv`);
    const past = ["key", "value"].map((part) => `past_key_values.${layer}.${part}`);
    const present = ["key", "value"].map((part) => `present.${layer}.${part}`);
    this.#node(
      "GroupQueryAttention",
      [`${here}.qkv`, "", "", ...past, "seqlens_k", "total_length", "cos_cache", "sin_cache"],
      [`${here}.attended`, ...present],
      {
        ...{ num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 },
        scale: 1 / Math.sqrt(this.#headDim()),
      },
      contrib,
    );
    this.#product(`${here}.attended`, [`${prefix}.self_attn.o_proj.weight`], `${here}.out`);
    const inner = this.#norm(`${prefix}.post_attention_layernorm.weight`);
    this.#addNorm([`${here}.in`, `${here}.out`, inner], `${here}.mlp`, `${here}.middle`);
    this.#product(`${here}.mlp`, [`${prefix}.mlp.gate_proj.weight`], `${here}.gate`);
    this.#product(`${here}.mlp`, [`${prefix}.mlp.up_proj.weight`], `${here}.up`);
    this.#node("Sigmoid", [`${here}.gate`], [`${here}.sigmoid`]);
    this.#node("Mul", [`${here}.gate`, `${here}.sigmoid`], [`${here}.silu`]);
    this.#node("Mul", [`${here}.silu`, `${here}.up`], [`${here}.gated`]);
    this.#product(`${here}.gated`, [`${prefix}.mlp.down_proj.weight`], `${here}.down`);
    const next = isLast ? "model.norm.weight" : `model.layers.${layer + 1}.input_layernorm.weight`;
    const after = `layer.${layer + 1}`;
    const norm = this.#norm(next);
    const sum = isLast ? "" : `${after}.in`;
    this.#addNorm([`${here}.middle`, `${here}.down`, norm], `${after}.normed`, sum);
  }

  /** A sum and its norm in one. */
  #addNorm(inputs, normed, sum) {
    const outputs = sum === "" ? [normed] : [normed, "", "", sum];
    const epsilon = this.#config.rms_norm_eps;
    this.#node("SkipSimplifiedLayerNormalization", inputs, outputs, { epsilon }, contrib);
  }

  /** Lengths of the sequences less one, and the longest, from the mask: what the attention takes. */
  #lengths() {
    this.#constant("one", int64, [1], BigInt64Array.of(1n));
    this.#constant("place", int64, [], BigInt64Array.of(1n));
    this.#node("ReduceSum", ["attention_mask", "one"], ["mask_sum"], { keepdims: 1 });
    this.#node("Sub", ["mask_sum", "one"], ["mask_last"]);
    this.#node("Cast", ["mask_last"], ["seqlens_k"], { to: int32 });
    this.#node("Shape", ["attention_mask"], ["mask_shape"]);
    this.#node("Gather", ["mask_shape", "place"], ["mask_length"], { axis: 0 });
    this.#node("Cast", ["mask_length"], ["total_length"], { to: int32 });
  }

  #rotations() {
    const { max_position_embeddings: rows, rope_theta: theta } = this.#config;
    const half = this.#headDim() / 2;
    const [cos, sin] = [new Float32Array(rows * half), new Float32Array(rows * half)];
    for (let row = 0; row < rows; row++) {
      for (let at = 0; at < half; at++) {
        const angle = row * theta ** (-at / half);
        cos[row * half + at] = Math.cos(angle);
        sin[row * half + at] = Math.sin(angle);
      }
    }
    this.#constant("cos_cache", float, [rows, half], cos);
    this.#constant("sin_cache", float, [rows, half], sin);
  }

  #read(name) {
    return { shape: this.#weights.shape(name), data: this.#weights.read(name) };
  }

  #norm(name) {
    this.#parameter(name, this.#read(name));
    return name;
  }

  /** A product with stored `[out, in]` matrices side by side, as `[in, out]`. */
  #product(input, names, output) {
    const parts = names.map((name) => this.#read(name));
    const inputs = parts[0].shape[1];
    const outputs = parts.reduce((sum, { shape }) => sum + shape[0], 0);
    const data = new Float32Array(inputs * outputs);
    let first = 0;
    for (const part of parts) {
      const [rows] = part.shape;
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < inputs; column++) {
          data[column * outputs + first + row] = part.data[row * inputs + column];
        }
      }
      first += rows;
    }
    const name = `${output}.weight`;
    this.#parameter(name, { shape: [inputs, outputs], data });
    this.#node("MatMul", [input, name], [output]);
  }

  #parameter(name, { shape, data }) {
    this.#constant(name, float, shape, data);
  }

  #constant(name, type, dims, { buffer, byteOffset, byteLength }) {
    const raw_data = new Uint8Array(buffer, byteOffset, byteLength);
    this.#initializers.push({ name, dims, data_type: type, raw_data });
  }

  #node(type, input, output, attributes = {}, domain = "") {
    const attribute = Object.entries(attributes).map(([name, number]) =>
      name === "scale" || name === "epsilon"
        ? { name, type: 1, f: number }
        : { name, type: 2, i: number },
    );
    this.#nodes.push({
      op_type: type,
      name: `${type}/${output[0]}`,
      input,
      output,
      attribute,
      domain,
    });
  }
}

function value(name, type, dims) {
  const dim = dims.map((size) =>
    typeof size === "number" ? { dim_value: size } : { dim_param: size },
  );
  return { name, type: { tensor_type: { elem_type: type, shape: { dim } } } };
}

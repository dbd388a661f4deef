/**
 * Writes a BERT checkpoint as ONNX in the layout in which encoders are published for transformers.js: traced from PyTorch,
 * so that norms, GELU and attention stand in single steps, which the runtime fuses; and the same with the published
 * dynamic quantization (onnxruntime's `quantize_dynamic`, one scale a channel, seven bits): activations get their scale
 * when they are met.
 */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeModel } from "../../dist/tensor/onnx-schema.js";
import { openSafetensors } from "../safetensors.mjs";

const float = 1;
const int8 = 3;
const int64 = 7;

/**
 * Writes a folder that transformers.js opens, unless it is there.
 * @param {string} checkpoint
 * @param {object} config
 * @returns {string} the folder
 */
export function writePublishedEncoder(checkpoint, config) {
  const target = join(checkpoint, "published");
  const done = join(target, "done");
  if (existsSync(done)) return target;
  mkdirSync(join(target, "onnx"), { recursive: true });
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
    copyFileSync(join(checkpoint, name), join(target, name));
  }
  const weights = openSafetensors(checkpoint);
  for (const [file, isQuantized] of [
    ["model.onnx", false],
    ["model_quantized.onnx", true],
  ]) {
    const graph = new EncoderWriter(config, weights, isQuantized).graph();
    writeFileSync(join(target, "onnx", file), encodeModel(graph));
  }
  weights.close();
  writeFileSync(done, "");
  return target;
}

class EncoderWriter {
  #config;
  #weights;
  #isQuantized;
  #nodes = [];
  #initializers = [];
  #known = new Set();
  #count = 0;
  /** Values that were quantized already: queries, keys and values share one. */
  #quantized = new Map();

  constructor(config, weights, isQuantized) {
    this.#config = config;
    this.#weights = weights;
    this.#isQuantized = isQuantized;
  }

  graph() {
    const { hidden_size, num_hidden_layers } = this.#config;
    const mask = this.#mask();
    let state = this.#embeddings();
    for (let layer = 0; layer < num_hidden_layers; layer++) state = this.#layer(state, mask, layer);
    this.#nodes.push(node("Identity", [state], ["last_hidden_state"]));
    const ids = (name) => value(name, int64, ["batch_size", "sequence_length"]);
    return {
      name: "encoder",
      node: this.#nodes,
      initializer: this.#initializers,
      input: ["input_ids", "attention_mask", "token_type_ids"].map(ids),
      output: [value("last_hidden_state", float, ["batch_size", "sequence_length", hidden_size])],
    };
  }

  /** 0 for tokens, the lowest number for padding: `[batch, 1, 1, length]`. */
  #mask() {
    const axes = this.#integers("mask.axes", [1, 2]);
    const wide = this.#one("Unsqueeze", ["attention_mask", axes]);
    const numbers = this.#one("Cast", [wide], { to: float });
    const padding = this.#one("Sub", [this.#scalar(1), numbers]);
    return this.#one("Mul", [padding, this.#scalar(-3.4028234663852886e38)]);
  }

  #embeddings() {
    const table = (name) => `embeddings.${name}_embeddings.weight`;
    const words = this.#gather(table("word"), "input_ids");
    const types = this.#gather(table("token_type"), "token_type_ids");
    const shape = this.#one("Shape", ["input_ids"]);
    const length = this.#one("Gather", [shape, this.#integers("one", [1])], { axis: 0 });
    const max = this.#config.max_position_embeddings;
    const all = this.#integers(
      "positions",
      Array.from({ length: max }, (_, at) => at),
    );
    const zero = this.#integers("zero", [0]);
    const places = this.#one("Slice", [all, zero, length, zero]);
    const row = this.#one("Unsqueeze", [places, zero]);
    const positions = this.#gather(table("position"), row);
    const sum = this.#one("Add", [this.#one("Add", [words, types]), positions]);
    return this.#norm("embeddings.LayerNorm", sum);
  }

  #layer(state, mask, layer) {
    const prefix = `encoder.layer.${layer}`;
    const attended = this.#attention(state, mask, `${prefix}.attention.self`);
    const out = this.#linear(`${prefix}.attention.output.dense`, attended);
    const middle = this.#norm(
      `${prefix}.attention.output.LayerNorm`,
      this.#one("Add", [out, state]),
    );
    const up = this.#gelu(this.#linear(`${prefix}.intermediate.dense`, middle));
    const down = this.#linear(`${prefix}.output.dense`, up);
    return this.#norm(`${prefix}.output.LayerNorm`, this.#one("Add", [down, middle]));
  }

  #attention(state, mask, prefix) {
    const { num_attention_heads: heads, hidden_size: width } = this.#config;
    const split = this.#integers("heads", [0, 0, heads, width / heads]);
    const head = (name, perm) => {
      const linear = this.#linear(`${prefix}.${name}`, state);
      return this.#one("Transpose", [this.#one("Reshape", [linear, split])], { perm });
    };
    const queries = head("query", [0, 2, 1, 3]);
    const keys = head("key", [0, 2, 3, 1]);
    const values = head("value", [0, 2, 1, 3]);
    const products = this.#one("MatMul", [queries, keys]);
    const scaled = this.#one("Div", [products, this.#scalar(Math.sqrt(width / heads))]);
    const weights = this.#one("Softmax", [this.#one("Add", [scaled, mask])], { axis: -1 });
    const mixed = this.#one("MatMul", [weights, values]);
    const back = this.#one("Transpose", [mixed], { perm: [0, 2, 1, 3] });
    return this.#one("Reshape", [back, this.#integers("joined", [0, 0, width])]);
  }

  #norm(name, x) {
    const last = this.#integers("last", [-1]);
    const mean = this.#one("ReduceMean", [x, last], { keepdims: 1 });
    const centred = this.#one("Sub", [x, mean]);
    const square = this.#one("Pow", [centred, this.#scalar(2)]);
    const variance = this.#one("ReduceMean", [square, last], { keepdims: 1 });
    const { layer_norm_eps } = this.#config;
    const root = this.#one("Sqrt", [this.#one("Add", [variance, this.#scalar(layer_norm_eps)])]);
    const normed = this.#one("Div", [centred, root]);
    const weighted = this.#one("Mul", [normed, this.#stored(`${name}.weight`)]);
    return this.#one("Add", [weighted, this.#stored(`${name}.bias`)]);
  }

  #gelu(x) {
    const erf = this.#one("Erf", [this.#one("Div", [x, this.#scalar(Math.SQRT2)])]);
    const gate = this.#one("Mul", [x, this.#one("Add", [erf, this.#scalar(1)])]);
    return this.#one("Mul", [gate, this.#scalar(0.5)]);
  }

  #linear(name, x) {
    const bias = this.#stored(`${name}.bias`);
    const product = this.#isQuantized
      ? this.#quantizedProduct(`${name}.weight`, x)
      : this.#one("MatMul", [x, this.#transposed(`${name}.weight`)]);
    return this.#one("Add", [bias, product]);
  }

  #quantizedProduct(name, x) {
    let codes = this.#quantized.get(x);
    if (codes === undefined) {
      codes = ["codes", "scale", "zero"].map((part) => `${x}.${part}`);
      this.#nodes.push(node("DynamicQuantizeLinear", [x], codes));
      this.#quantized.set(x, codes);
    }
    const [data, scale, zero] = codes;
    const [rows, columns] = this.#weights.shape(name);
    const source = this.#weights.read(name);
    const quantized = new Int8Array(rows * columns);
    const scales = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      let most = 0;
      for (let i = 0; i < columns; i++) most = Math.max(most, Math.abs(source[row * columns + i]));
      // Seven bits: sums of two products stay within sixteen on processors that add so.
      scales[row] = most / 64;
      for (let i = 0; i < columns; i++) {
        quantized[i * rows + row] = Math.round(source[row * columns + i] / scales[row]);
      }
    }
    this.#constant(`${name}.codes`, int8, [columns, rows], quantized);
    this.#constant(`${name}.zero`, int8, [rows], new Int8Array(rows));
    this.#constant(`${name}.scale`, float, [rows], scales);
    const sums = this.#one("MatMulInteger", [data, `${name}.codes`, zero, `${name}.zero`]);
    const numbers = this.#one("Cast", [sums], { to: float });
    return this.#one("Mul", [numbers, this.#one("Mul", [scale, `${name}.scale`])]);
  }

  #gather(name, ids) {
    if (!this.#isQuantized) return this.#one("Gather", [this.#stored(name), ids]);
    const source = this.#weights.read(name);
    const most = source.reduce((least, one) => Math.max(least, Math.abs(one)), 0);
    const scale = most / 127;
    const codes = Int8Array.from(source, (one) => Math.round(one / scale));
    this.#constant(`${name}.codes`, int8, this.#weights.shape(name), codes);
    this.#constant(`${name}.scale`, float, [], Float32Array.of(scale));
    this.#constant(`${name}.zero`, int8, [], Int8Array.of(0));
    const rows = this.#one("Gather", [`${name}.codes`, ids]);
    return this.#one("DequantizeLinear", [rows, `${name}.scale`, `${name}.zero`]);
  }

  #stored(name) {
    this.#constant(name, float, this.#weights.shape(name), this.#weights.read(name));
    return name;
  }

  /** A stored `[out, in]` matrix as `[in, out]`. */
  #transposed(name) {
    const [rows, columns] = this.#weights.shape(name);
    const source = this.#weights.read(name);
    const data = new Float32Array(source.length);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < columns; i++) data[i * rows + row] = source[row * columns + i];
    }
    this.#constant(`${name}.transposed`, float, [columns, rows], data);
    return `${name}.transposed`;
  }

  #scalar(number) {
    const name = `scalar.${number}`;
    this.#constant(name, float, [], Float32Array.of(number));
    return name;
  }

  #integers(name, numbers) {
    this.#constant(name, int64, [numbers.length], BigInt64Array.from(numbers, BigInt));
    return name;
  }

  #constant(name, type, dims, { buffer, byteOffset, byteLength }) {
    if (this.#known.has(name)) return;
    this.#known.add(name);
    const raw_data = new Uint8Array(buffer, byteOffset, byteLength);
    this.#initializers.push({ name, dims, data_type: type, raw_data });
  }

  #one(type, inputs, attributes) {
    const output = `${type}.${this.#count++}`;
    this.#nodes.push(node(type, inputs, [output], attributes));
    return output;
  }
}

function node(type, input, output, attributes = {}) {
  const attribute = Object.entries(attributes).map(([name, given]) =>
    Array.isArray(given) ? { name, type: 7, ints: given } : { name, type: 2, i: given },
  );
  return { op_type: type, name: `${type}/${output[0]}`, input, output, attribute, domain: "" };
}

function value(name, type, dims) {
  const dim = dims.map((size) =>
    typeof size === "number" ? { dim_value: size } : { dim_param: size },
  );
  return { name, type: { tensor_type: { elem_type: type, shape: { dim } } } };
}

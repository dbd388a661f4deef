/**
 * jeton-nano in the shape of SmolLM2-135M: a checkpoint that costs what the larger model costs and
 * writes what jeton-nano writes. Drafting is measured on it, since what a draft is worth depends on the
 * text, and random weights write none.
 *
 *     node benchmarks/nano-in-135m.mjs [--model models/jeton-nano] [--folder F] [--gguf Q4_0,Q8_0]
 *
 * How it is exact (up to rounding): the first 256 of 576 channels are nano's, the others stay zero.
 * A norm over 576 channels then divides by 2/3 of what it did, which its weights and epsilon make up
 * for. Its heads take the first places among those of their key head; heads without work attend to all
 * alike and write nothing. (A head of 32 would become one of 64 by placing its rotating pair `i` at `2 i`,
 * where the frequency is the same, with queries larger by the square root of two against the other
 * scale of scores.) Six of the thirty layers do nano's work; in the others the projections into the
 * residual stream are zero, and all else is random. The 45,056 tokens that nano does not have get the row
 * of a token that no text holds, moved as far again from the mean of all rows, so that their logit is as far
 * below that token's as that is below the average, and their probability nothing.
 */

import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeGguf } from "./gguf.mjs";
import { openSafetensors, writeSafetensors } from "./safetensors.mjs";

/** Increased when the bytes of a checkpoint change for the same model. */
const version = 3;
const bundled = fileURLToPath(new URL("../models/jeton-nano/", import.meta.url));

/** SmolLM2-135M's sizes. */
const large = {
  width: 576,
  inner: 1536,
  layers: 30,
  heads: 9,
  keyHeads: 3,
  headDim: 64,
  vocabulary: 49152,
};

/** A token that the training of jeton-nano never saw. */
const absentToken = 2;

/** A matrix with a smaller one inside: row `r` goes to `rows(r)`, column `c` to `columns(c)`. */
function place(source, [height, width], [tallness, wideness], { rows, columns, fill, factor = 1 }) {
  const target = new Float32Array(tallness * wideness);
  if (fill !== undefined) for (let i = 0; i < target.length; i++) target[i] = fill();
  for (let r = 0; r < height; r++) {
    const start = rows(r) * wideness;
    target.fill(0, start, start + wideness);
    for (let c = 0; c < width; c++) target[start + columns(c)] = factor * source[r * width + c];
  }
  return target;
}

const same = (index) => index;

/** Uniform numbers of the deviation that projections have, the same in every run. */
function createFill() {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) / 2 ** 32 - 0.5) * 0.14;
  };
}

/** Every tensor of the large checkpoint in the order of the file, made when it is written. */
function planTensors(nano, small) {
  const { width, inner, layers, heads, keyHeads, headDim, vocabulary } = large;
  const { hidden_size: narrow, intermediate_size: slim, num_hidden_layers: depth } = small;
  const { num_attention_heads: smallHeads, num_key_value_heads: smallKeyHeads } = small;
  const smallDim = small.head_dim;
  const half = smallDim / 2;
  const spread = headDim / smallDim;
  const smallGroup = smallHeads / smallKeyHeads;
  const group = heads / keyHeads;
  if (![1, 2].includes(spread) || smallKeyHeads > keyHeads || smallGroup > group)
    throw new Error(`heads of this model do not fit into the larger shape`);
  /** The place of query head `head` among those of the larger model, which share keys by threes. */
  const queryHead = (head) => Math.floor(head / smallGroup) * group + (head % smallGroup);
  /** Nano's pair (i, i + half) of a head becomes (spread i, spread i + 32). */
  const rotated = (at) => (at < half ? spread * at : headDim / 2 + spread * (at - half));
  const rows = (head, inside) => (row) =>
    head(Math.floor(row / smallDim)) * headDim + inside(row % smallDim);
  const shrink = Math.sqrt(narrow / width);
  const fill = createFill();
  const tensors = [];
  const add = (name, shape, data) =>
    tensors.push({ name, type: "F32", shape, bytes: 4 * shape.reduce((a, b) => a * b, 1), data });
  const norm = (name) => {
    const weights = new Float32Array(width).fill(1);
    if (nano.names.includes(name))
      nano.read(name).forEach((value, at) => {
        weights[at] = value * shrink;
      });
    return weights;
  };
  const addTable = (name) =>
    add(name, [vocabulary, width], () => {
      const rows = nano.read(name);
      const table = place(rows, [small.vocab_size, narrow], [vocabulary, width], {
        rows: same,
        columns: same,
      });
      const never = new Float32Array(narrow);
      for (let c = 0; c < narrow; c++) {
        let mean = 0;
        for (let row = 0; row < small.vocab_size; row++) mean += rows[row * narrow + c];
        never[c] = 2 * rows[absentToken * narrow + c] - mean / small.vocab_size;
      }
      for (let row = small.vocab_size; row < vocabulary; row++) table.set(never, row * width);
      return table;
    });
  addTable("model.embed_tokens.weight");
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const works = layer < depth;
    const matrix = (name, shape, from, options) =>
      add(`${prefix}.${name}.weight`, shape, () => {
        if (works) return place(nano.read(`${prefix}.${name}.weight`), from, shape, options);
        const isOutput = /o_proj|down_proj/.test(name);
        const target = new Float32Array(shape[0] * shape[1]);
        if (!isOutput) for (let i = 0; i < target.length; i++) target[i] = fill();
        return target;
      });
    const queryWidth = smallHeads * smallDim;
    const keyWidth = smallKeyHeads * smallDim;
    add(`${prefix}.input_layernorm.weight`, [width], () =>
      norm(`${prefix}.input_layernorm.weight`),
    );
    matrix("self_attn.q_proj", [width, width], [queryWidth, narrow], {
      rows: rows(queryHead, rotated),
      columns: same,
      factor: Math.sqrt(spread),
    });
    const keys = [keyHeads * headDim, width];
    matrix("self_attn.k_proj", keys, [keyWidth, narrow], {
      rows: rows(same, rotated),
      columns: same,
    });
    matrix("self_attn.v_proj", keys, [keyWidth, narrow], { rows: rows(same, same), columns: same });
    matrix("self_attn.o_proj", [width, width], [narrow, queryWidth], {
      rows: same,
      columns: rows(queryHead, same),
    });
    add(`${prefix}.post_attention_layernorm.weight`, [width], () =>
      norm(`${prefix}.post_attention_layernorm.weight`),
    );
    matrix("mlp.gate_proj", [inner, width], [slim, narrow], { rows: same, columns: same, fill });
    matrix("mlp.up_proj", [inner, width], [slim, narrow], { rows: same, columns: same, fill });
    matrix("mlp.down_proj", [width, inner], [narrow, slim], { rows: same, columns: same });
  }
  add("model.norm.weight", [width], () => norm("model.norm.weight"));
  // Where the head has a table of its own, it costs what the shared one costs.
  if (nano.names.includes("lm_head.weight")) addTable("lm_head.weight");
  return tensors;
}

/**
 * Makes the checkpoint and the asked GGUF files, or finds those of an earlier run over the same model.
 * @param {{ model?: string, folder?: string, gguf?: string[] }} [options] `model` (default: the bundled
 *   one), `folder` (default: one of its own below the temporary folder), GGUF types (default none)
 * @returns {{ folder: string, gguf: Record<string, string> }}
 */
export function makeNanoIn135m({ model = bundled, folder, gguf = [] } = {}) {
  const weights = readFileSync(join(model, "model.safetensors"));
  const digest = createHash("sha256").update(weights).digest("hex").slice(0, 16);
  folder ??= join(tmpdir(), `jeton-nano-in-135m-${digest}`);
  mkdirSync(folder, { recursive: true });
  const stamp = JSON.stringify({ version, digest });
  const stampPath = join(folder, "made-by-jeton-benchmarks.json");
  if (!existsSync(stampPath) || readFileSync(stampPath, "utf8") !== stamp) {
    const small = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
    const shrink = small.hidden_size / large.width;
    const config = {
      ...small,
      hidden_size: large.width,
      intermediate_size: large.inner,
      num_hidden_layers: large.layers,
      num_attention_heads: large.heads,
      num_key_value_heads: large.keyHeads,
      head_dim: large.headDim,
      vocab_size: large.vocabulary,
      rms_norm_eps: small.rms_norm_eps * shrink,
    };
    const nano = openSafetensors(model);
    writeFileSync(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
    for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
      if (existsSync(join(model, name))) copyFileSync(join(model, name), join(folder, name));
    writeSafetensors(join(folder, "model.safetensors"), planTensors(nano, small));
    nano.close();
    writeFileSync(`${stampPath}.partial`, stamp);
    renameSync(`${stampPath}.partial`, stampPath);
  }
  const paths = {};
  for (const type of gguf) {
    paths[type] = join(folder, `model-${type}.gguf`);
    if (!existsSync(paths[type])) writeGguf(folder, paths[type], { type });
  }
  return { folder, gguf: paths };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: bundled },
      folder: { type: "string" },
      gguf: { type: "string", default: "" },
    },
  });
  const made = makeNanoIn135m({ ...values, gguf: values.gguf.split(",").filter(Boolean) });
  console.log([made.folder, ...Object.values(made.gguf)].join("\n"));
}

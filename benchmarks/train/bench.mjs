/**
 * Training of a decoder beside its matrix products alone, on the same runtime, in turns.
 *
 *     npm run bench -- train [--json] [--runs 5] [--threads 2] [--layers 6] [--width 384]
 *       [--vocabulary 8192] [--sequence 256] [--batch 16] [--torch /usr/bin/python3] [--memory]
 *
 * The peer is a program that computes every matrix product of a step (forward and both backward ones)
 * and nothing else: what the runtime needs at least. The ratio is its time over that of a whole step,
 * optimizer included; at least 1 / 1.22 is wanted. `--torch` names a Python with PyTorch, whose steps of the same decoder take
 * turns with both. `--memory` measures memory instead (`memory.mjs`).
 */
import { parseArgs } from "node:util";
import { decoderConfig } from "../../dist/model/index.js";
import { compile, float32, matmul, slice, trace } from "../../dist/tensor/index.js";
import {
  adamW,
  decayMatricesOnly,
  decoderParameterShapes,
  initializeDecoder,
  languageModelGraph,
  languageModelInputs,
  openTrainer,
} from "../../dist/train/index.js";
import { describeMachine, formatTable, makeRow } from "../report.mjs";
import { measureMemory } from "./memory.mjs";
import { openTorch } from "./torch.mjs";

export const description =
  "tokens per second of training, beside the matrix products alone (needs npm run build)";

/**
 * @param {string[]} args
 * @returns {{ sizes: Record<string, number>, memory: boolean, torch: string | undefined }}
 */
function readSizes(args) {
  const defaults = {
    runs: 5,
    threads: 2,
    layers: 6,
    width: 384,
    vocabulary: 8192,
    sequence: 256,
    batch: 16,
  };
  const { values } = parseArgs({
    args,
    options: {
      ...Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: "string" }])),
      memory: { type: "boolean", default: false },
      torch: { type: "string" },
    },
  });
  const sizes = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => {
      const size = Number(values[name] ?? value);
      if (!Number.isSafeInteger(size) || size < 1) throw new Error(`--${name} must be positive`);
      return [name, size];
    }),
  );
  return { sizes, memory: values.memory, torch: values.torch };
}

/** The operands of the products of a linear layer: forward, for its input, for its weight. */
function linearProducts(rows, outputs, inputs) {
  return [
    { a: [rows, inputs], b: [outputs, inputs], transposeB: true },
    { a: [rows, outputs], b: [outputs, inputs] },
    { a: [rows, outputs], b: [rows, inputs], transposeA: true },
  ];
}

/** Scores and mixing of values, forward and backward. */
function attentionProducts(heads, scores) {
  return [
    { a: heads, b: heads, transposeB: true },
    { a: scores, b: heads },
    { a: heads, b: heads, transposeB: true },
    { a: scores, b: heads, transposeA: true },
    { a: scores, b: heads },
    { a: scores, b: heads, transposeA: true },
  ];
}

/** Compiles products into one program that returns one element of each. */
async function compileProducts(products, threads) {
  const types = {};
  const values = {};
  for (const { a, b } of products) {
    for (const [side, shape] of Object.entries({ a, b })) {
      const name = `${side}.${shape.join("x")}`;
      types[name] = float32(shape);
      values[name] = {
        shape,
        data: new Float32Array(shape.reduce((x, y) => x * y, 1)).fill(0.01),
      };
    }
  }
  const graph = trace(types, (input) => {
    const outputs = {};
    for (const [index, { a, b, ...options }] of products.entries()) {
      // A factor of its own keeps equal products from being computed once.
      const alpha = 1 + index / 1024;
      const operands = [input[`a.${a.join("x")}`], input[`b.${b.join("x")}`]];
      let product = matmul(operands[0], operands[1], { ...options, alpha });
      for (let axis = 0; axis < product.shape.length; axis++) {
        product = slice(product, { axis, end: 1 });
      }
      outputs[`product.${index}`] = product;
    }
    return outputs;
  });
  const program = await compile(graph, { threads, inline: true });
  return {
    async seconds() {
      const began = performance.now();
      await program.run(values);
      return (performance.now() - began) / 1000;
    },
    release: () => program.release(),
  };
}

/**
 * @param {object} options
 * @param {boolean} options.json leave standard output alone
 * @param {string[]} [options.args]
 * @returns {Promise<import("../report.mjs").Row[]>} tokens per second, or memory
 */
export async function run({ json, args = [] }) {
  const { sizes, memory, torch: python } = readSizes(args);
  console.error(describeMachine());
  if (memory) {
    const table = await measureMemory(sizes);
    if (!json) console.log(formatTable(table));
    return table;
  }
  const { runs, threads, layers, width, vocabulary, sequence, batch } = sizes;
  const headDim = 64;
  const heads = Math.max(1, Math.floor(width / headDim));
  const feedForward = Math.ceil((8 * width) / 3 / 64) * 64;
  const config = decoderConfig({
    model_type: "llama",
    vocab_size: vocabulary,
    hidden_size: width,
    head_dim: headDim,
    intermediate_size: feedForward,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    max_position_embeddings: sequence,
    tie_word_embeddings: true,
  });
  const rows = batch * sequence;
  const inner = heads * headDim;
  const layer = await compileProducts(
    [
      ...linearProducts(rows, 3 * inner, width),
      ...linearProducts(rows, width, inner),
      ...linearProducts(rows, 2 * feedForward, width),
      ...linearProducts(rows, width, feedForward),
      ...attentionProducts([batch, heads, sequence, headDim], [batch, heads, sequence, sequence]),
    ],
    threads,
  );
  const head = await compileProducts(linearProducts(rows, vocabulary, width), threads);
  const shapes = decoderParameterShapes(config);
  const trainer = await openTrainer({
    graph: languageModelGraph(config, { parameters: shapes }),
    parameters: initializeDecoder(config, 0),
    schedule: { kind: "constant", peak: 1e-4 },
    optimizer: adamW({ maxNorm: 1 }),
    group: decayMatricesOnly,
    threads,
  });
  const ids = Int32Array.from({ length: rows }, (_, index) => (index * 7919) % vocabulary);
  const inputs = languageModelInputs(config, { sequenceLength: sequence })({
    batch,
    time: sequence,
    ids,
    targets: ids,
  });
  const torch =
    python &&
    (await openTorch(python, {
      ...{ layers, width, heads, headDim, feedForward, vocabulary },
      ...{ batch, sequence, threads },
    }));
  const steps = [];
  const torchSteps = [];
  const graphs = [];
  const products = [];
  // The first turn of each allocates memory and does not count.
  for (let turn = 0; turn <= runs; turn++) {
    const { graphSeconds, updateSeconds } = await trainer.step([inputs]);
    let seconds = await head.seconds();
    for (let index = 0; index < layers; index++) seconds += await layer.seconds();
    const torchSeconds = await torch?.seconds();
    if (turn === 0) continue;
    steps.push(rows / (graphSeconds + updateSeconds));
    graphs.push(rows / graphSeconds);
    products.push(rows / seconds);
    if (torch) torchSteps.push(rows / torchSeconds);
  }
  await Promise.all([trainer.close(), layer.release(), head.release()]);
  torch?.close();
  const shape = `${layers} layers, width ${width}, vocabulary ${vocabulary}, ${batch} x ${sequence} tokens`;
  const peer = { peer: products, peerName: "matrix products alone", unit: "tokens/s" };
  const table = [
    makeRow({ name: `training step: ${shape}`, ours: steps, ...peer }),
    makeRow({ name: "of it loss and gradients", ours: graphs, ...peer }),
  ];
  if (torch) {
    const other = { peer: torchSteps, peerName: `PyTorch ${torch.version}`, unit: "tokens/s" };
    table.push(makeRow({ name: `training step: ${shape}`, ours: steps, ...other }));
  }
  if (!json) console.log(formatTable(table));
  return table;
}

/**
 * A training in a process of its own, for its memory: sizes as JSON on the command line, and what the
 * process held as JSON on standard output. With no steps it only loads what a training loads.
 */
import { decoderConfig } from "../../dist/model/index.js";
import {
  adamW,
  decayMatricesOnly,
  decoderParameterShapes,
  initializeDecoder,
  languageModelGraph,
  languageModelInputs,
  openTrainer,
} from "../../dist/train/index.js";

const { layers, width, vocabulary, sequence, batch, steps, threads, marks } = JSON.parse(
  process.argv[2],
);

/** @param {{ layers: number, width: number, vocabulary: number, sequence: number }} sizes */
function configOf(sizes) {
  const heads = Math.max(1, Math.floor(sizes.width / 64));
  return decoderConfig({
    model_type: "llama",
    vocab_size: sizes.vocabulary,
    hidden_size: sizes.width,
    intermediate_size: Math.ceil((8 * sizes.width) / 3 / 64) * 64,
    num_hidden_layers: sizes.layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: sizes.sequence,
    tie_word_embeddings: true,
  });
}

const config = configOf({ layers, width, vocabulary, sequence });
const shapes = decoderParameterShapes(config);
const parameters = [...shapes.values()].reduce(
  (sum, shape) => sum + shape.reduce((a, b) => a * b, 1),
  0,
);
/** @type {number[]} */
const resident = [];
if (steps === 0) {
  // The smallest training there is: the runtime and its threads, without anything to speak of in them.
  const least = configOf({ layers: 1, width: 64, vocabulary: 64, sequence: 8 });
  await train(least, { batch: 1, sequence: 8, steps: 3, vocabulary: 64, marks: [] });
} else {
  await train(config, { batch, sequence, steps, vocabulary, marks });
}
const peak = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ parameters, peak, resident }));

async function train(model, { batch, sequence, steps, vocabulary, marks }) {
  const trainer = await openTrainer({
    graph: languageModelGraph(model, { parameters: decoderParameterShapes(model) }),
    parameters: initializeDecoder(model, 1),
    moveParameters: true,
    schedule: { kind: "constant", peak: 1e-4 },
    optimizer: adamW({ maxNorm: 1 }),
    group: decayMatricesOnly,
    threads,
    spinning: false,
  });
  const rows = batch * sequence;
  const ids = Int32Array.from({ length: rows }, (_, index) => (index * 7919) % vocabulary);
  const inputs = languageModelInputs(model, { sequenceLength: sequence })({
    batch,
    time: sequence,
    ids,
    targets: ids,
  });
  for (let step = 1; step <= steps; step++) {
    await trainer.step([inputs]);
    if (marks.includes(step)) resident.push(process.memoryUsage.rss());
  }
  await trainer.close();
}

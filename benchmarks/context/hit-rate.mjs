/**
 * How often token-select's selection cache keeps its choice on recall tasks, with the bundled model: the rate that
 * the benchmark replays on random weights, whose texts mean nothing.
 */
import { parseContextPolicy } from "../../dist/context/index.js";
import { loadModel } from "../../dist/index.js";

/** Sentences between what is told and what is asked. */
const filler = [
  "The river is wide and slow, and the boats come back before the evening.",
  "In the market people talk about the harvest and the price of salt.",
  "A road leads from the gate to the hills, where the old tower stands.",
  "The letters were carried by riders who changed their horses twice a day.",
  "Rain fell on the roofs of the town, and the streets were empty.",
];

/** A text of about `tokens` tokens that tells a number and asks for it at its end. */
function makePrompt(tokenizer, tokens, at) {
  const key = 10_000 + ((at * 7919) % 90_000);
  const told = `The pass key is ${key}. Remember it. `;
  const parts = [];
  let count = 0;
  for (let line = at; count < tokens - 40; line++) {
    const sentence = `${filler[line % filler.length]} `;
    parts.push(sentence);
    count += tokenizer.encodeIds(sentence, { addSpecialTokens: false }).length;
  }
  parts.splice(Math.floor((parts.length * (at + 1)) / 8), 0, told);
  return [...tokenizer.encodeIds(`${parts.join("")}What is the pass key? The pass key is`)];
}

/** Layers of a step that chose positions, and those among them that kept an earlier choice. */
export function countChoices(report, layers) {
  const width = report.length / layers;
  const kinds = Array.from({ length: layers }, (_, layer) => report[layer * width]);
  return {
    hits: kinds.filter((kind) => kind === 2).length,
    all: kinds.filter((kind) => kind > 0).length,
  };
}

/**
 * The share of layers and decoded tokens that keep an earlier choice.
 *
 * @param {{ theta: number, tokens: number, prompts: number, generated: number }} options
 * @returns {Promise<{ rate: number, steps: number }>}
 */
export async function measureHitRate({ theta, tokens, prompts, generated }) {
  const model = await loadModel(undefined, { format: "f32" });
  try {
    const policy = parseContextPolicy(`token-select:init=16,local=112,k=256,cache=${theta}`);
    const view = model.withContextPolicy(policy);
    const layers = model.config.layers.length;
    let [hits, all] = [0, 0];
    for (let at = 0; at < prompts; at++) {
      const ids = makePrompt(model.tokenizer, tokens, at);
      const sequence = await view.openSequence({ promptLength: ids.length });
      let { topIds } = await sequence.step({ ids });
      for (let step = 0; step < generated; step++) {
        const result = await sequence.step({ ids: [topIds[0]], attended: true });
        topIds = result.topIds;
        const counted = countChoices(result.policyReport, layers);
        hits += counted.hits;
        all += counted.all;
      }
      await sequence.release();
    }
    return { rate: hits / all, steps: all };
  } finally {
    await model.close();
  }
}

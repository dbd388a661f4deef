// Prompts that end inside a word: the next byte, the rest of the word, two models averaged byte by byte.
import { loadModel } from "jeton";
import { completeBytes, createByteEnsemble, openByteDistribution } from "jeton/generate";

const model = await loadModel(undefined, { exact: false });
const bytes = await openByteDistribution(model);
const prompt = "The Roman emp";
await bytes.prefill(new TextEncoder().encode(prompt));
const logs = await bytes.logProbabilities();
const order = Array.from(logs.keys()).sort((a, b) => logs[b]! - logs[a]!);
for (const outcome of order.slice(0, 3)) {
  const name = outcome === 256 ? "end" : JSON.stringify(String.fromCharCode(outcome));
  console.log(name.padEnd(6), Math.exp(logs[outcome]!).toFixed(4));
}
const second = await openByteDistribution(model);
const ensemble = createByteEnsemble([bytes, second], { weights: [2, 1] });
const { text } = await completeBytes(ensemble, prompt, { greedy: true, maxBytes: 32 });
console.log(JSON.stringify(text));
await ensemble.close();
await model.close();

// Prompts that end inside a word: the next byte, the rest of the word, token healing beside, two models averaged
// byte by byte.
import { complete, loadModel } from "jeton";
import {
  completeBytes,
  createByteEnsemble,
  healings,
  healPrompt,
  openByteDistribution,
  resolveSampling,
} from "jeton/generate";

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
// Where a word is several tokens, token healing takes back too few: of "of", " the", " b", "arb" the last one.
const sampling = resolveSampling(model, { greedy: true });
for (const healing of healings) {
  const { ids, rest } = await healPrompt(model, "of the barb", { healing, sampling });
  const begunText = new TextDecoder().decode(rest, { stream: true });
  const healed = await complete(model, ids, { greedy: true, maxTokens: 3, begunText });
  console.log(healing.padEnd(6), JSON.stringify(`of the barb${healed.text}`));
}
await ensemble.close();
await model.close();

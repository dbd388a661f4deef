// A logits processor of your own: no token may hold the letter "e".
import { complete, loadModel } from "jeton";
import type { LogitsProcessor } from "jeton/generate";

const model = await loadModel();
const banned: number[] = [];
for (let id = 0; id < model.tokenizer.vocabSize; id++) {
  if (model.tokenizer.decode([id]).toLowerCase().includes("e")) banned.push(id);
}
const withoutE: LogitsProcessor = (_ids, logits) => {
  for (const id of banned) logits[id] = Number.NEGATIVE_INFINITY;
};
const { text } = await complete(model, "A story of a", {
  seed: 1,
  maxTokens: 32,
  drafter: "prompt-lookup", // processors and drafting combine
  logitsProcessors: [withoutE],
});
console.log(text);
console.log("holds an e:", text.toLowerCase().includes("e"));
await model.close();

// A logits processor of your own: a constraint on the next token. Here: no token may hold the letter "e".
import { complete, loadModel } from "jeton";
import type { LogitsProcessor } from "jeton/generate";

const model = await loadModel();
const { tokenizer } = model;
const banned: number[] = [];
for (let id = 0; id < tokenizer.vocabSize; id++) {
  if (tokenizer.decode([id]).toLowerCase().includes("e")) banned.push(id);
}
const withoutE: LogitsProcessor = ({ logits }) => {
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

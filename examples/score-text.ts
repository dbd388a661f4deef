// Log-probability of each token of a text, and bits per byte.
import { loadModel, score } from "jeton";

const model = await loadModel();
const { tokens, bitsPerByte, perplexity } = await score(
  model,
  "The emperor was advised by the senate.",
);
for (const { id, logProbability } of tokens) {
  const text = model.tokenizer.decode([id]);
  console.log(JSON.stringify(text).padEnd(14), logProbability.toFixed(3).padStart(8));
}
console.log({ bitsPerByte, perplexity });
await model.close();

// Embeddings in place of a prompt: the rows of two prompts, mixed half and half.
import { complete, loadModel } from "jeton";
import { openCheckpoint } from "jeton/checkpoint";

const model = await loadModel();
const { hiddenSize } = model.config;
const checkpoint = await openCheckpoint(model.folder);
const table = await checkpoint.readFloat32("model.embed_tokens.weight");
await checkpoint.close();

const first = model.tokenizer.encodeIds("The emperor of the East");
const second = model.tokenizer.encodeIds("The soldiers of the West");
const rows = Math.min(first.length, second.length);
const promptEmbeddings = new Float32Array(rows * hiddenSize);
for (let row = 0; row < rows; row++) {
  for (let at = 0; at < hiddenSize; at++) {
    const a = table[first[row]! * hiddenSize + at]!;
    const b = table[second[row]! * hiddenSize + at]!;
    promptEmbeddings[row * hiddenSize + at] = (a + b) / 2;
  }
}
const { text } = await complete(model, first.slice(0, rows), {
  promptEmbeddings,
  greedy: true,
  maxTokens: 24,
});
console.log(text);
await model.close();

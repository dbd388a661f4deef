// A chat that keeps its history. The KV cache of earlier turns is reused, because each prompt begins with
// the text of the last one. Reads questions from standard input, one a line.
import { createInterface } from "node:readline/promises";
import { complete, loadModel } from "jeton";

const model = await loadModel(process.argv[2]);
const input = createInterface({ input: process.stdin });
let history = "";
for await (const line of input) {
  if (line.trim() === "") continue;
  const prompt = `${history}Question: ${line}\nAnswer:`;
  const { text, reusedTokens, promptTokens } = await complete(model, prompt, {
    seed: 1,
    maxTokens: 24,
    stop: ["\n"],
    drafter: "auto",
  });
  console.log(text.trim());
  console.error(`(${reusedTokens} of ${promptTokens} prompt tokens from the cache)`);
  history = `${prompt}${text}\n`;
}
await model.close();

/**
 * Asks a model with landmarks for pass keys in prose that it was not trained on:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-landmark/evaluate.ts models/jeton-landmark
 */
import { parseContextPolicy } from "../../src/context/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import { complete, loadModel } from "../../src/index.ts";
import { readGibbon } from "../../src/reproduce/data/held-out-chapters.ts";

const questions = 50;
/** Words of prose in a question. */
const size = 700;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: evaluate.ts FOLDER");
const chapters = await readGibbon(await locateData("text/gibbon"), true);
const words = chapters.flat().join(" ").split(" ");
await using model = await loadModel(folder, { format: "f32", threads: 1 });
for (const blocks of [2, 1, 0]) {
  let right = 0;
  let tokens = 0;
  for (let at = 0; at < questions; at++) {
    const random = createRandom(7, "question", at);
    const key = String(10_000 + random.integer(90_000));
    const start = random.integer(words.length - size);
    const depth = start + random.integer(Math.floor(0.8 * size));
    const prompt = [
      ...words.slice(start, depth),
      `The pass key is ${key}. Remember it.`,
      ...words.slice(depth, start + size),
      "What is the pass key? The pass key is",
    ].join(" ");
    const contextPolicy = parseContextPolicy(`landmark:blocks=${blocks}`);
    const { text } = await complete(model, prompt, { greedy: true, maxTokens: 8, contextPolicy });
    if (/\d+/.exec(text)?.[0] === key) right++;
    tokens += model.tokenizer.encodeIds(prompt).length;
  }
  const mean = Math.round(tokens / questions);
  console.log(`${blocks} blocks retrieved, ${mean} tokens: ${right} of ${questions} keys found`);
}

// Hidden states of a prompt in one forward pass, compared by cosine.
import { loadModel } from "jeton";

const model = await loadModel();
const { hiddenSize } = model.config;

/** Final hidden state after the last token of a text, `[hiddenSize]`. */
async function lastHiddenState(text: string): Promise<Float32Array> {
  const sequence = await model.openSequence();
  try {
    const ids = model.tokenizer.encodeIds(text);
    const { hidden } = await sequence.step({ ids, results: "last", hidden: true });
    return hidden!.slice(0, hiddenSize);
  } finally {
    await sequence.release();
  }
}

const cosine = (a: Float32Array, b: Float32Array): number => {
  let [dot, lengthA, lengthB] = [0, 0, 0];
  for (const [index, x] of a.entries()) {
    const y = b[index]!;
    dot += x * y;
    lengthA += x * x;
    lengthB += y * y;
  }
  return dot / Math.sqrt(lengthA * lengthB);
};

const [king, emperor, code] = await Promise.all(
  ["The army of the king", "The army of the emperor", "export const value: number ="].map(
    lastHiddenState,
  ),
);
console.log("king, emperor:", cosine(king!, emperor!).toFixed(3));
console.log("king, code:   ", cosine(king!, code!).toFixed(3));
await model.close();

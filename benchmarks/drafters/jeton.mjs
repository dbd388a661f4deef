/**
 * Our half: one model with every drafter over it, through the built library (`npm run build` first).
 * What drafters learn stays from one request to the next, as in a program that runs on.
 */
import { complete, openDrafter } from "../../dist/generate/index.js";
import { loadModel } from "../../dist/model/index.js";
import { serveHalf } from "../decode/half.mjs";

/**
 * @param {object} options
 * @param {string} options.folder checkpoint folder
 * @param {string} options.draft folder of the draft model
 * @param {"f32" | "int8" | "int8-channel" | "int4"} options.format
 * @param {number} options.threads
 */
async function createJetonModel({ folder, draft, format, threads }) {
  const model = await loadModel(folder, { format, threads, slots: 2 });
  const drafters = new Map();
  const find = async (name) => {
    if (name === "none") return undefined;
    if (!drafters.has(name))
      drafters.set(name, await openDrafter(name, model, { draftModel: draft }));
    return drafters.get(name);
  };
  return {
    describe: () => ({ name: model.name, format: model.format, threads: model.threads }),
    encode: (text) => [...model.tokenizer.encodeIds(text)],
    /** One request; the seconds are those of decoding alone. */
    async run({ prompt, drafter, maxTokens, temperature }) {
      const opened = await find(drafter);
      const result = await complete(model, prompt, {
        maxTokens,
        temperature,
        topP: 1,
        topK: 0,
        seed: 1,
        ignoreEndOfSequence: true,
        ...(opened && { drafter: opened }),
      });
      const { ids, decodeSeconds, drafting } = result;
      // The first token comes with the prompt.
      return { ids, seconds: decodeSeconds, tokens: ids.length - 1, drafting };
    },
    memory: () => model.memory(),
    async close() {
      for (const drafter of drafters.values()) await drafter.close();
      await model.close();
    },
  };
}

serveHalf(createJetonModel);

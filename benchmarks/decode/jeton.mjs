/**
 * Our half: a checkpoint folder through the built library (`npm run build` first), the way a user's
 * program runs it: the model in its worker, one call per token.
 */
import { loadModel } from "../../dist/model/index.js";
import { serveHalf } from "./half.mjs";

/** Tokens of one forward pass over a prompt. */
const chunk = 512;

/**
 * @param {object} options
 * @param {string} options.folder checkpoint folder
 * @param {"f32" | "int8" | "int8-channel" | "int4"} options.format
 * @param {number} options.threads
 * @returns {Promise<import("./half.mjs").BenchModel>}
 */
async function createJetonModel({ folder, format, threads }) {
  const model = await loadModel(folder, { format, threads, slots: 1 });
  const sequence = await model.openSequence();
  /** Ids in the cache, then the choice after them. */
  const ids = [];
  const feed = async (part) => {
    const { topIds } = await sequence.step({ ids: part });
    return topIds[0];
  };
  return {
    async prefill(prompt) {
      ids.length = sequence.length;
      let choice = 0;
      for (let at = 0; at < prompt.length; at += chunk) {
        choice = await feed(prompt.slice(at, at + chunk));
      }
      ids.push(...prompt, choice);
      return choice;
    },
    async decode(count) {
      const choices = [];
      for (let step = 0; step < count; step++) {
        choices.push(await feed([ids.at(-1)]));
        ids.push(choices.at(-1));
      }
      return choices;
    },
    async reset(length = 0) {
      await sequence.truncate(length);
      ids.length = Math.min(ids.length, length + 1);
    },
    memory: () => model.memory(),
    close: () => model.close(),
  };
}

serveHalf(createJetonModel);

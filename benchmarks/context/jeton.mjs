/**
 * Our half: a checkpoint folder under a context policy, the way `generate` runs it: gemfilter's first pass over the
 * prompt and the reading of what it chose are one `prefill`.
 */

import { parseContextPolicy } from "../../dist/context/index.js";
import { loadModel } from "../../dist/index.js";
import { serveHalf } from "../decode/half.mjs";
import { countChoices } from "./hit-rate.mjs";

/** Tokens of one step over a prompt: a multiple of every policy's prompt chunk here. */
const chunk = 512;

/**
 * @param {object} options
 * @param {string} options.folder checkpoint folder
 * @param {"f32" | "int8" | "int8-channel" | "int4"} options.format
 * @param {number} options.threads
 * @param {string} options.policy as on a command line
 * @returns {Promise<import("../decode/half.mjs").BenchModel>}
 */
async function createJetonModel({ folder, format, threads, policy }) {
  const model = await loadModel(folder, { format, threads, slots: 1 });
  const contextPolicy = parseContextPolicy(policy);
  const view = model.withContextPolicy(contextPolicy);
  let sequence;
  let last = 0;
  let peak = 0;
  const notePeak = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const watch = setInterval(notePeak, 50);
  const read = async (ids) => {
    sequence = await view.openSequence({ promptLength: ids.length });
    let result;
    for (let at = 0; at < ids.length; at += chunk) {
      result = await sequence.step({ ids: ids.slice(at, at + chunk) });
      notePeak();
    }
    last = result.topIds[0];
    return last;
  };
  return {
    async prefill(prompt) {
      // There is one slot.
      await sequence?.release();
      sequence = undefined;
      const chosen = contextPolicy.choosePrompt
        ? (await contextPolicy.choosePrompt(view, prompt)).map((at) => prompt[at])
        : prompt;
      return read(chosen);
    },
    async decode(count) {
      const choices = [];
      for (let step = 0; step < count; step++) {
        const { topIds } = await sequence.step({ ids: [last] });
        last = topIds[0];
        choices.push(last);
      }
      return choices;
    },
    /** Feeds these ids one by one; with `asksHits`, the share of layers that kept their choice. */
    async run({ ids, asksHits }) {
      let [hits, all] = [0, 0];
      for (const id of ids) {
        const result = await sequence.step({ ids: [id], ...(asksHits && { attended: true }) });
        if (!asksHits) continue;
        const counted = countChoices(result.policyReport, model.config.layers.length);
        hits += counted.hits;
        all += counted.all;
      }
      return all === 0 ? undefined : hits / all;
    },
    async reset(length = 0) {
      await sequence.truncate(length);
    },
    async memory() {
      notePeak();
      return { ...(await model.memory()), peak };
    },
    async close() {
      clearInterval(watch);
      await sequence?.release();
      await model.close();
    },
  };
}

serveHalf(createJetonModel);

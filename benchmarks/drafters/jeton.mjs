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
 * @param {boolean} [options.exact] as in `loadModel`
 */
async function createJetonModel({ folder, draft, format, threads, exact }) {
  const model = await loadModel(folder, {
    format,
    threads,
    slots: 2,
    ...(exact !== undefined && { exact }),
  });
  // As `openDrafter` opens so small a draft.
  const small = await loadModel(draft, { slots: 2, inline: true, threads: 1 });
  const passes = { seconds: 0 };
  const draftModel = timeSteps(small, passes);
  const drafters = new Map();
  const find = async (name) => {
    if (name === "none") return undefined;
    if (!drafters.has(name)) drafters.set(name, await openDrafter(name, model, { draftModel }));
    return drafters.get(name);
  };
  return {
    describe: () => ({ name: model.name, format: model.format, threads: model.threads }),
    encode: (text) => [...model.tokenizer.encodeIds(text)],
    /** One request; the seconds are those of decoding alone, `passSeconds` of the draft's forwards. */
    async run({ prompt, drafter, maxTokens, temperature }) {
      const opened = await find(drafter);
      passes.seconds = 0;
      const result = await complete(model, prompt, {
        maxTokens,
        temperature,
        topP: 1,
        topK: 0,
        seed: 1,
        ignoreEos: true,
        ...(opened && { drafter: opened }),
      });
      const { ids, decodeSeconds, drafting } = result;
      // The first token comes with the prompt.
      const { seconds: passSeconds } = passes;
      return { ids, seconds: decodeSeconds, tokens: ids.length - 1, drafting, passSeconds };
    },
    memory: () => model.memory(),
    async close() {
      for (const drafter of drafters.values()) await drafter.close();
      await small.close();
      await model.close();
    },
  };
}

/** The same object, but for some methods. */
function override(target, methods) {
  return new Proxy(target, {
    get(_target, name) {
      if (name in methods) return methods[name];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A model whose steps add to a time. */
function timeSteps(model, time) {
  return override(model, {
    async openSequence(...options) {
      const sequence = await model.openSequence(...options);
      return override(sequence, {
        async step(...step) {
          const begin = performance.now();
          try {
            return await sequence.step(...step);
          } finally {
            time.seconds += (performance.now() - begin) / 1000;
          }
        },
      });
    },
  });
}

serveHalf(createJetonModel);

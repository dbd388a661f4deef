/** jeton in a worker: opens the checkpoint and generates. */
import { complete, fetchModel, locateWasm } from "../../dist/browser.js";
import { answer } from "./answer.mjs";

let model;

answer({
  async open({ runtime, folder, threads }) {
    locateWasm(runtime);
    model = await fetchModel(folder, { threads, format: "f32" });
  },
  async run({ ids, maxTokens }) {
    const begin = performance.now();
    const result = await complete(model, ids, { greedy: true, ignoreEos: true, maxTokens });
    return { ids: [...result.ids], seconds: (performance.now() - begin) / 1000 };
  },
});

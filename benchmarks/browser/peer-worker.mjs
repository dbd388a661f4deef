/** transformers.js in a worker: opens the graph and generates. */
import { AutoModelForCausalLM, env, Tensor } from "@huggingface/transformers";
import { answer } from "./answer.mjs";

let model;

answer({
  async open({ runtime, root, name, threads }) {
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    env.localModelPath = root;
    env.useBrowserCache = false;
    env.useWasmCache = false;
    env.backends.onnx.wasm.wasmPaths = runtime;
    env.backends.onnx.wasm.numThreads = threads;
    model = await AutoModelForCausalLM.from_pretrained(name, { dtype: "fp32", device: "wasm" });
  },
  async run({ ids, maxTokens }) {
    const shape = [1, ids.length];
    const input_ids = new Tensor("int64", BigInt64Array.from(ids, BigInt), shape);
    const attention_mask = new Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape);
    const begin = performance.now();
    const output = await model.generate({
      ...{ input_ids, attention_mask },
      ...{ max_new_tokens: maxTokens, do_sample: false },
    });
    const seconds = (performance.now() - begin) / 1000;
    return { ids: Array.from(output.data.slice(ids.length), Number), seconds };
  },
});

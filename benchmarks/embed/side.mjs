/** One side of the benchmark of embeddings, in a process of its own: opens an encoder, and embeds texts when it is asked to. */
import { basename, dirname } from "node:path";
import { importJeton } from "../import-jeton.mjs";

async function openJeton({ folder, format, threads }) {
  const { embed, loadEncoder } = await importJeton("model");
  const model = await loadEncoder(folder, { format, threads });
  return (texts) => embed(model, texts, { normalize: true });
}

async function openPeer({ published, dtype, threads, batch }) {
  const { env, pipeline } = await import("@huggingface/transformers");
  env.allowRemoteModels = false;
  env.localModelPath = dirname(published);
  const extract = await pipeline("feature-extraction", basename(published), {
    ...{ dtype, device: "cpu" },
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return async (texts) => {
    const vectors = [];
    for (let at = 0; at < texts.length; at += batch) {
      const options = { pooling: "mean", normalize: true };
      const found = await extract(texts.slice(at, at + batch), options);
      const [rows, width] = found.dims;
      for (let row = 0; row < rows; row++) {
        vectors.push(Float32Array.from(found.data.subarray(row * width, (row + 1) * width)));
      }
    }
    return vectors;
  };
}

let run;

process.on("message", async ({ open, texts, wantsVectors }) => {
  try {
    if (open !== undefined) {
      run = await (open.side === "jeton" ? openJeton(open) : openPeer(open));
      process.send({});
      return;
    }
    const started = performance.now();
    const vectors = await run(texts);
    const seconds = (performance.now() - started) / 1000;
    process.send({ seconds, ...(wantsVectors && { vectors: vectors.map((one) => [...one]) }) });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});

/**
 * One process that opens a checkpoint once and says how long that took, as a line of JSON:
 *
 *     node load.mjs DIST CHECKPOINT FORMAT CACHE        # a model of the build in DIST
 *     node load.mjs --bare DIST CHECKPOINT FORMAT CACHE # nothing but a session over the packed file
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const args = process.argv.slice(2);
const isBare = args[0] === "--bare";
const [dist, folder, format, cacheFolder] = isBare ? args.slice(1) : args;
const load = (path) => import(pathToFileURL(join(dist, path)).href);
const threads = 2;

/** Milliseconds until weights were packed and until all was ready, and peak memory in bytes. */
async function openJeton() {
  const { loadModel } = await load("model/index.js");
  let packed = 0;
  const started = performance.now();
  const model = await loadModel(folder, {
    format,
    threads,
    cacheFolder,
    onProgress: ({ stage }) => {
      if (stage === "load" && packed === 0) packed = performance.now() - started;
    },
  });
  const ready = performance.now() - started;
  const peakAtReady = process.resourceUsage().maxRSS * 1024;
  const sequence = await model.openSequence();
  const { topIds } = await sequence.step({ ids: [1, 2, 3] });
  const token = performance.now() - started;
  await model.close();
  return { packed, ready, token, topId: topIds[0], peak: peakAtReady };
}

/** Milliseconds of one call of the runtime, on the graph that a model would run. */
async function openBare() {
  // Reports to the makers of the runtime are off, as they are in jeton.
  process.env.ORT_DISABLE_TELEMETRY ??= "1";
  const { emitModel } = await load("tensor/index.js");
  const { decoderConfig, decoderGraph, fileBindings, traceWeights } = await load("model/index.js");
  const { openCheckpoint, openSafetensors } = await load("checkpoint/index.js");
  const checkpoint = await openCheckpoint(folder);
  const packed = await openSafetensors(join(cacheFolder, readdirSync(cacheFolder)[0]));
  const bindings = new Map([...fileBindings(checkpoint.tensors), ...fileBindings(packed.tensors)]);
  const graph = decoderGraph(
    decoderConfig(checkpoint.config),
    traceWeights(checkpoint.tensors, format),
    { cacheType: "float16" },
  );
  const { bytes, folder: root } = emitModel(graph, bindings);
  const runtime = await import("onnxruntime-node");
  const started = performance.now();
  const session = await (runtime.default ?? runtime).InferenceSession.create(bytes, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    enableMemPattern: false,
    logSeverityLevel: 4,
    extra: { session: { model_external_initializers_file_folder_path: root } },
  });
  const ready = performance.now() - started;
  const peak = process.resourceUsage().maxRSS * 1024;
  await session.release();
  await Promise.all([checkpoint.close(), packed.close()]);
  return { ready, peak };
}

console.log(JSON.stringify(await (isBare ? openBare() : openJeton())));

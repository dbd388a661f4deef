/**
 * What the page of the browser test runs: the library as an application would use it, with results
 * that can cross to the test.
 */
import {
  complete,
  createTokenizer,
  type Device,
  type DeviceChoice,
  embed,
  fetchEncoder,
  fetchModel,
  findWebGpu,
  type GenerateOptions,
  JetonError,
  liveSessions,
  locateWasm,
  score,
  type WeightFormat,
} from "../../src/browser.ts";

/** One generation, described by values that can cross to the page. */
export interface PageRequest {
  /** Address of the checkpoint folder. */
  folder: string;
  format: WeightFormat;
  threads?: number;
  /** Each prompt is continued greedily; all of them at once. */
  prompts: (string | number[])[];
  maxTokens: number;
  /** Whether the model lives in a worker. Default false. */
  worker?: boolean;
  /** Default: the usual one. */
  device?: DeviceChoice;
  /** How every prompt is continued besides: drafted, or sampled. Default: in no other way. */
  besides?: Pick<GenerateOptions, "drafter" | "greedy" | "seed" | "temperature">[];
}

export interface PageResult {
  name: string;
  folder: string;
  format: string;
  promptTokens: number[];
  ids: number[][];
  texts: string[];
  /** Ids of each of `besides`, of each prompt. */
  besides: number[][][];
  /** Where the model ran, and whether rows are the same in any company. */
  device: Device;
  exact: boolean;
  /** Warnings of opening. */
  warnings: string[];
  /** Logits after each prompt. */
  logits: number[][];
  /** Stages of progress, in order, without repetition. */
  stages: string[];
  /** Sessions while the model was open, and after it was closed. */
  sessions: [number, number];
  weightBytes: number;
  /** How often the page's thread came to other work between the first and the last progress. */
  turns: number;
  /** Whether the page is isolated from other origins, and so may use threads. */
  isolated: boolean;
}

locateWasm("/onnxruntime/");

const startWorker = (): Worker => new Worker("/worker.js", { type: "module" });

/** Stands for what else a page does: it comes back as soon as the thread is free. */
function otherWork(): { turns: () => number; stop: () => void } {
  let turns = 0;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    turns++;
    port2.postMessage(undefined);
  };
  port2.postMessage(undefined);
  return { turns: () => turns, stop: () => port1.close() };
}

async function run(request: PageRequest): Promise<PageResult> {
  const { folder, format, threads, prompts, maxTokens, device, besides = [] } = request;
  const stages: string[] = [];
  const warnings: string[] = [];
  const other = otherWork();
  let [first, last] = [0, 0];
  const model = await fetchModel(folder, {
    format,
    ...(request.worker && { worker: startWorker() }),
    ...(threads !== undefined && { threads }),
    ...(device && { device }),
    onWarning: ({ message }) => warnings.push(message),
    onProgress: ({ stage }) => {
      // Not the download, which no thread waits for.
      if (stage === "download") first = other.turns();
      last = other.turns();
      if (stages.at(-1) !== stage) stages.push(stage);
    },
  });
  other.stop();
  const results = await Promise.all(
    prompts.map((prompt) => complete(model, prompt, { greedy: true, maxTokens, ignoreEos: true })),
  );
  const others: number[][][] = [];
  for (const options of besides) {
    const ids: number[][] = [];
    for (const prompt of prompts) {
      const asked = { maxTokens, ignoreEos: true, ...options };
      ids.push([...(await complete(model, prompt, asked)).ids]);
    }
    others.push(ids);
  }
  const logits: number[][] = [];
  for (const prompt of prompts) {
    const ids = typeof prompt === "string" ? model.tokenizer.encodeIds(prompt) : prompt;
    const sequence = await model.openSequence();
    const start = ids.length > 0 ? [...ids] : [model.bosTokenId!];
    const result = await sequence.step({ ids: start, logits: true });
    logits.push([...result.logits!]);
    await sequence.release();
  }
  const open = liveSessions();
  const { weights: weightBytes } = await model.memory();
  await model.close();
  return {
    name: model.name,
    folder: model.folder,
    format: model.format,
    promptTokens: results.map((result) => result.promptTokens),
    ids: results.map((result) => [...result.ids]),
    besides: others,
    device: model.device!,
    exact: model.exact!,
    warnings,
    texts: results.map((result) => result.text),
    logits,
    stages,
    sessions: [open, liveSessions()],
    weightBytes,
    turns: last - first,
    isolated: crossOriginIsolated,
  };
}

/** Perplexity of ids, in the page. */
async function perplexity(folder: string, ids: number[]): Promise<number> {
  const model = await fetchModel(folder, { format: "f32" });
  const result = await score(model, ids.slice(1), { prefix: ids.slice(0, 1) });
  await model.close();
  return result.perplexity;
}

export interface FailureOptions {
  /** Script of the worker in which the model is to live. Default: none. */
  worker?: string;
  /** Default: the usual one. */
  device?: DeviceChoice;
  /** Default int4. */
  format?: WeightFormat;
  /** Default: as the model's. */
  exact?: boolean;
  /** Folder of the runtime's files. Default: where they are. */
  runtime?: string;
  /** The stage of progress at which the caller gives up. Default: never. */
  abort?: string;
}

/** Code of the error with which opening a folder ends. */
async function failure(folder: string, options: FailureOptions = {}): Promise<string> {
  const { worker, abort, device, format = "int4", exact, runtime } = options;
  const stop = new AbortController();
  try {
    if (runtime !== undefined) locateWasm(runtime);
    const model = await fetchModel(folder, {
      format,
      ...(device && { device }),
      ...(exact !== undefined && { exact }),
      signal: stop.signal,
      ...(worker && { worker: new Worker(worker, { type: "module" }) }),
      onProgress: ({ stage }) => {
        if (stage === abort) stop.abort(new JetonError("stopped", { code: "aborted" }));
      },
    });
    await model.close();
    return "none";
  } catch (error) {
    return JetonError.isInstance(error) ? error.code : String(error);
  }
}

/** Ids of a text under a tokenizer that is fetched alone. */
async function tokenize(folder: string, text: string): Promise<number[]> {
  const response = await fetch(`${folder}/tokenizer.json`);
  return [...createTokenizer(await response.json()).encodeIds(text)];
}

/** Vectors of texts under an encoder. */
async function vectors(folder: string, device: Device, texts: string[]): Promise<number[][]> {
  const encoder = await fetchEncoder(folder, { device, format: "f32" });
  const found = await embed(encoder, texts);
  await encoder.close();
  return found.map((vector) => [...vector]);
}

/** What the test may call on the page, as `globalThis.page`. */
export interface Page {
  run: typeof run;
  perplexity: typeof perplexity;
  failure: typeof failure;
  tokenize: typeof tokenize;
  vectors: typeof vectors;
  findWebGpu: typeof findWebGpu;
}
const page: Page = { run, perplexity, failure, tokenize, vectors, findWebGpu };
Object.assign(globalThis, { page });

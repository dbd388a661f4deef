/** The engines of a page: each is opened once, when it is first needed. */
import { findWebGpu } from "jeton/tensor";
import { fetchPlace } from "../data.ts";
import type { Engine, OpeningProgress } from "./engine.ts";
import { openServerEngine } from "./server-engine.ts";
import { openWorkerEngine, type WorkerModel } from "./worker-engine.ts";

const nano = { model: "jeton-nano", device: "wasm" } as const;

/**
 * Bundled models in this browser: jeton-nano in WebAssembly by the format of its weights, and on WebGPU; its draft
 * model; a small model with experts; and one with landmarks.
 */
const workerModels = {
  f32: { ...nano, format: "f32" },
  int8: { ...nano, format: "int8" },
  "int8-channel": { ...nano, format: "int8-channel" },
  int4: { ...nano, format: "int4" },
  webgpu: { ...nano, format: "f32", device: "webgpu" },
  draft: { model: "jeton-nano-draft", format: "f32", device: "wasm" },
  experts: { model: "jeton-experts", format: "f32", device: "wasm" },
  landmark: { model: "jeton-landmark", format: "f32", device: "wasm" },
} as const satisfies Record<string, WorkerModel>;

/** Names of engines: the server's model, or bundled ones in this browser. */
export const engineNames = [
  "server",
  ...(Object.keys(workerModels) as (keyof typeof workerModels)[]),
] as const;

export type EngineName = (typeof engineNames)[number];

const opened = new Map<EngineName, Promise<Engine>>();
const listeners = new Map<EngineName, Set<(progress: OpeningProgress) => void>>();

/** The engine that a page starts with: its server's, where it has one; otherwise WebAssembly, which is exact. */
export async function defaultEngine(): Promise<EngineName> {
  return (await offeredEngines())[0]!;
}

/** Engines that this page can open, its default first: WebGPU where there are an adapter and the runtime's files. */
export async function offeredEngines(): Promise<readonly EngineName[]> {
  const { server, webgpu = false } = await fetchPlace();
  const hasWebGpu = webgpu && (await findWebGpu()) !== undefined;
  return engineNames.filter((name) =>
    name === "server" ? server : name !== "webgpu" || hasWebGpu,
  );
}

/** What an engine is called. */
export function engineLabel(name: EngineName): string {
  if (name === "server") return "this server's model";
  const { model, format, device } = workerModels[name];
  return `${model} in this browser, ${format}${device === "webgpu" ? " on WebGPU" : ""}`;
}

/** Opens an engine, or gives the open one. @throws EngineError */
export function openEngine(
  name: EngineName,
  onProgress?: (progress: OpeningProgress) => void,
): Promise<Engine> {
  let told = listeners.get(name);
  if (!told) {
    told = new Set();
    listeners.set(name, told);
  }
  if (onProgress) told.add(onProgress);
  let engine = opened.get(name);
  if (!engine) {
    const all = told;
    const tell = (progress: OpeningProgress): void => {
      for (const listener of all) listener(progress);
    };
    engine = name === "server" ? openServerEngine() : openWorkerEngine(workerModels[name], tell);
    opened.set(name, engine);
    // The next request tries again.
    engine.catch(() => opened.delete(name));
  }
  return engine.finally(() => onProgress && told.delete(onProgress));
}

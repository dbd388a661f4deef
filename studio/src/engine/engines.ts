/** The engines of a page: each is opened once, when it is first needed. */
import type { WeightFormat } from "jeton/browser";
import { fetchPlace } from "../data.ts";
import type { Engine, OpeningProgress } from "./engine.ts";
import { openServerEngine } from "./server-engine.ts";
import { openWorkerEngine } from "./worker-engine.ts";

/** Names of engines: the server's model, or the bundled one in this browser by the format of its weights. */
export const engineNames = ["server", "f32", "int8", "int8-channel", "int4"] as const;

export type EngineName = (typeof engineNames)[number];

const opened = new Map<EngineName, Promise<Engine>>();
const listeners = new Map<EngineName, Set<(progress: OpeningProgress) => void>>();

/** The engine that a page starts with: its server's, where it has one. */
export async function defaultEngine(): Promise<EngineName> {
  return (await fetchPlace()).server ? "server" : "f32";
}

/** What an engine is called. */
export function engineLabel(name: EngineName): string {
  return name === "server" ? "this server's model" : `jeton-nano in this browser, ${name}`;
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
    engine = name === "server" ? openServerEngine() : openWorkerEngine(name as WeightFormat, tell);
    opened.set(name, engine);
    // The next request tries again.
    engine.catch(() => opened.delete(name));
  }
  return engine.finally(() => onProgress && told.delete(onProgress));
}

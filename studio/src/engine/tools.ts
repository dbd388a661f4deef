/** Asks the tools' worker: functions of the library, off the page's thread. */
import type { ToolAnswer, ToolName, ToolRequest, Tools } from "../worker/tool-types.ts";
import { EngineError } from "./engine.ts";

interface Waiting {
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: EngineError) => void;
}

let worker: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, Waiting>();

/**
 * Calls a tool. Aborting the signal ends the worker, and with it every call that waits: functions of the library
 * give no other way to stop them. The next call starts it again.
 *
 * @throws EngineError
 */
export function callTool<Name extends ToolName>(
  name: Name,
  input: Tools[Name][0],
  signal?: AbortSignal,
): Promise<Tools[Name][1]> {
  worker ??= start();
  const id = ++lastId;
  const request: ToolRequest = { id, name, input, base: new URL("./", document.baseURI).href };
  worker.postMessage(request);
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve: resolve as (output: unknown) => void, reject });
    signal?.addEventListener("abort", () => {
      if (waiting.has(id)) end(new EngineError("Stopped.", "stopped"));
    });
  });
}

function end(error: EngineError): void {
  worker?.terminate();
  worker = undefined;
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
}

function start(): Worker {
  const started = new Worker(new URL("../worker/tools-worker.ts", import.meta.url), {
    type: "module",
    name: "tools",
  });
  started.addEventListener("message", ({ data }: MessageEvent<ToolAnswer>) => {
    const { resolve, reject } = waiting.get(data.id)!;
    waiting.delete(data.id);
    if ("error" in data) reject(new EngineError(data.error.message, data.error.code));
    else resolve(data.output);
  });
  started.addEventListener("error", (event) => {
    event.preventDefault();
    const why = event.message || "its script could not be loaded";
    end(new EngineError(`The tools' worker failed: ${why}`, "worker-failed"));
  });
  return started;
}

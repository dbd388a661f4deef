/** The bundled model in a worker of this browser. */
import type { Device, WeightFormat } from "jeton/browser";
import type { LensAnswers, LensRequest } from "jeton/lens";
import { type Engine, EngineError, type OpeningProgress } from "./engine.ts";
import type { FromWorker, ToWorker, WorkerFailure } from "./messages.ts";

type Event = LensAnswers[LensRequest["kind"]];

/** How the worker's model is opened. */
export interface WorkerModel {
  /** Name of a model that comes with the page. */
  readonly model: string;
  readonly format: WeightFormat;
  readonly device: Device;
}

/** Starts a worker and opens the model in it. @throws EngineError */
export function openWorkerEngine(
  { model, format, device }: WorkerModel,
  onProgress: (progress: OpeningProgress) => void,
): Promise<Engine> {
  const worker = new Worker(new URL("../worker/model-worker.ts", import.meta.url), {
    type: "module",
    name: `${model} ${format} ${device}`,
  });
  const send = (message: ToWorker): void => worker.postMessage(message);
  const open = new Map<number, Inbox>();
  return new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if (data.kind === "progress") onProgress(data);
      else if (data.kind === "open")
        resolve({
          model: data.model,
          place: "browser",
          ask: createAsk(send, open) as Engine["ask"],
        });
      else if (data.kind === "open-failed") {
        worker.terminate();
        reject(errorOf(data.error));
      } else if (data.kind === "event") open.get(data.id)?.push(data.event);
      else open.get(data.id)?.end(data.error && errorOf(data.error));
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      const error = new EngineError(
        `The model's worker failed: ${event.message || "its script could not be loaded"}`,
        "worker-failed",
      );
      reject(error);
      for (const inbox of open.values()) inbox.end(error);
    });
    send({ kind: "open", base: new URL("./", document.baseURI).href, model, format, device });
  });
}

const errorOf = ({ message, code }: WorkerFailure): EngineError => new EngineError(message, code);

let lastId = 0;

function createAsk(send: (message: ToWorker) => void, open: Map<number, Inbox>) {
  return async function* ask(
    request: LensRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<Event, void, void> {
    signal?.throwIfAborted();
    const id = ++lastId;
    const inbox = new Inbox();
    open.set(id, inbox);
    const stop = (): void => {
      send({ kind: "stop", id });
      inbox.end(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
    send({ kind: "ask", id, request });
    try {
      for (;;) {
        const event = await inbox.next();
        if (event === undefined) return;
        yield event;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      open.delete(id);
      if (!inbox.isEnded) send({ kind: "stop", id });
    }
  };
}

/** Events that wait to be read. */
class Inbox {
  readonly #events: Event[] = [];
  #wake: (() => void) | undefined;
  #error: unknown;
  isEnded = false;

  push(event: Event): void {
    this.#events.push(event);
    this.#wake?.();
  }

  end(error?: unknown): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#error = error;
    this.#wake?.();
  }

  /** The next event; undefined at the end. */
  async next(): Promise<Event | undefined> {
    while (this.#events.length === 0) {
      if (this.isEnded) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events.shift();
  }
}

/**
 * Objects that live in a worker thread of their own.
 *
 * `run()` of ONNX Runtime blocks its thread, so the owner of a program runs in a worker: a
 * *service* is an object with asynchronous methods, made there by an exported function of a module;
 * the caller holds a proxy. Calls are queued and run one after the other. A worker is never
 * terminated during a call, because the native library would abort the process: `close()` waits for
 * the running call, lets the service release what it holds, and lets the thread end by itself.
 */
import { JetonError } from "../core/index.ts";
import { chooseDevice, isNode } from "./device.ts";
import { disableRuntimeTelemetry } from "./runtime.ts";

/** What a service module's function returns. */
export interface Service {
  /** Releases sessions and memory. */
  close(): Promise<void> | void;
}

type Method = (...values: never[]) => unknown;

/** The caller's view: every method returns a promise. */
export type Remote<T> = {
  [K in keyof T as T[K] extends Method ? K : never]: T[K] extends (...values: infer A) => infer R
    ? (...values: A) => Promise<Awaited<R>>
    : never;
};

/** Where a service lives. */
export interface ServiceOptions {
  /** True: no thread; calls run (and block) where they are made. Default: true outside Node. */
  inline?: boolean;
  /**
   * Memory inside `argument` that moves to the worker instead of being copied: views of it are empty
   * afterwards. Default: none.
   */
  transfer?: readonly ArrayBuffer[];
}

/** A call, from the caller to the worker. */
export interface CallMessage {
  id: number;
  method: string;
  values: unknown[];
}
/** The answer to a call; `id` 0 says that the service was made, or why it was not. */
export interface ReplyMessage {
  id: number;
  value?: unknown;
  error?: { message: string; name: string; code?: string; details?: unknown; stack?: string };
}
/** What a worker is started with. */
export interface StartData {
  module: string;
  factory: string;
  argument: unknown;
}

/**
 * Starts a service.
 *
 * @param module URL of the module, usually `new URL(..., import.meta.url)`
 * @param factory name of the exported function that makes the service from `argument`
 * @param argument anything that can be cloned to a worker
 */
export async function startService<T extends Service>(
  module: string,
  factory: string,
  argument: unknown,
  options: ServiceOptions = {},
): Promise<Remote<T>> {
  const inline = options.inline ?? !isNode();
  return inline
    ? startInline<T>(
        await import(/* @vite-ignore */ /* webpackIgnore: true */ module),
        factory,
        argument,
      )
    : await startWorker<T>({ module, factory, argument }, options.transfer ?? []);
}

/** A service on the calling thread, from a module that is already loaded. */
export async function startInline<T extends Service>(
  module: Readonly<Record<string, unknown>>,
  factory: string,
  argument: unknown,
): Promise<Remote<T>> {
  const service = (await (module[factory] as (argument: unknown) => Promise<T>)(argument)) as T;
  let last: Promise<unknown> = Promise.resolve();
  let closing: Promise<unknown> | undefined;
  return proxy<T>((method, values) => {
    if (closing) return method === "close" ? closing : Promise.reject(closedError());
    const run = () => (service[method as keyof T] as (...v: unknown[]) => unknown)(...values);
    const result = last.then(run, run);
    last = result.catch(() => undefined);
    if (method === "close") closing = result;
    return result;
  });
}

export function closedError(): JetonError {
  return new JetonError("the model or program was closed", { code: "service-closed" });
}

async function startWorker<T extends Service>(
  start: StartData,
  transfer: readonly ArrayBuffer[],
): Promise<Remote<T>> {
  // An import, though dynamic, would stop bundlers for the browser.
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  // Sources (.ts) reach a worker through a small loader; the built package starts it directly.
  const here = import.meta.url;
  // Bundlers would look for the script if they saw it named in one expression.
  const entry = here.endsWith(".ts") ? "../testing/source-worker.mjs" : "./service-worker.js";
  disableRuntimeTelemetry();
  // Said here, so that threads need not say it once each.
  chooseDevice();
  const worker = new Worker(new URL(entry, here), {
    workerData: start,
    transferList: [...transfer],
    // ONNX Runtime reads the command line with a regular expression that recurses for every character:
    // with a long argument the usual 4 MB of stack are too few and the process would end.
    // Arrays lie outside of the heap, and the objects around them are few and short-lived: new ones get
    // 6 MB instead of up to 48 (5 MB less in use beside a decoder, as fast).
    resourceLimits: { stackSizeMb: 64, maxYoungGenerationSizeMb: 6 },
  });
  const calls = new PendingCalls((message) => worker.postMessage(message), {
    // An idle worker must not keep the process alive.
    onIdle: (isIdle) => (isIdle ? worker.unref() : worker.ref()),
  });
  worker.on("message", (reply: ReplyMessage) => calls.settle(reply));
  worker.on("error", (error) => calls.end(error as Error));
  const exited = new Promise<void>((resolve) => {
    worker.on("exit", () => {
      calls.end(closedError());
      resolve();
    });
  });
  await calls.started;
  return remoteOf<T>(calls, async () => {
    // Only now is the memory of the service free.
    if (!calls.ended) worker.ref();
    await exited;
  });
}

/** Calls to a service elsewhere that have not been answered. */
export class PendingCalls {
  readonly #post: (message: CallMessage) => void;
  readonly #onIdle: ((isIdle: boolean) => void) | undefined;
  readonly #pending = new Map<number, { resolve(v: unknown): void; reject(e: unknown): void }>();
  #next = 1;
  #ended: Error | undefined;
  /** Settles with the first reply, which says that the service was made. */
  readonly started: Promise<unknown>;

  constructor(
    post: (message: CallMessage) => void,
    { onIdle }: { onIdle?: (isIdle: boolean) => void } = {},
  ) {
    this.#post = post;
    this.#onIdle = onIdle;
    this.started = new Promise((resolve, reject) => this.#pending.set(0, { resolve, reject }));
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  call(method: string, values: unknown[]): Promise<unknown> {
    if (this.#ended) {
      return method === "close" ? Promise.resolve() : Promise.reject(this.#ended);
    }
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      // Throws, and so rejects, where a value cannot be cloned; then nothing is pending.
      this.#post({ id, method, values });
      this.#onIdle?.(false);
      this.#pending.set(id, { resolve, reject });
    });
  }

  settle({ id, value, error }: ReplyMessage): void {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#onIdle?.(true);
    if (error) call?.reject(restoreError(error));
    else call?.resolve(value);
  }

  /** No more replies will come. What went wrong first says more than that the thread ended afterwards. */
  end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/**
 * The caller's view of a service elsewhere.
 *
 * @param release what follows the service's own `close`
 */
export function remoteOf<T extends Service>(
  calls: PendingCalls,
  release: () => Promise<void> | void,
): Remote<T> {
  let closing: Promise<unknown> | undefined;
  const close = async (): Promise<unknown> => {
    try {
      return await calls.call("close", []);
    } finally {
      await release();
    }
  };
  return proxy<T>((method, values) => {
    if (method === "close") {
      closing ??= close();
      return closing;
    }
    return closing ? Promise.reject(closedError()) : calls.call(method, values);
  });
}

/** Memory of results that moves to the caller. */
const handedOver = new WeakMap<object, ArrayBuffer[]>();

/** Arrays below so many bytes are copied faster than they are handed over. */
const leastHandedOver = 16_384;

/**
 * Says that arrays of a service's result move to its caller instead of being copied, where they are large and have
 * memory of their own. The service must not read them afterwards.
 *
 * @param result what a method returns
 * @param arrays in it
 */
export function handOver<Result extends object>(
  result: Result,
  arrays: Iterable<ArrayBufferView>,
): Result {
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer, byteLength } of arrays) {
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
    if (isWhole && byteLength >= leastHandedOver) buffers.add(buffer);
  }
  if (buffers.size > 0) handedOver.set(result, [...buffers]);
  return result;
}

/** Sends a message to the caller; `transfer` moves to it. */
export type SendReply = (message: ReplyMessage, transfer: ArrayBuffer[]) => void;

/** Answers calls to a service, one after the other. */
export function answerCalls(
  service: object,
  reply: SendReply,
  onClose: () => void,
): (message: CallMessage) => void {
  const methods = service as Record<string, (...values: unknown[]) => unknown>;
  let last: Promise<void> = Promise.resolve();
  return ({ id, method, values }) => {
    last = last.then(async () => {
      try {
        const value = await methods[method]!(...values);
        reply({ id, value }, handedOver.get(value as object) ?? []);
      } catch (error) {
        reply({ id, error: describeError(error) }, []);
      }
      if (method === "close") onClose();
    });
  };
}

function proxy<T extends Service>(
  call: (method: string, values: unknown[]) => Promise<unknown>,
): Remote<T> {
  return new Proxy({} as Remote<T>, {
    get: (_target, method) =>
      // A proxy must not look like a promise.
      typeof method === "symbol" || method === "then"
        ? undefined
        : (...values: unknown[]) => call(method, values),
  });
}

/** Makes an error a message. */
export function describeError(error: unknown): NonNullable<ReplyMessage["error"]> {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  return {
    name: error.name,
    message: error.message,
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(JetonError.isInstance(error) && { code: error.code, details: error.details }),
  };
}

function restoreError(error: NonNullable<ReplyMessage["error"]>): Error {
  const restored =
    error.code === undefined
      ? new Error(error.message)
      : new JetonError(error.message, {
          code: error.code,
          details: (error.details ?? {}) as Record<string, unknown>,
        });
  restored.name = error.name;
  if (error.stack !== undefined) restored.stack = error.stack;
  return restored;
}

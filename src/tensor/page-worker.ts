/**
 * A service in a Web Worker, so that a page stays responsive. The page's script and the worker's are bundled
 * apart, as bundlers want it: the page makes the worker, its script calls `servePage`.
 */
import { JetonError } from "../core/index.ts";
import { locatedWasm, locateWasm } from "./runtime.ts";
import {
  answerCalls,
  type CallMessage,
  closedError,
  describeError,
  PendingCalls,
  type Remote,
  type ReplyMessage,
  remoteOf,
  type Service,
} from "./service.ts";

/** What the worker's script sees of its own thread. */
interface WorkerScope {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

interface StartMessage {
  readonly wasmFolder: string | undefined;
  readonly argument: unknown;
}

/** What a worker tells while it makes its service; the first one, of nothing, that it has begun. */
interface ProgressMessage {
  readonly progress: { readonly done: number; readonly total: number };
}

/** How long a worker may take to begin, in milliseconds: its script has to be loaded. */
const beginLimit = 60_000;

const failures = new WeakMap<Worker, JetonError>();

/** Notes failures of a worker from now on: its script may fail before it is needed. */
export function watchWorker(worker: Worker): void {
  worker.addEventListener("error", ({ message }) => failures.set(worker, workerError(message)));
}

/** Options of `startInPageWorker`. */
export interface PageWorkerOptions {
  /** Memory inside `argument` that moves to the worker. Default: none. */
  readonly transfer?: readonly ArrayBuffer[];
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Ends the worker while its service is being made. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a service in a worker whose script calls `servePage`. The worker belongs to the service from then
 * on: it ends with it, and where the service cannot be made.
 *
 * @throws JetonError `worker-failed` where the worker's script cannot be loaded, and what the service's
 *   factory throws
 */
export async function startInPageWorker<T extends Service>(
  worker: Worker,
  argument: unknown,
  { transfer = [], onProgress, signal }: PageWorkerOptions = {},
): Promise<Remote<T>> {
  const calls = new PendingCalls((message) => worker.postMessage(message));
  const abort = (): void => calls.end(signal!.reason as Error);
  const late = setTimeout(() => calls.end(workerError("it did not begin")), beginLimit);
  worker.addEventListener("message", ({ data }: MessageEvent<ReplyMessage | ProgressMessage>) => {
    clearTimeout(late);
    if ("progress" in data && data.progress.total === 0) return;
    if ("progress" in data) onProgress?.(data.progress.done, data.progress.total);
    else calls.settle(data);
  });
  worker.addEventListener("error", (event) => calls.end(workerError(event.message)));
  worker.addEventListener("messageerror", () => calls.end(workerError("a message was lost")));
  signal?.addEventListener("abort", abort);
  try {
    signal?.throwIfAborted();
    const failure = failures.get(worker);
    if (failure) throw failure;
    const wasmFolder = locatedWasm();
    const start: StartMessage = {
      // The worker's script lies elsewhere than the page.
      wasmFolder: wasmFolder && new URL(wasmFolder, globalThis.location?.href).href,
      argument,
    };
    worker.postMessage(start, [...transfer]);
    await calls.started;
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    clearTimeout(late);
    signal?.removeEventListener("abort", abort);
  }
  return remoteOf<T>(calls, () => {
    calls.end(closedError());
    worker.terminate();
  });
}

function workerError(reason: string | undefined): JetonError {
  return new JetonError(
    `the worker could not be used: ${reason || "its script was not loaded"}; expected a module worker ` +
      'whose script has the line: import "jeton/browser-worker"',
    { code: "worker-failed", details: { reason } },
  );
}

/**
 * Makes the calling worker a service for the page that started it.
 *
 * @param create makes the service from what the page gave; reports progress while it does
 */
export function servePage<Argument>(
  create: (
    argument: Argument,
    onProgress: (done: number, total: number) => void,
  ) => Promise<Service>,
  scope: WorkerScope = globalThis as unknown as WorkerScope,
): void {
  const reply = (message: ReplyMessage | ProgressMessage, transfer?: ArrayBuffer[]): void =>
    scope.postMessage(message, transfer);
  let answer: ((message: CallMessage) => void) | undefined;
  scope.addEventListener("message", ({ data }) => {
    if (answer) {
      answer(data as CallMessage);
      return;
    }
    // Calls come only after the reply that says that the service was made.
    const { argument, wasmFolder } = data as StartMessage;
    reply({ progress: { done: 0, total: 0 } });
    if (wasmFolder !== undefined) locateWasm(wasmFolder);
    create(argument as Argument, (done, total) => reply({ progress: { done, total } })).then(
      (service) => {
        answer = answerCalls(service, reply, () => {});
        reply({ id: 0 });
      },
      (error: unknown) => reply({ id: 0, error: describeError(error) }),
    );
  });
}

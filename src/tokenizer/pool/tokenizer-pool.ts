/**
 * Encoding of large batches on several threads (Node only). Each thread has a tokenizer of its own.
 *
 * Texts and ids are copied between threads, which costs about as much as encoding with a fast
 * vocabulary does: a pool frees the calling thread in any case, and saves time where there are
 * processors to spare and the vocabulary is a slow one (Unigram, WordPiece).
 */
import type { Worker } from "node:worker_threads";
import { JetonError } from "../../core/error.ts";
import type { LoadTokenizerOptions } from "../formats/load-tokenizer.ts";
import type { EncodeIdsOptions } from "../tokenizer-interface.ts";
import type { PoolReply, PoolRequest, PoolStart } from "./pool-worker.ts";

/** Options of `createTokenizerPool`. */
export interface TokenizerPoolOptions extends LoadTokenizerOptions {
  /** Number of threads. Default: the processors that this process may use, at most 8. */
  threads?: number;
}

/** Threads that encode. They keep the process alive only while they work. */
export interface TokenizerPool {
  readonly threads: number;
  /** Ids of each text, in the order of the texts; the same as `encodeIds` gives. */
  encodeBatch(texts: readonly string[], options?: EncodeIdsOptions): Promise<Int32Array[]>;
  /** Ends the threads. Batches that are under way fail with `tokenizer-pool-closed`. */
  close(): Promise<void>;
}

/** Texts go to the threads in parts of about so many UTF-16 units, so that none waits for long. */
const partSize = 1 << 18;

/**
 * Starts threads that load the tokenizer at `path` (as `loadTokenizer` does) and encode batches.
 * An error in loading or encoding rejects the batch with the JetonError of the thread.
 */
export async function createTokenizerPool(
  path: string,
  options: TokenizerPoolOptions = {},
): Promise<TokenizerPool> {
  const { Worker } = await import("node:worker_threads");
  const { availableParallelism } = await import("node:os");
  const threads = options.threads ?? Math.min(8, availableParallelism());
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new JetonError(`threads is ${threads}, expected an integer from 1 to 256`, {
      code: "tokenizer-pool-option",
      details: { threads },
    });
  }
  // Sources (.ts) reach a thread through a small loader; the built package starts it directly.
  const entry = import.meta.url.endsWith(".ts")
    ? "../testing/source-pool-worker.mjs"
    : "./pool-worker.js";
  const url = new URL(entry, import.meta.url);
  const encoding = options.encoding === undefined ? {} : { encoding: options.encoding };
  const start: PoolStart = { path, options: encoding };
  return new WorkerPool(
    Array.from({ length: threads }, () => new Worker(url, { workerData: start })),
  );
}

interface Waiting {
  readonly resolve: (reply: PoolReply) => void;
  readonly reject: (error: unknown) => void;
}

class WorkerPool implements TokenizerPool {
  readonly threads: number;
  readonly #workers: readonly Worker[];
  readonly #waiting: Map<number, Waiting> = new Map();
  /** Requests under way, by worker. */
  readonly #load: number[];
  #closed: JetonError | undefined;
  #next = 0;

  constructor(workers: readonly Worker[]) {
    this.threads = workers.length;
    this.#workers = workers;
    this.#load = workers.map(() => 0);
    for (const [index, worker] of workers.entries()) {
      worker.unref();
      worker.on("message", (reply: PoolReply) => this.#receive(index, reply));
      worker.on("error", (cause) => {
        this.#closed ??= new JetonError("a thread of the tokenizer pool failed", {
          code: "tokenizer-pool-failed",
          cause,
        });
        this.#failAll(this.#closed);
      });
    }
  }

  async encodeBatch(
    texts: readonly string[],
    options: EncodeIdsOptions = {},
  ): Promise<Int32Array[]> {
    if (this.#closed !== undefined) throw this.#closed;
    const parts: Promise<PoolReply>[] = [];
    let from = 0;
    let size = 0;
    const total = texts.reduce((sum, text) => sum + text.length, 0);
    const most = Math.min(partSize, Math.ceil(total / this.threads));
    for (let i = 0; i < texts.length; i++) {
      size += texts[i]!.length;
      if (size >= most || i === texts.length - 1) {
        parts.push(this.#send(texts.slice(from, i + 1), options));
        from = i + 1;
        size = 0;
      }
    }
    const results: Int32Array[] = [];
    for (const { ids, lengths } of await Promise.all(parts)) {
      let at = 0;
      for (const length of lengths!) {
        results.push(ids!.slice(at, at + length));
        at += length;
      }
    }
    return results;
  }

  async close(): Promise<void> {
    this.#closed ??= new JetonError("the tokenizer pool was closed", {
      code: "tokenizer-pool-closed",
    });
    this.#failAll(this.#closed);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /** Sends texts to the worker with the least to do. */
  #send(texts: readonly string[], options: EncodeIdsOptions): Promise<PoolReply> {
    const load = this.#load;
    let index = 0;
    for (let i = 1; i < load.length; i++) if (load[i]! < load[index]!) index = i;
    const sizes = Int32Array.from(texts, (text) => text.length);
    const request: PoolRequest = { number: this.#next++, joined: texts.join(""), sizes, options };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.number, { resolve, reject });
      load[index]!++;
      this.#workers[index]!.ref();
      this.#workers[index]!.postMessage(request, [sizes.buffer]);
    });
  }

  #receive(index: number, reply: PoolReply): void {
    if (--this.#load[index]! === 0) this.#workers[index]!.unref();
    const entry = this.#waiting.get(reply.number);
    this.#waiting.delete(reply.number);
    if (reply.error === undefined) entry?.resolve(reply);
    else entry?.reject(new JetonError(reply.error.message, reply.error));
  }

  #failAll(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/**
 * The thread of a tokenizer pool: loads the tokenizer that its data names, then encodes batches.
 */
import { parentPort, workerData } from "node:worker_threads";
import { JetonError } from "../../core/error.ts";
import { type LoadTokenizerOptions, loadTokenizer } from "../formats/load-tokenizer.ts";
import type { EncodeIdsOptions, Tokenizer } from "../tokenizer-interface.ts";

/** Start data of a thread. */
export interface PoolStart {
  readonly path: string;
  readonly options: LoadTokenizerOptions;
}

/** A batch for a thread. */
export interface PoolRequest {
  readonly number: number;
  /** All texts in one string, which crosses faster than many, and the length of each. */
  readonly joined: string;
  readonly sizes: Int32Array;
  readonly options: EncodeIdsOptions;
}

/** The answer: all ids in one array and how many belong to each text, or an error. */
export interface PoolReply {
  readonly number: number;
  readonly ids?: Int32Array;
  readonly lengths?: Int32Array;
  readonly error?: { message: string; code: string; details: Readonly<Record<string, unknown>> };
}

const start = workerData as PoolStart;
// A failure to load is reported with each batch.
const loading: Promise<Tokenizer> = loadTokenizer(start.path, start.options);
loading.catch(() => {});

parentPort!.on("message", async (request: PoolRequest) => {
  const { number } = request;
  try {
    const tokenizer = await loading;
    const all: Int32Array[] = [];
    let start = 0;
    for (const size of request.sizes) {
      const text = request.joined.slice(start, start + size);
      all.push(tokenizer.encodeIds(text, request.options));
      start += size;
    }
    const lengths = Int32Array.from(all, (ids) => ids.length);
    const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
    let at = 0;
    for (const list of all) {
      ids.set(list, at);
      at += list.length;
    }
    const reply: PoolReply = { number, ids, lengths };
    parentPort!.postMessage(reply, [ids.buffer as ArrayBuffer, lengths.buffer as ArrayBuffer]);
  } catch (caught) {
    const known = JetonError.isInstance(caught);
    const error = {
      message: caught instanceof Error ? caught.message : String(caught),
      code: known ? caught.code : "tokenizer-pool-failed",
      details: known ? structuredClone(caught.details) : {},
    };
    parentPort!.postMessage({ number, error } satisfies PoolReply);
  }
});

/** The thread that trains a tokenizer: counting and merging keep a processor busy for a while. */
import { parentPort, workerData } from "node:worker_threads";
import { JetonError } from "../../core/index.ts";
import { trainTokenizer } from "../../tokenizer/index.ts";
import type { TokenizerWorkerReply, TokenizerWorkerStart } from "../train-tokenizer.ts";
import { readDocuments } from "./corpus.ts";

const { corpus, training } = workerData as TokenizerWorkerStart;
const reply = (message: TokenizerWorkerReply): void => parentPort!.postMessage(message);

let documents = 0;
let bytes = 0;

async function* readTexts(): AsyncGenerator<string> {
  for await (const { text, isStart } of readDocuments(corpus)) {
    if (isStart) documents++;
    bytes += Buffer.byteLength(text);
    yield text;
  }
}

try {
  const trained = await trainTokenizer({
    ...training,
    texts: readTexts(),
    onProgress: ({ phase, done, total }) => {
      reply({ kind: "progress", progress: { phase, documents, bytes, tokens: done, total } });
    },
  });
  const { json, config, words, distinctWords, tokenizer } = trained;
  reply({
    kind: "done",
    json,
    config,
    counts: { documents, bytes, words, distinctWords, vocabSize: tokenizer.vocabSize },
  });
} catch (error) {
  const known = JetonError.isInstance(error);
  reply({
    kind: "failed",
    message: error instanceof Error ? error.message : String(error),
    code: known ? error.code : "train-tokenizer-failed",
    details: known ? structuredClone(error.details) : {},
  });
}

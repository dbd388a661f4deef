/**
 * Trains a tokenizer from corpora in a thread of its own, and writes it as a folder.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { formatBytes, JetonError } from "../core/index.ts";
import { checkRequired, objectRule, pathRule } from "../core/option-rules.ts";
import { saveTokenizer, type TrainTokenizerOptions } from "../tokenizer/index.ts";
import { checkTrainingKind } from "../tokenizer/training/option-kinds.ts";
import type { Corpus } from "./data/corpus.ts";

/** How a tokenizer is trained; `trainTokenizer` of the tokenizer module says what each option means. */
export type TokenizerTraining = Omit<TrainTokenizerOptions, "texts" | "onProgress" | "signal">;

/** Options of `trainTokenizerFolder`. */
export interface TrainTokenizerFolderOptions extends TokenizerTraining {
  /** Where `tokenizer.json` and `tokenizer_config.json` go; made when it does not exist. */
  folder: string;
  /** The texts, read as a stream; `weight` means nothing here. */
  corpus: Corpus;
  /** Replace a tokenizer that the folder holds. Default false. */
  overwrite?: boolean;
  onProgress?: (progress: TokenizerTrainingProgress) => void;
  /** Aborting ends the thread at once; nothing is written. */
  signal?: AbortSignal;
}

/** Where a training of a tokenizer stands. */
export interface TokenizerTrainingProgress {
  readonly phase: "counting" | "merging" | "pruning" | "learning";
  /** Documents and UTF-8 bytes read so far. */
  readonly documents: number;
  readonly bytes: number;
  /** Tokens of the vocabulary so far; while counting, parts of texts that were counted. */
  readonly tokens: number;
  /** Tokens wanted; undefined while counting. */
  readonly total: number | undefined;
}

/** Result of a training. */
export interface TrainedTokenizerFolder {
  readonly folder: string;
  readonly vocabSize: number;
  readonly documents: number;
  /** UTF-8 bytes of all texts. */
  readonly bytes: number;
  /** Words of all texts as the pre-tokenizer cuts them, and the distinct ones among them. */
  readonly words: number;
  readonly distinctWords: number;
}

/** Start data of the thread. */
export interface TokenizerWorkerStart {
  readonly corpus: Corpus;
  readonly training: TokenizerTraining;
}

/** Messages of the thread. */
export type TokenizerWorkerReply =
  | { readonly kind: "progress"; readonly progress: TokenizerTrainingProgress }
  | {
      readonly kind: "done";
      readonly json: Readonly<Record<string, unknown>>;
      readonly config: Readonly<Record<string, unknown>>;
      readonly counts: Omit<TrainedTokenizerFolder, "folder">;
    }
  | {
      readonly kind: "failed";
      readonly message: string;
      readonly code: string;
      readonly details: Record<string, unknown>;
    };

/** Progress as one line: `counting words · 12 MB` or `merging · 3120 of 8192 tokens`. */
export function formatTokenizerTrainingProgress(progress: TokenizerTrainingProgress): string {
  const { phase, bytes, tokens, total } = progress;
  if (total === undefined) return `counting words · ${formatBytes(bytes)}`;
  return `${phase} · ${tokens} of ${total} tokens`;
}

/**
 * Trains a tokenizer and writes it whole or not at all. Deterministic: the same files in the same order
 * give the same tokenizer. Only words and their counts are held in memory.
 *
 * @example
 * await trainTokenizerFolder({
 *   folder: "my-tokenizer",
 *   corpus: { files: ["prose/*.txt"] },
 *   kind: "byte-level-bpe",
 *   vocabSize: 8192,
 * });
 *
 * @throws JetonError `tokenizer-exists`, `tokenizer-training-option`, `tokenizer-training-text`,
 *   `tokenizer-write-failed`, `corpus-…`; the signal's reason
 */
export async function trainTokenizerFolder(
  options: TrainTokenizerFolderOptions,
): Promise<TrainedTokenizerFolder> {
  checkRequired(options, { folder: pathRule, corpus: objectRule }, "tokenizer-training-option");
  const { folder, corpus, overwrite = false, onProgress, signal, ...training } = options;
  checkTrainingKind(training);
  signal?.throwIfAborted();
  const path = join(folder, "tokenizer.json");
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere && !overwrite) {
    throw new JetonError(`${path} is there already: choose another folder, or overwrite it`, {
      code: "tokenizer-exists",
      details: { path },
    });
  }
  const { json, config, counts } = await trainInThread(
    { corpus, training },
    { onProgress, signal },
  );
  await saveTokenizer(folder, { json, config });
  return { folder, ...counts };
}

function trainInThread(
  start: TokenizerWorkerStart,
  options: {
    onProgress: ((progress: TokenizerTrainingProgress) => void) | undefined;
    signal: AbortSignal | undefined;
  },
): Promise<Extract<TokenizerWorkerReply, { kind: "done" }>> {
  const { onProgress, signal } = options;
  // Sources (.ts) reach a thread through a small loader; the built package starts it directly.
  const entry = import.meta.url.endsWith(".ts")
    ? "./testing/source-tokenizer-worker.mjs"
    : "./data/tokenizer-worker.js";
  const worker = new Worker(new URL(entry, import.meta.url), { workerData: start });
  return new Promise((resolve, reject) => {
    // Nothing native runs there, so the thread can be ended at any time.
    const onAbort = (): void => {
      void worker.terminate();
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    worker.on("message", (message: TokenizerWorkerReply) => {
      if (message.kind === "progress") onProgress?.(message.progress);
      else if (message.kind === "done") resolve(message);
      else reject(new JetonError(message.message, message));
    });
    worker.on("error", (cause) => {
      const message = `the training of the tokenizer failed: ${cause.message}`;
      reject(new JetonError(message, { code: "train-tokenizer-failed", cause }));
    });
    worker.on("exit", () => {
      signal?.removeEventListener("abort", onAbort);
      const message = "the thread that trained the tokenizer ended early";
      reject(new JetonError(message, { code: "train-tokenizer-failed" }));
    });
  });
}

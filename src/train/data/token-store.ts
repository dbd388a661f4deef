/**
 * Tokenized corpora on disk, and batches of packed sequences drawn from them.
 *
 * A corpus is tokenized once, as a stream, into a file of ids in which documents follow each other.
 * Sequence i is tokens [i·T, i·T + T]; an epoch visits all sequences in an order that depends only on
 * the seed and the number of the epoch. So a position in the data is one number per corpus, and going
 * on from it needs nothing else.
 */
import { type FileHandle, open } from "node:fs/promises";
import { endianness } from "node:os";
import { readJsonObject, writeFileAtomically } from "../../checkpoint/index.ts";
import { createRandom, JetonError } from "../../core/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { ignoredTarget, type LanguageModelBatch } from "../graph/language-model-graph.ts";
import { type Corpus, readDocuments } from "./corpus.ts";

/** Tokens around each document. */
export interface DocumentTokens {
  /** Before a document; undefined: documents run into each other. */
  readonly start: number | undefined;
  /** After a document, where it is another token than `start`. */
  readonly end: number | undefined;
}

/**
 * The tokens that a tokenizer puts around documents: beginning and end of sequence; a tokenizer that
 * has only one of them separates documents with it, and it both ends and begins them. One that names neither
 * (BERT's) has those of its template, `[CLS]` and `[SEP]`.
 */
export function documentTokens(tokenizer: Tokenizer): DocumentTokens {
  const { bosTokenId, eosTokenId } = tokenizer;
  const isNamed = bosTokenId !== undefined || eosTokenId !== undefined;
  const signs = isNamed ? [] : Array.from(tokenizer.encodeIds(""));
  const end = eosTokenId ?? signs.at(-1);
  const start = bosTokenId ?? signs[0] ?? end;
  return { start, end: end === start ? undefined : end };
}

/** A tokenized corpus. */
export interface TokenStore {
  readonly path: string;
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the text. */
  readonly bytes: number;
  readonly bytesPerToken: 2 | 4;
}

/** Options of `prepareTokens`. */
export interface PrepareTokensOptions {
  /** Called now and then with the tokens written so far. */
  onProgress?: (tokens: number) => void;
  signal?: AbortSignal;
}

/**
 * Tokenizes a corpus into `path` (ids, little-endian) and `path + ".json"` (its description), unless
 * both exist: an interrupted run continues with them.
 *
 * @throws JetonError `corpus-empty` and the codes of `readDocuments`
 */
export async function prepareTokens(
  path: string,
  corpus: Corpus,
  tokenizer: Tokenizer,
  options: PrepareTokensOptions = {},
): Promise<TokenStore> {
  const description = `${path}.json`;
  const known = await readJsonObject(description).catch((error: unknown) => {
    if (JetonError.isInstance(error) && error.code === "file-not-found") return undefined;
    throw error;
  });
  if (known) return { ...(known as unknown as Omit<TokenStore, "path">), path };
  const bytesPerToken = tokenizer.vocabSize <= 65536 ? 2 : 4;
  const { start, end } = documentTokens(tokenizer);
  let tokens = 0;
  let documents = 0;
  let bytes = 0;
  await writeFileAtomically(path, async (handle) => {
    const write = async (ids: ArrayLike<number>): Promise<void> => {
      const packed = bytesPerToken === 2 ? Uint16Array.from(ids) : Uint32Array.from(ids);
      tokens += ids.length;
      await handle.writeFile(littleEndian(packed, bytesPerToken));
    };
    for await (const { text, isStart } of readDocuments(corpus)) {
      options.signal?.throwIfAborted();
      if (isStart) {
        if (documents > 0 && end !== undefined) await write([end]);
        if (start !== undefined) await write([start]);
        documents++;
      }
      const ids = tokenizer.encodeIds(text, {
        addSpecialTokens: false,
        allowedSpecial: corpus.allowedSpecial ?? "none",
        applyLimits: false,
      });
      await write(ids);
      bytes += Buffer.byteLength(text);
      options.onProgress?.(tokens);
    }
    // The last document ends too: that is something to learn.
    const last = end ?? start;
    if (documents > 0 && last !== undefined) await write([last]);
  });
  if (documents === 0) {
    throw new JetonError(`there is no text in ${corpus.files.join(", ") || "an empty list"}`, {
      code: "corpus-empty",
      details: { files: corpus.files },
    });
  }
  const store = { tokens, documents, bytes, bytesPerToken } as const;
  await writeFileAtomically(description, `${JSON.stringify(store)}\n`);
  return { ...store, path };
}

function littleEndian(array: Uint16Array | Uint32Array, bytesPerToken: 2 | 4): Buffer {
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  if (endianness() === "LE") return bytes;
  return bytesPerToken === 2 ? bytes.swap16() : bytes.swap32();
}

/** Options of `openBatchSource`. */
export interface BatchSourceOptions {
  /** Tokens that go into the model at a time. */
  sequenceLength: number;
  /** Sequences of a batch. */
  batch: number;
  seed: number;
  documents: DocumentTokens;
  /** Share of each store. Default: equal. */
  weights?: readonly number[];
}

/** How many sequences were drawn from each store: the position in the data. */
export type DataPosition = readonly number[];

/** Draws batches; every draw is a function of the position alone. */
export interface BatchSource extends AsyncDisposable {
  readonly start: DataPosition;
  /** Sequences of one pass through each store. */
  readonly sequences: readonly number[];
  /** The batch at a position, and the position after it. */
  read(
    position: DataPosition,
  ): Promise<{ readonly batch: LanguageModelBatch; readonly next: DataPosition }>;
}

/**
 * Opens stores for training.
 *
 * @throws JetonError `corpus-too-short` (not one whole sequence), `token-store-truncated`
 */
export async function openBatchSource(
  stores: readonly TokenStore[],
  options: BatchSourceOptions,
): Promise<BatchSource> {
  const { sequenceLength } = options;
  const sequences = stores.map(({ tokens, path }) => {
    const count = Math.floor((tokens - 1) / sequenceLength);
    if (count >= 1) return count;
    throw new JetonError(
      `a corpus has ${tokens} tokens (${path}), and a sequence of ${sequenceLength} needs ${sequenceLength + 1}: ` +
        "give more text, or shorter sequences",
      { code: "corpus-too-short", details: { path, tokens, sequenceLength } },
    );
  });
  return new StoreBatchSource(stores, sequences, await openStores(stores), options);
}

/** Opens the files of stores and checks their sizes; closes them again when one is wrong. */
async function openStores(stores: readonly TokenStore[]): Promise<FileHandle[]> {
  const handles: FileHandle[] = [];
  try {
    for (const { path, tokens, bytesPerToken } of stores) {
      const handle = await open(path, "r");
      handles.push(handle);
      const { size } = await handle.stat();
      if (size === tokens * bytesPerToken) continue;
      throw new JetonError(`${path} has ${size} bytes, expected ${tokens * bytesPerToken}`, {
        code: "token-store-truncated",
        details: { path, found: size, expected: tokens * bytesPerToken },
      });
    }
  } catch (error) {
    await Promise.all(handles.map((handle) => handle.close()));
    throw error;
  }
  return handles;
}

class StoreBatchSource implements BatchSource {
  readonly start: DataPosition;
  readonly sequences: readonly number[];
  readonly #stores: readonly TokenStore[];
  readonly #handles: readonly FileHandle[];
  readonly #options: BatchSourceOptions;
  readonly #weights: readonly number[];
  /** The order of the last epoch that was asked for, by store. */
  readonly #orders = new Map<number, { epoch: number; order: Uint32Array }>();

  constructor(
    stores: readonly TokenStore[],
    sequences: readonly number[],
    handles: readonly FileHandle[],
    options: BatchSourceOptions,
  ) {
    this.start = stores.map(() => 0);
    this.sequences = sequences;
    this.#stores = stores;
    this.#handles = handles;
    this.#options = options;
    this.#weights = options.weights ?? stores.map(() => 1);
  }

  async read(
    position: DataPosition,
  ): Promise<{ readonly batch: LanguageModelBatch; readonly next: DataPosition }> {
    const { sequenceLength, batch, documents } = this.#options;
    const taken = [...position];
    const size = batch * sequenceLength;
    const ids = new Int32Array(size);
    const targets = new Int32Array(size);
    const segments = new Int32Array(size);
    for (let row = 0; row < batch; row++) {
      const store = this.#chooseStore(taken);
      const tokens = await this.#readTokens(store, this.#sequenceAt(store, taken[store]!));
      taken[store]!++;
      let segment = 0;
      for (let at = 0; at < sequenceLength; at++) {
        const here = row * sequenceLength + at;
        if (at > 0 && tokens[at] === documents.start) segment++;
        ids[here] = tokens[at]!;
        segments[here] = segment;
        // The first token of the next document is no target: only the end of this one is learned.
        const isForeign = documents.end !== undefined && tokens[at + 1] === documents.start;
        targets[here] = isForeign ? ignoredTarget : tokens[at + 1]!;
      }
    }
    return { batch: { batch, time: sequenceLength, ids, targets, segments }, next: taken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#handles.map((handle) => handle.close()));
  }

  /** The sequence at a place in the shuffled order of a store's epochs. */
  #sequenceAt(store: number, taken: number): number {
    const count = this.sequences[store]!;
    const epoch = Math.floor(taken / count);
    let known = this.#orders.get(store);
    if (known?.epoch !== epoch) {
      const random = createRandom(this.#options.seed, "shuffle", store, epoch);
      const order = Uint32Array.from({ length: count }, (_, index) => index);
      for (let i = count - 1; i > 0; i--) {
        const j = random.integer(i + 1);
        const held = order[i]!;
        order[i] = order[j]!;
        order[j] = held;
      }
      known = { epoch, order };
      this.#orders.set(store, known);
    }
    return known.order[taken % count]!;
  }

  /** The store that lags most behind its share. */
  #chooseStore(taken: readonly number[]): number {
    const total = taken.reduce((a, b) => a + b, 0) + 1;
    const totalWeight = this.#weights.reduce((a, b) => a + b, 0);
    const lags = taken.map((count, store) => (total * this.#weights[store]!) / totalWeight - count);
    return lags.indexOf(Math.max(...lags));
  }

  async #readTokens(store: number, sequence: number): Promise<Uint16Array | Uint32Array> {
    const { sequenceLength } = this.#options;
    const { bytesPerToken } = this.#stores[store]!;
    const bytes = Buffer.alloc((sequenceLength + 1) * bytesPerToken);
    const from = sequence * sequenceLength * bytesPerToken;
    await this.#handles[store]!.read(bytes, 0, bytes.length, from);
    if (endianness() === "BE") bytesPerToken === 2 ? bytes.swap16() : bytes.swap32();
    const View = bytesPerToken === 2 ? Uint16Array : Uint32Array;
    return new View(bytes.buffer, bytes.byteOffset, sequenceLength + 1);
  }
}

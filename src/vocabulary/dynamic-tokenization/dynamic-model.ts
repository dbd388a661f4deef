/**
 * A frozen model that reads merged tokens: rows of tokens that it has never seen are predicted from how
 * its own tokenizer spells them, and kept for the next batch.
 */
import { openCheckpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import {
  type GeneratedToken,
  type GenerateOptions,
  type GenerateResult,
  generate,
} from "../../generate/index.ts";
import { type LoadedModel, loadModel, type OpenSequence } from "../../model/index.ts";
import { type Hypernetwork, openPredictor, spellTokens } from "../hypernetwork.ts";
import type { VocabularyTables } from "../mixture.ts";
import { readSource, type SourceModel } from "../transfer.ts";
import { type DynamicToken, type MergeBatchOptions, mergeBatch } from "./merge-batch.ts";
import { type CacheUse, RowCache } from "./row-cache.ts";

export interface OpenDynamicModelOptions {
  /** Predicts rows. Default: they are the means of the rows of the spelling. */
  hypernetwork?: Hypernetwork;
  /** Another way of predicting rows `[width]` of byte forms. Default: none. */
  predict?: (forms: readonly string[]) => Promise<readonly Float32Array[]>;
  /** Rows that are kept. Default 5,000. */
  cachedRows?: number;
  /** Default 2. */
  threads?: number;
  /** True: everything runs on the calling thread and blocks it. Default false. */
  inline?: boolean;
}

/** Prompts and what is asked about them. */
export interface ContinuationQuestion {
  readonly prompt: string;
  /** Read and scored in the model's ordinary tokens. */
  readonly continuation: string;
}

/** How probable continuations are after merged prompts. */
export interface ScoredContinuations {
  /** Natural logarithm, one for each question. */
  readonly logProbabilities: readonly number[];
  /** Tokens of each prompt, the one that begins texts included, before and after merging. */
  readonly baseLengths: readonly number[];
  readonly lengths: readonly number[];
}

/** A sequence in the cache of a model, to which tokens are appended whose rows are looked up or predicted. */
export interface DynamicSequence {
  /** Tokens in the cache. */
  readonly length: number;
  /** Reads tokens, at least one. Returns the hidden state `[width]` after the last: what heads are multiplied with. */
  append(tokens: readonly DynamicToken[]): Promise<Float32Array>;
  release(): Promise<void>;
}

/** A model under dynamic tokenization. */
export interface DynamicModel extends AsyncDisposable {
  readonly model: LoadedModel;
  /** The model's own vocabulary and tables. */
  readonly source: SourceModel;
  /** Base tokens of a text after the token that begins texts: what merging starts from. */
  tokenize(text: string): DynamicToken[];
  /** Rows of tokens, from the cache or predicted. */
  rows(tokens: readonly string[]): Promise<ReadonlyMap<string, Float32Array>>;
  /**
   * Merges the prompts as one batch and scores their continuations, which stay in ordinary tokens.
   *
   * @throws JetonError `dynamic-cache-too-small`, `dynamic-prompt-empty`, `model-context-exceeded`
   */
  score(
    questions: readonly ContinuationQuestion[],
    options?: MergeBatchOptions,
  ): Promise<ScoredContinuations>;
  /**
   * Reads the prompt merged, then writes ordinary tokens as `generate` does.
   *
   * @throws JetonError as `score` and `generate`
   */
  generate(
    prompt: string,
    options?: MergeBatchOptions & Omit<GenerateOptions, "promptEmbeddings">,
  ): AsyncGenerator<GeneratedToken, GenerateResult, void>;
  /** Opens an empty sequence; waits while all slots of the model are taken. */
  openSequence(): Promise<DynamicSequence>;
  /** Hidden states `[width]` at the last token of each sequence. */
  lastHidden(sequences: readonly (readonly DynamicToken[])[]): Promise<Float32Array[]>;
  readonly cacheUse: CacheUse;
}

/**
 * Opens a model for dynamic tokenization.
 *
 * @param model a checkpoint folder, which is held in `f32`, or a loaded model, which stays open when this one is closed
 */
export async function openDynamicModel(
  model: string | LoadedModel,
  options: OpenDynamicModelOptions = {},
): Promise<DynamicModel> {
  const { threads = 2, inline = false } = options;
  const isOwned = typeof model === "string";
  const loaded = isOwned ? await loadModel(model, { format: "f32", threads, inline }) : model;
  const close = async (): Promise<void> => {
    if (isOwned) await loaded.close();
  };
  try {
    return await openOver(loaded, options, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function openOver(
  loaded: LoadedModel,
  options: OpenDynamicModelOptions,
  close: () => Promise<void>,
): Promise<DynamicModel> {
  const { threads = 2, inline = false } = options;
  const source = await readTables(loaded.folder);
  const { config, vocabulary, tables } = source;
  const { tokenizer } = vocabulary;
  const { hiddenSize } = config;
  const predictor =
    options.hypernetwork &&
    (await openPredictor(options.hypernetwork, tables, { threads, inline }));
  const cache = new RowCache(options.cachedRows ?? 5000);

  const predict = async (forms: readonly string[]): Promise<readonly Float32Array[]> => {
    if (options.predict) return options.predict(forms);
    const spellings = spellTokens(vocabulary, forms).map((spelling) => spelling ?? [0]);
    const predicted = predictor
      ? await predictor.predict(spellings)
      : meanRows(tables, spellings, hiddenSize);
    return forms.map((_, place) =>
      predicted.embedding.slice(place * hiddenSize, (place + 1) * hiddenSize),
    );
  };

  const takeRows = (tokens: readonly DynamicToken[]): Promise<Map<string, Float32Array>> =>
    cache.take([...new Set(tokens.filter((token) => typeof token === "string"))], predict);

  /** `[tokens, width]`: tokens that the model knows by number keep their rows. */
  const embed = (
    tokens: readonly DynamicToken[],
    rows: ReadonlyMap<string, Float32Array>,
  ): Float32Array => {
    const embeddings = new Float32Array(tokens.length * hiddenSize);
    for (const [place, token] of tokens.entries()) {
      const row =
        typeof token === "number"
          ? tables.embedding.subarray(token * hiddenSize, (token + 1) * hiddenSize)
          : rows.get(token)!;
      embeddings.set(row, place * hiddenSize);
    }
    return embeddings;
  };

  const begin = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  const tokenize = (text: string): DynamicToken[] => {
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false });
    const tokens = Array.from(ids, (id): DynamicToken => vocabulary.forms[id] ?? id);
    return begin === undefined ? tokens : [begin, ...tokens];
  };

  /** Prompts as one batch: merged, with the rows of all their tokens. */
  const merge = async (prompts: readonly string[], mergeOptions: MergeBatchOptions) => {
    const base = prompts.map(tokenize);
    const empty = base.findIndex((sequence) => sequence.length === 0);
    if (empty >= 0) {
      throw new JetonError(
        `prompt ${empty} is empty, and the model has no token that begins texts`,
        { code: "dynamic-prompt-empty", details: { prompt: empty } },
      );
    }
    const { sequences } = mergeBatch(base, mergeOptions);
    const rows = await takeRows(sequences.flat());
    return { base, sequences, embeddings: sequences.map((sequence) => embed(sequence, rows)) };
  };

  /** Opens a sequence for as long as `use` takes. */
  const withSequence = async <T>(use: (sequence: OpenSequence) => Promise<T>): Promise<T> => {
    const sequence = await loaded.openSequence();
    try {
      return await use(sequence);
    } finally {
      await sequence.release();
    }
  };

  const unnamed = (count: number): number[] => new Array<number>(count).fill(-1);

  const openSequence = async (): Promise<DynamicSequence> => {
    const sequence = await loaded.openSequence();
    return {
      get length() {
        return sequence.length;
      },
      async append(tokens) {
        const embeddings = embed(tokens, await takeRows(tokens));
        const { hidden } = await sequence.step({
          ids: unnamed(tokens.length),
          embeddings,
          hidden: true,
        });
        return hidden!;
      },
      release: () => sequence.release(),
    };
  };

  return {
    model: loaded,
    source,
    tokenize,
    rows: takeRows,
    async score(questions, mergeOptions = {}) {
      const { base, sequences, embeddings } = await merge(
        questions.map(({ prompt }) => prompt),
        mergeOptions,
      );
      const logProbabilities = await Promise.all(
        questions.map(({ continuation }, place) => {
          const ids = [
            ...tokenizer.encodeIds(continuation, { addSpecialTokens: false, applyLimits: false }),
          ];
          if (ids.length === 0) return 0;
          return withSequence(async (sequence) => {
            const first = await sequence.step({
              ids: unnamed(sequences[place]!.length),
              embeddings: embeddings[place]!,
              targets: [ids[0]!],
            });
            let sum = first.targetLogProbabilities![0]!;
            if (ids.length === 1) return sum;
            // The last token is only asked for.
            const rest = await sequence.step({
              ids: ids.slice(0, -1),
              results: "all",
              targets: ids.slice(1),
            });
            for (const value of rest.targetLogProbabilities!) sum += value;
            return sum;
          });
        }),
      );
      return {
        logProbabilities,
        baseLengths: base.map((sequence) => sequence.length),
        lengths: sequences.map((sequence) => sequence.length),
      };
    },
    async *generate(prompt, { merges, boundary, ...generateOptions } = {}) {
      const { embeddings } = await merge([prompt], {
        ...(merges !== undefined && { merges }),
        ...(boundary !== undefined && { boundary }),
      });
      return yield* generate(loaded, prompt, {
        ...generateOptions,
        promptEmbeddings: embeddings[0]!,
      });
    },
    openSequence,
    lastHidden: (sequences) =>
      Promise.all(
        sequences.map(async (tokens) => {
          const sequence = await openSequence();
          try {
            return await sequence.append(tokens);
          } finally {
            await sequence.release();
          }
        }),
      ),
    get cacheUse() {
      return cache.use;
    },
    async [Symbol.asyncDispose]() {
      await predictor?.[Symbol.asyncDispose]();
      await close();
    },
  };
}

async function readTables(folder: string): Promise<SourceModel> {
  await using checkpoint = await openCheckpoint(folder);
  return await readSource(checkpoint);
}

/** Means of the rows of spellings, each at least one source id long. */
export function meanRows(
  tables: VocabularyTables,
  spellings: readonly (readonly number[])[],
  width: number,
): VocabularyTables {
  const meansOf = (rows: Float32Array): Float32Array => {
    const means = new Float32Array(spellings.length * width);
    for (const [token, spelling] of spellings.entries()) {
      const at = token * width;
      for (const id of spelling) {
        for (let i = 0; i < width; i++) means[at + i]! += rows[id * width + i]! / spelling.length;
      }
    }
    return means;
  };
  const embedding = meansOf(tables.embedding);
  return tables.head ? { embedding, head: meansOf(tables.head) } : { embedding };
}

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
import { type LoadedModel, loadModel } from "../../model/index.ts";
import {
  checkTrainedFor,
  type Hypernetwork,
  openPredictor,
  type Predictor,
  spellTokens,
} from "../hypernetwork.ts";
import type { VocabularyTables } from "../mixture.ts";
import { readSource, type SourceModel } from "../transfer.ts";
import { type DynamicToken, type MergeBatchOptions, mergeBatch } from "./merge-batch.ts";
import { type CacheUse, RowCache } from "./row-cache.ts";

/** Options of `openDynamicModel`. */
export interface OpenDynamicModelOptions {
  /** Predicts rows. Default: they are the means of the rows of the spelling. */
  hypernetwork?: Hypernetwork;
  /** True: the hypernetwork may be one of another model of the same shape. Default false. */
  acceptOtherModel?: boolean;
  /** Another way of predicting rows `[width]` of byte forms. Default: none. */
  predict?: (forms: readonly string[]) => Promise<readonly Float32Array[]>;
  /** Rows that are kept. Default 5,000. */
  cachedRows?: number;
  /** Default 2. */
  threads?: number;
  /** True: everything runs on the calling thread and blocks it. Default false. */
  inline?: boolean;
}

/** A prompt and the continuation to score after it. */
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
  /**
   * Opens an empty sequence; waits while all slots of the model are taken.
   *
   * @param options `promptLength`: tokens of the text, however many steps it takes; rotary embeddings whose scaling depends
   *   on the length take it for all of them. Default: each step scales by the text so far
   */
  openSequence(options?: { readonly promptLength?: number }): Promise<DynamicSequence>;
  /** Hidden states `[width]` at the last token of each sequence. */
  lastHidden(sequences: readonly (readonly DynamicToken[])[]): Promise<Float32Array[]>;
  readonly cacheUse: CacheUse;
}

/**
 * Opens a model for dynamic tokenization.
 *
 * @param model a checkpoint folder, which is held in `f32`, or a loaded model, which stays open when this one is closed
 *
 * @throws JetonError `zett-hypernetwork-foreign` for a hypernetwork of another model, and those of `loadModel`
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
  const { threads = 2, inline = false, hypernetwork, acceptOtherModel = false } = options;
  const source = await readTables(loaded.folder);
  if (hypernetwork && !acceptOtherModel) checkTrainedFor(hypernetwork, source);
  const predictor =
    hypernetwork && (await openPredictor(hypernetwork, source.tables, { threads, inline }));
  return new LoadedDynamicModel(loaded, source, {
    cachedRows: options.cachedRows ?? 5000,
    predict: options.predict ?? ((forms) => predictForms(source, predictor, forms)),
    close: async () => {
      await predictor?.[Symbol.asyncDispose]();
      await close();
    },
  });
}

interface DynamicModelParts {
  readonly cachedRows: number;
  readonly predict: (forms: readonly string[]) => Promise<readonly Float32Array[]>;
  readonly close: () => Promise<void>;
}

/** Prompts merged as one batch, with the rows of all their tokens. */
interface MergedPrompts {
  readonly base: readonly (readonly DynamicToken[])[];
  readonly sequences: readonly (readonly DynamicToken[])[];
  readonly embeddings: readonly Float32Array[];
}

class LoadedDynamicModel implements DynamicModel {
  readonly model: LoadedModel;
  readonly source: SourceModel;
  readonly #cache: RowCache;
  readonly #parts: DynamicModelParts;

  constructor(model: LoadedModel, source: SourceModel, parts: DynamicModelParts) {
    this.model = model;
    this.source = source;
    this.#cache = new RowCache(parts.cachedRows);
    this.#parts = parts;
  }

  get cacheUse(): CacheUse {
    return this.#cache.use;
  }

  tokenize(text: string): DynamicToken[] {
    const { tokenizer, forms } = this.source.vocabulary;
    const begin = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false });
    const tokens = Array.from(ids, (id): DynamicToken => forms[id] ?? id);
    return begin === undefined ? tokens : [begin, ...tokens];
  }

  rows(tokens: readonly DynamicToken[]): Promise<Map<string, Float32Array>> {
    const forms = tokens.filter((token) => typeof token === "string");
    return this.#cache.take([...new Set(forms)], this.#parts.predict);
  }

  async score(
    questions: readonly ContinuationQuestion[],
    options: MergeBatchOptions = {},
  ): Promise<ScoredContinuations> {
    const prompts = questions.map(({ prompt }) => prompt);
    const { base, sequences, embeddings } = await this.#merge(prompts, options);
    const logProbabilities = await Promise.all(
      questions.map(({ continuation }, place) =>
        this.#scoreContinuation(sequences[place]!.length, embeddings[place]!, continuation),
      ),
    );
    return {
      logProbabilities,
      baseLengths: base.map((sequence) => sequence.length),
      lengths: sequences.map((sequence) => sequence.length),
    };
  }

  async *generate(
    prompt: string,
    {
      merges,
      boundary,
      ...options
    }: MergeBatchOptions & Omit<GenerateOptions, "promptEmbeddings"> = {},
  ): AsyncGenerator<GeneratedToken, GenerateResult, void> {
    const { embeddings } = await this.#merge([prompt], {
      ...(merges !== undefined && { merges }),
      ...(boundary !== undefined && { boundary }),
    });
    return yield* generate(this.model, prompt, { ...options, promptEmbeddings: embeddings[0]! });
  }

  async openSequence(options: { readonly promptLength?: number } = {}): Promise<DynamicSequence> {
    const sequence = await this.model.openSequence(options);
    return {
      get length() {
        return sequence.length;
      },
      append: async (tokens) => {
        const embeddings = this.#embed(tokens, await this.rows(tokens));
        const ids = withoutIds(tokens.length);
        const { hidden } = await sequence.step({ ids, embeddings, hidden: true });
        return hidden!;
      },
      release: () => sequence.release(),
    };
  }

  lastHidden(sequences: readonly (readonly DynamicToken[])[]): Promise<Float32Array[]> {
    return Promise.all(
      sequences.map(async (tokens) => {
        const sequence = await this.openSequence({ promptLength: tokens.length });
        try {
          return await sequence.append(tokens);
        } finally {
          await sequence.release();
        }
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.close();
  }

  async #merge(prompts: readonly string[], options: MergeBatchOptions): Promise<MergedPrompts> {
    const base = prompts.map((prompt) => this.tokenize(prompt));
    const empty = base.findIndex((sequence) => sequence.length === 0);
    if (empty >= 0) {
      throw new JetonError(`prompt ${empty} is empty, and the model has no BOS token`, {
        code: "dynamic-prompt-empty",
        details: { prompt: empty },
      });
    }
    const { sequences } = mergeBatch(base, options);
    const rows = await this.rows(sequences.flat());
    const embeddings = sequences.map((sequence) => this.#embed(sequence, rows));
    return { base, sequences, embeddings };
  }

  /** Embeddings `[tokens, hiddenSize]`: tokens that the model knows by number keep their rows. */
  #embed(tokens: readonly DynamicToken[], rows: ReadonlyMap<string, Float32Array>): Float32Array {
    const { hiddenSize } = this.source.config;
    const { embedding } = this.source.tables;
    const embeddings = new Float32Array(tokens.length * hiddenSize);
    for (const [place, token] of tokens.entries()) {
      const row =
        typeof token === "number"
          ? embedding.subarray(token * hiddenSize, (token + 1) * hiddenSize)
          : rows.get(token)!;
      embeddings.set(row, place * hiddenSize);
    }
    return embeddings;
  }

  async #scoreContinuation(
    promptLength: number,
    embeddings: Float32Array,
    continuation: string,
  ): Promise<number> {
    const { tokenizer } = this.source.vocabulary;
    const ids = [
      ...tokenizer.encodeIds(continuation, { addSpecialTokens: false, applyLimits: false }),
    ];
    if (ids.length === 0) return 0;
    // As `score` reads a text: all of it is one prompt.
    const sequence = await this.model.openSequence({ promptLength: promptLength + ids.length });
    try {
      const first = await sequence.step({
        ids: withoutIds(promptLength),
        embeddings,
        targets: [ids[0]!],
      });
      let sum = first.targetLogProbabilities![0]!;
      if (ids.length === 1) return sum;
      // The last token is a target only.
      const rest = await sequence.step({
        ids: ids.slice(0, -1),
        results: "all",
        targets: ids.slice(1),
      });
      for (const value of rest.targetLogProbabilities!) sum += value;
      return sum;
    } finally {
      await sequence.release();
    }
  }
}

/** The step's ids where rows of embeddings are given in their place. */
function withoutIds(count: number): number[] {
  return new Array<number>(count).fill(-1);
}

async function predictForms(
  { vocabulary, tables, config }: SourceModel,
  predictor: Predictor | undefined,
  forms: readonly string[],
): Promise<readonly Float32Array[]> {
  const { hiddenSize } = config;
  const spellings = spellTokens(vocabulary, forms).map((spelling) => spelling ?? [0]);
  const { embedding } = predictor
    ? await predictor.predict(spellings)
    : meanRows(tables, spellings, hiddenSize);
  return forms.map((_, place) => embedding.slice(place * hiddenSize, (place + 1) * hiddenSize));
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

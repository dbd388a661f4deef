/**
 * A frozen model that reads merged tokens: rows of tokens that it has never seen are predicted from how
 * its own tokenizer spells them, and kept for the next batch.
 */
import { JetonError } from "../../core/index.ts";
import {
  decoderNames,
  decodeWhole,
  rotationTables,
  rotationTypes,
  traceWeights,
} from "../../model/index.ts";
import {
  add,
  compile,
  crossEntropyRows,
  float32,
  gather,
  int32,
  matmul,
  multiply,
  type ParameterBinding,
  reshape,
  rmsNorm,
  type TensorType,
  tanh,
  trace,
} from "../../tensor/index.ts";
import { type Hypernetwork, openPredictor, spellTokens } from "../hypernetwork.ts";
import type { VocabularyTables } from "../mixture.ts";
import { readWholeModel, type WholeModel } from "../whole-model.ts";
import { type DynamicToken, type MergeBatchOptions, mergeBatch } from "./merge-batch.ts";
import { type CacheUse, RowCache } from "./row-cache.ts";

export interface OpenDynamicModelOptions {
  /** Predicts rows. Default: they are the means of the rows of the spelling. */
  hypernetwork?: Hypernetwork;
  /** Another way of predicting rows `[width]` of byte forms. Default: none. */
  predict?: (forms: readonly string[]) => Promise<readonly Float32Array[]>;
  /** Rows that are kept. Default 5,000. */
  cachedRows?: number;
  /** Longest merged sequence. Default 512, and at most what the model allows. */
  longest?: number;
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

/** A model under dynamic tokenization. */
export interface DynamicModel extends AsyncDisposable {
  readonly whole: WholeModel;
  /** Base tokens of a text after the token that begins texts: what merging starts from. */
  tokenize(text: string): DynamicToken[];
  /** Rows of tokens, from the cache or predicted. */
  rows(tokens: readonly string[]): Promise<ReadonlyMap<string, Float32Array>>;
  /**
   * Merges the prompts as one batch and scores their continuations, which stay in ordinary tokens.
   *
   * @throws JetonError `dynamic-cache-too-small`, `dynamic-sequence-too-long`
   */
  score(
    questions: readonly ContinuationQuestion[],
    options?: MergeBatchOptions,
  ): Promise<ScoredContinuations>;
  /**
   * Hidden states `[width]` after the final norm at the last token of each sequence: what heads are
   * multiplied with.
   */
  lastHidden(sequences: readonly (readonly DynamicToken[])[]): Promise<Float32Array[]>;
  readonly cacheUse: CacheUse;
}

/**
 * Opens a model for dynamic tokenization.
 *
 * @param model a checkpoint folder, or a model that has been read
 */
export async function openDynamicModel(
  model: string | WholeModel,
  options: OpenDynamicModelOptions = {},
): Promise<DynamicModel> {
  const whole = typeof model === "string" ? await readWholeModel(model) : model;
  const { config, vocabulary, tables } = whole.source;
  const { tokenizer } = vocabulary;
  const { threads = 2, inline = false } = options;
  const longest = Math.min(options.longest ?? 512, config.contextLength);
  const rotations = rotationTables(config, longest);
  const reader = await openReader(whole, { threads, inline });
  const predictor = options.hypernetwork
    ? await openPredictor(options.hypernetwork, tables, { threads, inline })
    : undefined;
  const cache = new RowCache(options.cachedRows ?? 5000);
  const { width } = config;

  const sourceRow = (id: number): Float32Array =>
    tables.embedding.subarray(id * width, (id + 1) * width);

  const predict = async (forms: readonly string[]): Promise<readonly Float32Array[]> => {
    if (options.predict) return options.predict(forms);
    const spellings = spellTokens(vocabulary, forms).map((spelling) => spelling ?? [0]);
    const predicted = predictor
      ? await predictor.predict(spellings)
      : meanRows(tables, spellings, width);
    return forms.map((_, place) => predicted.embedding.slice(place * width, (place + 1) * width));
  };

  const takeRows = (
    sequences: readonly (readonly DynamicToken[])[],
  ): Promise<Map<string, Float32Array>> => {
    const distinct = new Set(sequences.flat().filter((token) => typeof token === "string"));
    return cache.take([...distinct], predict);
  };

  /** Runs sequences that are followed by ordinary ids; results of the wanted rows. */
  const read = async (
    sequences: readonly (readonly DynamicToken[])[],
    followers: readonly (readonly number[])[],
    wanted: readonly { sequence: number; at: number; target: number }[],
    output: "loss" | "hidden",
  ): Promise<Float32Array> => {
    const rows = await takeRows(sequences);
    const time = Math.max(
      ...sequences.map((sequence, place) => sequence.length + followers[place]!.length),
    );
    if (time > longest) {
      throw new JetonError(`a sequence of ${time} tokens is longer than ${longest}`, {
        code: "dynamic-sequence-too-long",
        details: { found: time, expected: longest },
      });
    }
    const x = new Float32Array(sequences.length * time * width);
    for (const [place, sequence] of sequences.entries()) {
      let at = place * time * width;
      for (const token of sequence) {
        x.set(typeof token === "number" ? sourceRow(token) : rows.get(token)!, at);
        at += width;
      }
      for (const id of followers[place]!) {
        x.set(sourceRow(id), at);
        at += width;
      }
    }
    const numbers = (values: number[]) => ({
      data: Int32Array.from(values),
      shape: [values.length],
    });
    const values = await reader.run(
      {
        x: { data: x, shape: [sequences.length, time, width] },
        rows: numbers(wanted.map(({ sequence, at }) => sequence * time + at)),
        targets: numbers(wanted.map(({ target }) => target)),
        ...rotations,
      },
      [output],
    );
    return values[output].data as Float32Array;
  };

  const begin = tokenizer.beginningId ?? tokenizer.endId;
  const tokenize = (text: string): DynamicToken[] => {
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: false });
    const tokens = Array.from(ids, (id): DynamicToken => vocabulary.forms[id] ?? id);
    return begin === undefined ? tokens : [begin, ...tokens];
  };

  return {
    whole,
    tokenize,
    async rows(tokens) {
      return takeRows([tokens]);
    },
    async score(questions, mergeOptions = {}) {
      const base = questions.map(({ prompt }) => tokenize(prompt));
      const { sequences } = mergeBatch(base, mergeOptions);
      const followers = questions.map(({ continuation }) => [
        ...tokenizer.encodeIds(continuation, { addSpecialTokens: false }),
      ]);
      const wanted = sequences.flatMap((sequence, place) =>
        followers[place]!.map((target, at) => ({
          sequence: place,
          at: sequence.length + at - 1,
          target,
        })),
      );
      const losses = await read(
        sequences,
        // The last token is only asked for.
        followers.map((ids) => ids.slice(0, -1)),
        wanted,
        "loss",
      );
      const logProbabilities = new Array<number>(questions.length).fill(0);
      for (const [place, { sequence }] of wanted.entries()) {
        logProbabilities[sequence]! -= losses[place]!;
      }
      return {
        logProbabilities,
        baseLengths: base.map((sequence) => sequence.length),
        lengths: sequences.map((sequence) => sequence.length),
      };
    },
    async lastHidden(sequences) {
      const wanted = sequences.map((sequence, place) => ({
        sequence: place,
        at: sequence.length - 1,
        target: 0,
      }));
      const hidden = await read(
        sequences,
        sequences.map(() => []),
        wanted,
        "hidden",
      );
      return sequences.map((_, place) => hidden.slice(place * width, (place + 1) * width));
    },
    get cacheUse() {
      return cache.use;
    },
    async [Symbol.asyncDispose]() {
      await reader.release();
      await predictor?.[Symbol.asyncDispose]();
    },
  };
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

/** The body as a program over rows instead of ids. */
async function openReader(whole: WholeModel, options: { threads: number; inline: boolean }) {
  const { config } = whole.source;
  const inputs: Record<string, TensorType> = {
    x: float32(["batch", "time", config.width]),
    rows: int32(["rows"]),
    targets: int32(["rows"]),
    ...rotationTypes(config),
  };
  const shapes = new Map(
    [...whole.parameters].map(([name, { shape }]) => [name, { dtype: "F32", shape: [...shape] }]),
  );
  const graph = trace<string, "loss" | "hidden">(inputs, (input) => {
    const weights = traceWeights(shapes, "f32");
    const x =
      config.embeddingScale === 1 ? input["x"]! : multiply(input["x"]!, config.embeddingScale);
    const states = decodeWhole(config, weights, x, input);
    const chosen = gather(reshape(states, [-1, config.width]), input["rows"]!);
    const stored = weights.vector(decoderNames.finalNorm);
    const scale = config.normOffset === 0 ? stored : add(stored, config.normOffset);
    const hidden = rmsNorm(chosen, scale, { epsilon: config.normEpsilon });
    const head = config.tiedEmbeddings ? decoderNames.embedding : decoderNames.head;
    const plain = matmul(hidden, weights.table(head), { transposeB: true });
    const cap = config.logitCap;
    const logits = cap === undefined ? plain : multiply(tanh(multiply(plain, 1 / cap)), cap);
    return { loss: crossEntropyRows(logits, input["targets"]!), hidden };
  });
  const parameters = new Map<string, ParameterBinding>(
    [...whole.parameters].map(([name, { data }]) => [name, { kind: "data", data }]),
  );
  return compile(graph, { parameters, spinning: false, ...options });
}

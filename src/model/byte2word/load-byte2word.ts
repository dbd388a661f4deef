/** Opens the checkpoint folder of a byte2word encoder. */
import { openCheckpoint, resolveModel } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import {
  compile,
  gather,
  int32,
  logSoftmax,
  type Program,
  reshape,
  type Tensor,
  type TensorType,
  trace,
} from "../../tensor/index.ts";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { bucketInput, bucketLengths, bucketUnits } from "../byte/word-batch.ts";
import { checkShapes } from "../decoder-model.ts";
import { type DecoderWeights, fileBindings, traceWeights } from "../weights/trace-weights.ts";
import {
  byte2WordParameterShapes,
  classifyStates,
  encodeWordStates,
  poolWords,
  predictPieces,
  type WordBytes,
} from "./byte2word.ts";
import { type Byte2WordConfig, byte2WordConfig } from "./config.ts";
import { basicWords, layOutTexts, targetPieces, type WordUnits, wordUnits } from "./word-texts.ts";

/** Options of `loadByte2Word`. */
export interface LoadByte2WordOptions {
  /** Threads of one operator. Default: what `compile` chooses. */
  threads?: number;
  /** Run on the calling thread and block it. Default false. */
  inline?: boolean;
}

/** A word that a model puts in the place of a masked one. */
export interface PredictedWord {
  readonly text: string;
  /** Pieces of the target vocabulary. */
  readonly pieces: readonly number[];
  /** Natural logarithm of the probability of all pieces and the word's end. */
  readonly logProbability: number;
}

/** A text's classes. */
export interface ClassifiedWords {
  /** Logits of the text's own classes, read at `[CLS]`: `[labels]`. */
  readonly text: Float32Array;
  /** Logits of each word's classes, `[words, labels]`. */
  readonly words: readonly Float32Array[];
}

/** An open byte2word encoder. Close it: neither its memory nor its thread is collected. */
export interface Byte2WordModel extends AsyncDisposable {
  readonly config: Byte2WordConfig;
  /** Vectors of words before they see each other, which depend on their own bytes alone. */
  wordVectors(words: readonly string[]): Promise<Float32Array[]>;
  /** States of words in their text; a text is split by `basicWords` unless it is given as words. */
  encode(text: string | readonly string[]): Promise<Float32Array[]>;
  /**
   * The `count` most probable words in the place of `words[index]`, whose bytes are not read.
   *
   * @throws JetonError `byte2word-index-invalid`
   */
  predictMasked(words: readonly string[], index: number, count?: number): Promise<PredictedWord[]>;
  /**
   * Log-probability of a word's own pieces in its place, its bytes hidden; undefined where it has more pieces
   * than the model can write.
   */
  scoreMasked(words: readonly string[], index: number): Promise<number | undefined>;
  /** @throws JetonError `byte2word-no-classes` for a checkpoint without a classification head */
  classify(text: string | readonly string[]): Promise<ClassifiedWords>;
  close(): Promise<void>;
}

/**
 * Opens a byte2word encoder: a folder, or a name on the hub.
 *
 * @throws JetonError `model-config-invalid`, `model-weights-missing`, `model-weights-shape`
 */
export async function loadByte2Word(
  nameOrFolder: string,
  options: LoadByte2WordOptions = {},
): Promise<Byte2WordModel> {
  const folder = await resolveModel(nameOrFolder, {});
  const checkpoint = await openCheckpoint(folder);
  try {
    const config = byte2WordConfig(checkpoint.config);
    checkShapes(checkpoint.tensors, byte2WordParameterShapes(config));
    const tokenizer = await loadTokenizer(folder);
    const graph = traceModel(config, traceWeights(checkpoint.tensors, "f32"));
    const program = await compile(graph, {
      parameters: fileBindings(checkpoint.tensors),
      sameSizes: false,
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(options.inline !== undefined && { inline: options.inline }),
    });
    return new OpenByte2Word(config, tokenizer, program);
  } finally {
    await checkpoint.close();
  }
}

type Output = "vectors" | "states" | "logProbabilities" | "classes";

/** Inputs of a graph over words in buckets. */
export function wordBucketTypes(config: Byte2WordConfig): Record<string, TensorType> {
  const types: Record<string, TensorType> = {
    order: int32(["batch", "words"]),
    counts: int32(["batch"]),
  };
  for (const [bucket, length] of bucketLengths(config.maxWordBytes).entries()) {
    types[bucketInput("units", bucket)] = int32([`bucket${bucket}`, length]);
    types[bucketInput("lengths", bucket)] = int32([`bucket${bucket}`]);
  }
  return types;
}

/** The buckets among the inputs of a graph. */
export function wordBuckets(
  config: Byte2WordConfig,
  input: Readonly<Record<string, Tensor>>,
): WordBytes[] {
  return bucketLengths(config.maxWordBytes).map((_, bucket) => ({
    units: input[bucketInput("units", bucket)]!,
    lengths: input[bucketInput("lengths", bucket)]!,
  }));
}

function traceModel(config: Byte2WordConfig, weights: DecoderWeights) {
  const inputs = { ...wordBucketTypes(config), rows: int32(["rows"]) };
  return trace<string, Output>(inputs, (input): Record<Output, Tensor> => {
    const buckets = wordBuckets(config, input);
    const [order, counts] = [input["order"]!, input["counts"]!];
    const states = encodeWordStates(config, weights, buckets, { order, counts });
    const flat = reshape(states, [-1, config.encoder.hiddenSize]);
    const chosen = gather(flat, input["rows"]!);
    const outputs = {
      // Of the bucket of the longest words, which takes words of any length.
      vectors: poolWords(config, weights, buckets.at(-1)!),
      states,
      logProbabilities: logSoftmax(predictPieces(config, weights, chosen)),
    };
    return config.labels.length === 0
      ? (outputs as Record<Output, Tensor>)
      : { ...outputs, classes: classifyStates(weights, flat) };
  });
}

class OpenByte2Word implements Byte2WordModel {
  readonly config: Byte2WordConfig;
  readonly #tokenizer: Tokenizer;
  readonly #units: WordUnits;
  readonly #program: Program<string, Output>;

  constructor(config: Byte2WordConfig, tokenizer: Tokenizer, program: Program<string, Output>) {
    this.config = config;
    this.#tokenizer = tokenizer;
    this.#units = wordUnits(config, tokenizer);
    this.#program = program;
  }

  async wordVectors(words: readonly string[]): Promise<Float32Array[]> {
    const { maxWordBytes, encoder } = this.config;
    const parts = words.map((word) => this.#units.parts(word));
    const all = parts.flat();
    const bucket = bucketLengths(maxWordBytes).length - 1;
    const values = {
      ...layOutTexts([[this.#units.sign("cls")]], this.config),
      ...bucketUnits(all, bucket, maxWordBytes),
    };
    const { vectors } = await this.#run(values, [0], ["vectors"]);
    let at = 0;
    return parts.map((own) => {
      const { hiddenSize } = encoder;
      const vector = new Float32Array(hiddenSize);
      // A cut word is the mean of its parts.
      for (let part = 0; part < own.length; part++, at++) {
        for (let i = 0; i < hiddenSize; i++) {
          vector[i]! += vectors[at * hiddenSize + i]! / own.length;
        }
      }
      return vector;
    });
  }

  async encode(text: string | readonly string[]): Promise<Float32Array[]> {
    const { rows, starts } = this.#layOut(typeof text === "string" ? basicWords(text) : text);
    const { states } = await this.#run(layOutTexts([rows], this.config), [0], ["states"]);
    const { hiddenSize } = this.config.encoder;
    return starts.map((at) => states.slice(at * hiddenSize, (at + 1) * hiddenSize));
  }

  async predictMasked(
    words: readonly string[],
    index: number,
    count = 5,
  ): Promise<PredictedWord[]> {
    const slots = await this.#maskedSlots(words, index);
    return this.#searchWords(slots, count);
  }

  async scoreMasked(words: readonly string[], index: number): Promise<number | undefined> {
    const pieces = targetPieces(this.#tokenizer, words[index] ?? "");
    const { maxWordPieces, pieceVocabSize } = this.config;
    const slots = await this.#maskedSlots(words, index);
    if (pieces.length >= maxWordPieces) return undefined;
    let sum = 0;
    for (const [slot, piece] of [...pieces, pieceVocabSize].entries()) {
      sum += slots[slot * (pieceVocabSize + 1) + piece]!;
    }
    return sum;
  }

  async classify(text: string | readonly string[]): Promise<ClassifiedWords> {
    const { labels } = this.config;
    if (labels.length === 0) {
      throw new JetonError("the checkpoint has no classification head: its config has no labels", {
        code: "byte2word-no-classes",
      });
    }
    const { rows, starts } = this.#layOut(typeof text === "string" ? basicWords(text) : text);
    const { classes } = await this.#run(layOutTexts([rows], this.config), [0], ["classes"]);
    const row = (at: number): Float32Array =>
      classes.slice(at * labels.length, (at + 1) * labels.length);
    return { text: row(0), words: starts.map(row) };
  }

  close(): Promise<void> {
    return this.#program.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A text with its signs, and the place of each word's first part. */
  #layOut(
    words: readonly string[],
    hidden?: number,
  ): { rows: number[][]; starts: readonly number[] } {
    const { contextLength } = this.config;
    const rows: number[][] = [this.#units.sign("cls")];
    const starts: number[] = [];
    for (const [index, word] of words.entries()) {
      starts.push(rows.length);
      rows.push(...(index === hidden ? [this.#units.sign("mask")] : this.#units.parts(word)));
    }
    rows.push(this.#units.sign("sep"));
    if (rows.length <= contextLength) return { rows, starts };
    throw new JetonError(
      `the text has ${rows.length} words with its signs, the model reads ${contextLength}`,
      { code: "model-context-exceeded", details: { length: rows.length, contextLength } },
    );
  }

  /** Log-probabilities of the masked word's pieces, `[maxWordPieces, pieces + 1]`. */
  async #maskedSlots(words: readonly string[], index: number): Promise<Float32Array> {
    if (!Number.isInteger(index) || index < 0 || index >= words.length) {
      throw new JetonError(`there is no word ${index} among ${words.length}`, {
        code: "byte2word-index-invalid",
        details: { index, words: words.length },
      });
    }
    const { rows, starts } = this.#layOut(words, index);
    const inputs = layOutTexts([rows], this.config);
    return (await this.#run(inputs, [starts[index]!], ["logProbabilities"])).logProbabilities;
  }

  /** Slots are independent: the best words are found by keeping the best beginnings. */
  #searchWords(slots: Float32Array, count: number): PredictedWord[] {
    const { maxWordPieces, pieceVocabSize } = this.config;
    const row = pieceVocabSize + 1;
    let open: { pieces: number[]; sum: number }[] = [{ pieces: [], sum: 0 }];
    const done: { pieces: number[]; sum: number }[] = [];
    for (let slot = 0; slot < maxWordPieces && open.length > 0; slot++) {
      const own = slots.subarray(slot * row, (slot + 1) * row);
      if (slot > 0) {
        for (const { pieces, sum } of open) done.push({ pieces, sum: sum + own[pieceVocabSize]! });
      }
      const best = Array.from({ length: pieceVocabSize }, (_, piece) => piece)
        .sort((a, b) => own[b]! - own[a]! || a - b)
        .slice(0, count);
      open = open
        .flatMap(({ pieces, sum }) =>
          best.map((piece) => ({ pieces: [...pieces, piece], sum: sum + own[piece]! })),
        )
        .sort((a, b) => b.sum - a.sum)
        .slice(0, count);
    }
    return done
      .sort((a, b) => b.sum - a.sum)
      .slice(0, count)
      .map(({ pieces, sum }) => ({
        text: this.#tokenizer.decode(pieces).trim(),
        pieces,
        logProbability: sum,
      }));
  }

  async #run<Name extends Output>(
    values: ReturnType<typeof layOutTexts>,
    rows: readonly number[],
    outputs: readonly Name[],
  ): Promise<Record<Name, Float32Array>> {
    const inputs = { ...values, rows: { data: Int32Array.from(rows), shape: [rows.length] } };
    const results = await this.#program.run(inputs as never, outputs);
    return Object.fromEntries(
      outputs.map((name) => [name, results[name].data as Float32Array]),
    ) as Record<Name, Float32Array>;
  }
}

/**
 * The byte distribution of a model of words: the next byte may go on with the open word or begin the next
 * one, and the word's end itself is no byte.
 */
import { JetonError } from "../../core/index.ts";
import {
  documentId,
  type LoadedModel,
  type OpenSequence,
  placeWords,
  type WordModelConfig,
  wordEndId,
  wordModelConfig,
} from "../../model/index.ts";
import {
  type ByteDistribution,
  type BytePrefillOptions,
  byteOutcomes,
  endOutcome,
} from "./byte-distribution.ts";
import { wholeCharacters } from "./utf8-places.ts";

/**
 * Opens the byte distribution of a model of words. It takes one of the model's sequences until it is closed.
 *
 * The probability of a byte is that of the byte within the open word and that of the word's end times that of the
 * byte behind it; empty words are left out. What was read is one sequence of words: those that the model's
 * rule finds, and from there on, byte by byte, the more probable of both.
 *
 * @throws JetonError `byte-model-unsupported` where the model does not read words of bytes
 */
export async function openWordBytes(model: LoadedModel): Promise<ByteDistribution> {
  const family = model.config.family;
  if (family !== "word-pooled" && family !== "hierarchical-transformer") {
    throw new JetonError(
      `${model.name} is a ${family} model, expected one that reads words of bytes`,
      {
        code: "byte-model-unsupported",
        details: { family, expected: ["word-pooled", "hierarchical-transformer"] },
      },
    );
  }
  return new WordBytes(model, wordModelConfig(model.checkpoint.config));
}

/** Logarithms of the probabilities of every id, by where the byte would stand. */
interface NextBytes {
  /** Within the open word. */
  readonly open: Float64Array;
  /** Behind its end; undefined while the open word is empty. */
  readonly closed: Float64Array | undefined;
}

class WordBytes implements ByteDistribution {
  readonly name: string;
  readonly #model: LoadedModel;
  readonly #config: WordModelConfig;
  #sequence: OpenSequence | undefined;
  #length = 0;
  /** Logits behind the last token. */
  #logits: Float32Array | undefined;
  #isWordEmpty = true;
  #next: NextBytes | undefined;

  constructor(model: LoadedModel, config: WordModelConfig) {
    this.name = model.name;
    this.#model = model;
    this.#config = config;
  }

  get length(): number {
    return this.#length;
  }

  get remaining(): number {
    // Each byte may be a word of its own, and looking behind a word's end takes a token more.
    return Math.floor((this.#model.contextLength - (this.#sequence?.length ?? 1) - 1) / 2);
  }

  async prefill(bytes: Uint8Array, options: BytePrefillOptions = {}): Promise<void> {
    const { signal } = options;
    await this.#sequence?.release();
    this.#sequence = await this.#model.openSequence(signal ? { signal } : {});
    const { rule, maxWordBytes } = this.#config;
    const whole = wholeCharacters(bytes);
    const ids: number[] = [documentId];
    const words = placeWords(Int32Array.from(bytes.subarray(0, whole)), {
      rule,
      maxBytes: maxWordBytes,
    });
    for (const [index, { start, end }] of words.entries()) {
      ids.push(...bytes.subarray(start, end));
      if (index < words.length - 1) ids.push(wordEndId);
    }
    this.#length = whole;
    await this.#read(ids, signal);
    this.#isWordEmpty = words.length === 0;
    // Only what follows says where a word with half a character ends.
    for (const byte of bytes.subarray(whole)) await this.advance(byte);
  }

  async logProbabilities(options: { readonly signal?: AbortSignal } = {}): Promise<Float64Array> {
    const { open, closed } = await this.#lookAhead(options.signal);
    const logs = new Float64Array(byteOutcomes);
    let total = Number.NEGATIVE_INFINITY;
    for (let outcome = 0; outcome < byteOutcomes; outcome++) {
      const id = outcome === endOutcome ? documentId : outcome;
      const isSign = outcome !== endOutcome && (id === documentId || id === wordEndId);
      const behind =
        closed === undefined ? Number.NEGATIVE_INFINITY : open[wordEndId]! + closed[id]!;
      logs[outcome] = isSign ? Number.NEGATIVE_INFINITY : addLogs(open[id]!, behind);
      total = addLogs(total, logs[outcome]!);
    }
    return logs.map((log) => log - total);
  }

  async advance(byte: number): Promise<void> {
    if (!Number.isInteger(byte) || byte < 0 || byte > 255 || isSignByte(byte)) {
      throw new JetonError(`the byte ${byte} cannot follow: no text holds it`, {
        code: "byte-impossible",
        details: { byte },
      });
    }
    const { open, closed } = await this.#lookAhead(undefined);
    const closes = closed !== undefined && open[wordEndId]! + closed[byte]! > open[byte]!;
    this.#length++;
    await this.#read(closes ? [wordEndId, byte] : [byte], undefined);
    this.#isWordEmpty = false;
  }

  async close(): Promise<void> {
    await this.#sequence?.release();
    this.#sequence = undefined;
  }

  async #read(ids: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    const result = await this.#sequence!.step({ ids, logits: true }, signal ? { signal } : {});
    this.#logits = result.logits!;
    this.#next = undefined;
  }

  async #lookAhead(signal: AbortSignal | undefined): Promise<NextBytes> {
    if (this.#sequence === undefined) await this.prefill(new Uint8Array(0));
    if (this.#next !== undefined) return this.#next;
    const open = logSoftmax(this.#logits!);
    let closed: Float64Array | undefined;
    if (!this.#isWordEmpty) {
      const sequence = this.#sequence!;
      const { length } = sequence;
      const step = { ids: [wordEndId], logits: true } as const;
      closed = logSoftmax((await sequence.step(step, signal ? { signal } : {})).logits!);
      await sequence.truncate(length);
    }
    this.#next = { open, closed };
    return this.#next;
  }
}

function isSignByte(byte: number): boolean {
  return byte === documentId || byte === wordEndId;
}

function addLogs(a: number, b: number): number {
  const larger = Math.max(a, b);
  if (larger === Number.NEGATIVE_INFINITY) return larger;
  return larger + Math.log1p(Math.exp(Math.min(a, b) - larger));
}

function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - largest);
  const total = largest + Math.log(sum);
  return Float64Array.from(logits, (value) => value - total);
}

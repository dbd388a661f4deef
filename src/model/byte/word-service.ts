/** The worker's side of a model of words: three programs, and a cache at each level for every sequence. */
import {
  chooseDevice,
  type Device,
  emitModel,
  type Graph,
  openSession,
  type ParameterBinding,
  type Service,
  type Session,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { rotationTables } from "../decoder/full-sequence.ts";
import type { WeightFormat } from "../types.ts";
import { type StoredShape, traceWeights } from "../weights/trace-weights.ts";
import { sequenceReleased } from "../worker/release-handle.ts";
import { StackCache } from "./stack-cache.ts";
import type { WordModelConfig } from "./word-config.ts";
import { backboneProgram, decoderProgram, encoderProgram } from "./word-programs.ts";
import { type WordPlan, WordSequence } from "./word-sequence.ts";

/** Start data of the service. */
export interface WordServiceStart {
  readonly config: WordModelConfig;
  readonly tensors: ReadonlyMap<string, StoredShape>;
  readonly bindings: ReadonlyMap<string, ParameterBinding>;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly device?: Device;
}

/** Which rows of a step are wanted. */
export type WantedRows = "all" | "last" | "none";

/** A model of words with its sequences, which are addressed by handles. */
export interface WordService extends Service {
  open(): number;
  /**
   * Takes tokens of a sequence.
   *
   * @returns logits of the next token `[rows, 256]` after each wanted token
   */
  step(
    handle: number,
    ids: readonly number[] | Int32Array,
    wanted: WantedRows,
  ): Promise<Float32Array>;
  truncate(handle: number, length: number): void;
  release(handle: number): void;
  memory(): { cache: number };
}

/** Opens the programs in the current thread; called in the model's worker. */
export async function createWordService(start: WordServiceStart): Promise<WordService> {
  const { config, tensors, bindings, format, threads, device } = start;
  const weights = traceWeights(tensors, format);
  const open = (graph: Graph): Promise<Session> =>
    openSession(emitModel(graph, bindings, { opensFiles: chooseDevice(device) === "cpu" }), {
      threads,
      sameSizes: false,
      ...(device && { device }),
    });
  return new WordWorker(config, {
    encoder: await open(encoderProgram(config, weights)),
    backbone: await open(backboneProgram(config, weights)),
    decoder: await open(decoderProgram(config, weights)),
  });
}

/** Vectors of the most recent different words that are kept: most words of a text repeat. */
const keptVectors = 4096;

interface OpenWords {
  readonly words: WordSequence;
  readonly backbone: StackCache;
  /** Predictive vectors of each complete word, `[prefixes * local hidden size]`. */
  readonly predictive: Float32Array[];
  /** Rows of the open word behind its predictive vectors; undefined: to be computed. */
  local: StackCache | undefined;
}

type WordSessions = Readonly<Record<"encoder" | "backbone" | "decoder", Session>>;

class WordWorker implements WordService {
  readonly #config: WordModelConfig;
  readonly #sessions: WordSessions;
  readonly #sequences: Map<number, OpenWords> = new Map();
  readonly #vectors: Map<string, Float32Array> = new Map();
  readonly #rotations: Map<
    DecoderConfig,
    { length: number; cos: Float32Array; sin: Float32Array }
  > = new Map();
  #next = 0;

  constructor(config: WordModelConfig, sessions: WordSessions) {
    this.#config = config;
    this.#sessions = sessions;
  }

  open(): number {
    const handle = this.#next++;
    this.#sequences.set(handle, {
      words: new WordSequence(this.#config.maxWordBytes),
      backbone: new StackCache(this.#config.backbone),
      predictive: [],
      local: undefined,
    });
    return handle;
  }

  async step(
    handle: number,
    ids: readonly number[] | Int32Array,
    wanted: WantedRows,
  ): Promise<Float32Array> {
    const sequence = this.#sequence(handle);
    const { words, backbone, predictive } = sequence;
    const { length } = words;
    const open = sequence.local === undefined ? [...words.open] : [];
    try {
      const plan = words.push(ids);
      if (plan.closed.length > 0) {
        predictive.push(...(await this.#runBackbone(backbone, await this.#encode(plan.closed))));
      }
      return await this.#decode(sequence, plan, open, wanted);
    } catch (error) {
      this.#cut(sequence, length);
      throw error;
    }
  }

  truncate(handle: number, length: number): void {
    const sequence = this.#sequence(handle);
    if (length < sequence.words.length) this.#cut(sequence, length);
  }

  /** Forgets the tokens from `length` on, and what was computed of them. */
  #cut(sequence: OpenWords, length: number): void {
    const { words, backbone, predictive } = sequence;
    words.truncate(length);
    backbone.truncate(words.words * this.#config.prefixes);
    predictive.length = words.words;
    sequence.local = undefined;
  }

  release(handle: number): void {
    this.#sequences.delete(handle);
  }

  memory(): { cache: number } {
    let cache = 0;
    for (const { backbone, local, predictive } of this.#sequences.values()) {
      cache += backbone.bytes + (local?.bytes ?? 0);
      for (const vector of predictive) cache += vector.byteLength;
    }
    return { cache };
  }

  async close(): Promise<void> {
    for (const session of Object.values(this.#sessions)) await session.release();
  }

  #sequence(handle: number): OpenWords {
    const sequence = this.#sequences.get(handle);
    if (sequence) return sequence;
    throw sequenceReleased();
  }

  /** Vectors of words, `[prefixes * backbone hidden size]` each; known words are looked up by their bytes. */
  async #encode(closed: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const keys = closed.map((word) => String.fromCharCode(...word));
    const fresh = [...new Set(keys)].filter((key) => !this.#vectors.has(key));
    const found = new Map(
      keys.flatMap((key) => (this.#vectors.has(key) ? [[key, this.#vectors.get(key)!]] : [])),
    );
    if (fresh.length > 0) {
      const longest = Math.max(1, ...fresh.map((key) => key.length));
      const units = new Int32Array(fresh.length * longest);
      for (const [index, key] of fresh.entries()) {
        for (let at = 0; at < key.length; at++) units[index * longest + at] = key.charCodeAt(at);
      }
      const lengths = Int32Array.from(fresh, (key) => key.length);
      const session = this.#sessions.encoder;
      const { vectors } = await session.run(
        {
          units: session.bind("int32", units, [fresh.length, longest]),
          lengths: session.bind("int32", lengths, [fresh.length]),
        },
        ["vectors"],
      );
      const all = vectors!.data as Float32Array;
      const size = all.length / fresh.length;
      for (const [index, key] of fresh.entries()) {
        const vector = all.slice(index * size, (index + 1) * size);
        found.set(key, vector);
        this.#vectors.set(key, vector);
      }
    }
    for (const key of this.#vectors.keys()) {
      if (this.#vectors.size <= keptVectors) break;
      this.#vectors.delete(key);
    }
    return keys.map((key) => found.get(key)!);
  }

  /** Appends words to the backbone. @returns predictive vectors of each, `[prefixes * local hidden size]` */
  async #runBackbone(cache: StackCache, vectors: readonly Float32Array[]): Promise<Float32Array[]> {
    const { backbone, decoder, prefixes } = this.#config;
    const time = vectors.length * prefixes;
    const x = new Float32Array(time * backbone.hiddenSize);
    for (const [index, vector] of vectors.entries()) x.set(vector, index * vector.length);
    const { predictive, fresh } = await this.#runStack("backbone", {
      x,
      time,
      batch: 1,
      cache,
      rows: Int32Array.from({ length: time }, (_, row) => row),
    });
    cache.append(fresh!, time, time);
    const size = prefixes * decoder.hiddenSize;
    return vectors.map((_, index) => predictive!.slice(index * size, (index + 1) * size));
  }

  /** Runs the local decoder over the segments that are wanted, and keeps the open word's rows. */
  async #decode(
    sequence: OpenWords,
    { segments, rows }: WordPlan,
    open: readonly number[],
    wanted: WantedRows,
  ): Promise<Float32Array> {
    const last = segments.length - 1;
    const isWanted = (segment: number, at: number): boolean =>
      segment === last
        ? wanted === "all" || (wanted === "last" && at === rows.length - 1)
        : wanted === "all";
    const asked = segments.map(() => [] as number[]);
    for (const [at, { segment, units }] of rows.entries()) {
      if (isWanted(segment, at)) asked[segment]!.push(units);
    }
    const parts: Float32Array[] = [];
    const [first, ...others] = segments;
    const goesOn = first!.units.length > 0 && (last === 0 || asked[0]!.length > 0);
    if (goesOn && sequence.local) {
      parts.push(await this.#continueWord(sequence.local, first!.units, asked[0]!));
    }
    const fresh = others.flatMap((segment, index) => {
      const at = index + 1;
      return at === last || asked[at]!.length > 0
        ? [{ units: segment.units, after: segment.after, asked: asked[at]! }]
        : [];
    });
    if (goesOn && !sequence.local) {
      const skipped = asked[0]!.map((units) => open.length + units);
      fresh.unshift({ units: [...open, ...first!.units], after: first!.after, asked: skipped });
    }
    if (fresh.length > 0) {
      const begun = await this.#beginWords(sequence.predictive, fresh);
      parts.push(begun.logits);
      sequence.local = begun.cache;
    }
    return parts.length === 1 ? parts[0]! : joinArrays(parts);
  }

  async #continueWord(
    cache: StackCache,
    units: readonly number[],
    asked: readonly number[],
  ): Promise<Float32Array> {
    const time = units.length;
    const { logits, fresh } = await this.#runStack("decoder", {
      x: new Float32Array(time * this.#config.decoder.hiddenSize),
      units: Int32Array.from(units),
      time,
      batch: 1,
      cache,
      rows: Int32Array.from(asked, (count) => count - 1),
    });
    cache.append(fresh!, time, time);
    return logits!;
  }

  /** Words behind their predictive vectors; the rows of the last one are kept. */
  async #beginWords(
    predictive: readonly Float32Array[],
    words: readonly {
      readonly units: readonly number[];
      readonly after: number;
      readonly asked: readonly number[];
    }[],
  ): Promise<{ logits: Float32Array; cache: StackCache }> {
    const { prefixes, decoder } = this.#config;
    const { hiddenSize } = decoder;
    const time = prefixes + Math.max(...words.map(({ units }) => units.length));
    const x = new Float32Array(words.length * time * hiddenSize);
    const ids = new Int32Array(words.length * time).fill(-1);
    const rows: number[] = [];
    for (const [index, { units, after, asked }] of words.entries()) {
      x.set(predictive[after]!, index * time * hiddenSize);
      ids.set(units, index * time + prefixes);
      rows.push(...asked.map((count) => index * time + prefixes - 1 + count));
    }
    const { logits, fresh } = await this.#runStack("decoder", {
      x,
      units: ids,
      time,
      batch: words.length,
      cache: undefined,
      rows: Int32Array.from(rows),
    });
    const cache = new StackCache(decoder);
    cache.append(fresh!, time, prefixes + words.at(-1)!.units.length);
    return { logits: logits!, cache };
  }

  /** One run of the backbone or the local decoder over new rows and a cache. */
  async #runStack(
    stack: "backbone" | "decoder",
    pass: {
      readonly x: Float32Array;
      readonly units?: Int32Array;
      readonly time: number;
      readonly batch: number;
      readonly cache: StackCache | undefined;
      readonly rows: Int32Array;
    },
  ): Promise<Partial<Record<"logits" | "predictive" | "fresh", Float32Array>>> {
    const config = this.#config[stack];
    const session = this.#sessions[stack];
    const { x, units, time, batch, cache, rows } = pass;
    const past = cache?.length ?? 0;
    const arrays = cache?.arrays() ?? emptyPast(config, batch);
    const capacity = Math.max(1, cache?.capacity ?? 1);
    const pastMask = new Float32Array(batch * capacity).fill(Number.NEGATIVE_INFINITY);
    for (let row = 0; row < batch; row++) pastMask.fill(0, row * capacity, row * capacity + past);
    const { cos, sin } = this.#rotationRows(config, { past, time, batch });
    const half = cos.length / (batch * time);
    // No tensor without elements reaches the runtime: an unasked row stands for none.
    const isAsked = rows.length > 0;
    const places = isAsked ? rows : Int32Array.of(0);
    const feeds: Record<string, ReturnType<Session["bind"]>> = {
      x: session.bind("float32", x, [batch, time, config.hiddenSize]),
      cos: session.bind("float32", cos, [batch * time, half]),
      sin: session.bind("float32", sin, [batch * time, half]),
      "mask.past": session.bind("float32", pastMask, [batch, 1, 1, capacity]),
      "mask.new": session.bind("float32", causalMask(time), [1, 1, time, time]),
      rows: session.bind("int32", places, [places.length]),
    };
    if (units) feeds["units"] = session.bind("int32", units, [batch, time]);
    const shape = [batch, config.numKeyValueHeads, capacity, config.headDim];
    for (const index of config.layers.keys()) {
      feeds[`past.${index}.key`] = session.bind("float32", arrays[2 * index]!, shape);
      feeds[`past.${index}.value`] = session.bind("float32", arrays[2 * index + 1]!, shape);
    }
    const output = stack === "backbone" ? "predictive" : "logits";
    const values = await session.run(feeds, [output, "fresh"]);
    const found = values[output]!.data as Float32Array;
    return {
      [output]: isAsked ? found : new Float32Array(0),
      fresh: values["fresh"]!.data as Float32Array,
    };
  }

  /** Rotations of rows `past` to `past + time`, for each of `batch` words. */
  #rotationRows(
    config: DecoderConfig,
    { past, time, batch }: { past: number; time: number; batch: number },
  ): { cos: Float32Array; sin: Float32Array } {
    let table = this.#rotations.get(config);
    if (table === undefined || table.length < past + time) {
      const length = Math.max(64, 2 * (past + time));
      const { "rope.0.cos": cos, "rope.0.sin": sin } = rotationTables(config, length);
      table = { length, cos: cos!.data as Float32Array, sin: sin!.data as Float32Array };
      this.#rotations.set(config, table);
    }
    const half = table.cos.length / table.length;
    const repeat = (values: Float32Array): Float32Array => {
      const own = values.subarray(past * half, (past + time) * half);
      const all = new Float32Array(batch * own.length);
      for (let row = 0; row < batch; row++) all.set(own, row * own.length);
      return all;
    };
    return { cos: repeat(table.cos), sin: repeat(table.sin) };
  }
}

function emptyPast(config: DecoderConfig, batch: number): Float32Array[] {
  const empty = new Float32Array(batch * config.numKeyValueHeads * config.headDim);
  return config.layers.flatMap(() => [empty, empty]);
}

function causalMask(time: number): Float32Array {
  const mask = new Float32Array(time * time);
  for (let row = 0; row < time; row++) {
    mask.fill(Number.NEGATIVE_INFINITY, row * time + row + 1, (row + 1) * time);
  }
  return mask;
}

function joinArrays(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

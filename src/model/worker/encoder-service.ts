/** The worker's side of a loaded encoder: one session, and batches of texts through it. */
import {
  type BoundValue,
  chooseDevice,
  type Device,
  emitModel,
  openSession,
  type ParameterBinding,
  type Service,
  type Session,
  type TensorValueData,
} from "../../tensor/index.ts";
import type { EncoderConfig } from "../encoder/config.ts";
import {
  type EncoderOutput,
  encoderGraph,
  fixedPools,
  readsPresent,
  wanted,
} from "../encoder/encoder-graph.ts";
import { encoderTables } from "../encoder/encoder-tables.ts";
import { encoderHeads } from "../encoder/heads/heads.ts";
import type { SentencePipeline } from "../encoder/sentence/sentence-modules.ts";
import { rotationKey } from "../layers/rotation-tables.ts";
import type { WeightFormat } from "../types.ts";
import { type StoredShape, traceWeights } from "../weights/trace-weights.ts";

/** Start data of an encoder's worker. */
export interface EncoderStart {
  readonly config: EncoderConfig;
  readonly pipeline: SentencePipeline;
  readonly tensors: ReadonlyMap<string, StoredShape>;
  readonly bindings: ReadonlyMap<string, ParameterBinding>;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly device?: Device;
}

/** Texts of one forward pass, filled up to a common length. */
export interface EncoderBatch {
  readonly batch: number;
  readonly time: number;
  /** Tokens of the longest text. */
  readonly longest: number;
  /** `[batch, time]` each. */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  readonly types: Int32Array;
  /** 1 for tokens that others see. */
  readonly attended: Float32Array;
  /** 1 for positions of a text, also of padding that is a part of it. */
  readonly present: Float32Array;
  /** Results that are wanted, of all texts. */
  readonly outputs: readonly EncoderOutput[];
  /** Flat positions whose tokens are predicted. */
  readonly rows?: Int32Array;
  readonly pooling?: PoolingInput;
}

/** How states are pooled. */
export interface PoolingInput {
  /** `[batch, pools, time]` */
  readonly weights: Float32Array;
  /** `[batch, time]`: 1 for tokens of which the largest numbers are taken. */
  readonly tokens: Float32Array;
  /** `[pools]`: 1 where the largest numbers are taken. */
  readonly max: Uint8Array;
}

/** A result: numbers and their shape. */
export interface EncoderResult {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The encoder's program. */
export interface EncoderService extends Service {
  run(batch: EncoderBatch): Promise<Partial<Record<EncoderOutput, EncoderResult>>>;
}

/** Opens the encoder's program in the current thread; called in the worker. */
export async function createEncoderService(start: EncoderStart): Promise<EncoderService> {
  const { config, pipeline, tensors, format, threads, device } = start;
  const has = (name: string): boolean => tensors.has(name);
  const weights = traceWeights(tensors, format);
  const graph = encoderGraph({ config, weights, pipeline, has });
  const model = emitModel(graph, start.bindings, { opensFiles: chooseDevice(device) === "cpu" });
  const session = await openSession(model, {
    threads,
    // Texts have many lengths.
    sameSizes: false,
    ...(device && { device }),
  });
  return new EncoderWorker(start, session);
}

class EncoderWorker implements EncoderService {
  readonly #config: EncoderConfig;
  readonly #session: Session;
  readonly #outputs: readonly EncoderOutput[];
  readonly #pools: number;
  /** Tables of the longest batch so far; of a Monarch Mixer, of the last length. Rotations may differ by `key`. */
  #tables:
    | { readonly time: number; readonly key: number; readonly feeds: Record<string, BoundValue> }
    | undefined;

  constructor({ config, pipeline, tensors }: EncoderStart, session: Session) {
    this.#config = config;
    this.#session = session;
    this.#pools = fixedPools(pipeline) ?? 1;
    const heads = encoderHeads(config, (name) => tensors.has(name));
    this.#outputs = ["states", "embedding", ...heads.keys()];
    if (pipeline.tokenModules) this.#outputs = [...this.#outputs, "vectors"];
    if (pipeline.sparse) this.#outputs = [...this.#outputs, "sparse"];
  }

  async run(input: EncoderBatch): Promise<Partial<Record<EncoderOutput, EncoderResult>>> {
    const { batch, time, outputs } = input;
    const bind = this.#session.bind;
    const numbers = (data: TensorValueData): BoundValue =>
      bind(data instanceof Float32Array ? "float32" : "int32", data, [batch, time]);
    const pooling = input.pooling ?? this.#noPooling(batch, time);
    const rows = input.rows?.length ? input.rows : Int32Array.of(0);
    const feeds: Record<string, BoundValue> = {
      ids: numbers(input.ids),
      positions: numbers(input.positions),
      types: numbers(input.types),
      attended: numbers(input.attended),
      ...(readsPresent(this.#config) && { present: numbers(input.present) }),
      ...this.#tableFeeds(time, input.longest),
      rows: bind("int32", rows, [rows.length]),
      "pool.weights": bind("float32", pooling.weights, [batch, pooling.max.length, time]),
      "pool.tokens": numbers(pooling.tokens),
      "pool.max": bind("bool", pooling.max, [pooling.max.length]),
      "pool.any-max": bind("bool", Uint8Array.of(pooling.max.includes(1) ? 1 : 0), []),
    };
    for (const output of this.#outputs) {
      feeds[wanted(output)] = bind("bool", Uint8Array.of(outputs.includes(output) ? 1 : 0), []);
    }
    const values = await this.#session.run(feeds, outputs);
    return Object.fromEntries(
      outputs.map((name) => {
        const { shape, data } = values[name]!;
        return [name, { shape, data: data as Float32Array }];
      }),
    );
  }

  #noPooling(batch: number, time: number): PoolingInput {
    const pools = this.#pools;
    return {
      weights: new Float32Array(batch * pools * time),
      tokens: new Float32Array(batch * time),
      max: new Uint8Array(pools),
    };
  }

  #tableFeeds(time: number, longest: number): Record<string, BoundValue> {
    const key = rotationKey(this.#config.ropes, longest);
    const known = this.#tables?.key === key ? this.#tables : undefined;
    // Longer tables of convolutions would be right too, but sum in another order.
    const serves = this.#config.mixer ? known?.time === time : known && known.time >= time;
    if (known && serves) return known.feeds;
    const values = Object.entries(encoderTables(this.#config, time, longest));
    const feeds = Object.fromEntries(
      values.map(([name, { dtype, data, shape }]) => [
        name,
        this.#session.bind(dtype, data, shape),
      ]),
    );
    this.#tables = { time, key, feeds };
    return feeds;
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}

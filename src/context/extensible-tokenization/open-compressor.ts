/** A compressor that is ready to compress texts for a loaded model. */
import { JetonError } from "../../core/index.ts";
import { decoderNames } from "../../model/decoder/decoder-names.ts";
import { nameTensors } from "../../model/decoder/stored-names.ts";
import {
  type DecoderConfig,
  embedIds,
  fileBindings,
  identifyModel,
  type LoadedModel,
  openStored,
  rotationTables,
  rotationTypes,
  traceWeights,
} from "../../model/index.ts";
import {
  compile,
  int32,
  multiply,
  type ParameterBinding,
  type Program,
  type Tensor,
  trace,
} from "../../tensor/index.ts";
import { type Compressor, compressorPrefix, traceCompressor } from "./compressor.ts";
import { compressorDigest, readCompressor } from "./compressor-file.ts";
import { checkFactor, type PackedContext, thinContext } from "./packed-context.ts";

/** Options of `openCompressor`. */
export interface OpenCompressorOptions {
  /**
   * True: the compressor may be one that was trained for another model of the same sizes, such as the one that this
   * model was fine-tuned from. Default false.
   */
  acceptOtherModel?: boolean;
  /** Threads of one operator. Default: those of the model. */
  threads?: number;
  /** True: it runs on the calling thread and blocks it. Default false. */
  inline?: boolean;
}

/** An open compressor. Close it: its program is not collected. */
export interface OpenCompressor extends AsyncDisposable {
  readonly compressor: Compressor;
  /** Digest of its form and weights. */
  readonly digest: string;
  /** Digest of the model that it compresses for. */
  readonly model: string;
  /**
   * Compresses a text, window by window; windows do not see each other.
   *
   * @param ids tokens of the text, at least one
   * @throws JetonError `packed-context-empty`, `option-invalid` for the factor
   */
  compress(ids: ArrayLike<number>, options?: CompressOptions): Promise<PackedContext>;
}

/** Options of `OpenCompressor.compress`. */
export interface CompressOptions {
  /** Tokens for each output that is held, as `thinContext` would thin them; at most the window. Default 1: all are. */
  factor?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Opens a compressor for a model, whose embedding table it reads.
 *
 * @param model in a browser one that was opened with `keepWeights`
 * @param compressor a file that `writeCompressor` wrote, or its bytes, or a compressor
 *
 * @throws JetonError `compressor-invalid`, `compressor-model-differs`, `model-weights-not-kept`
 */
export async function openCompressor(
  model: Pick<LoadedModel, "folder" | "config" | "threads" | "name" | "stored">,
  compressor: string | Uint8Array | Compressor,
  options: OpenCompressorOptions = {},
): Promise<OpenCompressor> {
  const { config } = model;
  const isFile = typeof compressor === "string" || compressor instanceof Uint8Array;
  const read = isFile ? await readCompressor(compressor, config) : compressor;
  const identity = await identifyModel(model);
  if (read.model !== identity && !options.acceptOtherModel) {
    throw new JetonError(`the compressor was trained for another model than ${model.name}`, {
      code: "compressor-model-differs",
      details: { model: model.name, found: read.model, expected: identity },
    });
  }
  const program = await compileCompressor(model, read, options);
  return new CompiledCompressor(config, read, identity, program);
}

type CompressorProgram = Program<string, "outputs">;

async function compileCompressor(
  model: Pick<LoadedModel, "folder" | "config" | "threads" | "stored">,
  compressor: Compressor,
  options: OpenCompressorOptions,
): Promise<CompressorProgram> {
  const { config, threads } = model;
  await using opened = await openStored(model);
  const named = nameTensors(opened, config);
  const stored = named.tensors.get(decoderNames.embedding)!;
  const table = new Map([[decoderNames.embedding, stored]]);
  const weights = traceWeights(table, "f32");
  const types = { ids: int32([1, "time"]), ...rotationTypes(config) };
  const graph = trace<string, "outputs">(types, (input): Record<"outputs", Tensor> => {
    const x = embedIds(config, weights, input["ids"]!);
    const outputs = traceCompressor(config, compressor.config, x, input);
    // Given embeddings are scaled like rows of the table before the first layer reads them.
    const { embeddingScale } = config;
    return { outputs: embeddingScale === 1 ? outputs : multiply(outputs, 1 / embeddingScale) };
  });
  const parameters = new Map<string, ParameterBinding>(fileBindings(table));
  if (model.stored) {
    const { data } = await named.read(decoderNames.embedding);
    parameters.set(decoderNames.embedding, { kind: "data", data });
  }
  for (const [name, { data }] of compressor.parameters) {
    parameters.set(`${compressorPrefix}${name}`, { kind: "data", data });
  }
  return compile(graph, {
    parameters,
    threads: options.threads ?? threads,
    spinning: false,
    inline: options.inline ?? false,
  });
}

class CompiledCompressor implements OpenCompressor {
  readonly compressor: Compressor;
  readonly digest: string;
  readonly model: string;
  readonly #config: DecoderConfig;
  readonly #program: CompressorProgram;

  constructor(
    config: DecoderConfig,
    compressor: Compressor,
    model: string,
    program: CompressorProgram,
  ) {
    this.#config = config;
    this.#program = program;
    this.compressor = compressor;
    this.digest = compressorDigest(compressor);
    this.model = model;
  }

  async compress(
    given: ArrayLike<number>,
    { factor = 1, signal, onProgress }: CompressOptions = {},
  ): Promise<PackedContext> {
    const ids = Int32Array.from(given);
    this.#check(ids);
    const { window, factors } = this.compressor.config;
    checkFactor({ factor: 1, window }, factor);
    const width = this.#config.hiddenSize;
    const outputs = new Float32Array(ids.length * width);
    const tables = rotationTables(this.#config, window);
    for (let start = 0; start < ids.length; start += window) {
      signal?.throwIfAborted();
      const part = ids.slice(start, start + window);
      const feeds = { ...tables, ids: { shape: [1, part.length], data: part } };
      const found = await this.#program.run(feeds as never);
      outputs.set(found.outputs.data as Float32Array, start * width);
      onProgress?.(start + part.length, ids.length);
    }
    const { digest: compressor, model } = this;
    const whole = { model, compressor, factors, window, width, factor: 1, ids, outputs };
    return thinContext(whole, factor);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#program.release();
  }

  #check(ids: Int32Array): void {
    const { vocabSize } = this.#config;
    const wrong = ids.find((id) => id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new JetonError(`there is no token ${wrong}, expected 0 to ${vocabSize - 1}`, {
        code: "model-token-unknown",
        details: { id: wrong, vocabulary: vocabSize },
      });
    }
    if (ids.length > 0) return;
    throw new JetonError("there is no text to compress", {
      code: "packed-context-empty",
      details: { tokens: 0 },
    });
  }
}

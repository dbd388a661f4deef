/** A trained model of symbols, opened for reading. */
import type { Random } from "../../core/index.ts";
import {
  compile,
  logSoftmax,
  type ParameterBinding,
  type Tensor,
  trace,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { traceWeights } from "../weights/trace-weights.ts";
import {
  predictSymbols,
  rankByAppearance,
  type SymbolBatch,
  type SymbolEmbeddings,
  symbolInputs,
  symbolInputTypes,
} from "./lexinvariant.ts";

/** Options of `openSymbolModel`. */
export interface SymbolModelOptions {
  config: DecoderConfig;
  embeddings: SymbolEmbeddings;
  /** Values of all parameters by name: of the layers, the final norm, and `symbolParameterShapes`. */
  parameters: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
  /** Threads of one operator. Default: what `compile` chooses. */
  threads?: number;
  /** Read on the calling thread and block it. Default false. */
  inline?: boolean;
}

/** What a model makes of sequences. */
export interface SymbolReading {
  /** Log-probabilities of the next symbol, `[batch * time * vocabulary]`. */
  readonly logProbabilities: Float32Array;
  /** Final activations, `[batch * time * width]`. */
  readonly hidden: Float32Array;
}

/** Close it: neither its memory nor its thread is collected. */
export interface SymbolModel extends AsyncDisposable {
  readonly config: DecoderConfig;
  readonly embeddings: SymbolEmbeddings;
  /**
   * Reads sequences.
   *
   * @param random draws the symbols' vectors where the model has no table of its own
   */
  read(batch: SymbolBatch, random: Random): Promise<SymbolReading>;
  close(): Promise<void>;
}

/** Opens a model of symbols. */
export async function openSymbolModel(options: SymbolModelOptions): Promise<SymbolModel> {
  const { config, embeddings, parameters, threads, inline } = options;
  const weights = traceWeights(
    new Map(
      [...parameters].map(([name, { shape }]) => [name, { dtype: "F32", shape: [...shape] }]),
    ),
    "f32",
  );
  const graph = trace<string, string>(
    symbolInputTypes(config, embeddings),
    (input): Record<string, Tensor> => {
      const { hidden, logits } = predictSymbols(config, weights, input, embeddings);
      return { hidden, logProbabilities: logSoftmax(logits) };
    },
  );
  const program = await compile(graph, {
    parameters: new Map(
      [...parameters].map(([name, { data }]): [string, ParameterBinding] => [
        name,
        { kind: "data", data },
      ]),
    ),
    ...(threads !== undefined && { threads }),
    ...(inline !== undefined && { inline }),
  });
  const makeInputs = symbolInputs(config, embeddings, { sequenceLength: config.contextLength });
  return {
    config,
    embeddings,
    async read(batch, random) {
      const inputs = makeInputs(batch, random);
      const result = await program.run(inputs);
      const hidden = result["hidden"]!.data as Float32Array;
      const logProbabilities = result["logProbabilities"]!.data as Float32Array;
      if (embeddings !== "canonical") return { hidden, logProbabilities };
      return {
        hidden,
        logProbabilities: shareUnseen(batch, logProbabilities, config.vocabSize),
      };
    },
    close: () => program.release(),
    [Symbol.asyncDispose]: () => program.release(),
  };
}

/** From ranks to ids; those that have not come share the last class equally. */
function shareUnseen(
  { batch, time, ids }: SymbolBatch,
  ranked: Float32Array,
  vocabSize: number,
): Float32Array {
  const { seen, ranks } = rankByAppearance({ batch, time, ids });
  const result = new Float32Array(batch * time * vocabSize);
  for (let row = 0; row < batch; row++) {
    const known: number[] = [];
    for (let at = row * time; at < (row + 1) * time; at++) {
      if (ranks[at] === known.length) known.push(ids[at]!);
      const from = at * (vocabSize + 1);
      const own = result.subarray(at * vocabSize, (at + 1) * vocabSize);
      own.fill(ranked[from + vocabSize]! - Math.log(vocabSize - seen[at]!));
      for (const [rank, id] of known.entries()) own[id] = ranked[from + rank]!;
    }
  }
  return result;
}

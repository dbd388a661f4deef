/** Trainings of the OpenMoE reproduction, and the choices of their routers on other text. */
import { createRandom } from "../../core/index.ts";
import { type ReproductionContext, trainResumably } from "../../reproduce/index.ts";
import { openSmallTrainer } from "../../reproduce/open-small-trainer.ts";
import { compile, int32, type ParameterBinding, type Tensor, trace } from "../../tensor/index.ts";
import { initializeDecoder, languageModelInputs, type ParameterValue } from "../../train/index.ts";
import { type DecoderConfig, decoderConfig } from "../decoder/config.ts";
import { embedIds } from "../decoder/embeddings.ts";
import { sparseLayerNames } from "../decoder/expert-names.ts";
import { decodeFullSequence, rotationTables, rotationTypes } from "../decoder/full-sequence.ts";
import { everyExpert } from "../layers/experts.ts";
import { traceWeights } from "../weights/trace-weights.ts";
import type { RoutingTrace } from "./routing-trace.ts";

/** Tokens of a sequence. */
export const context = 128;
const experts = 8;
/** Width of an expert; a dense layer has that of two experts and the residual one. */
const width = 96;

/** A model of four layers: sparse ones in the paper's form, or dense ones of the same active size. */
export function smallModel(
  vocabSize: number,
  options: { balanceLoss?: number } | "dense",
): DecoderConfig {
  const common = {
    vocab_size: vocabSize,
    hidden_size: 64,
    intermediate_size: 3 * width,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    head_dim: 16,
    max_position_embeddings: context,
    tie_word_embeddings: true,
  };
  if (options === "dense") return decoderConfig({ model_type: "llama", ...common } as never);
  return decoderConfig({
    model_type: "openmoe",
    ...common,
    num_experts: experts,
    num_experts_per_tok: 2,
    moe_intermediate_size: width,
    shared_expert_intermediate_size: width,
    decoder_sparse_step: 2,
    router_aux_loss_coef: options.balanceLoss ?? 0.01,
  } as never);
}

export interface SmallTraining {
  readonly name: string;
  readonly config: DecoderConfig;
  readonly steps: number;
  readonly seed: number;
  /** Token ids of the training text. */
  readonly text: Int32Array;
}

/** Sequences of one step. */
const batch = 8;

/** Trains a model; the parameters at the end. Goes on where an earlier run was interrupted. */
export async function trainSmall(
  reproduce: ReproductionContext,
  { name, config, steps, seed, text }: SmallTraining,
): Promise<Map<string, ParameterValue>> {
  const inputs = languageModelInputs(config, { sequenceLength: context });
  const folder = await reproduce.folder(name, { config, steps, seed });
  await using trainer = await openSmallTrainer(config, initialize(config, seed), steps);
  const { earlierSeconds } = await trainResumably(trainer, {
    folder,
    steps,
    signal: reproduce.signal,
    notice: reproduce.notice,
    batch(step) {
      const random = createRandom(seed, "batch", step);
      const ids = new Int32Array(batch * context);
      const targets = new Int32Array(batch * context);
      for (let row = 0; row < batch; row++) {
        const start = random.integer(text.length - context - 1);
        ids.set(text.subarray(start, start + context), row * context);
        targets.set(text.subarray(start + 1, start + context + 1), row * context);
      }
      return [inputs({ batch, time: context, ids, targets })];
    },
    onStep: ({ step, loss }) =>
      reproduce.progress(`training ${name}, loss ${loss.toFixed(3)}`, step, steps),
  });
  reproduce.charge(earlierSeconds);
  return await trainer.parameters();
}

/** Nats a token of each sequence, without a capacity. */
export async function lossesOf(
  config: DecoderConfig,
  parameters: ReadonlyMap<string, ParameterValue>,
  sequences: readonly Int32Array[],
): Promise<number[]> {
  await using trainer = await openSmallTrainer(config, parameters, 1);
  const inputs = languageModelInputs(config, { sequenceLength: context });
  const losses: number[] = [];
  for (const sequence of sequences) {
    const time = sequence.length - 1;
    const [ids, targets] = [sequence.slice(0, time), sequence.slice(1)];
    const { loss } = await trainer.evaluate([inputs({ batch: 1, time, ids, targets })]);
    losses.push(loss);
  }
  return losses;
}

/** The same model, whose router sends to each expert what was meant for the next one. */
export function exchangeExperts(
  config: DecoderConfig,
  parameters: ReadonlyMap<string, ParameterValue>,
): Map<string, ParameterValue> {
  const exchanged = new Map(parameters);
  for (const [layer, { sparse }] of config.layers.entries()) {
    if (!sparse) continue;
    const { router } = sparseLayerNames(config, layer);
    const { shape, data } = parameters.get(router)!;
    const [, row] = shape as [number, number];
    const rows = new Float32Array(data.length);
    rows.set(data.subarray(row));
    rows.set(data.subarray(0, row), data.length - row);
    exchanged.set(router, { shape, data: rows });
  }
  return exchanged;
}

/** First weights: those that a training with this seed begins with. */
export function initialize(config: DecoderConfig, seed: number): Map<string, ParameterValue> {
  return initializeDecoder(config, seed, { deviation: 0.5 / Math.sqrt(config.hiddenSize) });
}

/** Choices of every sparse layer for sequences of `context` tokens, without a capacity. */
export async function traceSmall(
  config: DecoderConfig,
  parameters: ReadonlyMap<string, ParameterValue>,
  sequences: readonly Int32Array[],
): Promise<RoutingTrace> {
  const { count, perToken } = config.experts!;
  const layers = config.layers.filter(({ sparse }) => sparse).length;
  const stored = new Map(
    [...parameters].map(([name, { shape }]) => [name, { dtype: "F32", shape: [...shape] }]),
  );
  const bindings = new Map(
    Array.from(parameters, ([name, { data }]): [string, ParameterBinding] => [
      name,
      { kind: "data", data },
    ]),
  );
  const types = { ids: int32(["batch", "time"]), ...rotationTypes(config) };
  const graph = trace<string, string>(types, (input): Record<string, Tensor> => {
    const weights = traceWeights(stored, "f32");
    const results: Record<string, Tensor> = {};
    decodeFullSequence(config, weights, embedIds(config, weights, input["ids"]!), input, {
      mixExperts(mixture) {
        const layer = Object.keys(results).length / 2;
        results[`choices.${layer}`] = mixture.choices;
        results[`weights.${layer}`] = mixture.weights;
        return everyExpert(mixture);
      },
    });
    return results;
  });
  await using program = await compile(graph, { parameters: bindings, inline: true });
  const tokens = sequences.length * context;
  const choices = new Int32Array(tokens * layers * perToken);
  const weights = new Float32Array(choices.length);
  const tables = rotationTables(config, context) as Record<string, never>;
  for (const [index, ids] of sequences.entries()) {
    const result = await program.run({ ids: { data: ids, shape: [1, context] }, ...tables });
    for (let layer = 0; layer < layers; layer++) {
      const own = result[`choices.${layer}`]!.data;
      const factors = result[`weights.${layer}`]!.data;
      for (let at = 0; at < context * perToken; at++) {
        const token = index * context + Math.floor(at / perToken);
        const place = (token * layers + layer) * perToken + (at % perToken);
        choices[place] = own[at]!;
        weights[place] = factors[at]!;
      }
    }
  }
  const each = (value: (token: number) => number): Int32Array =>
    Int32Array.from({ length: tokens }, (_, token) => value(token));
  return {
    layers,
    experts: count,
    perToken,
    domainNames: ["text"],
    ids: each((token) => sequences[Math.floor(token / context)]![token % context]!),
    positions: each((token) => token % context),
    sequences: each((token) => Math.floor(token / context)),
    domains: new Int32Array(tokens),
    choices,
    weights,
  };
}

/** Non-overlapping sequences from the start of a text. */
export function cutSequences(text: Int32Array, count: number): Int32Array[] {
  return Array.from({ length: Math.min(count, Math.floor(text.length / context)) }, (_, at) =>
    text.slice(at * context, (at + 1) * context),
  );
}

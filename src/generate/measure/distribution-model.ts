/**
 * A model without weights: the distribution of the next token is a table over the last two tokens. Exact
 * distributions of continuations follow by enumeration, and tens of thousands of requests take seconds,
 * through the same decoding loop as with any model.
 */
import { createRandom } from "../../core/index.ts";
import type { LoadedModel, OpenSequence, SequenceStep, StepResult } from "../../model/index.ts";
import { TokenCounter } from "../sampling/penalties.ts";
import { rowDistribution, type Sampling } from "../sampling/sampler.ts";

export interface DistributionModelOptions {
  /** Distinct tokens. Default 6. */
  vocabulary?: number;
  /** Standard deviation of the logits. Default 1.5. */
  spread?: number;
  seed?: number;
  /** Share of another seed's table in the logits: a draft that is nearly right. */
  mixed?: { readonly seed: number; readonly share: number };
}

/** A model whose logits depend on the last two tokens before each row's next. */
export function createDistributionModel(options: DistributionModelOptions = {}): LoadedModel {
  const { vocabulary = 6, spread = 1.5, seed = 1, mixed } = options;
  const table = logitTable(vocabulary, spread, seed);
  if (mixed) {
    const other = logitTable(vocabulary, spread, mixed.seed);
    for (let at = 0; at < table.length; at++) {
      table[at] = (1 - mixed.share) * table[at]! + mixed.share * other[at]!;
    }
  }
  const model = {
    name: "distribution-model",
    folder: "",
    checkpoint: { config: {}, tensors: new Map(), files: [] },
    tokenizer: {
      isSpecial: () => false,
      idToToken: (id: number) => (id < vocabulary ? `<${id}>` : undefined),
      streamDecoder: () => ({ push: (id: number) => `<${id}>`, end: () => "" }),
    },
    config: { vocabSize: vocabulary },
    format: "f32",
    threads: 1,
    contextLength: 512,
    eosTokenIds: [],
    bosTokenId: 0,
    slots: 64,
    openSequences: 0,
    async openSequence() {
      return openDistributionSequence(table, vocabulary);
    },
    async memory() {
      return { weights: 0, cache: 0, resident: 0 };
    },
    async close() {},
    async [Symbol.asyncDispose]() {},
  };
  return model as unknown as LoadedModel;
}

function logitTable(vocabulary: number, spread: number, seed: number): Float32Array {
  const random = createRandom(seed, "distribution-model");
  return Float32Array.from({ length: vocabulary ** 3 }, () => spread * random.normal());
}

function openDistributionSequence(table: Float32Array, vocabulary: number): OpenSequence {
  let tokens: number[] = [];
  let pending: readonly number[] = [];
  return {
    reused: 0,
    get length() {
      return tokens.length;
    },
    async step(step: Omit<SequenceStep, "slot">): Promise<StepResult> {
      const ids = Array.from(step.ids);
      const rows = step.results === "all" ? ids.map((_, row) => row) : [ids.length - 1];
      const candidates = Math.min(vocabulary, step.topK ?? 1);
      const result = {
        topIds: new Int32Array(rows.length * candidates),
        topLogits: new Float32Array(rows.length * candidates),
        logSumExp: new Float32Array(rows.length),
        logits: new Float32Array(rows.length * vocabulary),
      };
      for (const [index, row] of rows.entries()) {
        const parent = step.parents ? step.parents[row]! : row - 1;
        const before = parent >= 0 ? ids[parent]! : (tokens.at(-1) ?? 0);
        const from = (before * vocabulary + ids[row]!) * vocabulary;
        const logits = table.subarray(from, from + vocabulary);
        result.logits.set(logits, index * vocabulary);
        let total = 0;
        for (const logit of logits) total += Math.exp(logit);
        result.logSumExp[index] = Math.log(total);
        const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
        for (let rank = 0; rank < candidates; rank++) {
          result.topIds[index * candidates + rank] = order[rank]!;
          result.topLogits[index * candidates + rank] = logits[order[rank]!]!;
        }
      }
      if (step.commit === false) pending = ids;
      else tokens.push(...ids);
      return result;
    },
    async accept(rows) {
      for (const row of rows) tokens.push(pending[row]!);
    },
    async truncate(length) {
      tokens = tokens.slice(0, length);
    },
    async release() {},
  };
}

/**
 * The exact distribution of the next `length` tokens after a prompt, by enumeration. Keys are ids joined by
 * spaces.
 */
export async function continuationDistribution(
  model: LoadedModel,
  prompt: readonly number[],
  length: number,
  sampling: Sampling,
): Promise<Map<string, number>> {
  let known = new Map<string, { ids: readonly number[]; probability: number }>([
    ["", { ids: [], probability: 1 }],
  ]);
  for (let step = 0; step < length; step++) {
    const longer: typeof known = new Map();
    for (const { ids, probability } of known.values()) {
      const sequence = await model.openSequence();
      const text = [...prompt, ...ids];
      const result = await sequence.step({ ids: text, topK: 64, logits: true });
      await sequence.release();
      const counts = new TokenCounter(prompt);
      for (const id of ids) counts.push(id);
      const distribution = rowDistribution(result, 0, { sampling, counts });
      for (const [index, id] of distribution.ids.entries()) {
        const next = [...ids, id];
        const share = probability * distribution.probabilities[index]!;
        longer.set(next.join(" "), { ids: next, probability: share });
      }
    }
    known = longer;
  }
  return new Map([...known].map(([key, { probability }]) => [key, probability]));
}

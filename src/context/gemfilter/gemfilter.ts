/**
 * GemFilter (Shi et al., 2024): an early layer's scores choose the prompt's tokens; the whole model then reads
 * those alone. Both passes run one program, in the first of which the layers after the filter layer are left out.
 */
import type {
  ChoosePrompt,
  ContextPolicy,
  LoadedModel,
  PolicyOptions,
  PolicyProgram,
} from "../../model/index.ts";
import {
  definePolicy,
  type NamedPolicy,
  optionError,
  type PolicyOptionValues,
} from "../policies/define-policy.ts";
import { largestScores, poolScores } from "./choose-tokens.ts";
import { savedFilterLayer } from "./saved-layer.ts";

const options = {
  // r and k of the paper.
  layer: {
    kind: "integer",
    default: -1,
    min: -1,
    help: "filter layer, from 0: a wrong one ruins it; -1: the one saved with the model, which jeton context calibrate finds",
  },
  k: { kind: "integer", default: 1024, min: 1, help: "prompt tokens that are chosen" },
  kernel: { kind: "integer", default: 5, min: 1, help: "scores are pooled over so many tokens" },
  pooling: {
    kind: "choice",
    default: "average",
    choices: ["average", "max"],
    help: "how they are pooled",
  },
  keepFirst: {
    kind: "integer",
    default: 0,
    min: 0,
    help: "first tokens that are always chosen (ours)",
  },
  keepLast: {
    kind: "integer",
    default: 0,
    min: 0,
    help: "last tokens that are always chosen (ours)",
  },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `gemFilter`. */
export type GemFilterOptions = Partial<Options>;

/** The policy by its name. */
export const gemFilterPolicy: NamedPolicy = definePolicy({
  name: "gemfilter",
  summary: "the prompt's tokens that an early layer chooses, read again by themselves",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  showsAttended: false,
  check({ kernel, keepFirst, keepLast, k }) {
    if (kernel % 2 === 0) throw optionError("gemfilter", "kernel", kernel, "an odd integer");
    if (keepFirst + keepLast > k) {
      throw optionError("gemfilter", "keepFirst", keepFirst, `with keepLast at most k (${k})`);
    }
  },
  choosePrompt: (settings) => createFilter(settings),
  complete(settings, model) {
    if (settings.layer >= 0) {
      checkLayer(model, settings.layer);
      return settings;
    }
    const layer = savedFilterLayer(model);
    if (layer !== undefined) return { ...settings, layer };
    const expected = `a layer: ${model.name} has none saved, and jeton context calibrate finds it`;
    throw optionError("gemfilter", "layer", settings.layer, expected);
  },
});

/** Answers from the tokens of the prompt that the filter layer chooses. */
export function gemFilter(given: GemFilterOptions = {}): ContextPolicy {
  return gemFilterPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  return { filterLayer: (given as Options).layer };
}

function createFilter(settings: Options): ChoosePrompt {
  return async (model, ids, run = {}) => {
    const { k, keepFirst, keepLast } = settings;
    const { length } = ids;
    if (length <= k) return Array.from(ids, (_, at) => at);
    const scores = await scorePrompt(model, ids, run);
    const pooled = poolScores(scores, {
      kernel: settings.kernel,
      pooling: settings.pooling as "average" | "max",
    });
    pooled.fill(Number.POSITIVE_INFINITY, 0, keepFirst);
    pooled.fill(Number.POSITIVE_INFINITY, length - keepLast);
    return largestScores(pooled, k);
  };
}

/**
 * Scores of all prompt tokens: inner products of the last token's rotated queries with the rotated keys of the
 * filter layer, summed over heads. Reads the prompt once, up to the filter layer.
 *
 * @param model a model under a filtering policy
 */
export async function scorePrompt(
  model: LoadedModel,
  ids: readonly number[],
  { signal, onProgress }: NonNullable<Parameters<ChoosePrompt>[2]> = {},
): Promise<Float32Array> {
  const run = signal ? { signal } : {};
  const sequence = await model.openSequence({ promptLength: ids.length, ...run });
  try {
    for (let start = 0; ; ) {
      const end = Math.min(ids.length, start + 512);
      const isLast = end === ids.length;
      const step = {
        ids: ids.slice(start, end),
        promptScores: true,
        results: isLast ? ("last" as const) : ("none" as const),
      };
      const { promptScores } = await sequence.step(step, run);
      onProgress?.(end);
      if (isLast) return promptScores!.subarray(0, ids.length);
      start = end;
    }
  } finally {
    await sequence.release();
  }
}

function checkLayer({ config, name }: Pick<LoadedModel, "config" | "name">, layer: number): void {
  const last = config.layers.length - 1;
  if (layer <= last) return;
  throw optionError("gemfilter", "layer", layer, `a layer of ${name}, from 0 to ${last}`);
}

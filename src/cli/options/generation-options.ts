/** Options of sampling and length, for the commands that generate. */
import type { GenerateOptions } from "../../generate/types.ts";
import { defined, UsageError, type Values } from "../command.ts";
import { refuseMisplaced } from "./misplaced.ts";

export const generationOptions = {
  maxTokens: {
    kind: "integer",
    short: "n",
    value: "N",
    min: 1,
    help: "maximum number of tokens to generate; default 256, or what the context leaves",
  },
  greedy: { kind: "flag", help: "always take the most probable token" },
  temperature: {
    kind: "number",
    short: "t",
    value: "T",
    min: 0,
    max: 100,
    help: "0 is greedy, 1 the model's own probabilities; default: the model's generation_config.json",
  },
  topK: {
    kind: "integer",
    value: "K",
    help: "sample among the K most probable tokens; 0: among all",
  },
  topP: {
    kind: "number",
    value: "P",
    min: 0,
    exclusiveMin: true,
    max: 1,
    help: "sample among the most probable tokens whose probabilities add up to P",
  },
  minP: {
    kind: "number",
    value: "P",
    min: 0,
    max: 1,
    help: "sample among tokens with at least P times the probability of the best one",
  },
  repetitionPenalty: {
    kind: "number",
    value: "R",
    min: 0,
    exclusiveMin: true,
    max: 100,
    help: "above 1, tokens that have occurred become less probable",
  },
  seed: {
    kind: "integer",
    value: "N",
    help: "seed of the sampling: the same seed gives the same text; default: a random one",
  },
  stop: { kind: "list", value: "TEXT", help: "end before this text" },
  ignoreEos: { kind: "flag", help: "do not end at end-of-sequence tokens" },
  prefillChunk: {
    kind: "integer",
    value: "TOKENS",
    min: 1,
    help: "maximum number of prompt tokens of one forward pass; default: chosen by time",
  },
} as const;

/** Throws `option-misplaced` where `--greedy` meets a temperature other than 0, or either an option of sampling. */
export function checkGreedy(values: {
  readonly greedy: boolean;
  readonly temperature: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
}): void {
  const { greedy, temperature } = values;
  if (greedy && (temperature ?? 0) !== 0) {
    throw new UsageError("option-misplaced", "--greedy and --temperature exclude each other", {
      option: "--temperature",
    });
  }
  if (!greedy && temperature !== 0) return;
  const why = `means nothing for ${greedy ? "--greedy" : "--temperature 0"}, which samples nothing`;
  refuseMisplaced(values, ["topK", "topP", "minP"], why);
}

/**
 * The options of `generate` that the command line sets.
 *
 * @throws UsageError `option-misplaced` if both `--greedy` and a temperature above 0 are given, or with either an option
 *   that only sampling reads
 */
export function readGenerationOptions(values: Values<typeof generationOptions>): GenerateOptions {
  checkGreedy(values);
  return {
    ...defined({
      maxTokens: values.maxTokens,
      temperature: values.temperature,
      topK: values.topK,
      topP: values.topP,
      minP: values.minP,
      repetitionPenalty: values.repetitionPenalty,
      seed: values.seed,
      prefillChunk: values.prefillChunk,
    }),
    ...(values.greedy && { greedy: true }),
    ...(values.stop.length > 0 && { stop: values.stop }),
    ...(values.ignoreEos && { ignoreEos: true }),
  };
}

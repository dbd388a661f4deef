/** What every kind of run does around its steps: opens the trainer, and takes stock at the end. */

import type { ParameterValue } from "../graph/parameters.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import type { TrainedLanguageModel, TrainingProgress } from "../language-model-options.ts";
import { decayMatricesOnly, type ParameterGroup } from "../optimizer/optimizer.ts";
import { matchParameters, type Settings } from "./run-settings.ts";
import type { RunState } from "./step-loop.ts";
import { openTrainer, type Trainer } from "./trainer.ts";

/** Options of `openRunTrainer`. */
export interface RunTrainerOptions {
  /** Names of all parameters. */
  readonly names: readonly string[];
  /** Patterns of those that do not learn. */
  readonly frozen: readonly string[];
  /** @param trainable the others, in their order */
  graph(trainable: readonly string[]): TrainingGraph;
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  /** Whether batches of one size are computed in tensors of one size. */
  readonly sameSizes: boolean;
  readonly settings: Pick<Settings, "schedule" | "optimizer" | "averageDecay">;
  readonly threads: number | undefined;
  /** Optimizer settings of some parameters. Default: matrices decay, vectors do not. */
  readonly group?: (name: string, shape: readonly number[]) => ParameterGroup;
}

/**
 * Opens the trainer of a run in a thread of its own, which takes the memory of `parameters` over.
 *
 * @throws JetonError `option-invalid` for a pattern that means no parameter, and those of `openTrainer`
 */
export async function openRunTrainer(options: RunTrainerOptions): Promise<Trainer> {
  const { names, settings, threads } = options;
  const frozen = matchParameters(options.frozen, names);
  return openTrainer({
    graph: options.graph(names.filter((name) => !frozen.has(name))),
    parameters: options.parameters,
    moveParameters: true,
    sameSizes: options.sameSizes,
    schedule: settings.schedule,
    optimizer: settings.optimizer,
    group: options.group ?? decayMatricesOnly,
    ...(settings.averageDecay !== undefined && { averageDecay: settings.averageDecay }),
    ...(threads !== undefined && { threads }),
  });
}

/** How a run ended. */
export type RunSummary = Omit<TrainedLanguageModel, "modelFolder">;

/** Says that the export begins; returns the trained parameters, averages where there are any, and the summary. */
export async function finishRun(
  trainer: Trainer,
  { tokens, entries }: RunState<unknown>,
  {
    steps,
    averageDecay,
    onProgress,
  }: {
    readonly steps: number;
    readonly averageDecay: number | undefined;
    readonly onProgress: ((progress: TrainingProgress) => void) | undefined;
  },
): Promise<{ parameters: Map<string, ParameterValue>; summary: RunSummary }> {
  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  onProgress?.({ stage: "export", step: steps, steps, tokens, ...rest });
  const parameters = await trainer.parameters({ averaged: averageDecay !== undefined });
  const tail = entries.slice(-Math.ceil(steps / 20));
  const last = entries.at(-1);
  const summary: RunSummary = {
    steps,
    tokens,
    loss: tail.reduce((sum, { loss }) => sum + loss, 0) / tail.length,
    heldOutLoss: last?.heldOutLoss,
    heldOutBitsPerByte: last?.heldOutBitsPerByte,
    parameters: [...parameters.values()].reduce((sum, { data }) => sum + data.length, 0),
  };
  return { parameters, summary };
}

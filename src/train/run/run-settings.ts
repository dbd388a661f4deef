/** Settings of a run: checked, completed by defaults, and read again from the run's folder. */

import type { ModelConfig } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import {
  checkOptionRules,
  countRule,
  numberRule,
  type OptionRule,
} from "../../core/option-rules.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { type Architecture, openArchitecture } from "../architectures.ts";
import type { DeletionOptions } from "../graph/span-corruption-graph.ts";
import type { TrainLanguageModelOptions } from "../language-model-options.ts";
import { adamW, checkTransforms, type Transform } from "../optimizer/optimizer.ts";
import { checkSchedule, type Schedule } from "../optimizer/schedule.ts";
import { resolveModelConfig } from "./model-config.ts";
import { readRunConfiguration } from "./run-folder.ts";
import { checkAverageDecay } from "./trainer.ts";

/** Options that say nothing about the weights: a resumed run may have others. */
const changeableOptions: readonly ChangeableOption[] = [
  "checkpointEvery",
  "keepCheckpoints",
  "evaluateEvery",
  "evaluationSequences",
  "dtype",
  "name",
];

type ChangeableOption = keyof Pick<
  TrainLanguageModelOptions,
  "checkpointEvery" | "keepCheckpoints" | "evaluateEvery" | "evaluationSequences" | "dtype" | "name"
>;

export function pickChangeable(
  options: Partial<Pick<TrainLanguageModelOptions, ChangeableOption>>,
): Pick<TrainLanguageModelOptions, ChangeableOption> {
  return Object.fromEntries(
    changeableOptions.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );
}

/**
 * The options with which a run was begun, to go on with it: `{ ...await readRunOptions(folder),
 * existing: "resume" }`.
 *
 * @throws JetonError `train-run-missing`
 */
export async function readRunOptions(folder: string): Promise<TrainLanguageModelOptions> {
  const known = await readRunConfiguration(folder);
  if (known === undefined) {
    throw new JetonError(`${folder} holds no run (there is no run.json)`, {
      code: "train-run-missing",
      details: { folder },
    });
  }
  return {
    ...(known.configuration as Omit<TrainLanguageModelOptions, "folder">),
    ...pickChangeable(known.changeable),
    folder,
  };
}

/**
 * What a run of a kind was begun with; it is one where its configuration has a key that only this kind records.
 *
 * @param kind as in `an encoder's training`
 *
 * @throws JetonError `train-run-missing`
 */
export async function readRunOfKind(
  folder: string,
  kind: string,
  key: string,
): Promise<NonNullable<Awaited<ReturnType<typeof readRunConfiguration>>>> {
  const known = await readRunConfiguration(folder);
  if (known?.configuration[key] !== undefined) return known;
  throw new JetonError(`${folder} holds no run of ${kind}`, {
    code: "train-run-missing",
    details: { folder },
  });
}

/** What determines the weights in the end; recorded in `run.json`. */
export interface Settings extends Record<string, unknown> {
  readonly config: ModelConfig;
  readonly steps: number;
  readonly batch: number;
  readonly accumulation: number;
  readonly sequenceLength: number;
  readonly schedule: Schedule;
  readonly optimizer: readonly Transform[];
  readonly averageDecay: number | undefined;
  readonly documentMask: boolean;
  /** Undefined for models that delete nothing. */
  readonly deletion: DeletionOptions | undefined;
  readonly frozen: readonly string[];
  readonly seed: number;
}

/**
 * Completes options by their defaults.
 *
 * @throws JetonError `option-invalid` and the codes of `resolveModelConfig`
 */
export function resolveSettings(
  options: TrainLanguageModelOptions,
  tokenizer: Tokenizer,
): Settings {
  const { steps, batch = 16, accumulation = 1, sequenceLength = 256, seed = 0 } = options;
  const { checkpointEvery, keepCheckpoints, evaluateEvery, evaluationSequences } = options;
  checkCounts({
    ...{ steps, batch, accumulation, sequenceLength },
    ...{ checkpointEvery, keepCheckpoints, evaluateEvery, evaluationSequences },
  });
  if (batch % accumulation !== 0) {
    throw new JetonError(`a batch of ${batch} cannot be divided into ${accumulation} equal parts`, {
      code: "option-invalid",
      details: { option: "accumulation", found: accumulation, expected: `a divisor of ${batch}` },
    });
  }
  checkCorpora(options.corpora);
  const { schedule, optimizer, averageDecay } = resolveUpdates(options, {
    optimizer: adamW({ beta2: 0.95, maxNorm: 1 }),
    schedule: { kind: "cosine", peak: 1e-3, final: 1e-4 },
  });
  const config = resolveModelConfig(options.config, tokenizer, {
    sequenceLength,
    onWarning: options.onWarning,
  });
  const frozen = options.frozen ?? [];
  const architecture = openArchitecture(config);
  const { parameters, masksDocuments = true, family } = architecture;
  architecture.checkSequenceLength?.(sequenceLength);
  matchParameters(frozen, [...parameters.keys()]);
  if (options.documentMask === true && !masksDocuments) {
    throw new JetonError(`documentMask is true, but a ${family} model mixes what stands together`, {
      code: "option-invalid",
      details: { option: "documentMask", found: true, expected: false },
    });
  }
  return {
    config,
    steps,
    batch,
    accumulation,
    sequenceLength,
    schedule,
    optimizer,
    averageDecay,
    documentMask: options.documentMask ?? masksDocuments,
    deletion: resolveDeletion(options, architecture),
    frozen,
    seed,
    threads: options.threads,
    tokenizer: options.tokenizer,
    corpora: options.corpora,
    heldOut: options.heldOut,
    initialWeights: options.initialWeights,
    initialization: options.initialization,
  };
}

const factorRule = numberRule(0, 1e6);

const deletionRules: Readonly<Record<keyof DeletionOptions, OptionRule>> = {
  target: {
    test: (value) => typeof value === "number" && value > 0 && value < 1,
    expected: "a share between 0 and 1",
  },
  proportional: factorRule,
  integral: factorRule,
  delay: countRule,
  scorePenalty: factorRule,
};

/** @throws JetonError `option-invalid` */
function resolveDeletion(
  { deletion, initialWeights }: TrainLanguageModelOptions,
  { control, family }: Architecture,
): DeletionOptions | undefined {
  if (control === undefined) {
    if (deletion === undefined) return undefined;
    const expected = "no such option for a model without a gate that deletes";
    throw new JetonError(`deletion is given, but a ${family} model has no gate that deletes`, {
      code: "option-invalid",
      details: { option: "deletion", found: deletion, expected },
    });
  }
  const { scorePenalty = initialWeights === undefined ? 0.5 : 0, ...rest } = deletion ?? {};
  checkOptionRules({ ...rest, scorePenalty }, deletionRules, {
    what: "the training of a gate",
    unknownCode: "option-invalid",
    invalidCode: "option-invalid",
  });
  return { ...rest, scorePenalty };
}

/**
 * How parameters are updated: what a run asks for, otherwise the default of its kind, whose schedule warms up over a
 * twentieth of the steps.
 *
 * @throws JetonError `option-invalid`
 */
export function resolveUpdates(
  options: Pick<TrainLanguageModelOptions, "steps" | "schedule" | "optimizer" | "averageDecay">,
  defaults: {
    readonly optimizer: readonly Transform[];
    readonly schedule: {
      readonly kind: "linear" | "cosine";
      readonly peak: number;
      readonly final: number;
    };
  },
): Pick<Settings, "schedule" | "optimizer" | "averageDecay"> {
  const { steps, averageDecay, optimizer = defaults.optimizer } = options;
  const warmupSteps = Math.ceil(steps / 20);
  const schedule = options.schedule ?? { ...defaults.schedule, steps, warmupSteps };
  checkAverageDecay(averageDecay);
  checkTransforms(optimizer);
  checkSchedule(schedule);
  return { schedule, optimizer, averageDecay };
}

/** @throws JetonError `option-invalid` for a count that is no positive integer */
export function checkCounts(counts: Readonly<Record<string, number | undefined>>): void {
  for (const [option, found] of Object.entries(counts)) {
    if (found === undefined || (Number.isSafeInteger(found) && found > 0)) continue;
    throw new JetonError(`${option} is ${found}, expected a positive integer`, {
      code: "option-invalid",
      details: { option, found },
    });
  }
}

/** @throws JetonError `option-invalid` for no corpus, and for a share that is no number above 0 */
export function checkCorpora(corpora: TrainLanguageModelOptions["corpora"]): void {
  if (corpora.length === 0) {
    throw new JetonError("there is no corpus to learn from", {
      code: "option-invalid",
      details: { option: "corpora", found: [], expected: "at least one corpus" },
    });
  }
  for (const { files, weight = 1 } of corpora) {
    if (Number.isFinite(weight) && weight > 0) continue;
    throw new JetonError(
      `the share of ${files.join(", ")} is ${weight}, expected a number above 0`,
      {
        code: "option-invalid",
        details: { option: "corpora.weight", found: weight, expected: "a number above 0" },
      },
    );
  }
}

/**
 * The parameters that patterns mean.
 *
 * @throws JetonError `option-invalid` for a pattern that means none
 */
export function matchParameters(
  patterns: readonly string[],
  names: readonly string[],
): Set<string> {
  const matching = patterns.map((pattern) => {
    const parts = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
    const expression = new RegExp(`^${parts.join(".*")}$`);
    return names.filter((name) => expression.test(name));
  });
  const unknown = patterns.filter((_, index) => matching[index]!.length === 0);
  if (unknown.length > 0) {
    throw new JetonError(`the model has no parameter ${unknown.join(", ")}`, {
      code: "option-invalid",
      details: { option: "frozen", found: unknown, expected: names },
    });
  }
  return new Set(matching.flat());
}

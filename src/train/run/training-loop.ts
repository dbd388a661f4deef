/** The steps of a run: batches, updates, checkpoints, evaluations and the exported model. */

import { join } from "node:path";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { type Architecture, openArchitecture } from "../architectures.ts";
import {
  type BatchSource,
  type DataPosition,
  documentTokens,
  openBatchSource,
} from "../data/token-store.ts";
import type { TrainedLanguageModel, TrainLanguageModelOptions } from "../language-model-options.ts";
import { exportModel } from "./export-model.ts";
import { chooseFirstValues, readWeights } from "./first-values.ts";
import { evaluate, readHeldOut } from "./held-out.ts";
import { completeConfig, modelCard, runName } from "./model-card.ts";
import type { RunCorpora } from "./run-corpora.ts";
import type { RunFolder } from "./run-folder.ts";
import type { Settings } from "./run-settings.ts";
import { finishRun, openRunTrainer } from "./run-trainer.ts";
import { type RunState, runStepLoop, type StepLoop } from "./step-loop.ts";
import type { Trainer } from "./trainer.ts";
import type { StepReport, TrainingInputs } from "./training-interface.ts";

interface RunParts extends RunCorpora {
  readonly options: TrainLanguageModelOptions;
  readonly settings: Settings;
  readonly tokenizer: Tokenizer;
  /** Where it lies within the folder of the run. */
  readonly tokenizerFolder: string;
}

/** Trains to the last step, from the newest checkpoint where there is one, and exports the model. */
export async function runSteps(run: RunFolder, parts: RunParts): Promise<TrainedLanguageModel> {
  const { options, settings, stores } = parts;
  const architecture = openArchitecture(settings.config);
  const data = {
    sequenceLength: settings.sequenceLength,
    batch: settings.batch / settings.accumulation,
    seed: settings.seed,
    documents: documentTokens(parts.tokenizer),
  };
  const weights = options.corpora.map(({ weight = 1 }) => weight);
  await using source = await openBatchSource(stores, { ...data, weights });
  await using trainer = await openLanguageModelTrainer(run, { options, settings, architecture });
  const toInputs = architecture.inputs({ ...settings, tokenizer: parts.tokenizer });
  const held =
    parts.heldOut && (await readHeldOut(parts.heldOut, options, data, { toInputs, architecture }));

  const controlled = openControl(architecture, settings);
  const state = await runStepLoop(run, trainer, {
    steps: settings.steps,
    seed: settings.seed,
    name: runName(options),
    lossUnit: architecture.lossUnit,
    start: source.start,
    read: (position) => readStep(source, position, settings.accumulation, toInputs),
    learn: (inputs) => controlled.learn(trainer, inputs),
    ...(controlled.ownState && { ownState: controlled.ownState }),
    evaluate: held && (() => evaluate(trainer, held, settings)),
    options,
  });
  return await exportRun(run, { ...parts, architecture, trainer, state });
}

/** Steps as the trainer takes them, or with inputs that a controller of the architecture moves. */
function openControl(
  architecture: Architecture,
  { deletion }: Settings,
): {
  learn(trainer: Trainer, inputs: TrainingInputs[]): Promise<StepReport>;
  readonly ownState?: NonNullable<StepLoop<TrainingInputs[], DataPosition>["ownState"]>;
} {
  if (!architecture.control || !deletion)
    return { learn: (trainer, inputs) => trainer.step(inputs) };
  const open = architecture.control;
  let control = open(deletion);
  return {
    async learn(trainer, inputs) {
      const report = await trainer.step(control.prepare(inputs));
      control.update(report);
      return report;
    },
    ownState: {
      read: () => control.state,
      restore: (state) => {
        control = open(deletion, state as typeof control.state);
      },
    },
  };
}

async function openLanguageModelTrainer(
  run: RunFolder,
  {
    options,
    settings,
    architecture,
  }: { options: TrainLanguageModelOptions; settings: Settings; architecture: Architecture },
): Promise<Trainer> {
  const { parameters: shapes } = architecture;
  const { initialWeights, initialization, threads } = options;
  return openRunTrainer({
    names: [...shapes.keys()],
    frozen: [...settings.frozen, ...(architecture.fixed ?? [])],
    ...(architecture.group && { group: architecture.group(settings) }),
    graph: (trainable) =>
      architecture.graph({
        trainable: new Set(trainable),
        documentMask: settings.documentMask,
        deletion: settings.deletion,
      }),
    parameters: await chooseFirstValues(run, shapes, async () =>
      initialWeights === undefined
        ? architecture.initialize(settings.seed, initialization)
        : readWeights(initialWeights, architecture, () =>
            architecture.initialize(settings.seed, initialization),
          ),
    ),
    sameSizes: architecture.hasFixedSizes,
    ...{ settings, threads },
  });
}

interface TrainedParts extends RunParts {
  readonly architecture: Architecture;
  readonly trainer: Trainer;
  readonly state: RunState<DataPosition>;
}

/** Writes the trained model as a checkpoint folder. */
async function exportRun(run: RunFolder, parts: TrainedParts): Promise<TrainedLanguageModel> {
  const { options, settings, tokenizerFolder, architecture, trainer, state } = parts;
  const { steps, averageDecay } = settings;
  const { onProgress } = options;
  const { parameters, summary } = await finishRun(trainer, state, {
    ...{ steps, averageDecay, onProgress },
  });
  const result: TrainedLanguageModel = { modelFolder: join(run.path, "model"), ...summary };
  await exportModel(result.modelFolder, {
    config: completeConfig(settings.config, architecture),
    parameters: new Map(
      [...parameters].map(([name, value]) => [
        architecture.storedName?.(name) ?? name,
        architecture.storedValue?.(name, value) ?? value,
      ]),
    ),
    tokenizer: tokenizerFolder,
    ...(options.dtype && { dtype: options.dtype }),
    ...(architecture.isExact && { isExact: architecture.isExact }),
    card: modelCard(result, parts),
  });
  return result;
}

/** The parts of one update, and the position after it. */
async function readStep(
  source: BatchSource,
  position: DataPosition,
  accumulation: number,
  toInputs: ReturnType<Architecture["inputs"]>,
): Promise<{ inputs: TrainingInputs[]; next: DataPosition }> {
  const inputs: TrainingInputs[] = [];
  let next = position;
  for (let part = 0; part < accumulation; part++) {
    const read = await source.read(next);
    inputs.push(toInputs(read.batch));
    next = read.next;
  }
  return { inputs, next };
}

/** What the resumable trainings show: progress, what to do after an interruption, and the result. */
import { formatCount, formatDuration } from "../../../core/progress.ts";
import type { TrainLanguageModelOptions } from "../../../train/index.ts";
import type { CommandContext } from "../../context.ts";
import type { TrainCompressorDocument } from "../../json-context.ts";
import {
  type ResumableTrainingProgress,
  type TrainEncoderDocument,
  type TrainLanguageModelDocument,
  writeJson,
} from "../../json-output.ts";
import { createStatusLine } from "../../options/locate.ts";

/** A run, as the command line names it. */
export interface TrainingRun {
  /** The command's second word. */
  readonly kind: "lm" | "encoder" | "compressor";
  /** Folder of the run. */
  readonly folder: string;
  readonly json: boolean;
}

/** What a training is told to report, and when to stop. */
export type TrainingReports = Required<
  Pick<TrainLanguageModelOptions, "signal" | "onCheckpoint" | "onWarning" | "onProgress">
>;

type TrainingDocument = TrainLanguageModelDocument | TrainEncoderDocument | TrainCompressorDocument;

/**
 * Trains, and writes the result. Ctrl-C finishes the current step; the saved step and the command that resumes the run
 * are written then.
 *
 * @param pathOf what the training wrote
 */
export async function runTraining<Result extends TrainingDocument>(
  context: CommandContext,
  run: TrainingRun,
  train: (reports: TrainingReports) => Promise<Result>,
  pathOf: (result: Result) => string,
): Promise<void> {
  const { stdout, stderr, signal } = context;
  const { formatTrainingProgress } = await import("../../../train/index.ts");
  const line = createStatusLine(context);
  const began = performance.now();
  let savedStep: number | undefined;
  const reportStopping = (): void => {
    line.clear();
    if (!run.json)
      void stderr.write("finishing the current step and saving (Ctrl-C again ends at once)\n");
  };
  signal.addEventListener("abort", reportStopping, { once: true });
  let result: Result;
  try {
    result = await train({
      signal,
      onCheckpoint: ({ step }) => {
        savedStep = step;
      },
      onWarning: ({ message }) => {
        line.clear();
        void stderr.write(`jeton: warning: ${message}\n`);
      },
      onProgress: (progress) => {
        if (signal.aborted) return;
        if (!run.json) line.show(formatTrainingProgress(progress));
        // Tokenization reports too often to be useful as JSON lines.
        else if (progress.stage !== "tokenize") {
          void writeJson<ResumableTrainingProgress>(stderr, progress);
        }
      },
    });
  } catch (error) {
    line.clear();
    if (signal.aborted) await reportInterruption(context, run, savedStep);
    throw error;
  } finally {
    signal.removeEventListener("abort", reportStopping);
    line.clear();
  }
  if (run.json) {
    await writeJson<TrainingDocument>(stdout, result);
    return;
  }
  await stdout.write(`${pathOf(result)}\n`);
  const seconds = (performance.now() - began) / 1000;
  await stderr.write(`${summarize(result, run.kind === "lm", seconds)}\n`);
}

/** Writes the saved step, undefined where none was saved, and the command that resumes the run. */
async function reportInterruption(
  { stderr }: Pick<CommandContext, "stderr">,
  { kind, folder, json }: TrainingRun,
  step: number | undefined,
): Promise<void> {
  const command = ["jeton", "train", kind, "--resume", "--out", folder];
  if (json) {
    await writeJson<ResumableTrainingProgress>(stderr, {
      stage: "interrupted",
      step: step ?? 0,
      command,
    });
    return;
  }
  const quoted = command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
  const saved = step === undefined ? "no step was finished" : `saved at step ${step}`;
  await stderr.write(`${saved}; resume with: ${quoted.join(" ")}\n`);
}

function summarize(result: TrainingDocument, countsTokens: boolean, seconds: number): string {
  const { steps, tokens, loss, heldOutLoss, parameters } = result;
  const parts = [
    `${formatCount(parameters)} parameters`,
    `${steps} steps${countsTokens ? `, ${formatCount(tokens)} tokens` : ""}`,
    `loss ${loss.toFixed(3)}`,
  ];
  if (heldOutLoss !== undefined) {
    const perByte = "heldOutBitsPerByte" in result ? result.heldOutBitsPerByte : undefined;
    const bits = perByte === undefined ? "" : `, ${perByte.toFixed(3)} bits per byte`;
    parts.push(`held out ${heldOutLoss.toFixed(3)}${bits}`);
  }
  return [...parts, formatDuration(seconds)].join(" · ");
}

/** `jeton train lm`: trains a decoder from a configuration and corpora, in a resumable run. */
import { formatCount, formatDuration } from "../../../core/progress.ts";
import type { TrainedLanguageModel } from "../../../train/index.ts";
import { type Command, defineCommand } from "../../command.ts";
import {
  type TrainLanguageModelDocument,
  type TrainLanguageModelProgress,
  writeJson,
} from "../../json-output.ts";
import { reportInterruption } from "../../options/interrupted-training.ts";
import { createStatusLine } from "../../options/locate.ts";
import {
  readTrainingOptions,
  runOptions,
  trainingOptions,
} from "../../options/training-options.ts";

export const command: Command = defineCommand({
  name: "train lm",
  summary: "train a language model on your own text",
  description:
    "Trains a decoder and exports it as an ordinary checkpoint folder. An interrupted run, even after " +
    "a kill, continues with --resume and ends with the same weights, bit for bit. Ctrl-C finishes the " +
    "current step, saves a checkpoint and prints the command that resumes. The folder also contains a " +
    "log line per step (log.jsonl) and the loss curve (loss.svg). With --json each step is a JSON line " +
    "on standard error, and the result is one document on standard output.",
  positionals: [],
  options: { ...trainingOptions, ...runOptions },
  examples: [
    {
      line: "jeton train lm --preset tiny --tokenizer my-tokenizer --corpus 'prose/*.txt' --steps 2000 --out runs/prose",
      shows: "a model of your own; try it with jeton run --model runs/prose/model",
    },
    {
      line: "jeton train lm --architecture hierarchical-transformer --preset tiny --corpus 'prose/*.txt' --steps 2000 --out runs/words",
      shows: "a model that reads bytes and thinks in words: no tokenizer",
    },
    {
      line: "jeton train lm --resume --out runs/prose",
      shows: "resumes the run after an interruption",
    },
    {
      line: "jeton train lm --initial-weights path/to/checkpoint --corpus notes.txt --steps 200 --learning-rate 1e-4 --out runs/notes",
      shows: "continues the training of a checkpoint on your notes",
    },
  ],
  async run(context, values) {
    const { stdout, stderr } = context;
    const { formatTrainingProgress, trainLanguageModel } = await import("../../../train/index.ts");
    const settings = await readTrainingOptions(values);
    const line = createStatusLine(context);
    const began = performance.now();
    let savedStep: number | undefined;
    const reportStopping = (): void => {
      line.clear();
      if (!values.json)
        void stderr.write("finishing the current step and saving (Ctrl-C again ends at once)\n");
    };
    context.signal.addEventListener("abort", reportStopping, { once: true });
    let result: TrainedLanguageModel;
    try {
      result = await trainLanguageModel({
        ...settings,
        signal: context.signal,
        onCheckpoint: ({ step }) => {
          savedStep = step;
        },
        onWarning: ({ message }) => {
          line.clear();
          void stderr.write(`jeton: warning: ${message}\n`);
        },
        onProgress: (progress) => {
          if (context.signal.aborted) return;
          if (!values.json) line.show(formatTrainingProgress(progress));
          // Tokenization reports too often to be useful as JSON lines.
          else if (progress.stage !== "tokenize") {
            void writeJson<TrainLanguageModelProgress>(stderr, progress);
          }
        },
      });
    } catch (error) {
      line.clear();
      if (context.signal.aborted)
        await reportInterruption(context, "lm", values.json, settings.folder, savedStep);
      throw error;
    } finally {
      context.signal.removeEventListener("abort", reportStopping);
      line.clear();
    }
    if (values.json) {
      await writeJson<TrainLanguageModelDocument>(stdout, result);
      return;
    }
    await stdout.write(`${result.modelFolder}\n`);
    await stderr.write(`${summarize(result, (performance.now() - began) / 1000)}\n`);
  },
});

function summarize(result: TrainedLanguageModel, seconds: number): string {
  const { steps, tokens, loss, heldOutLoss, heldOutBitsPerByte, parameters } = result;
  const parts = [
    `${formatCount(parameters)} parameters`,
    `${steps} steps, ${formatCount(tokens)} tokens`,
    `loss ${loss.toFixed(3)}`,
  ];
  if (heldOutLoss !== undefined) {
    const bits =
      heldOutBitsPerByte === undefined ? "" : `, ${heldOutBitsPerByte.toFixed(3)} bits per byte`;
    parts.push(`held out ${heldOutLoss.toFixed(3)}${bits}`);
  }
  return [...parts, formatDuration(seconds)].join(" · ");
}

/** `jeton train lm`: trains a decoder from a configuration and corpora, in a resumable run. */
import { type Command, defineCommand } from "../../command.ts";
import { runOptions } from "../../options/run-options.ts";
import { readTrainingOptions, trainingOptions } from "../../options/training-options.ts";
import { runTraining } from "./run-training.ts";

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
    const { trainLanguageModel } = await import("../../../train/index.ts");
    const settings = await readTrainingOptions(values);
    const { folder } = settings;
    await runTraining(
      context,
      { kind: "lm", folder, json: values.json },
      (reports) => trainLanguageModel({ ...settings, ...reports }),
      ({ modelFolder }) => modelFolder,
    );
  },
});

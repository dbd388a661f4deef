/**
 * A process that trains and may be killed: options as JSON on the command line, a line of standard
 * output for every step.
 */
import type { TrainLanguageModelOptions } from "../language-model-options.ts";
import { trainLanguageModel } from "../train-language-model.ts";

const options = JSON.parse(process.argv[2]!) as TrainLanguageModelOptions;
await trainLanguageModel({
  ...options,
  onProgress: ({ stage, step }) => process.stdout.write(`${stage} ${step}\n`),
});

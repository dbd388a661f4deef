/**
 * Trains a decoder from a configuration and corpora to a checkpoint folder, in a run that survives
 * being killed.
 */
import { objectRule, pathRule } from "../core/option-rules.ts";
import { openTokenizer } from "./data/byte-tokenizer.ts";
import type { TrainedLanguageModel, TrainLanguageModelOptions } from "./language-model-options.ts";
import { checkTrainingOptions, type OwnOptions } from "./run/check-options.ts";
import { findKeptTokenizer, keepTokenizer } from "./run/kept-tokenizer.ts";
import { findCorpora, prepareCorpora } from "./run/run-corpora.ts";
import { openRunFolder } from "./run/run-folder.ts";
import { pickChangeable, resolveSettings } from "./run/run-settings.ts";
import { runSteps } from "./run/training-loop.ts";

const ownOptions: OwnOptions<TrainLanguageModelOptions> = {
  config: true,
  tokenizer: true,
  corpora: true,
  heldOut: true,
  batch: true,
  accumulation: true,
  sequenceLength: true,
  documentMask: true,
  deletion: true,
  initialization: true,
  initialWeights: true,
  frozen: true,
  evaluationSequences: true,
  dtype: true,
};

/**
 * Trains a decoder and exports it as a checkpoint folder. Broken off at any moment, even by a kill, the
 * run goes on from its last checkpoint with `existing: "resume"`, and ends with the same weights, bit
 * for bit, as one that was never broken off (same machine, same `threads`).
 *
 * @example
 * const { modelFolder } = await trainLanguageModel({
 *   folder: "runs/prose",
 *   config: {
 *     model_type: "llama",
 *     hidden_size: 256,
 *     intermediate_size: 768,
 *     num_hidden_layers: 4,
 *     num_attention_heads: 4,
 *   },
 *   tokenizer: "tokenizer.json",
 *   corpora: [{ files: ["prose.txt.gz"] }],
 *   steps: 2000,
 *   onProgress: (progress) => console.error(formatTrainingProgress(progress)),
 * });
 *
 * @throws JetonError `train-run-busy` (another process trains there), `train-run-exists`,
 *   `train-configuration-changed`, `train-checkpoint-damaged`, `train-loss-not-finite`,
 *   `train-vocabulary-too-small`, `train-special-token-missing`, `option-invalid`, `corpus-…`, and
 *   what writing files throws (`disk-full`)
 */
export async function trainLanguageModel(
  options: TrainLanguageModelOptions,
): Promise<TrainedLanguageModel> {
  checkTrainingOptions(options, ownOptions, { config: objectRule, tokenizer: pathRule });
  const { folder, existing = "refuse" } = options;
  // A resumed run uses its own copies of the inputs, so it may be moved and the originals may be gone.
  const kept = existing === "resume" ? await findKeptTokenizer(folder) : undefined;
  const tokenizer = await openTokenizer(kept ?? options.tokenizer);
  const settings = resolveSettings(options, tokenizer);
  const changeable = pickChangeable(options);
  if (existing === "refuse") await findCorpora(options);
  const run = await openRunFolder(folder, settings, { existing, changeable });
  try {
    const tokenizerFolder = kept ?? (await keepTokenizer(folder, options.tokenizer));
    const corpora = await prepareCorpora(options, tokenizer);
    return await runSteps(run, { options, settings, tokenizer, tokenizerFolder, ...corpora });
  } finally {
    await run.close();
  }
}

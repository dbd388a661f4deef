/**
 * Trains a decoder from a configuration and corpora to a checkpoint folder, in a run that survives
 * being killed.
 */
import { join } from "node:path";
import { openTokenizer } from "./data/byte-tokenizer.ts";
import type { Corpus } from "./data/corpus.ts";
import { listCorpusFiles } from "./data/corpus-files.ts";
import { prepareTokens, type TokenStore } from "./data/token-store.ts";
import type {
  TrainedLanguageModel,
  TrainingProgress,
  TrainLanguageModelOptions,
} from "./language-model-options.ts";
import { findKeptTokenizer, keepTokenizer } from "./run/kept-tokenizer.ts";
import { openRunFolder } from "./run/run-folder.ts";
import { pickChangeable, resolveSettings } from "./run/run-settings.ts";
import { runSteps } from "./run/training-loop.ts";

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
  const { folder, existing = "refuse", signal } = options;
  // A resumed run uses its own copies of the inputs, so it may be moved and the originals may be gone.
  const kept = existing === "resume" ? await findKeptTokenizer(folder) : undefined;
  const tokenizer = await openTokenizer(kept ?? options.tokenizer);
  const settings = resolveSettings(options, tokenizer);
  const changeable = pickChangeable(options);
  if (existing === "refuse") {
    // A misspelt name is said before hours are spent on what precedes it.
    const all = options.heldOut ? [...options.corpora, options.heldOut] : options.corpora;
    for (const { files } of all) await listCorpusFiles(files);
  }
  const run = await openRunFolder(folder, settings, { existing, changeable });
  try {
    const tokenizerFolder = kept ?? (await keepTokenizer(folder, options.tokenizer));
    const stores: TokenStore[] = [];
    const prepare = (name: string, corpus: Corpus): Promise<TokenStore> =>
      prepareTokens(join(folder, "data", name), corpus, tokenizer, {
        ...(signal && { signal }),
        onProgress: (tokens) => options.onProgress?.(tokenizing(settings.steps, tokens)),
      });
    for (const [index, corpus] of options.corpora.entries()) {
      stores.push(await prepare(`corpus-${index}.tokens`, corpus));
    }
    const heldOut = options.heldOut && (await prepare("held-out.tokens", options.heldOut));
    return await runSteps(run, { options, settings, tokenizer, tokenizerFolder, stores, heldOut });
  } finally {
    await run.close();
  }
}

function tokenizing(steps: number, tokens: number): TrainingProgress {
  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  return { stage: "tokenize", step: 0, steps, tokens, ...rest };
}

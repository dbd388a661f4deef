import { toWellFormed } from "../decoders/byte-alphabet.ts";
import { createJson, textError } from "../formats/tokenizer-file.ts";
import { writeWhole } from "../formats/tokenizer-files.ts";
import { readTokenizerSettings } from "../formats/tokenizer-settings.ts";
import { readNormalizer } from "../normalizers/normalizers.ts";
import { readPreTokenizer } from "../pre-tokenizers/pre-tokenizers.ts";
import { createTokenizer } from "../tokenizer.ts";
import { throwIfAborted } from "./byte-pair-trainer.ts";
import { planScheme } from "./plan-scheme.ts";
import { trainModel } from "./train-model.ts";
import type { TrainedTokenizer, TrainTokenizerOptions } from "./training-options.ts";
import { WordCounter } from "./word-counter.ts";

/** How often the loop over the texts lets other work go on, in UTF-16 units. */
const breath = 1 << 22;

/**
 * Trains a tokenizer. Deterministic: the same texts in the same order give the same file.
 *
 * Throws `tokenizer-training-option` for an impossible option, `tokenizer-training-text` when a text
 * is not a string or all are empty, `aborted` when the signal says so.
 */
export async function trainTokenizer(options: TrainTokenizerOptions): Promise<TrainedTokenizer> {
  const scheme = planScheme(options);
  const counter = new WordCounter(
    readNormalizer(scheme.normalizer, "normalizer"),
    readPreTokenizer(scheme.preTokenizer, "pre_tokenizer", options.kind === "byte-level-bpe").steps,
  );
  let texts = 0;
  let units = 0;
  for await (const text of options.texts) {
    if (texts === 0) throwIfAborted(options.signal);
    if (typeof text !== "string") throw textError(`text ${texts} is a ${typeof text}`);
    counter.add(toWellFormed(text));
    texts++;
    units += text.length;
    if (units >= breath) {
      units = 0;
      throwIfAborted(options.signal);
      options.onProgress?.({ phase: "counting", done: texts, total: undefined });
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
  if (counter.size === 0) throw textError("the texts hold no word");
  const model = trainModel(options, scheme, counter);
  const json = createJson(scheme.specialTokens, {
    normalizer: scheme.normalizer,
    pre_tokenizer: scheme.preTokenizer,
    post_processor: scheme.postProcessor,
    decoder: scheme.decoder,
    model,
  });
  const { config } = scheme;
  let words = 0;
  for (let i = 0; i < counter.size; i++) words += counter.counts[i]!;
  return {
    json,
    config,
    tokenizer: createTokenizer(json, readTokenizerSettings({ config })),
    texts,
    distinctWords: counter.size,
    words,
  };
}

/**
 * Writes `tokenizer.json` and `tokenizer_config.json` into a folder, each whole or not at all
 * (temporary file, fsync, rename). The folder is created where needed.
 */
export async function saveTokenizer(
  folder: string,
  trained: Pick<TrainedTokenizer, "json" | "config">,
): Promise<void> {
  const { join } = await import("node:path");
  const files = { "tokenizer_config.json": trained.config, "tokenizer.json": trained.json };
  for (const [name, content] of Object.entries(files)) {
    await writeWhole(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

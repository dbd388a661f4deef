/** The corpora of a run: their names looked up before it begins, their tokens in its folder. */
import { join } from "node:path";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { Corpus } from "../data/corpus.ts";
import { listCorpusFiles } from "../data/corpus-files.ts";
import { prepareTokens, type TokenStore } from "../data/token-store.ts";
import type { TrainLanguageModelOptions } from "../language-model-options.ts";

/** Tokens of a run's corpora, in their order. */
export interface RunCorpora {
  readonly stores: readonly TokenStore[];
  readonly heldOut: TokenStore | undefined;
}

/** Finds the files of all corpora, so that a misspelt name is said before hours are spent. @throws JetonError `corpus-…` */
export async function findCorpora({
  corpora,
  heldOut,
}: Pick<TrainLanguageModelOptions, "corpora" | "heldOut">): Promise<void> {
  for (const { files } of heldOut ? [...corpora, heldOut] : corpora) await listCorpusFiles(files);
}

/** Writes the tokens of all corpora into the folder of the run, or reads those that are there. */
export async function prepareCorpora(
  options: Pick<
    TrainLanguageModelOptions,
    "folder" | "corpora" | "heldOut" | "steps" | "onProgress" | "signal"
  >,
  tokenizer: Tokenizer,
): Promise<RunCorpora> {
  const { folder, steps, signal } = options;
  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  const prepare = (name: string, corpus: Corpus): Promise<TokenStore> =>
    prepareTokens(join(folder, "data", name), corpus, tokenizer, {
      ...(signal && { signal }),
      onProgress: (tokens) =>
        options.onProgress?.({ stage: "tokenize", step: 0, steps, tokens, ...rest }),
    });
  const stores: TokenStore[] = [];
  for (const [index, corpus] of options.corpora.entries()) {
    stores.push(await prepare(`corpus-${index}.tokens`, corpus));
  }
  const heldOut = options.heldOut && (await prepare("held-out.tokens", options.heldOut));
  return { stores, heldOut };
}

/** The configuration of a model to train, and whether it fits its tokenizer. */
import type { ModelConfig } from "../../checkpoint/index.ts";
import { JetonError, type WarningHandler, warn } from "../../core/index.ts";
import { isEncoderConfig, isSeq2SeqConfig } from "../../model/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { openArchitecture } from "../architectures.ts";
import { documentTokens } from "../data/token-store.ts";
import { landmarkRowCount } from "../graph/landmark-rows.ts";

/** Options of `resolveModelConfig`. */
export interface ResolveModelOptions {
  /** Tokens of a training sequence. */
  readonly sequenceLength?: number;
  readonly onWarning?: WarningHandler | undefined;
}

/**
 * Completes `config.json` by the tokenizer's facts: `vocab_size`, `bos_token_id` and `eos_token_id`
 * are the tokenizer's unless they are given; `null` stands for none. The decoder of an encoder-decoder begins with
 * `decoder_start_token_id`, the padding id unless it is given. A model with landmark attention
 * (`mem_freq`) gets `mem_id`, the id behind the tokenizer's unless it knows `<landmark>`, and
 * `train_context_length`, the rows of a training window.
 *
 * Warns of rows of the embedding that no token reaches (`train-rows-unused`), of BOS or EOS other than
 * the tokens that separate documents in training (`train-special-token-unused`), and of a tokenizer
 * that has no such token (`train-documents-unseparated`).
 *
 * @throws JetonError `train-vocabulary-too-small` if a token has no row, `train-special-token-missing`
 *   for a BOS or EOS that is no token
 */
export function resolveModelConfig(
  given: ModelConfig,
  tokenizer: Tokenizer,
  { sequenceLength, onWarning }: ResolveModelOptions = {},
): ModelConfig {
  const { start, end = start } = documentTokens(tokenizer);
  const isSeq2Seq = isSeq2SeqConfig(given);
  const landmarks = landmarkKeys(given, tokenizer, sequenceLength);
  const config = {
    vocab_size: tokenizer.vocabSize,
    ...(isEncoderConfig(given) &&
      tokenizer.padTokenId !== undefined && { pad_token_id: tokenizer.padTokenId }),
    // What the decoder reads first is no token of a document.
    ...(isSeq2Seq && { decoder_start_token_id: tokenizer.padTokenId ?? 0 }),
    ...(start !== undefined && !isSeq2Seq && { bos_token_id: start }),
    ...(end !== undefined && { eos_token_id: end }),
    ...given,
    ...landmarks,
    // An id that was given must have a row already.
    ...(landmarks &&
      typeof given["mem_id"] !== "number" && {
        vocab_size: rowsWith(landmarks.mem_id, given, tokenizer),
      }),
  } as ModelConfig;
  const { vocabSize, checkTokenizer } = openArchitecture(config);
  checkTokenizer(tokenizer);
  checkVocabulary(vocabSize, tokenizer, onWarning, landmarks?.mem_id);
  if (start === undefined) {
    warn(
      new JetonError(
        "the tokenizer has neither BOS nor EOS: nothing separates documents, and the model cannot " +
          "learn to end a text",
        { code: "train-documents-unseparated", details: { expected: "BOS or EOS" } },
      ),
      onWarning,
    );
  }
  checkSpecialToken("bos_token_id", config, { vocabSize, tokenizer, used: start, onWarning });
  checkSpecialToken("eos_token_id", config, { vocabSize, tokenizer, used: end, onWarning });
  return config;
}

/** Keys of landmark attention that follow from the tokenizer and the training; undefined without `mem_freq`. */
function landmarkKeys(
  { mem_freq: block, mem_id: id }: ModelConfig,
  tokenizer: Tokenizer,
  sequenceLength: number | undefined,
): { mem_id: number; train_context_length?: number } | undefined {
  if (block === undefined || block === null) return undefined;
  const isBlock = typeof block === "number" && Number.isSafeInteger(block) && block > 0;
  const own = typeof id === "number" ? id : tokenizer.tokenToId(landmarkToken);
  return {
    mem_id: own ?? tokenizer.vocabSize,
    ...(isBlock &&
      sequenceLength !== undefined && {
        train_context_length: landmarkRowCount({ block }, sequenceLength),
      }),
  };
}

/** Rows of the embedding with one for the landmark, which a checkpoint that learns landmarks lacks. */
function rowsWith(id: number, { vocab_size: given }: ModelConfig, tokenizer: Tokenizer): unknown {
  if (given !== undefined && typeof given !== "number") return given;
  return Math.max(given ?? tokenizer.vocabSize, id + 1);
}

/** How tokenizers spell the landmark, where they know it. */
const landmarkToken = "<landmark>";

/**
 * Whether each token has a row, and each row a token.
 *
 * @param inserted an id without a token that is inserted, not read
 * @throws JetonError `train-vocabulary-too-small`
 */
export function checkVocabulary(
  vocabSize: number,
  tokenizer: Tokenizer,
  onWarning: WarningHandler | undefined,
  inserted?: number,
): void {
  if (vocabSize < tokenizer.vocabSize) {
    throw new JetonError(
      `vocab_size is ${vocabSize}, the tokenizer has ${tokenizer.vocabSize} tokens`,
      {
        code: "train-vocabulary-too-small",
        details: { found: vocabSize, expected: tokenizer.vocabSize },
      },
    );
  }
  const unused: number[] = [];
  for (let id = 0; id < vocabSize; id++) {
    if (id !== inserted && tokenizer.idToToken(id) === undefined) unused.push(id);
  }
  if (unused.length === 0) return;
  warn(
    new JetonError(
      `${unused.length} of ${vocabSize} embedding rows belong to no token of the tokenizer ` +
        `(the first is ${unused[0]}); they stay as they begin`,
      {
        code: "train-rows-unused",
        details: { found: vocabSize, expected: tokenizer.vocabSize, rows: unused.length },
      },
    ),
    onWarning,
  );
}

function checkSpecialToken(
  field: "bos_token_id" | "eos_token_id",
  config: ModelConfig,
  facts: {
    readonly vocabSize: number;
    readonly tokenizer: Tokenizer;
    readonly used: number | undefined;
    readonly onWarning: WarningHandler | undefined;
  },
): void {
  const { tokenizer, used, onWarning } = facts;
  const found = config[field] as unknown;
  if (found === undefined || found === null) return;
  const ids = (Array.isArray(found) ? found : [found]) as unknown[];
  for (const id of ids) {
    if (Number.isSafeInteger(id) && tokenizer.idToToken(id as number) !== undefined) continue;
    throw new JetonError(
      `${field} is ${JSON.stringify(id)}, expected the id of a token of the tokenizer`,
      {
        code: "train-special-token-missing",
        details: { field, found: id, expected: used ?? "the id of a token" },
      },
    );
  }
  if (used === undefined || ids.includes(used)) return;
  warn(
    new JetonError(
      `${field} is ${ids.join(", ")}, but training separates documents with the tokenizer's ` +
        `${used} (${tokenizer.idToToken(used)}): the model does not learn what ${ids[0]} stands for`,
      { code: "train-special-token-unused", details: { field, found, expected: used } },
    ),
    onWarning,
  );
}

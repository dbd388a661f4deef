/**
 * The ids that begin and end texts, where `config.json`, `generation_config.json` and the tokenizer's
 * files may each name their own.
 */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { type DecoderConfig, tokenIds } from "./config.ts";

/** What a checkpoint says about special ids. */
export interface SpecialIdSources {
  readonly config: Pick<DecoderConfig, "bosTokenId" | "eosTokenIds" | "vocabSize">;
  readonly generationConfig: Checkpoint["generationConfig"];
  readonly tokenizer: Pick<
    Tokenizer,
    "settings" | "tokenToId" | "bosTokenId" | "eosTokenId" | "vocabSize"
  >;
}

/**
 * All ids that end a text: of the config, the generation config and the tokenizer together, because
 * chat models end turns with another token than their base model ends texts. The end token that a
 * tokenizer has by convention counts only where no file states one.
 */
export function endIds(sources: SpecialIdSources): number[] {
  const { tokenizer } = sources;
  const stated = statedEndId(tokenizer);
  const ids = new Set(configuredEndIds(sources));
  if (stated !== undefined) ids.add(stated);
  if (ids.size === 0 && tokenizer.eosTokenId !== undefined) ids.add(tokenizer.eosTokenId);
  return [...ids];
}

/** The end token that the tokenizer's files state, not the one that it has by convention. */
function statedEndId(tokenizer: Pick<Tokenizer, "settings" | "tokenToId">): number | undefined {
  const { eosToken } = tokenizer.settings;
  return eosToken === undefined ? undefined : tokenizer.tokenToId(eosToken);
}

/** End tokens of the two configs. */
function configuredEndIds({
  config,
  generationConfig,
}: Pick<SpecialIdSources, "config" | "generationConfig">): number[] {
  return [...config.eosTokenIds, ...tokenIds(generationConfig?.["eos_token_id"])];
}

/** The id that begins an empty prompt: the generation config's before the config's, as in transformers. */
export function beginId({
  config,
  generationConfig,
  tokenizer,
}: SpecialIdSources): number | undefined {
  const [generation] = tokenIds(generationConfig?.["bos_token_id"]);
  return generation ?? config.bosTokenId ?? tokenizer.bosTokenId;
}

/**
 * Where files of a checkpoint disagree, and what is done: warnings with the codes `model-eos-disagrees`,
 * `model-bos-disagrees` and `model-vocabulary-disagrees`.
 */
export function disagreements(sources: SpecialIdSources): JetonError[] {
  const { config, tokenizer } = sources;
  const found: JetonError[] = [];
  const say = (code: string, message: string, details: Record<string, unknown>): void => {
    found.push(new JetonError(message, { code, details }));
  };
  const eos = statedEndId(tokenizer);
  const configured = configuredEndIds(sources);
  if (eos !== undefined && configured.length > 0 && !configured.includes(eos)) {
    say(
      "model-eos-disagrees",
      `tokenizer_config.json ends texts with ${tokenizer.settings.eosToken} (${eos}), the configs with ${configured.join(", ")}; each of them ends a text`,
      { tokenizer: eos, configs: configured },
    );
  }
  const bos = beginId(sources);
  if (bos !== undefined && tokenizer.bosTokenId !== undefined && bos !== tokenizer.bosTokenId) {
    say(
      "model-bos-disagrees",
      `the tokenizer begins texts with ${tokenizer.bosTokenId}, the configs with ${bos}; prompts get the tokenizer's, empty ones the configs'`,
      { tokenizer: tokenizer.bosTokenId, configs: bos },
    );
  }
  if (tokenizer.vocabSize > config.vocabSize) {
    say(
      "model-vocabulary-disagrees",
      `the tokenizer has ${tokenizer.vocabSize} tokens, config.json's vocab_size is ${config.vocabSize}; prompts with ids from ${config.vocabSize} on are refused`,
      { tokenizer: tokenizer.vocabSize, config: config.vocabSize },
    );
  }
  return found;
}

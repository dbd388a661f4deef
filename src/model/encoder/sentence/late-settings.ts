/** Reads how a PyLate folder prepares queries and documents. */
import type { JsonObject } from "../../../checkpoint/index.ts";
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { LateInteraction } from "./late-interaction.ts";

/**
 * Settings of `config_sentence_transformers.json`.
 *
 * @param type class of the projection: PyLate takes a word outside of the vocabulary for the unknown
 *   token, sentence-transformers drops it
 */
export function readLateInteraction(
  settings: JsonObject,
  tokenizer: Tokenizer,
  type: string,
): LateInteraction {
  const length = (key: string): number => {
    const value = settings[key];
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 2) return value;
    throw new JetonError(
      `config_sentence_transformers.json: ${key} is ${JSON.stringify(value)}, expected a number of tokens above 2`,
      { code: "encoder-module-invalid", details: { key, value } },
    );
  };
  const expands = settings["do_query_expansion"] !== false;
  return {
    queryMarker: markerId(tokenizer, settings["query_prefix"]),
    documentMarker: markerId(tokenizer, settings["document_prefix"]),
    queryLength: length("query_length"),
    documentLength: length("document_length"),
    expansionId: expands ? expansionId(tokenizer) : undefined,
    attendToExpansion: settings["attend_to_expansion_tokens"] === true,
    skippedIds: skippedIds(tokenizer, settings["skiplist_words"], type.startsWith("pylate.")),
    lowerCase: false,
  };
}

/** The id of a marker such as `"[Q] "`, with or without its space. */
function markerId(tokenizer: Tokenizer, prefix: unknown): number | undefined {
  if (typeof prefix !== "string" || prefix === "") return undefined;
  const id = tokenizer.tokenToId(prefix) ?? tokenizer.tokenToId(prefix.trim());
  if (id !== undefined) return id;
  throw new JetonError(`the tokenizer has no token ${JSON.stringify(prefix)}`, {
    code: "encoder-module-invalid",
    details: { key: "query_prefix or document_prefix", value: prefix },
  });
}

/** Queries are filled up with the mask token. */
function expansionId(tokenizer: Tokenizer): number | undefined {
  const { maskToken } = tokenizer.settings;
  return maskToken === undefined ? tokenizer.padTokenId : tokenizer.tokenToId(maskToken);
}

function skippedIds(tokenizer: Tokenizer, words: unknown, unknownCounts: boolean): Set<number> {
  const ids = new Set<number>();
  for (const word of Array.isArray(words) ? words : []) {
    const id = tokenizer.tokenToId(String(word));
    if (id !== undefined) ids.add(id);
    else if (unknownCounts && tokenizer.unkTokenId !== undefined) ids.add(tokenizer.unkTokenId);
  }
  return ids;
}

/** Tokens of a query that XTR's search engine reads. */
const xtrQueryLength = 32;

/** XTR's way (Lee et al., 2023): lower case, no markers, nothing filled up, and every token counts. */
export function xtrLateInteraction(documentLength: number): LateInteraction {
  return {
    queryMarker: undefined,
    documentMarker: undefined,
    queryLength: Math.min(xtrQueryLength, documentLength),
    documentLength,
    expansionId: undefined,
    attendToExpansion: false,
    skippedIds: new Set(),
    lowerCase: true,
  };
}

/** Reads how a folder's late-interaction model prepares queries and documents. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json.ts";
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { LateInteraction } from "./late-interaction.ts";

/** What a folder says, file by file. */
export interface LateSources {
  /** `config_sentence_transformers.json` */
  readonly settings: JsonObject;
  /** `sentence_bert_config.json` */
  readonly own: JsonObject;
  /** The file of a `MultiVectorMask`; undefined where there is no such module. */
  readonly mask: JsonObject | undefined;
  readonly prompts: Readonly<Record<string, string>>;
  readonly tokenizer: Tokenizer;
  /** Most tokens that the model reads. */
  readonly longest: number;
}

/** Lengths that PyLate assumes. */
const pylateLengths = { query_length: 32, document_length: 180 } as const;

/** `string.punctuation` of Python. */
const punctuation: readonly string[] = [..."!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"];

const plain = {
  queryPrompt: "",
  documentPrompt: "",
  skipsIn: ["document"],
  lowerCase: false,
} as const;

/**
 * Settings of PyLate, all of them in `config_sentence_transformers.json`.
 *
 * @param type class of the projection: PyLate takes a word outside of the vocabulary for the unknown
 *   token, sentence-transformers drops it
 */
export function readLateInteraction(
  { settings, tokenizer }: LateSources,
  type: string,
): LateInteraction {
  const length = (key: keyof typeof pylateLengths): number =>
    lengthOf(settings, key, pylateLengths[key]);
  const expands = settings["do_query_expansion"] !== false;
  const words = settings["skiplist_words"] ?? punctuation;
  return {
    ...plain,
    queryMarker: markerId(tokenizer, settings["query_prefix"]),
    documentMarker: markerId(tokenizer, settings["document_prefix"]),
    queryLength: length("query_length"),
    documentLength: length("document_length"),
    expansionId: expands ? expansionId(tokenizer) : undefined,
    expansionLength: length("query_length"),
    attendToExpansion: settings["attend_to_expansion_tokens"] === true,
    skippedIds: skippedIds(tokenizer, words, type.startsWith("pylate.")),
  };
}

/** Settings of sentence-transformers' own multi-vector models: markers are prompts, written before the text. */
export function readMultiVector(sources: LateSources): LateInteraction {
  const { own, mask = {}, prompts, tokenizer, longest } = sources;
  const expansion = isJsonObject(own["query_expansion"]) ? own["query_expansion"] : undefined;
  const strategy = expansion?.["strategy"] ?? "fixed";
  if (expansion && strategy !== "fixed" && strategy !== "min") {
    throw invalid("query_expansion.strategy", strategy, "fixed or min");
  }
  const expansionLength = expansion ? lengthOf(expansion, "length", longest) : longest;
  const stated = lengthOf(own, "query_length", longest);
  const token = expansion?.["token"];
  const tasks = mask["skiplist_tasks"];
  const document = ["document", "passage", "corpus"].find((name) => Object.hasOwn(prompts, name));
  return {
    ...plain,
    queryMarker: undefined,
    documentMarker: undefined,
    queryPrompt: prompts["query"] ?? "",
    documentPrompt: document === undefined ? "" : prompts[document]!,
    queryLength:
      expansion && strategy === "fixed"
        ? expansionLength
        : Math.max(stated, expansion ? expansionLength : 0),
    documentLength: lengthOf(own, "document_length", longest),
    expansionId:
      expansion === undefined
        ? undefined
        : typeof token === "string"
          ? tokenizer.tokenToId(token)
          : expansionId(tokenizer),
    expansionLength,
    attendToExpansion: expansion?.["attend"] === true,
    skippedIds: skippedIds(tokenizer, mask["skiplist_words"], false),
    ...(tasks !== undefined && tasks !== null && { skipsIn: skippingRoles(tasks) }),
    keptIds: keptIds(mask["keep_only_token_ids"]),
  };
}

/**
 * Settings of the first ColBERT's checkpoints, whose projection lies beside the encoder.
 *
 * @param metadata `artifact.metadata`; empty where there is none
 */
export function stanfordLateInteraction(
  { tokenizer, longest }: LateSources,
  metadata: JsonObject,
): LateInteraction {
  const marker = (key: string, otherwise: string): number | undefined =>
    markerId(tokenizer, metadata[key] ?? otherwise);
  const queryLength = lengthOf(metadata, "query_maxlen", 32);
  const words = metadata["mask_punctuation"] === true ? punctuation : [];
  return {
    ...plain,
    queryMarker: marker("query_token_id", "[unused0]"),
    documentMarker: marker("doc_token_id", "[unused1]"),
    queryLength,
    documentLength: Math.min(longest, lengthOf(metadata, "doc_maxlen", longest)),
    expansionId: expansionId(tokenizer),
    expansionLength: queryLength,
    attendToExpansion: metadata["attend_to_mask_tokens"] === true,
    skippedIds: skippedIds(tokenizer, [...words], false),
  };
}

/** `skiplist_tasks`: one name, or several. */
function skippingRoles(tasks: JsonValue): ("query" | "document")[] {
  const named = Array.isArray(tasks) ? tasks : [tasks];
  return (["query", "document"] as const).filter((role) => named.includes(role));
}

/** `keep_only_token_ids`; an empty list keeps all, as none does. */
function keptIds(value: JsonValue | undefined): Set<number> | undefined {
  if (value === undefined || value === null) return undefined;
  const isList = Array.isArray(value) && value.every((id) => Number.isSafeInteger(id));
  if (!isList) throw invalid("keep_only_token_ids", value, "a list of ids");
  return value.length === 0 ? undefined : new Set(value as number[]);
}

function lengthOf(file: JsonObject, key: string, otherwise: number): number {
  const value = file[key];
  if (value === undefined || value === null) return otherwise;
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 2) return value;
  throw invalid(key, value, "a number of tokens above 2");
}

function invalid(key: string, value: JsonValue | undefined, expected: string): JetonError {
  return new JetonError(
    `late interaction: ${key} is ${JSON.stringify(value)}, expected ${expected}`,
    { code: "encoder-module-invalid", details: { key, value, expected } },
  );
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

/** Queries are filled up with the mask token, or with what ends a text where there is none. */
function expansionId(tokenizer: Tokenizer): number | undefined {
  const { maskToken } = tokenizer.settings;
  return maskToken === undefined
    ? (tokenizer.eosTokenId ?? tokenizer.padTokenId)
    : tokenizer.tokenToId(maskToken);
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
  const queryLength = Math.min(xtrQueryLength, documentLength);
  return {
    ...plain,
    queryMarker: undefined,
    documentMarker: undefined,
    queryLength,
    documentLength,
    expansionId: undefined,
    expansionLength: queryLength,
    attendToExpansion: false,
    skippedIds: new Set(),
    lowerCase: true,
  };
}

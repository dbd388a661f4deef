/**
 * Reads the files beside `tokenizer.json`: `tokenizer_config.json`, `special_tokens_map.json` and
 * `chat_template.jinja`.
 */
import { type AddedToken, readAddedToken } from "../added-tokens.ts";
import { maxId } from "../models/vocabulary.ts";
import {
  asArray,
  asInteger,
  asObject,
  asString,
  invalidField,
  type JsonObject,
  readField,
  readString,
} from "./json-reader.ts";

/** Names, switches and chat templates from the files beside a tokenizer. */
export interface TokenizerSettings {
  readonly bosToken?: string | undefined;
  readonly eosToken?: string | undefined;
  readonly padToken?: string | undefined;
  readonly unkToken?: string | undefined;
  /** The token that stands for one to be predicted, or fills up the queries of a retrieval model. */
  readonly maskToken?: string | undefined;
  /** Forces the beginning (end) token into the template or out of it. */
  readonly addBosToken?: boolean | undefined;
  readonly addEosToken?: boolean | undefined;
  /** Chat templates (Jinja source) by name; the usual one is called `default`. */
  readonly chatTemplates?: ReadonlyMap<string, string> | undefined;
  /** Added tokens, for formats whose own file does not list them. */
  readonly addedTokens?: readonly AddedToken[] | undefined;
  /** Longest text in tokens that the model was made for, where the file says so. */
  readonly modelMaxLength?: number | undefined;
  /** What the model reads of an encoding (`input_ids`, `token_type_ids`, …), where the file says so. */
  readonly modelInputNames?: readonly string[] | undefined;
}

/** Parsed or raw contents of the files, each absent when the file is. */
export interface SettingsFiles {
  /** Parsed `tokenizer_config.json`. */
  config?: unknown;
  /** Parsed `special_tokens_map.json`. */
  specialTokensMap?: unknown;
  /** Text of `chat_template.jinja`; it replaces the configuration's default template. */
  chatTemplate?: string;
}

/** Reads the settings. Throws a JetonError that names a field of the wrong type. */
export function readTokenizerSettings(files: SettingsFiles): TokenizerSettings {
  const config = files.config === undefined ? {} : asObject(files.config, "tokenizer_config");
  const map =
    files.specialTokensMap === undefined
      ? {}
      : asObject(files.specialTokensMap, "special_tokens_map");
  const token = (key: string): string | undefined =>
    readNamedToken(config, key, "tokenizer_config") ??
    readNamedToken(map, key, "special_tokens_map");
  const chatTemplates = readChatTemplates(readField(config, "chat_template"));
  if (files.chatTemplate !== undefined) chatTemplates.set("default", files.chatTemplate);
  const addedTokens = readAddedTokenTable(readField(config, "added_tokens_decoder"));
  const longest = readField(config, "model_max_length");
  return {
    bosToken: token("bos_token"),
    eosToken: token("eos_token"),
    padToken: token("pad_token"),
    unkToken: token("unk_token"),
    maskToken: token("mask_token"),
    addBosToken: readSwitch(config, "add_bos_token"),
    addEosToken: readSwitch(config, "add_eos_token"),
    chatTemplates,
    addedTokens,
    // An absurdly large number stands for "no limit" in these files.
    modelMaxLength:
      typeof longest === "number" && longest > 0 && longest < 1e9 ? longest : undefined,
    modelInputNames: readNames(config, "model_input_names"),
  };
}

/** A token named by a string or by an object with its content. */
function readNamedToken(object: JsonObject, key: string, path: string): string | undefined {
  const value = readField(object, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  return readString(asObject(value, `${path}.${key}`), "content", `${path}.${key}`);
}

function readNames(object: JsonObject, key: string): readonly string[] | undefined {
  const value = readField(object, key);
  if (value === undefined || value === null) return undefined;
  const path = `tokenizer_config.${key}`;
  return asArray(value, path).map((name, index) => asString(name, `${path}[${index}]`));
}

function readSwitch(object: JsonObject, key: string): boolean | undefined {
  const value = readField(object, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") {
    throw invalidField(`tokenizer_config.${key}`, value, "true, false or null");
  }
  return value;
}

/** Added tokens by id. */
function readAddedTokenTable(value: unknown): AddedToken[] {
  if (value === undefined || value === null) return [];
  const path = "tokenizer_config.added_tokens_decoder";
  return Object.entries(asObject(value, path)).map(([key, item]) => {
    const at = `${path}[${JSON.stringify(key)}]`;
    const id = asInteger(/^\d+$/.test(key) ? Number(key) : key, at, 0, maxId);
    const object = asObject(item, at);
    return readAddedToken(object, readString(object, "content", at), id, at);
  });
}

/** One template, or a list of named ones. */
function readChatTemplates(value: unknown): Map<string, string> {
  const templates = new Map<string, string>();
  const path = "tokenizer_config.chat_template";
  if (value === undefined || value === null) return templates;
  if (typeof value === "string") return templates.set("default", value);
  for (const [index, item] of asArray(value, path).entries()) {
    const at = `${path}[${index}]`;
    const entry = asObject(item, at);
    const name = readString(entry, "name", at);
    templates.set(name, asString(readField(entry, "template"), `${at}.template`));
  }
  return templates;
}

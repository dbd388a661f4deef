/** To how many tokens a sentence encoder's texts are cut, and what else its folder says of calling the tokenizer. */
import { isJsonObject, type JsonObject, type JsonValue } from "../../../checkpoint/json.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { EncoderConfig } from "../config.ts";
import { type FolderFiles, moduleError, objectOf, pathOf } from "./folder-files.ts";

/** Most tokens of a text. @throws JetonError `encoder-module-invalid` */
export function maxLength(
  own: JsonObject,
  config: EncoderConfig,
  { tokenizer, uncounted }: { readonly tokenizer: Tokenizer; readonly uncounted: number },
): number {
  const [key, given] = statedLength(own);
  const limit = Math.min(
    config.contextLength,
    tokenizer.settings.modelMaxLength ?? config.contextLength,
  );
  const length = lengthOf(key, given);
  return length === undefined ? limit : Math.min(length + uncounted, config.contextLength);
}

/**
 * The key that says to how many tokens texts are cut, and its value: what the tokenizer is called with goes before what it
 * is made with, and that before `max_seq_length`.
 *
 * Source: sentence-transformers 6.0, `Transformer.__init__` and `Transformer.preprocess`.
 *
 * @throws JetonError `encoder-module-invalid` where the tokenizer is called in a way that is not read here
 */
function statedLength(own: JsonObject): readonly [key: string, value: JsonValue | undefined] {
  const called = inside(inside(own, "processing_kwargs"), "text");
  const refused = ["add_special_tokens", "truncation"].find((key) => called[key] === false);
  if (refused !== undefined) {
    throw moduleError(settingsFile, `processing_kwargs.text.${refused}`, false, "true");
  }
  const made = ["processor_kwargs", "tokenizer_args"].map(
    (name) => [`${name}.model_max_length`, inside(own, name)["model_max_length"]] as const,
  );
  const stated = [["processing_kwargs.text.max_length", called["max_length"]] as const, ...made];
  const first = stated.find(([, value]) => value !== undefined && value !== null);
  return first ?? ["max_seq_length", own["max_seq_length"]];
}

/** `query_length` and `document_length`. @throws JetonError `encoder-module-invalid` */
export function roleLengths(
  own: JsonObject,
  { contextLength }: EncoderConfig,
): { query?: number; document?: number } {
  const lengths: { query?: number; document?: number } = {};
  for (const role of ["query", "document"] as const) {
    const length = lengthOf(`${role}_length`, own[`${role}_length`]);
    if (length !== undefined) lengths[role] = Math.min(length, contextLength);
  }
  return lengths;
}

const settingsFile = "sentence_bert_config.json";

/**
 * Checks what a transformer's settings say of the checkpoint and of texts besides their length.
 *
 * Source: sentence-transformers 6.0, `Transformer._load_init_kwargs` and `Transformer.preprocess`.
 *
 * @param config the checkpoint's `config.json`
 * @throws JetonError `encoder-module-invalid` where they change a key of the checkpoint's, or put texts into a chat template
 */
export function checkTransformerSettings(own: JsonObject, config: JsonObject): void {
  for (const name of ["config_kwargs", "config_args"]) {
    for (const [key, value] of Object.entries(inside(own, name))) {
      if (key === "trust_remote_code") continue;
      if (JSON.stringify(config[key]) === JSON.stringify(value)) continue;
      const expected = `what config.json says, ${JSON.stringify(config[key]) ?? "nothing"}`;
      throw moduleError(settingsFile, `${name}.${key}`, value, expected);
    }
  }
  const modalities = own["modality_config"];
  if (!isJsonObject(modalities)) return;
  const names = Object.keys(modalities);
  // Where a message may stand, every text is made one.
  if (names.includes("text") && !names.includes("message")) return;
  throw moduleError(
    settingsFile,
    "modality_config",
    names,
    "text, and no message: texts as they are",
  );
}

/** A number of tokens; undefined where the file says none. @throws JetonError `encoder-module-invalid` */
function lengthOf(key: string, value: JsonValue | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw moduleError(settingsFile, key, value, "a positive number");
}

function inside(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

/** Names of the settings beside a transformer, also those of old versions. */
const settingsNames: readonly string[] = [
  "bert",
  "roberta",
  "distilbert",
  "camembert",
  "albert",
  "xlm-roberta",
  "xlnet",
].map((kind) => `sentence_${kind}_config.json`);

/** What the file beside a transformer says. @throws JetonError `encoder-module-invalid` */
export async function transformerSettings(files: FolderFiles, folder: string): Promise<JsonObject> {
  for (const name of settingsNames) {
    const path = pathOf(folder, name);
    const value = await files.json(path);
    if (value !== undefined) return objectOf(value, path);
  }
  return {};
}

/**
 * Finds and reads the files of a tokenizer on disk (Node only; elsewhere give `createTokenizer` the
 * parsed file).
 */
import { JetonError } from "../../core/error.ts";
import { assembleTokenizer, createTokenizer } from "../tokenizer.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";
import { bertJson } from "./bert-vocabulary.ts";
import { byT5Json, isByT5Config } from "./byt5-tokenizer.ts";
import {
  addedTokensName,
  type BytePairFiles,
  bytePairJson,
  bytePairVocabularyName,
  mergesName,
} from "./byte-pair-vocabulary.ts";
import { describeValue } from "./json-reader.ts";
import { applySentencePieceClass } from "./sentencepiece-classes.ts";
import { readSentencePieceModel } from "./sentencepiece-model.ts";
import { readTiktokenRanks, type TiktokenEncoding, tiktokenEncodings } from "./tiktoken-ranks.ts";
import { classNameOf, tokenizerClassOf } from "./tokenizer-class.ts";
import { notFound, recognizeVocabulary, vocabularyFileNames } from "./tokenizer-files.ts";
import type { TokenizerParts } from "./tokenizer-json.ts";
import {
  readTokenizerSettings,
  type SettingsFiles,
  type TokenizerSettings,
} from "./tokenizer-settings.ts";

/** Larger files are refused: no published tokenizer comes near. */
const maxFile = 512 * 1024 * 1024;

/** How to read files that do not say everything themselves. */
export interface LoadTokenizerOptions {
  /** Split pattern and special tokens of a tiktoken rank file whose name is not a published encoding. */
  encoding?: TiktokenEncoding;
}

/**
 * Loads a tokenizer from a checkpoint folder or from a file: `tokenizer.json`, a SentencePiece model
 * or a tiktoken rank file, told apart by their content, BERT's `vocab.txt`, or GPT-2's `vocab.json` with its `merges.txt`
 * (also RoBERTa's; `added_tokens.json` is read beside them).
 *
 * A folder whose `tokenizer_config.json`, or else `config.json`, names ByT5's tokenizer needs no such file. In a folder
 * `tokenizer.json` goes first. `tokenizer_config.json`, `special_tokens_map.json` and
 * `chat_template.jinja` beside the file are read when present. Of T5's classes the end token and the extra ids are added
 * to a SentencePiece model; classes that change its ids or texts (XLM-R's, ALBERT's) are refused without `tokenizer.json`.
 *
 * Throws `tokenizer-class-unsupported` for those, `tokenizer-not-found` when there is nothing to read, `tokenizer-not-json` when a file is
 * not JSON, `tiktoken-encoding-unknown` when a rank file needs `encoding`, and the errors of the
 * readers.
 */
export async function loadTokenizer(
  path: string,
  options: LoadTokenizerOptions = {},
): Promise<Tokenizer> {
  const { readdir, stat } = await import("node:fs/promises");
  const { basename, dirname, join } = await import("node:path");
  const status = await stat(path).catch((cause: unknown) => {
    throw notFound(path, "a folder or a tokenizer file", cause);
  });
  let folder = dirname(path);
  let file: string | undefined = path;
  if (status.isDirectory()) {
    folder = path;
    const names = await readdir(path);
    const name =
      vocabularyFileNames.find((candidate) => names.includes(candidate)) ??
      names.sort().find((candidate) => candidate.endsWith(".tiktoken"));
    if (name === undefined) {
      const files = await readSettingsFiles(folder);
      if (isByT5Config(await readClassFile(folder, files.config))) {
        return createTokenizer(byT5Json(files.config), readTokenizerSettings(files));
      }
      throw notFound(path, `one of ${vocabularyFileNames.join(", ")} in the folder`);
    }
    file = join(path, name);
  }
  const bytes = await readBytes(file);
  if (bytes === undefined) throw notFound(file, "a tokenizer file");
  const files = await readSettingsFiles(folder);
  const settings = readTokenizerSettings(files);
  switch (recognizeVocabulary(bytes, basename(file))) {
    case "bert": {
      const read = {
        tokenizerConfig: files.config,
        specialTokensMap: files.specialTokensMap,
        modelConfig: await readJson(join(folder, "config.json")),
      };
      return createTokenizer(bertJson(new TextDecoder().decode(bytes), read, file), settings);
    }
    case "byte-pairs": {
      const vocabulary = parseJson(new TextDecoder().decode(bytes), file);
      const read = { ...(await readBytePairFiles(folder, files)), vocabulary };
      const { json, settings: own } = bytePairJson(read, settings, file);
      return createTokenizer(json, own);
    }
    case "json":
      return createTokenizer(parseJson(new TextDecoder().decode(bytes), file), settings);
    case "sentencepiece": {
      const parts = addTokens(readSentencePieceModel(bytes), settings);
      const { config = {} } = files;
      const named = {
        className: tokenizerClassOf(config, await readJson(join(folder, "config.json"))),
        extraIds: Reflect.get(config as object, "extra_ids"),
      };
      return assembleTokenizer(applySentencePieceClass(parts, named, file), settings);
    }
    case "tiktoken": {
      const name = basename(file).replace(/\.tiktoken$/, "");
      const encoding = options.encoding ?? tiktokenEncodings.get(name);
      if (encoding === undefined) {
        throw new JetonError(
          `${file} holds tiktoken ranks of an encoding that is not known by its name; say its pattern and special tokens`,
          {
            code: "tiktoken-encoding-unknown",
            details: { path: file, known: [...tiktokenEncodings.keys()] },
          },
        );
      }
      const parts = readTiktokenRanks(new TextDecoder().decode(bytes), encoding);
      return assembleTokenizer(addTokens(parts, settings), settings);
    }
  }
}

/** What stands beside a `vocab.json`. */
async function readBytePairFiles(
  folder: string,
  { config, specialTokensMap }: SettingsFiles,
): Promise<Omit<BytePairFiles, "vocabulary">> {
  const { join } = await import("node:path");
  const path = join(folder, mergesName);
  const merges = await readText(path);
  if (merges === undefined) throw notFound(path, `the merges of ${bytePairVocabularyName}`);
  return {
    merges,
    tokenizerConfig: config,
    specialTokensMap,
    addedTokens: await readJson(join(folder, addedTokensName)),
    modelConfig: await readJson(join(folder, "config.json")),
  };
}

/** The added tokens that only the configuration knows, beside those of the file itself. */
function addTokens(parts: TokenizerParts, settings: TokenizerSettings): TokenizerParts {
  const known = new Set(parts.addedTokens.map((token) => token.id));
  const { tokens } = parts.model.vocabulary;
  const added = (settings.addedTokens ?? []).filter(({ id, content }) => {
    return !known.has(id) && (tokens[id] === undefined || tokens[id] === content);
  });
  return { ...parts, addedTokens: [...parts.addedTokens, ...added] };
}

async function readSettingsFiles(folder: string): Promise<SettingsFiles> {
  const { join } = await import("node:path");
  const files: SettingsFiles = {};
  const config = await readJson(join(folder, "tokenizer_config.json"));
  if (config !== undefined) files.config = config;
  const map = await readJson(join(folder, "special_tokens_map.json"));
  if (map !== undefined) files.specialTokensMap = map;
  const template = await readText(join(folder, "chat_template.jinja"));
  if (template !== undefined) files.chatTemplate = template;
  return files;
}

/** The file that names the class of a folder's tokenizer; `config.json` where `tokenizer_config.json` does not. */
async function readClassFile(folder: string, config: unknown): Promise<unknown> {
  const { join } = await import("node:path");
  if (classNameOf(config) !== undefined) return config;
  return await readJson(join(folder, "config.json"));
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  return text === undefined ? undefined : parseJson(text, path);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JetonError(`${path} is not JSON: ${describeValue(text.slice(0, 40))}`, {
      code: "tokenizer-not-json",
      details: { path },
      cause,
    });
  }
}

/** The text of a file, or undefined when it does not exist. */
async function readText(path: string): Promise<string | undefined> {
  const bytes = await readBytes(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

async function readBytes(path: string): Promise<Uint8Array | undefined> {
  const { readFile, stat } = await import("node:fs/promises");
  try {
    const status = await stat(path);
    if (status.size > maxFile) {
      throw new JetonError(`${path} has ${status.size} bytes, expected at most ${maxFile}`, {
        code: "tokenizer-file-too-large",
        details: { path, size: status.size },
      });
    }
    return await readFile(path);
  } catch (cause) {
    if (JetonError.isInstance(cause)) throw cause;
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw notFound(path, "a readable file", cause);
  }
}

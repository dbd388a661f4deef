/** The files of a tokenizer on disk: which they are, and copies of them (Node only). */
import { JetonError } from "../../core/error.ts";
import { bertClass, bertVocabularyName } from "./bert-vocabulary.ts";
import { classFileNames, isByT5Config } from "./byt5-tokenizer.ts";
import {
  addedTokensName,
  bytePairClass,
  bytePairVocabularyName,
  mergesName,
} from "./byte-pair-vocabulary.ts";
import { classNameOf, textOf, tokenizerClassOf } from "./tokenizer-class.ts";

/** Names of vocabulary files in a folder, in order of preference; after them any `*.tiktoken`. */
export const vocabularyFileNames: readonly string[] = [
  "tokenizer.json",
  "tokenizer.model",
  "spiece.model",
  "sentencepiece.bpe.model",
  bertVocabularyName,
  bytePairVocabularyName,
];

const settingsName = "tokenizer_config.json";

/** Names of the files that are read beside the vocabulary, in a folder and beside a named file. */
export const settingsFileNames: readonly string[] = [
  settingsName,
  "special_tokens_map.json",
  "chat_template.jinja",
  mergesName,
  addedTokensName,
];

/** The format of a vocabulary file. */
export type VocabularyFormat = "json" | "sentencepiece" | "tiktoken" | "bert" | "byte-pairs";

/** A file of a tokenizer. */
export interface TokenizerFile {
  /** Path of the file. */
  readonly path: string;
  /** Name that makes `loadTokenizer` find the file in a folder. */
  readonly name: string;
  readonly kind: "vocabulary" | "settings";
}

/**
 * Recognizes a vocabulary file by its first bytes, BERT's and GPT-2's by their names; everything else is read as JSON.
 *
 * @param name the file's name, without its folder
 */
export function recognizeVocabulary(bytes: Uint8Array, name: string): VocabularyFormat {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 512));
  if (/^[A-Za-z0-9+/]+={0,2} \d+\r?\n/.test(start)) return "tiktoken";
  // A SentencePiece model begins with its first piece: field 1, its length, field 1 inside.
  const isPiece = bytes[0] === 0x0a && bytes[2] === 0x0a && (bytes[3] ?? 0) < bytes[1]!;
  if (isPiece) return "sentencepiece";
  if (name === bertVocabularyName) return "bert";
  return name === bytePairVocabularyName ? "byte-pairs" : "json";
}

/** Whether a folder's file of this name is a vocabulary. */
export function isVocabularyName(name: string): boolean {
  return vocabularyFileNames.includes(name) || name.endsWith(".tiktoken");
}

/**
 * Lists the files that `loadTokenizer(path)` depends on: all vocabularies of a folder or the named
 * file, and the settings beside them.
 *
 * @param path a folder, or a vocabulary file of any name
 * @throws JetonError `tokenizer-not-found` if there is no vocabulary, and the settings name none that needs no file
 */
export async function findTokenizerFiles(path: string): Promise<TokenizerFile[]> {
  const { readdir, stat } = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  const status = await stat(path).catch((cause: unknown) => {
    throw notFound(path, "a folder or a tokenizer file", cause);
  });
  const folder = status.isDirectory() ? path : dirname(path);
  const names = (await readdir(folder)).sort();
  const settings = names
    .filter((name) => settingsFileNames.includes(name))
    .map((name): TokenizerFile => ({ path: join(folder, name), name, kind: "settings" }));
  if (!status.isDirectory()) {
    return [{ path, name: await nameVocabulary(path), kind: "vocabulary" }, ...settings];
  }
  const vocabularies = names
    .filter(isVocabularyName)
    .map((name): TokenizerFile => ({ path: join(folder, name), name, kind: "vocabulary" }));
  if (vocabularies.length > 0) return [...vocabularies, ...settings];
  const named = await findByT5File(folder);
  if (named !== undefined) {
    const others = settings.filter(({ name }) => name !== settingsName);
    // A model's configuration that names the class does as the tokenizer's own.
    return [{ path: named, name: settingsName, kind: "settings" }, ...others];
  }
  throw notFound(path, `one of ${vocabularyFileNames.join(", ")} or *.tiktoken in the folder`);
}

/** The file of a folder that says that its tokenizer is ByT5's, which has no vocabulary file. */
async function findByT5File(folder: string): Promise<string | undefined> {
  const { join } = await import("node:path");
  for (const name of classFileNames) {
    const path = join(folder, name);
    const config = await readIfJson(path);
    if (classNameOf(config) !== undefined) return isByT5Config(config) ? path : undefined;
  }
  return undefined;
}

/**
 * Copies a tokenizer into a folder, from which it then loads as from `path`. Each file is written
 * whole or not at all; the folder is created if needed. A class that only the model's `config.json` tells is named in the
 * copy's `tokenizer_config.json`.
 *
 * @param path a folder, or a vocabulary file of any name
 * @throws JetonError `tokenizer-not-found`, `tokenizer-write-failed`, `tokenizer-target-occupied` (the
 *   folder has a vocabulary of another format, which would be loaded instead or beside the copy)
 */
export async function copyTokenizer(path: string, folder: string): Promise<void> {
  const { readdir, readFile } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const files = await findTokenizerFiles(path);
  const copied = new Set(files.map((file) => file.name));
  const present = await readdir(folder).catch((): string[] => []);
  const other = present.find((name) => isVocabularyName(name) && !copied.has(name));
  if (other !== undefined) {
    throw new JetonError(`${folder} already has another tokenizer, ${other}`, {
      code: "tokenizer-target-occupied",
      details: { folder, found: other, expected: [...copied] },
    });
  }
  for (const file of files) await writeWhole(join(folder, file.name), await readFile(file.path));
  const settings = await settingsWithClass(path, files);
  if (settings) await writeWhole(join(folder, settingsName), JSON.stringify(settings, null, 2));
}

/** Classes of vocabularies whose name tells it where no file does. */
const usualClasses: ReadonlyMap<string, string> = new Map([
  [bertVocabularyName, bertClass],
  [bytePairVocabularyName, bytePairClass],
]);

/** Settings that name the class of a tokenizer, where it is told by files that a copy does not have beside it. */
async function settingsWithClass(
  path: string,
  files: readonly TokenizerFile[],
): Promise<object | undefined> {
  const { dirname, join } = await import("node:path");
  const isRead = (name: string): boolean => files.some((file) => file.name === name);
  const vocabulary = vocabularyFileNames.find(isRead);
  // What stands in a tokenizer.json needs no class, nor do ranks.
  if (vocabulary === undefined || vocabulary === vocabularyFileNames[0]) return undefined;
  const own = files.find(({ name }) => name === settingsName);
  const settings = own ? await readIfJson(own.path) : {};
  const isFolder = files.every((file) => file.path !== path);
  const model = await readIfJson(join(isFolder ? path : dirname(path), "config.json"));
  const isUnknown = textOf(model, "model_type") === undefined;
  const name =
    tokenizerClassOf(settings, model) ?? (isUnknown ? usualClasses.get(vocabulary) : undefined);
  const isNamed = settings === undefined || classNameOf(settings) !== undefined;
  return isNamed || name === undefined ? undefined : { ...settings, tokenizer_class: name };
}

/** The object of a JSON file; undefined where it is none: what needs it says what is wrong with it. */
async function readIfJson(path: string): Promise<object | undefined> {
  const { readFile } = await import("node:fs/promises");
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes a file under a temporary name, flushes it and renames it. Creates the folder if needed.
 *
 * @throws JetonError `tokenizer-write-failed`
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const { mkdir, open, rename, rm } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  const folder = dirname(path);
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new JetonError(`${folder} cannot be created`, {
      code: "tokenizer-write-failed",
      details: { path: folder, expected: "a folder, or a place for one" },
      cause,
    });
  });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    throw new JetonError(`${path} cannot be written${reason}`, {
      code: "tokenizer-write-failed",
      details: { path },
      cause,
    });
  }
}

/** The error for a tokenizer that is not there. */
export function notFound(path: string, expected: string, cause?: unknown): JetonError {
  return new JetonError(`${path} cannot be read, expected ${expected}`, {
    code: "tokenizer-not-found",
    details: { path, expected },
    cause,
  });
}

/** The name for a copy of a vocabulary file: its own if folders may use it, otherwise by its content. */
async function nameVocabulary(path: string): Promise<string> {
  const { open } = await import("node:fs/promises");
  const { basename } = await import("node:path");
  const name = basename(path);
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const format = recognizeVocabulary(buffer.subarray(0, bytesRead), name);
    // The name of a rank file says which encoding it is.
    if (format === "tiktoken") return name.endsWith(".tiktoken") ? name : `${name}.tiktoken`;
    if (format === "bert" || format === "byte-pairs") return name;
    if (format === "json") return "tokenizer.json";
    return vocabularyFileNames.includes(name) && name.endsWith(".model") ? name : "tokenizer.model";
  } finally {
    await file.close();
  }
}

/**
 * Finds and reads the files of a tokenizer on disk (Node only; elsewhere give `createTokenizer` the
 * parsed file).
 */
import { JetonError } from "../core/error.ts";
import { describeValue } from "./json-reader.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";
import { readTokenizerSettings, type SettingsFiles } from "./tokenizer-settings.ts";

/** Larger files are refused: no published tokenizer comes near. */
const largestFile = 512 * 1024 * 1024;

/**
 * Loads a tokenizer from a checkpoint folder or from a file.
 *
 * A folder must hold `tokenizer.json`; `tokenizer_config.json`, `special_tokens_map.json` and
 * `chat_template.jinja` beside it are read when present.
 *
 * Throws `tokenizer-not-found` when there is nothing to read, `tokenizer-not-json` when a file is
 * not JSON, and the errors of `createTokenizer`.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const { stat } = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  const status = await stat(path).catch((cause: unknown) => {
    throw notFound(path, "a folder or a tokenizer file", cause);
  });
  const folder = status.isDirectory() ? path : dirname(path);
  const file = status.isDirectory() ? join(path, "tokenizer.json") : path;
  const json = await readJson(file);
  if (json === undefined) throw notFound(file, "a tokenizer.json in the folder");
  return createTokenizer(json, readTokenizerSettings(await readSettingsFiles(folder, json)));
}

async function readSettingsFiles(folder: string, json: unknown): Promise<SettingsFiles> {
  const { join } = await import("node:path");
  const files: SettingsFiles = {};
  const config = await readJson(join(folder, "tokenizer_config.json"));
  if (config !== undefined && config !== json) files.config = config;
  const map = await readJson(join(folder, "special_tokens_map.json"));
  if (map !== undefined) files.specialTokensMap = map;
  const template = await readText(join(folder, "chat_template.jinja"));
  if (template !== undefined) files.chatTemplate = template;
  return files;
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === undefined) return undefined;
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
    if (status.size > largestFile) {
      throw new JetonError(`${path} has ${status.size} bytes, expected at most ${largestFile}`, {
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

function notFound(path: string, expected: string, cause?: unknown): JetonError {
  return new JetonError(`${path} cannot be read, expected ${expected}`, {
    code: "tokenizer-not-found",
    details: { path, expected },
    cause,
  });
}

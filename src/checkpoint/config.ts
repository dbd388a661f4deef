/**
 * Reads `config.json` and `generation_config.json` of a checkpoint folder.
 *
 * This file only reads the fields safely; the modules that use them say what they mean.
 * Python writes `NaN` and `Infinity` into these files, so both are accepted.
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import { fileError } from "./files/file-error.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "./json.ts";
import { type ModelConfig, textConfigKeys } from "./text-config.ts";

export { type ModelConfig, textConfig } from "./text-config.ts";

/** Larger files are rejected: published configurations are far smaller. */
const maxConfigBytes = 16 * 1024 * 1024;

/**
 * Reads a JSON file that must hold an object.
 *
 * @throws JetonError `file-not-found` and its like, `config-invalid`, `config-too-large`.
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const value = await readJson(path);
  if (isJsonObject(value)) return value;
  throw new JetonError(`${path} must hold a JSON object`, {
    code: "config-invalid",
    details: { path, found: Array.isArray(value) ? "array" : typeof value, expected: "object" },
  });
}

/**
 * Reads a JSON file of any kind.
 *
 * @throws JetonError `file-not-found` and its like, `config-invalid`, `config-too-large`.
 */
export async function readJson(path: string): Promise<JsonValue> {
  const text = await readText(path);
  return parseJson(text, { source: path, code: "config-invalid", allowNonFinite: true });
}

async function readText(path: string): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    const { size } = await handle.stat();
    if (size > maxConfigBytes) {
      throw new JetonError(`${path} has ${size} bytes; expected at most ${maxConfigBytes}`, {
        code: "config-too-large",
        details: { path, found: size, expected: maxConfigBytes },
      });
    }
    const bytes = await handle.readFile();
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new JetonError(`${path} is not UTF-8 text`, {
        code: "config-invalid",
        cause,
        details: { path, expected: "UTF-8" },
      });
    }
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await handle?.close();
  }
}

/**
 * Reads `config.json` of a folder as a plain object. The last of repeated keys holds, as in Python.
 *
 * @throws JetonError `file-not-found`, `config-invalid` (not JSON, not an object, `__proto__` as a
 * key, `model_type` or `architectures` of the wrong type), `config-too-large`.
 */
export async function readConfig(folder: string): Promise<ModelConfig> {
  const path = join(folder, "config.json");
  const config = await readJsonObject(path);
  const check = (key: string, valid: boolean, expected: string): void => {
    if (valid) return;
    throw new JetonError(`${path}: ${key} must be ${expected}`, {
      code: "config-invalid",
      details: { path, key, found: config[key], expected },
    });
  };
  const { model_type: modelType, architectures } = config;
  check("model_type", isAbsent(modelType) || typeof modelType === "string", "a string");
  check(
    "architectures",
    isAbsent(architectures) ||
      (Array.isArray(architectures) && architectures.every((name) => typeof name === "string")),
    "an array of strings",
  );
  for (const key of textConfigKeys) {
    check(key, isAbsent(config[key]) || isJsonObject(config[key]), "an object");
  }
  if (modelType === null) delete config["model_type"];
  if (architectures === null) delete config["architectures"];
  return config as ModelConfig;
}

/** Reads `generation_config.json` of a folder, or gives undefined where there is none. */
export async function readGenerationConfig(folder: string): Promise<JsonObject | undefined> {
  try {
    return await readJsonObject(join(folder, "generation_config.json"));
  } catch (error) {
    if (JetonError.isInstance(error) && error.code === "file-not-found") return undefined;
    throw error;
  }
}

function isAbsent(value: JsonValue | undefined): value is null | undefined {
  return value === undefined || value === null;
}

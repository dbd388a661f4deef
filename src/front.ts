/** Functions of the entry `jeton`: models and tokenizers by path, URL or hub name, drafters by name. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundledModelFolder, findBundledModel, resolveModel } from "./checkpoint/index.ts";
import { JetonError } from "./core/index.ts";
import { type NamedGeneration, openDrafter, withNamedDrafters } from "./generate/index.ts";
import { type LoadedModel, type LoadModelOptions, loadModel as loadFrom } from "./model/index.ts";
import {
  type LoadTokenizerOptions,
  loadTokenizer as loadTokenizerFrom,
  type Tokenizer,
} from "./tokenizer/index.ts";

/**
 * Opens a model: a checkpoint folder (path or file URL), the name of a bundled model, or one on the hub
 * (`owner/name`).
 *
 * @param source default: the bundled model, jeton-nano
 * @example
 * const model = await loadModel();
 *
 * @throws JetonError `model-not-found`, `model-source-invalid`, and those of `loadModel` in `jeton/model`
 */
export async function loadModel(
  source: string | URL = bundledModelFolder("jeton-nano"),
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  return loadFrom(pathOf(source), options);
}

/**
 * Loads a tokenizer: a file or folder (path or file URL), or the name of a bundled model or of one on the hub
 * (`owner/name`), of which only configuration and tokenizer are downloaded.
 *
 * @param source default: the tokenizer of the bundled model
 * @throws JetonError `model-source-invalid`, and those of `resolveModel` and `loadTokenizer` in
 *   `jeton/tokenizer`
 */
export async function loadTokenizer(
  source: string | URL = bundledModelFolder("jeton-nano"),
  options: LoadTokenizerOptions = {},
): Promise<Tokenizer> {
  const path = pathOf(source);
  const isHubName = !existsSync(path) && /^[\w.-]+\/[\w.-]+(@.+)?$/.test(path);
  return loadTokenizerFrom(
    isHubName ? await resolveModel(path, { weights: false }) : (findBundledModel(path) ?? path),
    options,
  );
}

/** A path or hub name as text. */
function pathOf(source: string | URL): string {
  const isUrl = source instanceof URL || /^file:\/\//.test(String(source));
  if (typeof source !== "string" && !isUrl) throw invalidSource(source);
  if (isUrl) {
    const url = new URL(source);
    if (url.protocol !== "file:") throw invalidSource(url.href);
    return fileURLToPath(url);
  }
  if (/^https?:\/\//.test(source as string)) throw invalidSource(source);
  return source as string;
}

function invalidSource(source: unknown): JetonError {
  return new JetonError(
    `${typeof source === "string" ? source : typeof source} is no place of a model: expected a path, ` +
      "a file URL or owner/name on the hub (addresses: fetchModel of jeton/browser)",
    {
      code: "model-source-invalid",
      details: { source, expected: "a path, a file URL or owner/name" },
    },
  );
}

const named: NamedGeneration = withNamedDrafters((name, model) => openDrafter(name, model));

/**
 * Continues a prompt, or answers a conversation, token by token; see `generate` of `jeton/generate`. Takes
 * drafters by name too.
 *
 * @example
 * const messages = [{ role: "user", content: "Who was Commodus?" }];
 * for await (const { text } of generate(model, messages, { drafter: "auto" })) process.stdout.write(text);
 */
export const generate: NamedGeneration["generate"] = named.generate;

/** Runs a generation to its end and returns its result. Takes drafters by name too. */
export const complete: NamedGeneration["complete"] = named.complete;

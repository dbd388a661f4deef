/** `modules.json` of sentence-transformers: which module lies in which folder below a model's own. */
import { JetonError } from "../core/index.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

/** The file's name. */
export const moduleListName = "modules.json";

/** A line of `modules.json`. */
export interface ModuleEntry {
  /** The module's folder below the model's, with slashes; empty: the model's own. */
  readonly path: string;
  /** Last part of the class's name. */
  readonly kind: string;
  /** All of it. */
  readonly type: string;
}

/** Class of a module that holds a table of vectors. */
export const staticModuleKind = "StaticEmbedding";

/**
 * Classes of the module that holds the checkpoint, and what the first ones, each for one family, add to their
 * `max_seq_length`, which counts no special tokens there.
 *
 * Source: sentence-transformers 0.2 to 0.3, `models/BERT.py` and those beside it.
 */
const transformers: Readonly<Record<string, number>> = {
  Transformer: 0,
  MLMTransformer: 0,
  BERT: 2,
  DistilBERT: 2,
  XLMRoBERTa: 2,
  ALBERT: 3,
  CamemBERT: 3,
  RoBERTa: 3,
  [staticModuleKind]: 0,
};

/** `model_type` of a table of vectors in the layout of sentence-transformers, which has no `config.json`. */
export const staticEmbeddingType = "static-embedding";
/** `model_type` of one in the layout of model2vec. */
export const model2vecType = "model2vec";

/**
 * What stands in the place of a checkpoint's `config.json` where the module that reads texts is a `StaticEmbedding`:
 * sentence-transformers writes none, and a file that names no family is model2vec's, which writes its own and a
 * `modules.json` beside it. Undefined for any other module.
 *
 * Source: sentence-transformers 6.0, `StaticEmbedding.save`; model2vec, `persistence.py`.
 *
 * @param file the `config.json` beside the weights, if there is one
 */
export function staticModuleConfig(
  module: ModuleEntry | undefined,
  file: JsonObject | undefined,
): JsonObject | undefined {
  if (module?.kind !== staticModuleKind) return undefined;
  const type = file?.["model_type"] ?? model2vecType;
  if (file === undefined || type !== model2vecType) return { model_type: staticEmbeddingType };
  return { ...file, model_type: model2vecType };
}

/** The module that holds the checkpoint; undefined where there is none. */
export function transformerModule(entries: readonly ModuleEntry[]): ModuleEntry | undefined {
  return entries.find(({ kind }) => Object.hasOwn(transformers, kind));
}

/** Special tokens that a transformer's `max_seq_length` leaves out. */
export function uncountedTokens({ kind }: ModuleEntry): number {
  return transformers[kind] ?? 0;
}

/**
 * Reads what the file holds.
 *
 * @throws JetonError `encoder-module-invalid`
 */
export function parseModuleList(list: JsonValue): readonly ModuleEntry[] {
  if (!Array.isArray(list)) throw invalid("the file", list, "a list of modules");
  return list.map((entry) => {
    const { path = "", type } = isJsonObject(entry) ? entry : ({} as JsonObject);
    if (
      typeof type !== "string" ||
      typeof path !== "string" ||
      /(^|[\\/])\.\.([\\/]|$)|^[\\/]|[\\:\0]/.test(path)
    ) {
      throw invalid("a module", entry, "a type and a path inside the folder");
    }
    const inside = path.split("/").filter((part) => part !== "" && part !== ".");
    return { path: inside.join("/"), type, kind: type.split(".").at(-1)! };
  });
}

function invalid(key: string, value: JsonValue, expected: string): JetonError {
  const file = moduleListName;
  return new JetonError(`${file}: ${key} is ${JSON.stringify(value)}, expected ${expected}`, {
    code: "encoder-module-invalid",
    details: { file, key, value, expected },
  });
}

/** The class of tokenizers of transformers that a folder's files name, which decides what is done besides the vocabulary. */
import { JetonError } from "../../core/error.ts";

/** A text under a key of a parsed file; undefined where the file is none or the value no text. */
export function textOf(config: unknown, key: string): string | undefined {
  const isObject = typeof config === "object" && config !== null;
  const value: unknown = isObject ? Reflect.get(config, key) : undefined;
  return typeof value === "string" ? value : undefined;
}

/** The class that a `tokenizer_config.json` or a model's `config.json` names, without the `Fast` of its second form. */
export function classNameOf(config: unknown): string | undefined {
  return textOf(config, "tokenizer_class")?.replace(/Fast$/, "");
}

/** Classes by the `model_type` of a model's `config.json`, for folders whose files name none. */
const classOfModel: ReadonlyMap<string, string> = new Map(
  Object.entries({
    T5: ["t5", "mt5", "umt5"],
    Albert: ["albert"],
    Camembert: ["camembert"],
    DebertaV2: ["deberta-v2"],
    XLMRoberta: ["xlm-roberta"],
    Bert: [
      ...["bert", "convbert", "distilbert", "electra", "mobilebert", "nomic_bert", "squeezebert"],
    ],
    GPT2: ["codegen", "gpt2", "gpt_neo", "gptj", "opt", "phi", "starcoder2"],
    Roberta: [
      ...["bart", "data2vec-text", "ibert", "longformer", "roberta", "roberta-prelayernorm"],
    ],
  }).flatMap(([name, models]) => models.map((model) => [model, `${name}Tokenizer`] as const)),
);

/**
 * The class of a folder's tokenizer: what its settings name, else what the model's `config.json` names, else the usual one
 * of its `model_type`. Undefined: none is known.
 */
export function tokenizerClassOf(
  tokenizerConfig: unknown,
  modelConfig: unknown,
): string | undefined {
  const modelType = textOf(modelConfig, "model_type");
  return (
    classNameOf(tokenizerConfig) ??
    classNameOf(modelConfig) ??
    (modelType === undefined ? undefined : classOfModel.get(modelType))
  );
}

/**
 * The class of a vocabulary file that only some classes read.
 *
 * @param usual the class where no file names one, nor a model; undefined: then it is refused
 * @returns the class, which is one of `known`
 * @throws JetonError `tokenizer-class-unsupported`
 */
export function readableClass(
  named: { readonly tokenizerConfig: unknown; readonly modelConfig: unknown },
  known: (name: string) => boolean,
  usual: string | undefined,
  path: string,
): string {
  const modelType = textOf(named.modelConfig, "model_type");
  const className = tokenizerClassOf(named.tokenizerConfig, named.modelConfig);
  const found = className ?? (modelType === undefined ? usual : undefined);
  if (found !== undefined && known(found)) return found;
  if (className === undefined && modelType === undefined) {
    throw unsupportedClass(path, "belongs to a class of tokenizers that no file names", "no class");
  }
  const name = className ?? `the tokenizer of ${modelType}`;
  throw unsupportedClass(path, `is read in another way by ${name}`, name);
}

/**
 * The error for a vocabulary file that its class reads in a way of its own.
 *
 * @param file the vocabulary
 * @param why what of it differs
 */
export function unsupportedClass(file: string, why: string, found: string): JetonError {
  return new JetonError(
    `${file} ${why}; expected tokenizer.json, which transformers writes: AutoTokenizer.from_pretrained(…).save_pretrained(…)`,
    { code: "tokenizer-class-unsupported", details: { path: file, found } },
  );
}

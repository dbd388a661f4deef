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

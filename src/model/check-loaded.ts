/** Checks of the models that callers give to functions, before anything is read from them. */
import { JetonError } from "../core/index.ts";
import type { LoadedEncoder } from "./encoder/types.ts";
import type { LoadedModel } from "./types.ts";

/**
 * Throws where a value is no open decoder.
 *
 * @throws JetonError `model-not-loaded` with what it is instead
 */
export function checkDecoder(model: unknown): asserts model is LoadedModel {
  const { openSequence, tokenizer } = fieldsOf(model);
  if (typeof openSequence === "function" && tokenizer) return;
  throw notLoaded(model, "a decoder, as loadModel gives it after await");
}

/**
 * Throws where a value is no open encoder.
 *
 * @throws JetonError `model-not-loaded` with what it is instead
 */
export function checkEncoder(model: unknown): asserts model is LoadedEncoder {
  const { kind, run } = fieldsOf(model);
  if (kind === "encoder" && typeof run === "function") return;
  throw notLoaded(model, "an encoder, as loadEncoder gives it after await");
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function notLoaded(value: unknown, expected: string): JetonError {
  const { kind, name, then, openSequence } = fieldsOf(value);
  const found =
    typeof then === "function"
      ? "a promise"
      : typeof openSequence === "function"
        ? `the decoder ${name}`
        : kind === "encoder" || kind === "seq2seq"
          ? `the ${kind} ${name}`
          : typeof value === "string"
            ? JSON.stringify(value)
            : value === null
              ? "null"
              : `of type ${typeof value}`;
  return new JetonError(`the model is ${found}, expected ${expected}`, {
    code: "model-not-loaded",
    details: { found, expected },
  });
}

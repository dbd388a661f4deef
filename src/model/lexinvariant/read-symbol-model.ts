/** A trained model of symbols from the bytes of its files, as `openSymbolModel` takes it. Needs nothing of Node. */
import { JetonError } from "../../core/index.ts";
import { decoderConfig } from "../decoder/config.ts";
import { decoderNames } from "../decoder/decoder-names.ts";
import { readConfigFiles } from "../open-model.ts";
import { parseWeights } from "../weights/parse-weights.ts";
import { widenBytes } from "../weights/widen-stored.ts";
import { symbolParameterNames } from "./lexinvariant.ts";
import type { SymbolModelOptions } from "./symbol-model.ts";

/** Files of a model of symbols. */
export interface SymbolModelFiles {
  /** Parsed `config.json`: the sizes of a llama, `model_type` `"lexinvariant"`, and `symbols`, a text of all of them. */
  readonly config: unknown;
  /** A whole `.safetensors` file in F32, F16 or BF16. */
  readonly weights: Uint8Array;
}

/** Options of `openSymbolModel`, and the symbols by their ids. */
export interface ReadSymbolModel
  extends Pick<SymbolModelOptions, "config" | "embeddings" | "parameters"> {
  readonly symbols: string;
}

/**
 * Reads a model of symbols. Where a symbol's vector comes from is told by its tensors: a table is `"learned"`, a vector of
 * symbols that have not come is `"canonical"`, and neither is `"random"`.
 *
 * @throws JetonError `model-family-unknown`, `model-config-invalid`, and the codes of `parseSafetensorsHeader`
 */
export function readSymbolModel(files: SymbolModelFiles): ReadSymbolModel {
  const { config: file } = readConfigFiles(files);
  const { model_type: family, symbols } = file;
  if (family !== "lexinvariant") {
    throw new JetonError(
      `model_type ${JSON.stringify(family)} is no model of symbols, expected "lexinvariant"`,
      { code: "model-family-unknown", details: { family, known: ["lexinvariant"] } },
    );
  }
  if (typeof symbols !== "string" || new Set(symbols).size !== symbols.length || symbols === "") {
    throw new JetonError(
      `symbols is ${JSON.stringify(symbols)}, expected a text of different characters`,
      {
        code: "model-config-invalid",
        details: { name: "symbols", found: symbols, expected: "a text of different characters" },
      },
    );
  }
  const { tensors, bytes } = parseWeights([{ name: "model.safetensors", data: files.weights }]);
  const parameters = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, { dtype, shape }] of tensors) {
    const { buffer, byteOffset, length } = widenBytes(dtype, bytes.get(name)!);
    const data = new Float32Array(buffer.slice(byteOffset, byteOffset + length));
    parameters.set(name, { shape, data });
  }
  return {
    symbols,
    config: decoderConfig({
      ...file,
      model_type: "llama",
      vocab_size: symbols.length,
      tie_word_embeddings: true,
    }),
    embeddings: parameters.has(decoderNames.embedding)
      ? "learned"
      : parameters.has(symbolParameterNames.unseen)
        ? "canonical"
        : "random",
    parameters,
  };
}

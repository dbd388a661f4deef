/** Model files in formats that jeton does not read: what they are, and what to do. */
import { JetonError } from "../core/index.ts";
import { isJsonObject, type JsonObject } from "./json.ts";

interface ForeignFormat {
  readonly matches: RegExp;
  readonly name: string;
  readonly remedy: string;
}

const original =
  "use the model's original checkpoint folder (config.json, *.safetensors, tokenizer.json); " +
  "--format int8 or int4 quantizes it when it is loaded";

const formats: readonly ForeignFormat[] = [
  { matches: /\.(gguf|ggml)$/i, name: "GGUF file of llama.cpp", remedy: original },
  { matches: /\.onnx(_data|\.data)?$/i, name: "ONNX model", remedy: original },
  {
    matches: /\.(bin|pt|pth|ckpt)$/i,
    name: "PyTorch pickle file",
    remedy:
      "convert it: in Python, AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OUT), then " +
      "use the folder OUT",
  },
  { matches: /\.(h5|msgpack|tflite)$/i, name: "TensorFlow or Flax file", remedy: original },
];

/** Quantization methods of `quantization_config` and their names. */
const quantizations: Readonly<Record<string, string>> = {
  gptq: "GPTQ",
  awq: "AWQ",
  fp8: "FP8",
  fbgemm_fp8: "FP8",
  bitsandbytes: "bitsandbytes",
  "compressed-tensors": "compressed-tensors",
  mxfp4: "MXFP4",
  hqq: "HQQ",
  quanto: "Quanto",
  aqlm: "AQLM",
  torchao: "TorchAO",
};

/**
 * The error for a file that is given in place of a checkpoint folder, or for a folder without
 * safetensors; undefined if no file is in a known foreign format.
 *
 * @param path what was given
 * @param names the file's own name, or those of the files in the folder
 */
export function foreignFormatError(path: string, names: Iterable<string>): JetonError | undefined {
  for (const name of names) {
    const format = formats.find(({ matches }) => matches.test(name));
    if (format === undefined) continue;
    const where = path.endsWith(name) ? `${path} is` : `${path} has ${name},`;
    const article = /^[AEIO]/.test(format.name) ? "an" : "a";
    return new JetonError(
      `${where} ${article} ${format.name}, which jeton does not read; ${format.remedy}`,
      {
        code: "checkpoint-format-unsupported",
        details: { path, found: name, format: format.name, expected: "*.safetensors" },
      },
    );
  }
  return undefined;
}

/**
 * Checks that the weights are not quantized by another tool: their tensors have other names and types.
 *
 * @throws JetonError `checkpoint-quantized`
 */
export function checkNotQuantized(folder: string, config: JsonObject): void {
  const { quantization_config: quantization } = config;
  if (quantization === undefined || !isJsonObject(quantization)) return;
  const method = quantization["quant_method"];
  // gpt-oss as it is published: `splitExperts` of the decoder reads these blocks.
  if (method === "mxfp4" && config["model_type"] === "gpt_oss") return;
  const name = typeof method === "string" ? (quantizations[method] ?? method) : "another tool";
  throw new JetonError(
    `${folder} holds weights quantized with ${name} (quantization_config in config.json), which jeton ` +
      `does not read; ${original}`,
    {
      code: "checkpoint-quantized",
      details: { folder, found: method ?? null, expected: "F32, F16 or BF16 weights" },
    },
  );
}

/** Compressors as files: safetensors, with the form as JSON in the metadata. */
import {
  openSafetensors,
  openSafetensorsBytes,
  parseJson,
  writeSafetensors,
} from "../../checkpoint/index.ts";
import { createSha256, JetonError } from "../../core/index.ts";
import type { DecoderConfig } from "../../model/index.ts";
import type { ParameterValue } from "../../train/index.ts";
import {
  type Compressor,
  type CompressorConfig,
  checkCompressorConfig,
  compressorShapes,
} from "./compressor.ts";

const kind = "jeton-compressor";
const version = "1";

/** Options of `writeCompressor`. */
export interface WriteCompressorOptions {
  /** How its weights are stored; smaller types round them. Default `"F32"`. */
  readonly dtype?: "F32" | "F16" | "BF16";
}

/** Writes a compressor into one file. */
export async function writeCompressor(
  path: string,
  compressor: Compressor,
  { dtype = "F32" }: WriteCompressorOptions = {},
): Promise<void> {
  const tensors = [...compressor.parameters].map(([name, { shape, data }]) => ({
    ...{ name, dtype, shape, data },
  }));
  const { config, model } = compressor;
  await writeSafetensors(path, tensors, {
    metadata: { format: "pt", kind, version, model, config: JSON.stringify(config) },
  });
}

/**
 * Reads a compressor for a decoder.
 *
 * @param source the file's path, or its bytes
 * @param model the decoder whose embeddings it replaces; of the same sizes as the one that it was trained for
 * @throws JetonError `compressor-invalid` where the file holds none, one of another version, or one that does not fit the
 *   decoder, and the errors of reading the file
 */
export async function readCompressor(
  source: string | Uint8Array,
  model: DecoderConfig,
): Promise<Compressor> {
  const path = typeof source === "string" ? source : "the compressor's file";
  await using file =
    typeof source === "string" ? await openSafetensors(source) : openSafetensorsBytes(source, path);
  const invalid = (reason: string, details: Record<string, unknown> = {}): JetonError =>
    new JetonError(`${path} ${reason}`, {
      code: "compressor-invalid",
      details: { path, reason, ...details },
    });
  const { metadata } = file;
  if (metadata.get("kind") !== kind) throw invalid("holds no compressor");
  const found = metadata.get("version");
  if (found !== version) {
    throw invalid(`holds a compressor of version ${found}, expected ${version}`, {
      found,
      expected: version,
    });
  }
  const config = readConfig(metadata.get("config"));
  const identity = metadata.get("model");
  if (config === undefined || identity === undefined) {
    throw invalid("says nothing sensible of its form");
  }
  try {
    checkCompressorConfig(model, config);
  } catch (cause) {
    throw invalid(`does not fit the model: ${(cause as Error).message}`, { config });
  }
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of compressorShapes(model, config)) {
    const entry = file.tensors.get(name);
    if (entry === undefined || entry.shape.join() !== shape.join()) {
      throw invalid(`lacks "${name}" of the shape [${shape}], which the model asks for`, {
        name,
        found: entry?.shape,
        expected: shape,
      });
    }
    parameters.set(name, { shape, data: await file.readFloat32(name) });
  }
  return { config, model: identity, parameters };
}

/** SHA-256 of a compressor's form and weights. */
export function compressorDigest({ config, parameters }: Compressor): string {
  const { layers, window, factors, norm, projection } = config;
  const form = JSON.stringify([layers, window, factors, norm, projection]);
  const hash = createSha256().update(form);
  for (const [name, { data }] of [...parameters].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.hex();
}

function readConfig(text: string | undefined): CompressorConfig | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { layers, window, factors, norm, projection } = value as Partial<
    Record<keyof CompressorConfig, unknown>
  >;
  const isKnown =
    typeof layers === "number" &&
    typeof window === "number" &&
    Array.isArray(factors) &&
    factors.every((factor) => typeof factor === "number") &&
    (norm === "none" || norm === "final") &&
    typeof projection === "boolean";
  return isKnown ? { layers, window, factors, norm, projection } : undefined;
}

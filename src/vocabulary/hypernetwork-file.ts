/** Hypernetworks as files: safetensors, with the form as JSON in the metadata. */
import { openSafetensors, openSafetensorsBytes, writeSafetensors } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import type { ParameterValue } from "../train/index.ts";
import { type Hypernetwork, type HypernetworkConfig, hypernetworkShapes } from "./hypernetwork.ts";

/** Options of `writeHypernetwork`. */
export interface WriteHypernetworkOptions {
  /** How its weights are stored; smaller types round them. Default `"F32"`. */
  readonly dtype?: "F32" | "F16" | "BF16";
}

/** Writes a hypernetwork into one file. */
export async function writeHypernetwork(
  path: string,
  hypernetwork: Hypernetwork,
  { dtype = "F32" }: WriteHypernetworkOptions = {},
): Promise<void> {
  const tensors = [...hypernetwork.parameters].map(([name, { shape, data }]) => ({
    ...{ name, dtype, shape, data },
  }));
  const { model } = hypernetwork;
  await writeSafetensors(path, tensors, {
    metadata: {
      format: "pt",
      kind: "jeton-hypernetwork",
      ...(model !== undefined && { model }),
      config: JSON.stringify(hypernetwork.config),
    },
  });
}

/**
 * Reads a hypernetwork.
 *
 * @param source the file's path, or its bytes
 * @throws JetonError `hypernetwork-invalid` when the file holds none, or another one than it says, and
 *   the errors of reading the file
 */
export async function readHypernetwork(source: string | Uint8Array): Promise<Hypernetwork> {
  const path = typeof source === "string" ? source : "the hypernetwork's file";
  await using file =
    typeof source === "string" ? await openSafetensors(source) : openSafetensorsBytes(source, path);
  const invalid = (reason: string): JetonError =>
    new JetonError(`${path} ${reason}`, {
      code: "hypernetwork-invalid",
      details: { path, reason },
    });
  const stored = file.metadata.get("config");
  if (file.metadata.get("kind") !== "jeton-hypernetwork" || stored === undefined) {
    throw invalid("holds no hypernetwork");
  }
  const config = readConfig(stored);
  if (config === undefined) throw invalid("says nothing sensible of its form");
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of hypernetworkShapes(config)) {
    const entry = file.tensors.get(name);
    if (entry === undefined || entry.shape.join() !== shape.join()) {
      throw invalid(`lacks "${name}" of the shape [${shape}]`);
    }
    parameters.set(name, { shape, data: await file.readFloat32(name) });
  }
  const model = file.metadata.get("model");
  return { config, ...(model !== undefined && { model }), parameters };
}

function readConfig(text: string): HypernetworkConfig | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Partial<Record<keyof HypernetworkConfig, unknown>>;
  const counts = [
    "width",
    "sourceSize",
    "hidden",
    "feedForward",
    "layers",
    "heads",
    "longest",
  ] as const;
  const areCounts = counts.every(
    (name) => Number.isSafeInteger(fields[name]) && (fields[name] as number) > 0,
  );
  const isKnown = fields.predicts === "rows" || fields.predicts === "corrections";
  if (!areCounts || !isKnown || typeof fields.tied !== "boolean") return undefined;
  const config = value as HypernetworkConfig;
  // Larger ones do not exist; a number from a file must not decide how much memory is asked for.
  const isSensible =
    config.layers <= 64 && config.hidden <= 65536 && config.hidden % config.heads === 0;
  return isSensible ? config : undefined;
}

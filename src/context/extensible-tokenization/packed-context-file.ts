/** Compressed texts as files: safetensors with a version, digests of model, compressor and content. */
import { createHash } from "node:crypto";
import {
  narrowToBFloat16,
  narrowToFloat16,
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { countKept } from "./down-scale.ts";
import type { PackedContext } from "./packed-context.ts";

const kind = "jeton-packed-context";
const version = "1";

/** How outputs are stored. */
export type PackedDtype = "F32" | "F16" | "BF16";

/**
 * Writes a compressed text.
 *
 * @throws JetonError `packed-context-overflow` for an output that F16 cannot hold, and those of writing
 */
export async function writePackedContext(
  path: string,
  packed: PackedContext,
  { dtype = "F16" }: { readonly dtype?: PackedDtype } = {},
): Promise<void> {
  const { ids, outputs, width } = packed;
  if (dtype === "F16") checkRange(outputs);
  const stored = narrow(outputs, dtype);
  const metadata = {
    format: "pt",
    kind,
    version,
    model: packed.model,
    compressor: packed.compressor,
    factors: packed.factors.join(","),
    window: String(packed.window),
    factor: String(packed.factor),
    sha256: contentDigest(ids, stored),
  };
  const shape = [outputs.length / width, width];
  await writeSafetensors(
    path,
    [
      { name: "ids", dtype: "I32", shape: [ids.length], data: ids },
      { name: "outputs", dtype, shape, data: stored },
    ],
    { metadata },
  );
}

/**
 * Reads a compressed text.
 *
 * @throws JetonError `packed-context-invalid` where the file holds none or one of another version,
 *   `packed-context-damaged` where its content is not what was written, and the errors of reading the file
 */
export async function readPackedContext(path: string): Promise<PackedContext> {
  await using file = await openSafetensors(path);
  const { metadata } = file;
  if (metadata.get("kind") !== kind) throw invalid(path, "holds no packed text");
  const found = metadata.get("version");
  if (found !== version) {
    const reason = `holds a packed text of version ${found}, expected ${version}`;
    throw invalid(path, reason, { found, expected: version });
  }
  const fields = readFields(file);
  if (!fields) throw invalid(path, "says nothing sensible of its form");
  const { sha256, ...form } = fields;
  const ids = (await file.read("ids")).data as Int32Array;
  const stored = await file.read("outputs");
  const isWhole = contentDigest(ids, stored.data as Stored) === sha256;
  if (!isWhole) {
    throw new JetonError(`${path} is damaged: its content is not what was packed`, {
      code: "packed-context-damaged",
      details: { path, expected: sha256 },
    });
  }
  const outputs = await file.readFloat32("outputs");
  return { ...form, ids, outputs, width: stored.shape[1]! };
}

type Stored = Float32Array | Uint16Array;

function readFields({
  metadata,
  tensors,
}: SafetensorsFile):
  | (Omit<PackedContext, "ids" | "outputs" | "width"> & { readonly sha256: string })
  | undefined {
  const count = (text: string | undefined): number | undefined =>
    text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
  const factors = metadata.get("factors")?.split(",").map(count) ?? [];
  const [window, factor] = [count(metadata.get("window")), count(metadata.get("factor"))];
  const [model, compressor] = [metadata.get("model"), metadata.get("compressor")];
  const sha256 = metadata.get("sha256");
  const [ids, outputs] = [tensors.get("ids"), tensors.get("outputs")];
  const isForm =
    window !== undefined &&
    factor !== undefined &&
    model !== undefined &&
    compressor !== undefined &&
    sha256 !== undefined &&
    factors.length > 0 &&
    factors.every((one) => one !== undefined);
  if (!isForm || ids?.dtype !== "I32" || ids.shape.length !== 1) return undefined;
  if (!outputs || !["F32", "F16", "BF16"].includes(outputs.dtype)) return undefined;
  const rows = countKept(ids.shape[0]!, { window, factor });
  if (outputs.shape.length !== 2 || outputs.shape[0] !== rows) return undefined;
  return { model, compressor, factors: factors as number[], window, factor, sha256 };
}

function narrow(outputs: Float32Array, dtype: PackedDtype): Stored {
  if (dtype === "F32") return outputs;
  const stored = new Uint16Array(outputs.length);
  if (dtype === "F16") narrowToFloat16(outputs, stored);
  else narrowToBFloat16(outputs, stored);
  return stored;
}

function contentDigest(ids: Int32Array, outputs: Stored): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of [ids, outputs]) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex");
}

function checkRange(outputs: Float32Array): void {
  const tooLarge = outputs.find((value) => !(Math.abs(value) < 65520));
  if (tooLarge === undefined) return;
  throw new JetonError(`an output is ${tooLarge}, which F16 cannot hold: store BF16 or F32`, {
    code: "packed-context-overflow",
    details: { value: tooLarge, expected: "below 65520" },
  });
}

function invalid(path: string, reason: string, details: Record<string, unknown> = {}): JetonError {
  return new JetonError(`${path} ${reason}`, {
    code: "packed-context-invalid",
    details: { path, reason, ...details },
  });
}

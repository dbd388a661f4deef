/** What an answer says of how it was computed: OpenAI's `system_fingerprint`. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import type { LoadedModel } from "../model/types.ts";
import { runtimeVersion } from "../tensor/index.ts";

/**
 * Equal fingerprints of one model mean that the same request with the same seed gives the same text, unless
 * the fingerprint says `inexact`: then drafting and company may change it.
 *
 * @returns `jeton-<version>-<format>-<exact|inexact>-<hash>`; the hash stands for everything else that picks
 *   kernels: ONNX Runtime's version, processor, system and threads
 */
export function systemFingerprint(
  model: Pick<LoadedModel, "format" | "threads" | "exact">,
): string {
  const kernels = [
    runtimeVersion(),
    cpus()[0]?.model.trim() ?? "",
    platform(),
    arch(),
    model.threads,
  ];
  const hash = createHash("sha256").update(JSON.stringify(kernels)).digest("hex").slice(0, 10);
  const version = readVersion(() => new URL("../../package.json", import.meta.url));
  const kind = model.exact ? "exact" : "inexact";
  return `jeton-${version}-${model.format}-${kind}-${hash}`;
}

function readVersion(locate: () => string | URL): string {
  try {
    return (JSON.parse(readFileSync(locate(), "utf8")) as { version: string }).version;
  } catch {
    // A bundled server has no package files.
    return "unknown";
  }
}

/** The machine and the versions that a result was measured with; nothing that names its owner. */
import { readFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import { runtimeVersion } from "../tensor/index.ts";

/** The machine and the versions that a result was measured with. */
export interface Machine {
  readonly processor: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryGigabytes: number;
  /** E.g. `"linux x64"`. */
  readonly system: string;
  readonly node: string;
  readonly jeton: string;
  /** Version, with `(WebAssembly)` behind it where the native runtime is not installed. */
  readonly onnxruntime: string;
}

/** Describes the machine and the versions of this process. */
export async function describeMachine(): Promise<Machine> {
  return {
    processor: cpus()[0]?.model.trim() || "unknown",
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.versions.node,
    jeton: await readVersion(new URL("../../package.json", import.meta.url)),
    onnxruntime: runtimeVersion(),
  };
}

async function readVersion(path: string | URL): Promise<string> {
  return (JSON.parse(await readFile(path, "utf8")) as { version: string }).version;
}

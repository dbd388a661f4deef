/** The machine and the versions that a result was measured with; nothing that names its owner. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";

export interface Machine {
  readonly processor: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryGigabytes: number;
  /** E.g. `"linux x64"`. */
  readonly system: string;
  readonly node: string;
  readonly jeton: string;
  readonly onnxruntime: string;
}

export async function describeMachine(): Promise<Machine> {
  const require = createRequire(import.meta.url);
  return {
    processor: cpus()[0]?.model.trim() || "unknown",
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.versions.node,
    jeton: await readVersion(new URL("../../package.json", import.meta.url)),
    onnxruntime: await readVersion(require.resolve("onnxruntime-node/package.json")),
  };
}

async function readVersion(path: string | URL): Promise<string> {
  return (JSON.parse(await readFile(path, "utf8")) as { version: string }).version;
}

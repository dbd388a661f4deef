/** The machine and the versions that a result was measured with; nothing that names its owner. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from "node:os";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
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
  /** The commit of a checkout, with `+` where its sources differ from it; null for an installed package. */
  readonly commit: string | null;
}

/** How busy the machine was with other work. */
export interface MachineLoad {
  /** Load average over a minute, when the run began; 0 where the system has none. */
  readonly loadAverage: number;
  /** Cores that other processes kept busy during the run, in the mean. */
  readonly coresBusyElsewhere: number;
  /**
   * At most a quarter of a core was busy elsewhere. The load average does not count: it holds what this
   * process, or the system that was measured before, did in the last minute.
   */
  readonly quiet: boolean;
}

/** Cores busy elsewhere above which a machine is loaded. */
const maxBusy = 0.25;

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
    commit: await readCommit(),
  };
}

/** The load over three seconds in which this process waits. */
export async function sampleLoad(): Promise<MachineLoad> {
  const end = watchLoad();
  await setTimeout(3000);
  return end();
}

/** Begins to observe the load; the returned function ends it. */
export function watchLoad(): () => MachineLoad {
  const loadAverage = loadavg()[0] ?? 0;
  const [began, busy, own] = [performance.now(), busySeconds(), ownSeconds()];
  return () => {
    const seconds = Math.max(1e-3, (performance.now() - began) / 1000);
    const elsewhere = Math.max(0, busySeconds() - busy - (ownSeconds() - own)) / seconds;
    const coresBusyElsewhere = Math.round(100 * elsewhere) / 100;
    return {
      loadAverage: Math.round(100 * loadAverage) / 100,
      coresBusyElsewhere,
      quiet: coresBusyElsewhere <= maxBusy,
    };
  };
}

/** Seconds that all cores together were busy, since the system began. */
function busySeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0) / 1000;
}

function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function readVersion(path: string | URL): Promise<string> {
  return (JSON.parse(await readFile(path, "utf8")) as { version: string }).version;
}

async function readCommit(): Promise<string | null> {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)("git", args, { cwd })).stdout.trim();
  try {
    // An installed package may lie inside another project's checkout.
    if ((await git("ls-files", "src/reproduce/machine.ts")) === "") return null;
    const changed = await git("status", "--porcelain", "--", "src", "package-lock.json");
    return `${await git("rev-parse", "HEAD")}${changed === "" ? "" : "+"}`;
  } catch {
    return null;
  }
}

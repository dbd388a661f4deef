/** Results and folders that outlive a run, kept by what they depend on: code, seed, size and settings. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../checkpoint/index.ts";
import type { ReproductionContext } from "./define-reproduction.ts";

export interface KeptResultsOptions {
  /** Where the folders of the system are. */
  readonly root: string;
  readonly seed: number;
  readonly quick: boolean;
  /** Digest of the code and the bundled weights that make the results; computed when it is first needed. */
  readonly digest: () => Promise<string>;
}

interface KeptMeasurement {
  readonly value: unknown;
  readonly seconds: number;
  readonly date: string;
}

/** `ReproductionContext.folder`: folders of other code or weights with the same settings are removed. */
export function openFolders(options: KeptResultsOptions): ReproductionContext["folder"] {
  const { root, seed, quick, digest } = options;
  return async (name, configuration) => {
    const key = createHash("sha256")
      .update(JSON.stringify([seed, quick, configuration ?? null]))
      .digest("hex")
      .slice(0, 12);
    const own = `${name}-${key}-${await digest()}`;
    await mkdir(join(root, own), { recursive: true });
    for (const other of await readdir(root)) {
      if (other.startsWith(`${name}-${key}-`) && other !== own) {
        await rm(join(root, other), { recursive: true, force: true });
      }
    }
    return join(root, own);
  };
}

/** `ReproductionContext.remember`. */
export function openMemory({
  folder,
  charge,
  notice,
}: Pick<ReproductionContext, "folder" | "charge" | "notice">): ReproductionContext["remember"] {
  return async <T>(name: string, configuration: unknown, measure: () => Promise<T>): Promise<T> => {
    const path = join(await folder(name, configuration), "measured.json");
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) {
      const { value, seconds, date } = JSON.parse(text) as KeptMeasurement;
      notice(
        `${name} is remembered from ${date} (same code and models): --fresh measures it again`,
      );
      charge(seconds);
      return value as T;
    }
    const began = performance.now();
    const value = await measure();
    const seconds = (performance.now() - began) / 1000;
    const kept: KeptMeasurement = { value, seconds, date: new Date().toISOString() };
    await writeFileAtomically(path, JSON.stringify(kept));
    return value;
  };
}

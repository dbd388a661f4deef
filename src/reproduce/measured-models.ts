/** Which weights of the package a reproduction measured. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BundledModelName, bundledModelFolder } from "../checkpoint/index.ts";

/** A model of the package, as it was when it was measured. */
export interface MeasuredModel {
  readonly name: BundledModelName;
  /** First 16 hexadecimal digits of the SHA-256 of `model.safetensors`. */
  readonly weights: string;
}

/** The models as they are now; one that the package lacks is left out. */
export async function measuredModels(
  names: readonly BundledModelName[],
): Promise<readonly MeasuredModel[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      const file = join(bundledModelFolder(name), "model.safetensors");
      const bytes = await readFile(file).catch(() => undefined);
      return bytes === undefined ? [] : [{ name, weights: digestOf(bytes) }];
    }),
  );
  return found.flat();
}

/** Names of the models whose weights are others now than they were when they were measured. */
export async function changedModels(
  models: readonly MeasuredModel[] | undefined,
): Promise<readonly BundledModelName[]> {
  const names = (models ?? []).map(({ name }) => name);
  const now = new Map((await measuredModels(names)).map(({ name, weights }) => [name, weights]));
  return (models ?? []).filter((one) => now.get(one.name) !== one.weights).map(({ name }) => name);
}

/** The digest of code, changed by the models where there are any. */
export function withModels(code: string, models: readonly MeasuredModel[]): string {
  return models.length === 0 ? code : digestOf(JSON.stringify([code, models]));
}

function digestOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

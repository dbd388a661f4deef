/** Models that the package brings, by their names. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Names of the models that the package brings: four decoders, an encoder and an encoder-decoder. */
export const bundledModelNames = [
  "jeton-nano",
  "jeton-nano-draft",
  "jeton-embed",
  "jeton-experts",
  "jeton-landmark",
  "jeton-mrt5",
] as const;

/** The name of a model that the package brings. */
export type BundledModelName = (typeof bundledModelNames)[number];

/** Folder of a model that the package brings; the same relative path from `src` and `dist`. */
export function bundledModelFolder(name: BundledModelName): string {
  return fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
}

/**
 * The folder that a bundled model's name stands for. Undefined for other names, where a folder or file is called
 * so, and where the package lacks the model.
 */
export function findBundledModel(name: string): string | undefined {
  const bundled = bundledModelNames.find((one) => one === name);
  if (bundled === undefined || existsSync(name)) return undefined;
  const folder = bundledModelFolder(bundled);
  return existsSync(folder) ? folder : undefined;
}

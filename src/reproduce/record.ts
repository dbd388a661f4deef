/** The record of a result: what `reproductions/` holds. */
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ReproductionResult } from "./run-reproduction.ts";

/** Writes `<system>.json` and `<system>.svg` into the folder, each whole or not at all. */
export async function recordResult(
  folder: string,
  result: ReproductionResult,
  svg: string,
): Promise<{ json: string; svg: string }> {
  const paths = {
    json: join(folder, `${result.system}.json`),
    svg: join(folder, `${result.system}.svg`),
  };
  await mkdir(folder, { recursive: true });
  await writeWhole(paths.svg, svg);
  await writeWhole(paths.json, `${JSON.stringify(result, null, 2)}\n`);
  return paths;
}

/** Writes a file beside its place and moves it there, so that readers see all of it or nothing. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

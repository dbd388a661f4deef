/** jeton for a benchmark. */
import { existsSync } from "node:fs";

/**
 * A module of jeton, e.g. `"tokenizer"`: the built one, or the sources under a loader of TypeScript where there is
 * no build or JETON_BENCH_SOURCES is set.
 */
export async function importJeton(module) {
  const built = new URL(`../dist/${module}/index.js`, import.meta.url);
  const useSources = process.env.JETON_BENCH_SOURCES !== undefined || !existsSync(built);
  return import(useSources ? new URL(`../src/${module}/index.ts`, import.meta.url) : built);
}

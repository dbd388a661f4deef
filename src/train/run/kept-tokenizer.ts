/** The tokenizer of a run: a copy in its folder, so that the original may be gone when the run goes on. */
import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkpointFolder } from "../../checkpoint/index.ts";
import { copyTokenizer } from "../../tokenizer/index.ts";
import { isByteTokenizerName, writeByteTokenizer } from "../data/byte-tokenizer.ts";

/** The tokenizer's copy in the folder of the run; undefined while there is none. */
export async function findKeptTokenizer(folder: string): Promise<string | undefined> {
  const path = join(folder, "data", "tokenizer");
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ? path : undefined;
}

/** Copies the tokenizer into the folder of the run, whole or not at all. */
export async function keepTokenizer(folder: string, tokenizer: string): Promise<string> {
  const path = join(folder, "data", "tokenizer");
  const partial = `${path}.partial`;
  await rm(partial, { recursive: true, force: true });
  if (isByteTokenizerName(tokenizer)) await writeByteTokenizer(partial, tokenizer);
  else await copyTokenizer(await checkpointFolder(tokenizer), partial);
  await rename(partial, path);
  return path;
}

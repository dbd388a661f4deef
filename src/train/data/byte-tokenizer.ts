/** The byte vocabulary as a tokenizer that needs no file. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/index.ts";
import { byteTokenizerFiles } from "../../model/index.ts";
import {
  createTokenizer,
  loadTokenizer,
  readTokenizerSettings,
  type Tokenizer,
} from "../../tokenizer/index.ts";

/** The name that stands for the byte vocabulary where a tokenizer is asked for. */
export const byteTokenizerName = "bytes";

/** The byte vocabulary for `"bytes"`, otherwise what `loadTokenizer` finds. */
export async function openTokenizer(name: string): Promise<Tokenizer> {
  if (name !== byteTokenizerName) return loadTokenizer(name);
  const { tokenizer, config } = byteTokenizerFiles();
  return createTokenizer(tokenizer, readTokenizerSettings({ config }));
}

/** Writes the byte vocabulary into a folder, as any other tokenizer. */
export async function writeByteTokenizer(folder: string): Promise<void> {
  const { tokenizer, config } = byteTokenizerFiles();
  await mkdir(folder, { recursive: true });
  const write = (file: string, value: unknown): Promise<void> =>
    writeFileAtomically(join(folder, file), `${JSON.stringify(value, null, 1)}\n`);
  await write("tokenizer_config.json", config);
  await write("tokenizer.json", tokenizer);
}

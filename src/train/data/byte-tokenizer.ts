/** The byte vocabularies as tokenizers that need no file. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { checkpointFolder, writeFileAtomically } from "../../checkpoint/index.ts";
import { type ByteTokenizerFiles, byteTokenizerFiles } from "../../model/index.ts";
import {
  byT5TokenizerFiles,
  createTokenizer,
  loadTokenizer,
  readTokenizerSettings,
  type Tokenizer,
} from "../../tokenizer/index.ts";

/** Files of the byte vocabularies, by the names that stand for them where a tokenizer is asked for. */
const byteTokenizers: Readonly<Record<string, () => ByteTokenizerFiles>> = {
  bytes: byteTokenizerFiles,
  byt5: byT5TokenizerFiles,
};

/** Whether a name stands for a byte vocabulary. */
export function isByteTokenizerName(name: string): boolean {
  return Object.hasOwn(byteTokenizers, name);
}

/** The byte vocabulary for `"bytes"`, that of ByT5 for `"byt5"`, otherwise what `loadTokenizer` finds. */
export async function openTokenizer(name: string): Promise<Tokenizer> {
  if (!isByteTokenizerName(name)) return loadTokenizer(await checkpointFolder(name));
  const { tokenizer, config } = byteTokenizers[name]!();
  return createTokenizer(tokenizer, readTokenizerSettings({ config }));
}

/** Writes a byte vocabulary into a folder, as any other tokenizer. */
export async function writeByteTokenizer(folder: string, name = "bytes"): Promise<void> {
  const { tokenizer, config } = byteTokenizers[name]!();
  await mkdir(folder, { recursive: true });
  const write = (file: string, value: unknown): Promise<void> =>
    writeFileAtomically(join(folder, file), `${JSON.stringify(value, null, 1)}\n`);
  await write("tokenizer_config.json", config);
  await write("tokenizer.json", tokenizer);
}

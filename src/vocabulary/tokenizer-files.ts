/** The files of a tokenizer on disk. */
import { mkdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../checkpoint/index.ts";

const vocabularyFiles: readonly string[] = [
  "tokenizer.json",
  "tokenizer.model",
  "spiece.model",
  "sentencepiece.bpe.model",
];

const settingsFiles: readonly string[] = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** Copies a tokenizer, given as a folder or as its file, into a folder that is made if needed. */
export async function copyTokenizer(tokenizer: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const isFolder = (await stat(tokenizer)).isDirectory();
  const home = isFolder ? tokenizer : join(tokenizer, "..");
  const copies = new Map<string, string>();
  if (!isFolder) {
    const name = basename(tokenizer);
    copies.set(vocabularyFiles.includes(name) ? name : "tokenizer.json", tokenizer);
  }
  // Files beside the tokenizer file belong to it, as for `loadTokenizer`.
  for (const name of isFolder ? [...vocabularyFiles, ...settingsFiles] : settingsFiles) {
    const path = join(home, name);
    if (await exists(path)) copies.set(name, path);
  }
  for (const [name, path] of copies) {
    await writeFileAtomically(join(folder, name), await readFile(path));
  }
}

export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

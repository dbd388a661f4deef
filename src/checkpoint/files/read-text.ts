/** Texts in files that may be packed. */
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

/**
 * The UTF-8 text of a file, unpacked where its name ends in `.gz`.
 *
 * @throws the errors of the file system and of zlib
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  return (path.endsWith(".gz") ? await promisify(gunzip)(bytes) : bytes).toString("utf8");
}

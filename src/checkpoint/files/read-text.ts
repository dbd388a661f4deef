/** Texts in files that may be packed. */
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { JetonError } from "../../core/index.ts";
import { fileError, systemCode } from "./file-error.ts";

/**
 * The UTF-8 text of a file without its byte order mark, unpacked where its name ends in `.gz`.
 *
 * @throws JetonError those of `fileError`, also for a damaged `.gz`; `file-not-utf8`
 */
export async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    const unpacked = path.endsWith(".gz") ? await promisify(gunzip)(bytes) : bytes;
    return new TextDecoder("utf-8", { fatal: true }).decode(unpacked);
  } catch (cause) {
    if (systemCode(cause) !== "ERR_ENCODING_INVALID_ENCODED_DATA") throw fileError(cause, path);
    throw new JetonError(`${path} is not UTF-8 text`, {
      code: "file-not-utf8",
      details: { path, expected: "UTF-8 text" },
      cause,
    });
  }
}

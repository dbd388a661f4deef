/** Reads the samples of categories from a folder (Node only). */
import { JetonError } from "../../core/error.ts";
import { decodeUtf8Strictly } from "../decoders/byte-alphabet.ts";
import type { MixtureCategory } from "./data-mixture-inference.ts";

/**
 * The categories of a folder: each file is a category, named without its extension; each folder in it
 * is one as well, made of all files below. Hidden files are left out.
 *
 * @throws JetonError `mixture-samples` when the folder holds no sample or cannot be read, or a file is
 *   not text.
 */
export async function readSampleFolder(path: string): Promise<MixtureCategory[]> {
  const { readdir, readFile } = await import("node:fs/promises");
  const { join, parse } = await import("node:path");
  const list = async (folder: string) =>
    (await readdir(folder, { withFileTypes: true }))
      .filter((entry) => !entry.name.startsWith("."))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const filesBelow = async (folder: string): Promise<string[]> => {
    const files: string[] = [];
    for (const entry of await list(folder)) {
      const inside = join(folder, entry.name);
      if (entry.isDirectory()) files.push(...(await filesBelow(inside)));
      else files.push(inside);
    }
    return files;
  };
  const readTexts = (files: readonly string[]): Promise<string[]> =>
    Promise.all(
      files.map(async (file) => {
        const text = decodeUtf8Strictly(await readFile(file));
        if (text === null) throw samplesError(file, "is not UTF-8 text");
        return text;
      }),
    );
  try {
    const categories: MixtureCategory[] = [];
    for (const entry of await list(path)) {
      const inside = join(path, entry.name);
      const files = entry.isDirectory() ? await filesBelow(inside) : [inside];
      const name = entry.isDirectory() ? entry.name : parse(entry.name).name;
      if (files.length > 0) categories.push({ name, texts: await readTexts(files) });
    }
    if (categories.length === 0) throw samplesError(path, "holds no sample");
    return categories;
  } catch (cause) {
    if (JetonError.isInstance(cause)) throw cause;
    throw samplesError(path, "cannot be read", cause);
  }
}

function samplesError(path: string, reason: string, cause?: unknown): JetonError {
  return new JetonError(
    `${path} ${reason}, expected a folder with a text file, or a folder of them, for each category`,
    { code: "mixture-samples", details: { path, reason }, cause },
  );
}

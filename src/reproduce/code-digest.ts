/**
 * A digest of the code behind a module: the module and everything that it imports from files beside it, over
 * any number of steps. It works on sources and on the built package.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** Imports, exports from, `import(…)` and `new URL(…)` of relative paths. */
const reference =
  /(?:\bfrom|\bimport|\bimport\s*\(|\bnew\s+URL\s*\()\s*["'](\.{1,2}\/[^"'\n]+\.(?:ts|js|mjs))["']/g;

/**
 * The files that a module consists of, itself first, as paths in the order in which they are reached.
 *
 * @throws the error of the file system where the module itself cannot be read
 */
export async function collectCode(module: string | URL): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const waiting = [new URL(module)];
  for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) {
    if (texts.has(url.href)) continue;
    const text = await readSource(url, texts.size === 0);
    if (text === undefined) continue;
    texts.set(url.href, text);
    for (const [, path] of text.matchAll(reference)) waiting.push(new URL(path!, url));
  }
  return texts;
}

/** 16 hexadecimal digits that change with any of the files, and with `also`. */
export async function digestCode(
  module: string | URL,
  also: readonly string[] = [],
): Promise<string> {
  const texts = await collectCode(module);
  const hash = createHash("sha256");
  // Contents and not paths: a package is the same wherever it lies.
  for (const text of texts.values()) hash.update(`${text.length}\0`).update(text);
  for (const text of also) hash.update(`\0${text}`);
  return hash.digest("hex").slice(0, 16);
}

/** The text of a file; undefined where a path in a comment or an example names none. */
async function readSource(url: URL, isRoot: boolean): Promise<string | undefined> {
  try {
    return await readFile(fileURLToPath(url), "utf8");
  } catch (error) {
    if (isRoot) throw error;
    return undefined;
  }
}

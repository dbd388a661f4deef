/**
 * What the names in a corpus stand for: files, folders, patterns, and data of the registry.
 */
import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../../core/index.ts";
import { dataFiles, locateData } from "../../data/index.ts";

/** Before a name of the data registry, as in `data:text/gibbon`. */
const registryPrefix = "data:";

/**
 * Lists the files of a corpus, in the order of its names; the files of one name are sorted by path.
 *
 * @param names a file; a folder: every file below it that is not hidden; a pattern of `*` and `?`
 *   (within a name), `**` (any folders) and `{a,b}`; or `data:` and a file or folder of the data registry
 *
 * @throws JetonError `corpus-file-unreadable`, `corpus-nothing-matches`, and those of `locateData`
 */
export async function listCorpusFiles(names: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const name of names) {
    const path = name.startsWith(registryPrefix)
      ? await locateData(name.slice(registryPrefix.length).replace(/\/$/, ""))
      : name;
    const found = await stat(path).catch((cause: unknown) => cause as NodeJS.ErrnoException);
    if (!(found instanceof Error)) {
      const listed = found.isDirectory() ? await listFolder(path) : [path];
      if (listed.length === 0) throw nothingMatches(name, "the folder holds no file");
      files.push(...listed);
    } else if (found.code === "ENOENT" && /[*?{]/.test(path)) {
      const matching = await listMatching(path);
      if (matching.length === 0) throw nothingMatches(name, "no file has such a name");
      files.push(...matching);
    } else {
      const reason = found.code === "ENOENT" ? "it does not exist" : found.message;
      throw new JetonError(`${path} cannot be read: ${reason}`, {
        code: "corpus-file-unreadable",
        cause: found,
        details: { file: path },
      });
    }
  }
  return files;
}

/** A name of a corpus for people: without the folders before it, with the licence of registered data. */
export function describeCorpusName(name: string): string {
  if (!name.startsWith(registryPrefix)) {
    return name.split(/[\\/]/).findLast((part) => part !== "") ?? name;
  }
  const wanted = name.slice(registryPrefix.length).replace(/\/$/, "");
  const licences = [...dataFiles().values()]
    .filter((file) => file.name === wanted || file.name.startsWith(`${wanted}/`))
    .map(({ licence }) => licence);
  return `${name} (${[...new Set(licences)].join("; ")})`;
}

function nothingMatches(name: string, reason: string): JetonError {
  return new JetonError(`${name}: ${reason}`, {
    code: "corpus-nothing-matches",
    details: { name },
  });
}

/** All files below a folder that are not hidden. Links to files count; links to folders are not followed. */
async function listFolder(folder: string): Promise<string[]> {
  const files: string[] = [];
  await visitFolder(folder, "", (relative) => {
    if (!isHidden(relative)) files.push(join(folder, relative));
  });
  return files.sort();
}

async function listMatching(pattern: string): Promise<string[]> {
  const parts = pattern.split("/");
  const fixed = parts.findIndex((part) => /[*?{]/.test(part));
  const base = parts.slice(0, fixed).join("/");
  const folder = base === "" ? (pattern.startsWith("/") ? "/" : ".") : base;
  const wanted = parts.slice(fixed).join("/");
  const expression = toExpression(wanted);
  const namesHidden = /(^|\/)\./.test(wanted);
  const files: string[] = [];
  await visitFolder(folder, "", (relative) => {
    if (isHidden(relative) && !namesHidden) return;
    if (expression.test(relative)) files.push(join(folder, relative));
  });
  return files.sort();
}

/** Calls `visit` with every file below a folder, by its path there, with `/` between the parts. */
async function visitFolder(
  folder: string,
  inside: string,
  visit: (relative: string) => void,
): Promise<void> {
  let entries: Dirent[];
  try {
    entries = await readdir(join(folder, inside), { withFileTypes: true });
  } catch (error) {
    // The folder before a pattern need not exist; an unreadable folder below it is an error.
    if (inside === "" && (error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new JetonError(`${join(folder, inside)} cannot be read: ${(error as Error).message}`, {
      code: "corpus-file-unreadable",
      cause: error,
      details: { file: join(folder, inside) },
    });
  }
  for (const entry of entries) {
    const relative = inside === "" ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!entry.name.startsWith(".")) await visitFolder(folder, relative, visit);
    } else if (entry.isFile() || (await isLinkToFile(entry, join(folder, relative)))) {
      visit(relative);
    }
  }
}

async function isLinkToFile(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return false;
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function isHidden(relative: string): boolean {
  return /(^|\/)\./.test(relative);
}

/** The regular expression of a pattern. */
function toExpression(pattern: string): RegExp {
  let source = "";
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    if (pattern.startsWith("**/", i)) {
      source += "(?:[^/]+/)*";
      i += 2;
    } else if (pattern.startsWith("**", i)) {
      source += ".*";
      i++;
    } else if (character === "*") source += "[^/]*";
    else if (character === "?") source += "[^/]";
    else if (character === "{") {
      source += "(?:";
      depth++;
    } else if (character === "}" && depth > 0) {
      source += ")";
      depth--;
    } else if (character === "," && depth > 0) source += "|";
    else source += character.replace(/[\\^$.|+()[\]{}]/g, "\\$&");
  }
  return new RegExp(`^${source}${")".repeat(depth)}$`, "u");
}

/** What `jeton index` reads: texts of files and folders, cut into passages, and records of JSON lines. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { fileError } from "../../checkpoint/files/file-error.ts";
import { JetonError } from "../../core/error.ts";
import { createRecursiveChunker } from "../../evaluate/rag-token-metrics/chunkers/recursive.ts";
import type { FieldValue, IndexRecord } from "../../retrieve/index.ts";

/** A file to be indexed. */
export interface SourceFile {
  /** As it is shown and as records name it, with `/` between folders. */
  readonly path: string;
  readonly location: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly bytes: number;
}

/** Larger files are not read. */
export const maxSourceBytes = 64e6;
const skippedFolders = new Set(["node_modules", "dist", "__pycache__"]);

/**
 * Files of the paths and below them, in the order of their names, also those beyond `maxSourceBytes`. Hidden files and folders below a path are left
 * out, and so are `node_modules`, `dist` and symbolic links.
 *
 * @param without a folder that is left out: the index's own
 * @throws JetonError `file-not-found` and its like
 */
export async function listSources(
  paths: readonly string[],
  without: string,
): Promise<SourceFile[]> {
  const found = new Map<string, SourceFile>();
  for (const path of paths) await listBelow(path, found, resolve(without));
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function listBelow(
  location: string,
  found: Map<string, SourceFile>,
  without: string,
): Promise<void> {
  if (resolve(location) === without) return;
  const entry = await stat(location).catch((error: unknown) => {
    throw fileError(error, location);
  });
  if (!entry.isDirectory()) {
    const path = toShown(location);
    if (entry.isFile()) {
      found.set(path, { path, location, modified: entry.mtimeMs, bytes: entry.size });
    }
    return;
  }
  const entries = await readdir(location, { withFileTypes: true });
  for (const one of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (one.name.startsWith(".") || skippedFolders.has(one.name) || one.isSymbolicLink()) continue;
    if (one.isDirectory() || one.isFile())
      await listBelow(join(location, one.name), found, without);
  }
}

/** The path as records name it: relative to the working folder where it is below it. */
export function toShown(location: string): string {
  const path = relative(process.cwd(), location);
  const shown = path.startsWith("..") ? location : path;
  return shown.split(sep).join("/") || ".";
}

/**
 * The records of a file; none for a file that is no text. A passage's id is `path#number`, and its fields
 * say where it stands: `path`, `line` (from 1), `start` and `end` (UTF-16 units).
 *
 * @param size UTF-16 units of a passage at most
 * @throws JetonError `source-invalid` for a line of a `.jsonl` file that is no record
 */
export async function readSource(source: SourceFile, size: number): Promise<IndexRecord[]> {
  const bytes = await readFile(source.location).catch((error: unknown) => {
    throw fileError(error, source.location);
  });
  if (bytes.subarray(0, 8192).includes(0)) return [];
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return [];
  }
  const common = { path: source.path, modified: source.modified, bytes: source.bytes };
  if (source.path.endsWith(".jsonl")) return readJsonLines(text, common);
  const records: IndexRecord[] = [];
  let [line, at] = [1, 0];
  for (const { start, end } of await createRecursiveChunker({ size }).chunk(text)) {
    const passage = text.slice(start, end);
    if (passage.trim() === "") continue;
    for (; at < start; at++) if (text.charCodeAt(at) === 10) line++;
    const fields = { ...common, line, start, end };
    records.push({ id: `${source.path}#${records.length}`, text: passage, fields });
  }
  return records;
}

/** Lines of `{ "id" or "_id", "text", "title"?, … }`; scalars of other names become fields. */
function readJsonLines(
  text: string,
  common: { readonly path: string; readonly modified: number; readonly bytes: number },
): IndexRecord[] {
  return text.split("\n").flatMap((line, at) => {
    if (line.trim() === "") return [];
    let json: Record<string, unknown>;
    try {
      json = JSON.parse(line) as Record<string, unknown>;
    } catch (cause) {
      throw invalid(common.path, at + 1, line.slice(0, 80), cause);
    }
    const { id, _id, text: body, title, ...rest } = json ?? {};
    const name = id ?? _id ?? String(at + 1);
    if (typeof body !== "string" || !["string", "number"].includes(typeof name)) {
      throw invalid(common.path, at + 1, line.slice(0, 80));
    }
    const fields: Record<string, FieldValue> = { ...common, line: at + 1 };
    for (const [key, value] of Object.entries(rest)) {
      const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
      if (isList || ["string", "number", "boolean"].includes(typeof value)) {
        fields[key] = value as FieldValue;
      }
    }
    const hasTitle = typeof title === "string" && title !== "";
    if (hasTitle) fields["title"] = title;
    return [
      { id: `${common.path}#${String(name)}`, text: hasTitle ? `${title}\n${body}` : body, fields },
    ];
  });
}

function invalid(path: string, line: number, found: string, cause?: unknown): JetonError {
  return new JetonError(`${path}:${line}: ${found}; expected a JSON object with "text"`, {
    code: "source-invalid",
    details: { path, line, found, expected: '{ "id", "text", … }' },
    ...(cause !== undefined && { cause }),
  });
}

/**
 * The registry of the data that tests, reproductions and benchmarks read: name, public address, licence
 * and checksum of each file. The files themselves are not part of the project; they are in the folder
 * named by the environment variable `JETON_DATA`.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileError } from "../checkpoint/files/file-error.ts";
import type { Environment } from "../checkpoint/hub/hub-settings.ts";
import { JetonError, suggest } from "../core/index.ts";
import { dataTable } from "./table.ts";

/** A file of the registry. */
export interface DataFile {
  /** Path inside the data folder, e.g. `"text/wikitext-2/test.txt"`. */
  readonly name: string;
  /** Public address of the file itself, or of the source of a derived file. */
  readonly address: string;
  readonly sha256: string;
  readonly licence: string;
  /** How the file was derived from the source; absent if it is the source's file, byte for byte. */
  readonly derived?: string;
}

export interface LocateDataOptions {
  /** The data folder. Default: `JETON_DATA`, otherwise the folder that `jeton data fetch` fills. */
  folder?: string;
  /** Default `process.env`. */
  environment?: Environment;
}

let table: ReadonlyMap<string, DataFile> | undefined;

/** Every file of the registry by name. */
export function dataFiles(): ReadonlyMap<string, DataFile> {
  table ??= new Map(parseTable(dataTable).map((file) => [file.name, file]));
  return table;
}

function parseTable(text: string): DataFile[] {
  const files: DataFile[] = [];
  let group = { source: "", commit: "", licence: "", derived: "" };
  for (const line of text.trim().split("\n")) {
    if (line.startsWith("# ")) {
      const [origin = "", licence = "", derived = ""] = line.slice(2).split(" | ");
      // A commit follows the repositories of GitHub alone.
      const isRepository = origin.startsWith("github.com/");
      const [source = "", commit = ""] = isRepository ? origin.split(" ") : [origin];
      group = { source, commit, licence, derived };
      continue;
    }
    const [sha256 = "", name = "", path = ""] = line.split(" ");
    const { source, commit, licence, derived } = group;
    const address = path
      ? `https://raw.githubusercontent.com/${source.replace("github.com/", "")}/${commit}/${path}`
      : source;
    files.push({ name, address, sha256, licence, ...(derived && { derived }) });
  }
  return files;
}

/** The data folder; undefined if `JETON_DATA` is not set. */
export function dataFolder(environment: Environment = process.env): string | undefined {
  const folder = environment["JETON_DATA"];
  return folder ? resolve(folder) : undefined;
}

/** The folder that `fetchData` fills: `JETON_DATA`, otherwise `data` in the cache folder of jeton. */
export function targetFolder(environment: Environment = process.env): string {
  const cache = environment["JETON_CACHE"] || join(homedir(), ".cache", "jeton");
  return dataFolder(environment) ?? join(cache, "data");
}

/**
 * The files of the registry with these names, or below folders with these names; all without names.
 *
 * @throws JetonError `data-unknown`
 */
export function findDataFiles(names: readonly string[]): DataFile[] {
  const files = [...dataFiles().values()];
  if (names.length === 0) return files;
  const wanted = new Set<DataFile>();
  for (const name of names) {
    const found = files.filter((file) => file.name === name || file.name.startsWith(`${name}/`));
    if (found.length === 0) throw unknownData(name);
    for (const file of found) wanted.add(file);
  }
  return files.filter((file) => wanted.has(file));
}

function unknownData(name: string): JetonError {
  const files = [...dataFiles().keys()];
  const folders = files.flatMap((file) => {
    const parts = file.split("/");
    return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
  });
  const near = suggest(name, [...new Set([...folders, ...files])]);
  const hint = near === undefined ? "jeton data list shows it" : `did you mean ${near}?`;
  return new JetonError(`${JSON.stringify(name)} is not in the data registry; ${hint}`, {
    code: "data-unknown",
    details: { found: name, expected: near ?? "a file or folder of the registry" },
  });
}

/**
 * Returns the path of a file of the registry, or of a folder of such files (`"text/gibbon"`), after
 * checking that each file exists and has its checksum.
 *
 * @example
 * const path = await locateData("text/tinyshakespeare.txt");
 *
 * @throws JetonError `data-unknown` (not in the registry), `data-missing` (`details.files` lists the
 * files with their addresses), `data-checksum-mismatch`
 */
export async function locateData(name: string, options: LocateDataOptions = {}): Promise<string> {
  const wanted = findDataFiles([name]);
  const folder = options.folder ?? targetFolder(options.environment);
  const missing: DataFile[] = [];
  for (const file of wanted) {
    if (!(await isThere(join(folder, file.name)))) missing.push(file);
  }
  if (missing.length > 0) throw missingData(missing, folder);
  for (const file of wanted) await checkSum(join(folder, file.name), file);
  return join(folder, name);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function missingData(missing: readonly DataFile[], folder: string): JetonError {
  const { name, address, licence, derived } = missing[0]!;
  const others = missing.length > 1 ? ` (and ${missing.length - 1} more)` : "";
  const remedy =
    derived === undefined
      ? `jeton data fetch ${name} downloads it, or JETON_DATA names a folder that has it`
      : "JETON_DATA may name a folder that has it";
  return new JetonError(
    `the data file ${name}${others} is not in ${folder}; ${remedy}. It comes from ${address}` +
      `${derived ? ` (${derived})` : ""}, licence: ${licence}`,
    { code: "data-missing", details: { files: missing, folder } },
  );
}

/** Files whose checksum this process has verified, keyed by path, size and modification time. */
const checked = new Set<string>();

async function checkSum(path: string, file: DataFile): Promise<void> {
  try {
    const { size, mtimeMs } = await stat(path);
    const state = JSON.stringify([path, size, mtimeMs]);
    if (checked.has(state)) return;
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    const found = hash.digest("hex");
    if (found !== file.sha256) {
      throw new JetonError(
        `${path} has the checksum ${found}, expected ${file.sha256}; it comes from ${file.address}`,
        { code: "data-checksum-mismatch", details: { path, found, expected: file.sha256 } },
      );
    }
    checked.add(state);
  } catch (error) {
    throw fileError(error, path);
  }
}

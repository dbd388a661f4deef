/**
 * The data that tests, reproductions and benchmarks read: what each file is called, where it comes
 * from, under which licence, and its checksum. The files themselves are no part of the project; they
 * lie in a folder that the environment variable `JETON_DATA` names.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileError } from "../checkpoint/files/file-error.ts";
import type { Environment } from "../checkpoint/hub/hub-settings.ts";
import { JetonError } from "../core/index.ts";
import { dataTable } from "./table.ts";

/** A file of the registry. */
export interface DataFile {
  /** Path inside the data folder, e.g. `"text/wikitext-2/test.txt"`. */
  readonly name: string;
  /** Public address of the file itself, or of what it was made from. */
  readonly address: string;
  readonly sha256: string;
  readonly licence: string;
  /** What was made of the source; absent when the file is the source's own, byte for byte. */
  readonly derived?: string;
}

export interface LocateDataOptions {
  /** The data folder. Default: what `JETON_DATA` names. */
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
      const [source = "", commit = ""] = origin.split(" ");
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

/** The data folder, or undefined when `JETON_DATA` is not set: tests are skipped then, and say so. */
export function dataFolder(environment: Environment = process.env): string | undefined {
  const folder = environment["JETON_DATA"];
  return folder ? resolve(folder) : undefined;
}

/**
 * Gives the path of a file of the registry, or of a folder that holds several (`"text/gibbon"`), after
 * checking that every file is there and has its checksum.
 *
 * @example
 * const path = await locateData("text/tinyshakespeare.txt");
 *
 * @throws JetonError `data-unknown` (not in the registry), `data-missing` (with `details.files`: which
 * files, and where each comes from), `data-checksum-mismatch`.
 */
export async function locateData(name: string, options: LocateDataOptions = {}): Promise<string> {
  const wanted = [...dataFiles().values()].filter(
    (file) => file.name === name || file.name.startsWith(`${name}/`),
  );
  if (wanted.length === 0) {
    throw new JetonError(`${JSON.stringify(name)} is not in the data registry`, {
      code: "data-unknown",
      details: { found: name, expected: "a file or folder of the registry" },
    });
  }
  const folder = options.folder ?? dataFolder(options.environment);
  const missing: DataFile[] = [];
  for (const file of wanted) {
    if (!folder || !(await isThere(join(folder, file.name)))) missing.push(file);
  }
  if (missing.length > 0) throw missingData(missing, folder);
  for (const file of wanted) await checkSum(join(folder!, file.name), file);
  return join(folder!, name);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function missingData(missing: readonly DataFile[], folder: string | undefined): JetonError {
  const { name, address, licence, derived } = missing[0]!;
  const others = missing.length > 1 ? ` (and ${missing.length - 1} more)` : "";
  const where = folder ? `is not in ${folder}` : "is needed, and JETON_DATA names no data folder";
  return new JetonError(
    `the data file ${name}${others} ${where}; it comes from ${address}` +
      `${derived ? ` (${derived})` : ""}, licence: ${licence}`,
    { code: "data-missing", details: { files: missing, folder } },
  );
}

/** Files whose checksum this process has found right: path, size and time of change. */
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

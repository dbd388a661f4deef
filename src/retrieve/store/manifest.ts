/** The manifest: which files make an index. It is replaced in one step, which is what a flush is. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { fileError, isJsonObject, parseJson, writeFileAtomically } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import type { AnalyzerOptions, Bm25FormulaOptions } from "../../lexical/index.ts";

/** What an index was made with. */
export interface StoredSettings {
  readonly analyzer: AnalyzerOptions;
  readonly bm25: Bm25FormulaOptions;
  readonly invertFrom: number;
  readonly residuals: "4-bit" | "exact";
  /** What the caller wants to remember, e.g. the name of the model that made the vectors. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** An index's files. */
export interface Manifest {
  readonly format: "jeton-index";
  readonly version: 2;
  readonly settings: StoredSettings;
  readonly denseDim?: number;
  readonly tokenDim?: number;
  readonly segments: readonly {
    readonly file: string;
    /** One bit a record, in base64; absent if none is deleted. */
    readonly deleted?: string;
  }[];
  readonly log: string;
  /** Number for the next file's name. */
  readonly next: number;
}

const name = "manifest.json";

/** Version 1 had no checksum. */
const versions: readonly unknown[] = [1, 2];

/**
 * The manifest of a folder; undefined if the folder has none.
 *
 * @throws JetonError `index-invalid` for one of another form or version, and for one that was changed
 */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, name);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") return undefined;
    if (code === "ENOTDIR") throw noFolder(folder);
    throw fileError(error, path);
  }
  const manifest = parseJson(text, { source: path, code: "index-invalid" });
  const isOurs =
    isJsonObject(manifest) &&
    manifest["format"] === "jeton-index" &&
    versions.includes(manifest["version"]);
  if (!isOurs) {
    throw new JetonError(`${path} is no manifest of an index, or one of another version`, {
      code: "index-invalid",
      details: { path, expected: "format jeton-index, version 1 or 2" },
    });
  }
  const { crc, ...content } = manifest;
  if (content["version"] !== 1 && crc !== checksum(content)) {
    throw new JetonError(`${path} is damaged: its checksum is another one`, {
      code: "index-invalid",
      details: { path, found: crc, expected: "the manifest as it was written" },
    });
  }
  const found = content as unknown as Manifest;
  // JSON has no number for "never".
  const invertFrom = found.settings.invertFrom ?? Number.POSITIVE_INFINITY;
  return { ...found, version: 2, settings: { ...found.settings, invertFrom } };
}

/** CRC-32 of what a manifest says. */
function checksum(content: object): number {
  return crc32(JSON.stringify(content));
}

/** A file stands where the folder of an index should. */
export function noFolder(path: string): JetonError {
  return new JetonError(`${path} is a file, expected the folder of an index`, {
    code: "index-not-found",
    details: { path, expected: "a folder with manifest.json" },
  });
}

/** A text that is another one after each acknowledged change of an index; undefined for a folder without an index. */
export async function readIndexVersion(folder: string): Promise<string | undefined> {
  const manifest = await readManifest(folder);
  if (manifest === undefined) return undefined;
  // A flush between both reads removes the log, and has changed the manifest.
  const log = await stat(join(folder, manifest.log)).catch(() => undefined);
  return `${JSON.stringify(manifest)} ${log?.size}`;
}

/** Replaces the manifest. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const content = { ...manifest, crc: checksum(manifest) };
  await writeFileAtomically(join(folder, name), `${JSON.stringify(content, null, 1)}\n`);
}

/** Deletions as bits. */
export function packDeleted(deleted: Uint8Array): string | undefined {
  if (!deleted.includes(1)) return undefined;
  const bits = new Uint8Array(Math.ceil(deleted.length / 8));
  for (const [place, isDeleted] of deleted.entries()) bits[place >> 3]! |= isDeleted << (place & 7);
  return Buffer.from(bits).toString("base64");
}

/** Deletions from bits. */
export function unpackDeleted(text: string | undefined, count: number): Uint8Array {
  const bits = Buffer.from(text ?? "", "base64");
  return Uint8Array.from(
    { length: count },
    (_, place) => ((bits[place >> 3] ?? 0) >> (place & 7)) & 1,
  );
}

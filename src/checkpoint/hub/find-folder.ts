/** What a model is called on this machine: a folder, or one of the bundled models. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { JetonError, suggest } from "../../core/index.ts";
import { bundledModelNames, findBundledModel } from "../bundled-models.ts";
import { foreignFormatError } from "../foreign-formats.ts";

/**
 * The folder of that path, or of the bundled model of that name; undefined when the name may be meant for the hub.
 *
 * @throws JetonError `model-not-found` for a path without a folder, `model-name-invalid` for a name that is neither a
 *   folder's nor a bundled model's and has no owner
 */
export async function findFolder(nameOrPath: string): Promise<string | undefined> {
  const bundled = findBundledModel(nameOrPath);
  if (bundled !== undefined) return bundled;
  const found = await stat(nameOrPath).catch(() => undefined);
  if (found?.isDirectory()) return resolve(nameOrPath);
  if (found) {
    const error = foreignFormatError(nameOrPath, [basename(nameOrPath)]);
    if (error !== undefined) throw error;
    throw notFound(nameOrPath, "is a file; expected a checkpoint folder");
  }
  if (await isPath(nameOrPath)) {
    const near = await nearestFolder(nameOrPath);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw notFound(nameOrPath, `does not exist${hint}`);
  }
  if (!/[/@]/.test(nameOrPath)) throw await unknownName(nameOrPath);
  return undefined;
}

/** The error for a single word: hub names have an owner. */
async function unknownName(name: string): Promise<JetonError> {
  const bundled = bundledModelNames.join(", ");
  const near = suggest(name, bundledModelNames) ?? (await nearestFolder(name));
  return new JetonError(
    `${JSON.stringify(name)} is neither a folder nor a bundled model (${bundled}), and names on the hub are owner/name` +
      (near === undefined ? "" : `; did you mean ${near}?`),
    {
      code: "model-name-invalid",
      details: { found: name, expected: `a folder, owner/name[@revision], or one of ${bundled}` },
    },
  );
}

/** True for names that cannot be or are not meant as `owner/name`; `owner/name@revision` always is. */
async function isPath(name: string): Promise<boolean> {
  if (isAbsolute(name) || /^\.{0,2}[/\\]|^~|^\.{1,2}$|\\|\/$/.test(name)) return true;
  if (name.includes("@")) return false;
  if (/\.(gguf|onnx|bin|pth?|safetensors|json|model|tiktoken)$/i.test(name)) return true;
  const [first, ...rest] = name.split("/");
  const parent = rest.length > 0 ? await stat(first!).catch(() => undefined) : undefined;
  return parent?.isDirectory() === true;
}

/** The folder beside a mistyped one whose name is nearest. */
async function nearestFolder(path: string): Promise<string | undefined> {
  const parent = dirname(path);
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => !entry.isFile()).map((entry) => entry.name);
  const near = suggest(basename(path), names);
  return near === undefined ? undefined : join(parent, near);
}

function notFound(nameOrPath: string, problem: string): JetonError {
  return new JetonError(`${nameOrPath} ${problem}`, {
    code: "model-not-found",
    details: { found: nameOrPath, expected: "a folder, or owner/name on the hub" },
  });
}

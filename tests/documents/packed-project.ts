/**
 * A project that has installed the packed package: `npm pack`, unpacked into `node_modules/jeton` of a new folder.
 * jeton's dependencies are links to those of this repository, so that nothing is downloaded.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the repository. */
export const repository: string = fileURLToPath(new URL("../..", import.meta.url));

/** A temporary project; `remove` deletes it. */
export interface PackedProject {
  readonly folder: string;
  /** Environment in which `jeton` is a command and no variable of the tests' own changes anything. */
  readonly env: NodeJS.ProcessEnv;
  /** The files of the package, as `npm pack --json` lists them. */
  readonly packed: {
    readonly size: number;
    readonly files: readonly { path: string; size: number }[];
  };
  remove(): void;
}

/** Packages of a `node_modules` folder; those of a scope one by one, so that only links can be removed. */
function packageNames(modules: string): string[] {
  return readdirSync(modules).flatMap((name) => {
    if (name.startsWith(".") || name === "jeton") return [];
    if (!name.startsWith("@")) return [name];
    return readdirSync(join(modules, name)).map((part) => `${name}/${part}`);
  });
}

/** What `npm pack --json` says of a package. */
type Packed = PackedProject["packed"] & { readonly filename: string };

/**
 * Packs the build into `node_modules/.cache`, once for each build: several suites lay out a project of their own.
 *
 * @returns what npm says of the package, and the path of the tarball
 */
export function packOnce(): { packed: Packed; tarball: string } {
  execFileSync(process.execPath, ["scripts/build.mjs", "--if-changed"], {
    cwd: repository,
    stdio: ["ignore", "ignore", "inherit"],
  });
  // The stamp of the build covers the sources; README and models are packed beside them.
  const cache = join(repository, "node_modules/.cache");
  const key = createHash("sha256").update(readFileSync(join(cache, "jeton-build")));
  for (const name of ["README.md", "LICENSE", ...filesBelow("models"), ...filesBelow("src")]) {
    const { size, mtimeMs } = statSync(join(repository, name));
    key.update(`${name}\0${size}\0${mtimeMs}\n`);
  }
  const folder = join(cache, "jeton-packed", key.digest("hex").slice(0, 16));
  if (!existsSync(folder)) {
    const unfinished = mkdtempSync(join(cache, "jeton-packing-"));
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", unfinished];
    const output = execFileSync("npm", args, {
      cwd: repository,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    writeFileSync(join(unfinished, "packed.json"), output);
    mkdirSync(dirname(folder), { recursive: true });
    // Another suite may have been faster: its tarball is the same.
    if (existsSync(folder)) rmSync(unfinished, { recursive: true });
    else {
      for (const older of readdirSync(dirname(folder))) {
        rmSync(join(dirname(folder), older), { recursive: true, force: true });
      }
      renameSync(unfinished, folder);
    }
  }
  const [packed] = JSON.parse(readFileSync(join(folder, "packed.json"), "utf8")) as [Packed];
  return { packed, tarball: join(folder, packed.filename) };
}

/** Paths of the files below a folder of the repository, from its root. */
function filesBelow(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(repository, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** Builds, packs, and lays out the project. */
export function createPackedProject(): PackedProject {
  const { packed, tarball } = packOnce();
  const folder = mkdtempSync(join(tmpdir(), "jeton-packed-"));
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, ".bin"), { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", folder]);
  cpSync(join(folder, "package"), join(modules, "jeton"), { recursive: true });
  rmSync(join(folder, "package"), { recursive: true });
  for (const name of packageNames(join(repository, "node_modules"))) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(repository, "node_modules", name), join(modules, name));
  }
  symlinkSync("../jeton/dist/cli/main.js", join(modules, ".bin/jeton"));
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "a-project", private: true, type: "module" }),
  );
  const { JETON_DATA: _data, ...inherited } = process.env;
  const env = {
    ...inherited,
    PATH: `${join(modules, ".bin")}${delimiter}${process.env["PATH"]}`,
    NO_COLOR: "1",
    NODE_OPTIONS: "",
    // Caches of models and packed weights stay inside the project.
    JETON_CACHE: join(folder, ".cache/jeton"),
    XDG_CACHE_HOME: join(folder, ".cache"),
    HF_HOME: join(folder, ".cache/huggingface"),
  };
  return {
    folder,
    env,
    packed,
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

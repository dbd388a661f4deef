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
  const cache = join(repository, "node_modules/.cache");
  // A fresh clone has none.
  mkdirSync(cache, { recursive: true });
  for (;;) {
    execFileSync(process.execPath, ["scripts/build.mjs", "--if-changed"], {
      cwd: repository,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const build = readBuildStamp();
    const folder = join(cache, "jeton-packed", keyOfPackage(build));
    if (!existsSync(folder)) {
      const unfinished = mkdtempSync(join(cache, "jeton-packing-"));
      try {
        packInto(unfinished);
        // Another build took the place of this one: the package may hold files of both.
        if (readBuildStamp() !== build) continue;
        keepPackage(unfinished, folder);
      } finally {
        rmSync(unfinished, { recursive: true, force: true });
      }
    }
    const [packed] = JSON.parse(readFileSync(join(folder, "packed.json"), "utf8")) as [Packed];
    return { packed, tarball: join(folder, packed.filename) };
  }
}

/** What `scripts/build.mjs` wrote into the build when it was whole; undefined while another one takes its place. */
function readBuildStamp(): string | undefined {
  const file = join(repository, "dist/.build-stamp");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** The stamp of the build covers the sources; README and models are packed beside them. */
function keyOfPackage(build: string | undefined): string {
  const key = createHash("sha256").update(build ?? "");
  for (const name of ["README.md", "LICENSE", ...filesBelow("models"), ...filesBelow("src")]) {
    const { size, mtimeMs } = statSync(join(repository, name));
    key.update(`${name}\0${size}\0${mtimeMs}\n`);
  }
  return key.digest("hex").slice(0, 16);
}

function packInto(folder: string): void {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const output = execFileSync("npm", args, {
    cwd: repository,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  writeFileSync(join(folder, "packed.json"), output);
}

/** Keeps a package in the place of older ones. Another suite may have been faster: its tarball is the same. */
function keepPackage(unfinished: string, folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(dirname(folder), { recursive: true });
  for (const older of readdirSync(dirname(folder))) {
    rmSync(join(dirname(folder), older), { recursive: true, force: true });
  }
  renameSync(unfinished, folder);
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

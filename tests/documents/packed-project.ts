/**
 * A project that has installed the packed package: `npm pack`, unpacked into `node_modules/jeton` of a new folder.
 * jeton's dependencies are links to those of this repository, so that nothing is downloaded.
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
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

/** Builds, packs, and lays out the project. */
export function createPackedProject(): PackedProject {
  const folder = mkdtempSync(join(tmpdir(), "jeton-packed-"));
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, ".bin"), { recursive: true });
  execFileSync(process.execPath, ["scripts/build.mjs", "--if-changed"], {
    cwd: repository,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const output = execFileSync(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", folder],
    { cwd: repository, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const [packed] = JSON.parse(output) as [PackedProject["packed"] & { filename: string }];
  execFileSync("tar", ["-xzf", packed.filename, "-C", folder], { cwd: folder });
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

// Builds dist/ with the TypeScript compiler: one JavaScript file and one declaration for each source.
// With --if-changed, only when a source is other than in the last build: the first `npx jeton` in a clone
// makes npm prepare the clone once more, which `npm ci` has just done.
//
// The build is made in a folder of its own, which takes the place of dist/ when it is whole. dist/ is so a whole
// build at any time, also with several of these at once, and after one that fails.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildStudio } from "./build-studio.mjs";
import { copyWasmRuntime } from "./copy-wasm-runtime.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
/** In the build itself, so that it cannot be that of another one. It is not packed. */
const stampName = ".build-stamp";

const stamp = stampOfSources();
const isBuilt = () =>
  process.argv.includes("--if-changed") &&
  existsSync(join(dist, stampName)) &&
  readFileSync(join(dist, stampName), "utf8") === stamp;
if (!isBuilt()) {
  // As deep as dist/: maps name the sources by their path from there.
  const made = join(root, `.dist-${process.pid}`);
  try {
    await build(made);
    // Another build of the same sources may be done: those that read it are not disturbed.
    if (!isBuilt()) replaceDist(made);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Builds into an empty folder. */
async function build(folder) {
  rmSync(folder, { recursive: true, force: true });
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const settings = join(root, "tsconfig.build.json");
  execFileSync(process.execPath, [compiler, "-p", settings, "--outDir", folder], {
    stdio: "inherit",
  });
  checkImports(folder);
  copyWasmRuntime(root, folder);
  await buildStudio(root, folder);
  const bin = join(folder, "cli/main.js");
  if (existsSync(bin)) chmodSync(bin, 0o755);
  writeFileSync(join(folder, stampName), stamp);
}

/**
 * Fails where a module asks for a source in place of what was built from it: the compiler leaves a dynamic import as it
 * is in a function that declares with `using` (findings/typescript-using-dynamic-import.sh).
 */
function checkImports(folder) {
  const wrong = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".js"))
    .filter((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      return /(?:\bfrom|\bimport)\s*\(?\s*"\.{1,2}\/[^"]*(?<!\.d)\.ts"/.test(text);
    });
  if (wrong.length === 0) return;
  throw new Error(
    `${wrong.join(", ")}: imports a .ts file; keep dynamic imports out of functions that declare with "using"`,
  );
}

/** Puts a whole build in the place of dist/. */
function replaceDist(made) {
  const old = `${made}-old`;
  rmSync(old, { recursive: true, force: true });
  for (;;) {
    moveIfThere(dist, old);
    try {
      renameSync(made, dist);
      break;
    } catch (error) {
      // Another build put its own there in between: this one is the later.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      rmSync(old, { recursive: true, force: true });
    }
  }
  rmSync(old, { recursive: true, force: true });
}

function moveIfThere(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

/** Names, sizes and times of everything that a build reads, as one hash. */
function stampOfSources() {
  const files = ["src", "studio", "reproductions"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name)),
  );
  const settings = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "scripts/build.mjs",
    "scripts/build-studio.mjs",
    "scripts/copy-wasm-runtime.mjs",
  ];
  const hash = createHash("sha256");
  for (const file of [...files, ...settings.map((name) => join(root, name))].sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

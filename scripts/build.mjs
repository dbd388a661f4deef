// Builds dist/ with the TypeScript compiler: one JavaScript file and one declaration for each source.
// With --if-changed, only when a source is other than in the last build: the first `npx jeton` in a clone
// makes npm prepare the clone once more, which `npm ci` has just done.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { copyWasmRuntime } from "./copy-wasm-runtime.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const bin = join(root, "dist/cli/main.js");
const stampFile = join(root, "node_modules/.cache/jeton-build");

const stamp = stampOfSources();
const built = existsSync(bin) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp;
if (!(built && process.argv.includes("--if-changed"))) {
  rmSync(stampFile, { force: true });
  rmSync(join(root, "dist"), { recursive: true, force: true });
  rmSync(join(root, "node_modules/.cache/tsbuildinfo"), { force: true });
  execFileSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", join(root, "tsconfig.build.json")],
    { stdio: "inherit" },
  );
  copyWasmRuntime(root);
  if (existsSync(bin)) chmodSync(bin, 0o755);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
}

/** Names, sizes and times of everything that a build reads, as one hash. */
function stampOfSources() {
  const files = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const settings = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "scripts/build.mjs",
    "scripts/copy-wasm-runtime.mjs",
  ];
  const hash = createHash("sha256");
  for (const file of [...files, ...settings.map((name) => join(root, name))].sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

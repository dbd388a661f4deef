// Builds dist/ with the TypeScript compiler: one JavaScript file and one declaration for each source.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
rmSync(join(root, "dist"), { recursive: true, force: true });
rmSync(join(root, "node_modules/.cache/tsbuildinfo"), { force: true });
execFileSync(
  process.execPath,
  [join(root, "node_modules/typescript/bin/tsc"), "-p", join(root, "tsconfig.build.json")],
  { stdio: "inherit" },
);
const bin = join(root, "dist/cli/main.js");
if (existsSync(bin)) chmodSync(bin, 0o755);

/**
 * Runs test suites on other versions of Node, whose binaries npm packages bring:
 *
 *     node scripts/node-matrix.mjs [--full 20,26] [--smoke 22,24]
 *
 * Full: the suites of the runtime, of models, of the server, of the command and of the package. Smoke:
 * a few files of each. Both run the code of README.md. The version that runs this script is left out:
 * `npm test` is its suite. Binaries are kept below `.cache/node`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installClients } from "./install-clients.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const suites = {
  full: [
    "src/tensor",
    "src/model",
    "src/serve",
    "src/cli",
    "tests/package",
    "tests/documents/readme.test.ts",
    "tests/server-document.test.ts",
  ],
  smoke: [
    "src/tensor/program.test.ts",
    "src/tensor/service.test.ts",
    "src/model/load-model.test.ts",
    "src/model/weights",
    "src/model/worker/key-value-cache.test.ts",
    "src/serve/server.test.ts",
    "src/cli/process.test.ts",
    "src/cli/commands/run.test.ts",
    "tests/documents/readme.test.ts",
  ],
};

/** The path of a Node binary of this major version, installed where it is not there. */
function installNode(major) {
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = join(root, ".cache/node", major);
  const binary = join(
    folder,
    "node_modules",
    name,
    "bin",
    platform === "win" ? "node.exe" : "node",
  );
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
  const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", `${name}@${major}`];
  const { status } = spawnSync("npm", args, {
    cwd: folder,
    stdio: ["ignore", 2, 2],
    shell: platform === "win",
  });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} ended with status ${status}`);
  return binary;
}

/** The version that tests the newest clients of the server, which Node 20 cannot run. */
const clientsMajor = "22";

/** Runs one suite; what it spawns as `node` is that version too. */
function runSuite(major, files) {
  const binary = installNode(major);
  const clients = major === clientsMajor ? "node22" : undefined;
  if (clients !== undefined) installClients(clients);
  const suite = [...files, ...(clients === undefined ? [] : ["tests/clients"])];
  const args = [join(root, "node_modules/vitest/vitest.mjs"), "run", ...suite];
  const path = `${dirname(binary)}${delimiter}${process.env.PATH}`;
  const { status } = spawnSync(binary, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path, ...(clients && { JETON_CLIENTS: clients }) },
  });
  return status === 0;
}

const { values } = parseArgs({
  options: {
    full: { type: "string", default: "20,26" },
    smoke: { type: "string", default: "22,24" },
  },
});
const [own] = process.versions.node.split(".");
// A filter that matches no file would pass in silence.
for (const path of Object.values(suites).flat()) {
  if (!existsSync(join(root, path))) throw new Error(`there is no ${path}`);
}
const failed = [];
for (const kind of ["full", "smoke"]) {
  for (const major of values[kind].split(",").filter(Boolean)) {
    if (major === own) continue;
    console.error(`Node ${major}: ${kind}`);
    if (!runSuite(major, suites[kind])) failed.push(major);
  }
}
if (failed.length > 0) {
  console.error(`failed on Node ${failed.join(", ")}`);
  process.exitCode = 1;
}

/**
 * Installs packages that only tests need, apart from jeton's own:
 *
 *     node scripts/install-clients.mjs [node20|node22|stores]
 *
 * `node20` (default): the clients that tests/clients asks the server with, the newest ones that run on Node 20; `node22`:
 * the newest ones; `stores`: LanceDB and Qdrant's client, for tests/stores.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Installs one set exactly as its lock file says. @throws Error */
export function installClients(set = "node20") {
  const folder = join(root, set === "stores" ? "tests/stores" : `tests/clients/${set}`);
  if (!existsSync(join(folder, "package-lock.json"))) {
    throw new Error(`there are no clients '${set}': expected node20, node22 or stores`);
  }
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  // npm's warnings about the Node version of this process say nothing about the one that runs the tests.
  const { status } = spawnSync("npm", [...args, "--loglevel=error"], {
    cwd: folder,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} in ${folder} ended with ${status}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installClients(process.argv[2]);

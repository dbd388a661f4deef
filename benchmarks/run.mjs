/**
 * `npm run bench -- <name> [--json] [options of the benchmark]` runs `benchmarks/<name>/bench.mjs`;
 * without a name it lists what there is.
 *
 * A benchmark exports `description` (a sentence) and `run({ json, args })`, which returns rows as
 * `report.mjs` describes them. With `json` it leaves standard output alone, and the rows are printed
 * here as one JSON document; otherwise it prints its own table, in the order that suits it.
 * Diagnostics go to standard error.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));

/** The folders that hold a benchmark. */
function listBenchmarks() {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, "bench.mjs")))
    .map((entry) => entry.name)
    .sort();
}

/**
 * How to install the peers of a benchmark, or undefined when they are there. A benchmark with a
 * `package.json` of its own has an install of its own; the others share that of `benchmarks/`.
 */
function missingInstall(name) {
  const folder = existsSync(join(root, name, "package.json")) ? join(root, name) : root;
  if (existsSync(join(folder, "node_modules"))) return undefined;
  return `npm ci --prefix ${relative(process.cwd(), folder) || "."}`;
}

async function main(name, rest) {
  const names = listBenchmarks();
  if (name === undefined || name === "--help") {
    console.log("usage: npm run bench -- <name> [--json] [options of the benchmark]\n");
    for (const known of names) {
      const { description } = await import(pathToFileURL(join(root, known, "bench.mjs")).href);
      console.log(`  ${known.padEnd(12)} ${description ?? ""}`);
    }
    return 0;
  }
  if (!names.includes(name)) {
    console.error(`no benchmark "${name}"; there are: ${names.join(", ")}`);
    return 2;
  }
  const json = rest.includes("--json");
  const args = rest.filter((argument) => argument !== "--json");
  const { run } = await import(pathToFileURL(join(root, name, "bench.mjs")).href);
  const rows = await run({ json, args });
  if (json) console.log(JSON.stringify(rows, null, 2));
  return 0;
}

const [name, ...rest] = process.argv.slice(2);
try {
  process.exitCode = await main(name, rest);
} catch (error) {
  const code = String(error?.code);
  const install = code.endsWith("MODULE_NOT_FOUND") ? missingInstall(name) : undefined;
  const isUsage = code.startsWith("ERR_PARSE_ARGS");
  if (install !== undefined) console.error(`${error.message}\nInstall the peers: ${install}`);
  else console.error(isUsage ? error.message : error);
  process.exitCode = isUsage ? 2 : 1;
}

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
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));

/** The folders that hold a benchmark. */
function listBenchmarks() {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, entry.name, "bench.mjs")))
    .map((entry) => entry.name)
    .sort();
}

/** Whether an error means that a package named in `benchmarks/package.json` is not installed. */
function isMissingPackage(error) {
  return (
    (error?.code === "ERR_MODULE_NOT_FOUND" || error?.code === "MODULE_NOT_FOUND") &&
    !existsSync(join(root, "node_modules"))
  );
}

async function main() {
  const [name, ...rest] = process.argv.slice(2);
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

try {
  process.exitCode = await main();
} catch (error) {
  if (isMissingPackage(error)) {
    console.error(`${error.message}\nThe peers are not installed: npm ci --prefix benchmarks`);
  } else {
    console.error(error?.code?.startsWith?.("ERR_PARSE_ARGS") ? error.message : error);
  }
  process.exitCode = error?.code?.startsWith?.("ERR_PARSE_ARGS") ? 2 : 1;
}

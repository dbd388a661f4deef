// Writes what a recorded reproduction measured into its system's README, between two marks:
//
//     node --import tsx scripts/measured-table.mjs token-recycling lookahead dyspec aded
//
// reads reproductions/<system>.json (or the file that is named: what `jeton reproduce --json` printed) and
// replaces what stands between `<!-- measured -->` and `<!-- /measured -->` in src/<module>/<system>/README.md.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { changedModels } from "../src/reproduce/measured-models.ts";
import { measuredMarks, measuredTable } from "../src/reproduce/measured-table.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

for (const name of process.argv.slice(2)) {
  const file = name.endsWith(".json") ? name : join(root, "reproductions", `${name}.json`);
  const result = JSON.parse(readFileSync(file, "utf8"));
  const { system } = result;
  const path = readdirSync(join(root, "src"))
    .map((module) => join(root, "src", module, system, "README.md"))
    .find((candidate) => existsSync(candidate));
  const text = path === undefined ? "" : readFileSync(path, "utf8");
  if (!measuredMarks.test(text)) {
    console.error(`${path ?? system}: no marks <!-- measured --> ... <!-- /measured -->`);
    process.exitCode = 1;
    continue;
  }
  const table = measuredTable(result, await changedModels(result.models));
  writeFileSync(
    path,
    text.replace(measuredMarks, () => table),
  );
  console.log(path);
}

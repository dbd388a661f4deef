// Writes what a recorded reproduction measured into its system's README, between two marks:
//
//     node scripts/measured-table.mjs token-recycling lookahead dyspec aded
//
// reads reproductions/<system>.json (or the file that is named: what `jeton reproduce --json` printed) and
// replaces what stands between `<!-- measured -->` and `<!-- /measured -->` in src/<room>/<system>/README.md.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const marks = /<!-- measured -->[\s\S]*?<!-- \/measured -->/;

/** Three digits that count; whole numbers as they are. */
function format(value) {
  if (value === null || typeof value === "string") return value ?? "";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function tableOf({ claims, machine, seconds, system, quick }) {
  const rows = claims.map(({ text, paper, measured, baseline, baselineName, unit, verdict }) => [
    text,
    format(paper),
    `${format(measured)} ${unit}`,
    baseline === null ? "" : `${format(baseline)} (${baselineName ?? "baseline"})`,
    verdict,
  ]);
  const where = `on ${machine.cores} x ${machine.processor}`;
  return [
    "<!-- measured -->",
    "| claim | paper | here | beside | verdict |",
    "|---|---|---:|---:|---|",
    ...rows.map((row) => `| ${row.map(cell).join(" | ")} |`),
    "",
    quick
      ? `(A quick run, ${where}: so few requests that differences of a tenth mean nothing.)`
      : `(\`reproductions/${system}.json\`, ${Math.ceil(seconds / 60)} minutes ${where}.)`,
    "<!-- /measured -->",
  ].join("\n");
}

for (const name of process.argv.slice(2)) {
  const file = name.endsWith(".json") ? name : join(root, "reproductions", `${name}.json`);
  const result = JSON.parse(readFileSync(file, "utf8"));
  const { system } = result;
  const path = readdirSync(join(root, "src"))
    .map((room) => join(root, "src", room, system, "README.md"))
    .find((candidate) => existsSync(candidate));
  const text = path === undefined ? "" : readFileSync(path, "utf8");
  if (!marks.test(text)) {
    console.error(`${path ?? system}: no marks <!-- measured --> ... <!-- /measured -->`);
    process.exitCode = 1;
    continue;
  }
  writeFileSync(
    path,
    text.replace(marks, () => tableOf(result)),
  );
  console.log(path);
}

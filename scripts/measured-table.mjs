// Writes what a recorded reproduction measured into its system's README, between two marks:
//
//     node scripts/measured-table.mjs token-recycling lookahead dyspec aded
//
// reads reproductions/<system>.json (or the file that is named: what `jeton reproduce --json` printed) and
// replaces what stands between `<!-- measured -->` and `<!-- /measured -->` in src/<module>/<system>/README.md.
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

function describePaper(paper) {
  if (typeof paper !== "object") return format(paper);
  if (paper.words !== undefined) return paper.words;
  const setting = paper.setting === undefined ? "" : ` (${paper.setting})`;
  return `${format(paper.value)} ${paper.unit}${setting}`;
}

const ends = ([low, high]) =>
  `${low === null ? "-inf" : format(low)} to ${high === null ? "inf" : format(high)}`;

function rowOf({
  text,
  paper,
  measured,
  baseline,
  baselineName,
  unit,
  verdict,
  effect,
  control,
  units,
}) {
  const interval =
    effect?.interval === undefined ? "" : `${ends(effect.interval)} (${units.count} ${units.name})`;
  const beside = baseline === null ? "" : `${format(baseline)} (${baselineName ?? "baseline"})`;
  const failing =
    control === undefined
      ? ""
      : `${format(control.measured)} (${control.name})${control.passes ? ": passes as well" : ""}`;
  return [
    text,
    describePaper(paper),
    `${format(measured)} ${unit}`,
    beside,
    interval,
    failing,
    verdict,
  ];
}

function tableOf({ claims, machine, seconds, system, quick, date, withoutSpeed }) {
  const where = `on ${machine.cores} x ${machine.processor}`;
  const day = date === undefined ? "" : `, ${date.slice(0, 10)}`;
  const left =
    withoutSpeed === undefined
      ? ""
      : ` Not recorded, as the machine was loaded: ${withoutSpeed.join(", ")}.`;
  return [
    "<!-- measured -->",
    "| claim | paper | here | beside | effect, 95 % interval | control | verdict |",
    "|---|---|---:|---:|---:|---:|---|",
    ...claims.map(rowOf).map((row) => `| ${row.map(cell).join(" | ")} |`),
    "",
    quick
      ? `(A quick run, ${where}: verdicts are indicative.)`
      : `(\`reproductions/${system}.json\`, ${Math.ceil(seconds / 60)} minutes ${where}${day}.${left})`,
    "<!-- /measured -->",
  ].join("\n");
}

for (const name of process.argv.slice(2)) {
  const file = name.endsWith(".json") ? name : join(root, "reproductions", `${name}.json`);
  const result = JSON.parse(readFileSync(file, "utf8"));
  const { system } = result;
  const path = readdirSync(join(root, "src"))
    .map((module) => join(root, "src", module, system, "README.md"))
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

// Writes the table of published systems into README.md, between `<!-- systems -->` and `<!-- /systems -->`, from
// src/systems-table.ts and reproductions/*.json: `node --import tsx scripts/systems-table.mjs [--check]`.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { systems } from "../src/systems.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = `${root}README.md`;
const marks = /<!-- systems -->[\s\S]*?<!-- \/systems -->/;

/** `7 reproduced, 1 partly, 2 not` of the recorded measurement. */
function describeVerdicts(slug) {
  const file = `${root}reproductions/${slug}.json`;
  if (!existsSync(file)) return "none yet";
  const { claims } = JSON.parse(readFileSync(file, "utf8"));
  const count = (verdict) => claims.filter((claim) => claim.verdict === verdict).length;
  const parts = [
    [count("reproduced"), "reproduced"],
    [count("partly"), "partly"],
    [count("not reproduced"), "not"],
  ];
  return parts
    .filter(([number]) => number > 0)
    .map((part) => part.join(" "))
    .join(", ");
}

/** README.md with the table of today. */
export function withSystemsTable(text) {
  const rows = systems
    .filter(({ built }) => built)
    .map(({ slug, area, sentence }) => {
      return `| [${slug}](src/${area}/${slug}/README.md) | ${sentence} | ${describeVerdicts(slug)} |`;
    });
  const table = `| system | what it does | recorded claims |\n|---|---|---|\n${rows.join("\n")}`;
  return text.replace(marks, () => `<!-- systems -->\n${table}\n<!-- /systems -->`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = readFileSync(target, "utf8");
  const wanted = withSystemsTable(text);
  if (!process.argv.includes("--check")) writeFileSync(target, wanted);
  else if (text !== wanted) {
    console.error("README.md is out of date: run node --import tsx scripts/systems-table.mjs");
    process.exitCode = 1;
  }
}

// Writes src/systems-verdicts.ts from reproductions/*.json: `node scripts/systems-verdicts.mjs [--check]`.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = `${root}src/systems-verdicts.ts`;

/** The table as TypeScript. */
export function formatVerdicts() {
  const rows = readdirSync(`${root}reproductions`)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => {
      const { system, claims, date } = JSON.parse(
        readFileSync(`${root}reproductions/${file}`, "utf8"),
      );
      const count = (verdict) => claims.filter((claim) => claim.verdict === verdict).length;
      const fields = [
        `reproduced: ${count("reproduced")}`,
        `partly: ${count("partly")}`,
        `notReproduced: ${count("not reproduced")}`,
        // Records from before intervals and controls were judged by single numbers.
        `judgedBy: ${claims.every(({ control }) => control) ? '"intervals"' : '"points"'}`,
        ...(date === undefined ? [] : [`date: "${date.slice(0, 10)}"`]),
      ];
      const key = /^[a-z][a-z0-9]*$/.test(system) ? system : `"${system}"`;
      return `  ${key}: {\n    ${fields.join(",\n    ")},\n  },\n`;
    });
  return `/** Counts of recorded verdicts. Written by \`node scripts/systems-verdicts.mjs\` from reproductions/*.json. */

/** Verdicts on the claims of a system in its last recorded full run. */
export interface VerdictCounts {
  readonly reproduced: number;
  readonly partly: number;
  readonly notReproduced: number;
  /** \`"points"\`: the record is from before verdicts were judged by intervals and controls. */
  readonly judgedBy: "intervals" | "points";
  /** Day of the record, where it says it. */
  readonly date?: string;
}

export const systemVerdicts: Readonly<Record<string, VerdictCounts>> = {
${rows.join("")}};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = formatVerdicts();
  if (!process.argv.includes("--check")) writeFileSync(target, text);
  else if (readFileSync(target, "utf8") !== text) {
    console.error("src/systems-verdicts.ts is out of date: run node scripts/systems-verdicts.mjs");
    process.exitCode = 1;
  }
}

/** `jeton systems`: lists the catalogue of published systems. */
import { formatTable } from "../../core/table.ts";
import { type System, systems } from "../../systems.ts";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { type SystemsDocument, writeJson } from "../json-output.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { suggest } from "../terminal/suggest.ts";

const legend =
  "recorded claims: reproduced / partly / not, none: not recorded yet; * judged by single numbers, before intervals and controls";

/** `7/1/2`, with a star for records from before intervals. */
function describeVerdicts({ built, verdicts }: System): string {
  if (verdicts === undefined) return built ? "none" : "";
  const { reproduced, partly, notReproduced, judgedBy } = verdicts;
  return `${reproduced}/${partly}/${notReproduced}${judgedBy === "points" ? "*" : ""}`;
}

export const command: Command = defineCommand({
  name: "systems",
  summary: "list the published systems, and which of them are built",
  description:
    "Lists the published systems that jeton implements or plans to implement, by area. A system counts " +
    "as built if it has a reproduction that measures the paper's claims.",
  positionals: [],
  options: {
    area: { kind: "text", value: "AREA", help: "only the systems of one area, e.g. generate" },
    built: { kind: "flag", help: "only systems that are built" },
    digest: {
      kind: "flag",
      help: "print an HTML page of what was recorded in the last week instead",
    },
    days: { kind: "integer", value: "N", min: 1, help: "days of the digest; default: 7" },
  },
  examples: [
    { line: "jeton systems --area generate", shows: "the systems for faster generation" },
    {
      line: "jeton systems --digest > week.html",
      shows: "what was recorded in the last week, as a page",
    },
  ],
  async run({ stdout }, values) {
    const { area, built, digest, days, json } = values;
    if (!digest) refuseMisplaced(values, ["days"], "means nothing without --digest");
    if (digest) {
      if (json || area !== undefined || built) {
        throw new UsageError(
          "option-misplaced",
          "--digest is a page of all records: it takes no --json, --area or --built",
          { option: "--digest" },
        );
      }
      const { readCatalogue, writeDigest } = await import("../../catalogue/index.ts");
      await stdout.write(writeDigest(await readCatalogue(), days === undefined ? {} : { days }));
      return;
    }
    const areas: readonly string[] = [...new Set(systems.map((system) => system.area))];
    if (area !== undefined && !areas.includes(area)) {
      const near = suggest(area, areas);
      throw new UsageError(
        "area-unknown",
        `no system belongs to an area ${JSON.stringify(area)}; ` +
          (near === undefined ? `the areas are ${areas.join(", ")}` : `did you mean ${near}?`),
        { found: area, expected: areas },
      );
    }
    const chosen = systems.filter(
      (system) => (area === undefined || system.area === area) && (!built || system.built),
    );
    if (json) {
      const plain = chosen.map(({ reproduction: _, ...system }) => system);
      await writeJson<SystemsDocument>(stdout, plain);
      return;
    }
    const { style } = stdout;
    const blocks = areas.flatMap((name) => {
      const own = chosen.filter((system) => system.area === name);
      if (own.length === 0) return [];
      const rows = own.map((system) => [
        system.built ? style.green("built") : style.dim("planned"),
        system.slug,
        describeVerdicts(system),
        system.sentence,
      ]);
      const columns = [{ title: "" }, { title: "" }, { title: "" }, { title: "" }];
      return [`${style.bold(`${name}/`)}\n${formatTable(columns, rows, { indent: "  " })}\n`];
    });
    const count = chosen.filter((system) => system.built).length;
    const lines = [...blocks, `${count} of ${chosen.length} built`];
    if (count > 0) lines.push(legend);
    await stdout.write(`${lines.join("\n")}\n`);
  },
});

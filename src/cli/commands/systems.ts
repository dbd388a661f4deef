/** `jeton systems`: lists the catalogue of published systems. */
import { formatTable } from "../../core/table.ts";
import { analyze, createAnalyzer } from "../../lexical/index.ts";
import { type System, systems } from "../../systems.ts";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { type SystemsDocument, writeJson } from "../json-output.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { suggest } from "../terminal/suggest.ts";

const legend = "recorded claims: reproduced / partly / not, none: not recorded yet";
const pointsLegend = "; * judged by single numbers, before intervals and controls";

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
    "Lists the published systems that jeton implements or plans to implement, by area; with words, those that have all " +
    "of them in name, title or sentence. A system counts " +
    "as built if it has a reproduction that measures the paper's claims.",
  positionals: [{ name: "word", repeatable: true }],
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
      line: "jeton systems shorten prompts",
      shows: "who shortens prompts, and how it is measured",
    },
    {
      line: "jeton systems --digest > week.html",
      shows: "what was recorded in the last week, as a page",
    },
  ],
  async run({ stdout }, values, words) {
    const { area, built, digest, days, json } = values;
    if (!digest) refuseMisplaced(values, ["days"], "means nothing without --digest");
    if (digest) {
      if (json || area !== undefined || built || words.length > 0) {
        throw new UsageError(
          "option-misplaced",
          "--digest is a page of all records: it takes no words, --json, --area or --built",
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
    const named = words.length === 0 ? systems : withWords(words.join(" "));
    const chosen = named.filter(
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
    const lines = [...blocks, ...describeOnly(chosen), `${count} of ${chosen.length} built`];
    const isPoints = chosen.some(({ verdicts }) => verdicts?.judgedBy === "points");
    if (count > 0) lines.push(`${legend}${isPoints ? pointsLegend : ""}`);
    await stdout.write(`${lines.join("\n")}\n`);
  },
});

/**
 * Systems that have every word, in any of its English forms.
 *
 * @throws UsageError `system-unknown` where none has them
 */
function withWords(text: string): readonly System[] {
  const analyzer = createAnalyzer({ stopWords: "english", stemmer: "english" });
  const termsOf = (written: string): string[] => analyze(analyzer, written).map(({ term }) => term);
  const asked = termsOf(text);
  const found = systems.filter(({ name, slug, paper, sentence }) => {
    const own = new Set(termsOf(`${name} ${slug} ${paper} ${sentence}`));
    return asked.every((term) => own.has(term));
  });
  if (asked.length > 0 && found.length > 0) return found;
  const near = suggest(
    text,
    systems.map(({ slug }) => slug),
  );
  throw new UsageError(
    "system-unknown",
    `no system has ${JSON.stringify(text)} in name, title and sentence; ` +
      (near === undefined ? "jeton systems lists all" : `did you mean ${near}?`),
    { found: text, ...(near !== undefined && { suggestion: near }) },
  );
}

/** Paper and command of a system that was found alone. */
function describeOnly([system, ...others]: readonly System[]): string[] {
  if (system === undefined || others.length > 0) return [];
  const { slug, paper, arxiv, built } = system;
  return [
    `${paper}${arxiv === undefined ? "" : `, arXiv ${arxiv}`}`,
    ...(built ? [`jeton reproduce ${slug} --quick measures it; its page: jeton studio`] : []),
    "",
  ];
}

/** The catalogue with its records, its feeds and the digest. */
import { expect, test } from "vitest";
import { systems } from "../systems.ts";
import { describeFigure } from "./describe-figure.ts";
import {
  type CataloguePage,
  feedEntries,
  readCatalogue,
  readCitation,
  readmeSections,
  writeAtomFeed,
  writeBibtex,
  writeDigest,
  writeJsonFeed,
} from "./index.ts";
import { recordOf } from "./records.ts";

test("citations: authors, venue and year of one line", () => {
  const paper = { paper: "Words, Bytes and More", arxiv: "2408.04303", slug: "words" };
  const text =
    "Ada Byron, Bo Li: *Words, Bytes and\nMore*, Findings of EMNLP 2023, arXiv 2408.04303. Further text.";
  const citation = readCitation(text, paper);
  expect(citation).toEqual({
    authors: ["Ada Byron", "Bo Li"],
    venue: "Findings of EMNLP",
    year: 2023,
  });
  expect(writeBibtex(paper, citation)).toBe(
    "@inproceedings{byron2023words,\n  title = {{Words, Bytes and More}},\n  author = {Ada Byron and Bo Li},\n" +
      "  booktitle = {Findings of EMNLP},\n  year = {2023},\n  eprint = {2408.04303},\n  archivePrefix = {arXiv}\n}",
  );
  expect(readCitation(undefined, paper)).toEqual({ authors: [], year: 2024 });
  // A title before the year is no venue.
  expect(readCitation("Li et al.: Words, Bytes and More, 2022, arXiv 2408.04303.", paper)).toEqual({
    authors: ["Li", "others"],
    year: 2022,
  });
});

test("a README falls into its sections, whichever way their titles are written", () => {
  const readme =
    "# Name\n\nWhat it is.\n\n**The idea.** Short.\nAnd more.\n\n## Measured\n\nBefore.\n<!-- measured -->\n" +
    "| a |\n<!-- /measured -->\n\n```ts\n## no title\n```\n\n**Citation.** A: B.\n";
  expect(readmeSections(readme)).toEqual([
    { title: "", markdown: "What it is." },
    { title: "The idea", markdown: "Short.\nAnd more." },
    { title: "Measured", markdown: "Before.\n\n\n```ts\n## no title\n```" },
    { title: "Citation", markdown: "A: B." },
  ]);
});

test("the catalogue holds every system; records come first, planned systems last", async () => {
  const pages = await readCatalogue();
  expect(pages.map(({ slug }) => slug).sort()).toEqual(systems.map(({ slug }) => slug).sort());
  const ranks = pages.map(({ record, built }) => (record ? 0 : built ? 1 : 2));
  expect([...ranks].sort()).toEqual(ranks);
  for (const { slug, built, sections, bibtex, year, venue, paper } of pages) {
    expect(bibtex, slug).toMatch(/^@\w+\{[a-z]+20\d\d[a-z]+,\n/);
    expect(year, slug).toBeGreaterThanOrEqual(2020);
    expect(venue ?? "", slug).not.toMatch(/arXiv|,/);
    expect(paper.includes(venue ?? "none"), slug).toBe(false);
    if (built) {
      expect(sections.length, slug).toBeGreaterThan(2);
      expect(
        sections.some(({ title }) => title === "The idea"),
        slug,
      ).toBe(true);
    }
  }
  // Every record is an entry of the feed.
  const recorded = pages.filter(({ record }) => record);
  const entries = feedEntries(pages);
  expect(entries).toHaveLength(recorded.length);
  for (const { summary } of entries) expect(summary).not.toContain(".:");
  const verdicts = new Map(systems.map((system) => [system.slug, system.verdicts]));
  for (const { slug, record } of pages) {
    expect(record?.verdicts.reproduced, slug).toBe(verdicts.get(slug)?.reproduced);
  }
});

const page = (slug: string, recorded: string): CataloguePage => ({
  slug,
  name: `<${slug}> & "co"`,
  paper: "A paper",
  year: 2024,
  area: "generate",
  sentence: "Does it.",
  built: true,
  record: {
    recorded,
    judgedBy: "intervals",
    verdicts: { reproduced: 1, partly: 0, notReproduced: 1 },
    leading: { text: "It is fast", paper: "2", measured: "2.5 times", verdict: "reproduced" },
  },
  authors: [],
  sections: [],
  claims: [{ id: "a", text: "1 < 2", paper: "2", measured: "2.5 times", verdict: "reproduced" }],
  bibtex: "",
});

test("Atom: an entry for each record, the newest first, every text escaped", () => {
  const entries = feedEntries([page("a", "2026-11-01"), page("b", "2026-11-29T13:43:44.294Z")]);
  const xml = writeAtomFeed(entries, { base: "https://example.org/jeton/" });
  expect(xml.match(/<entry>/g)).toHaveLength(2);
  expect(xml).toContain("<updated>2026-11-29T13:43:44.294Z</updated>");
  expect(xml).toContain('href="https://example.org/jeton/#/systems/b"');
  expect(xml).toContain("&lt;b&gt; &amp; &quot;co&quot;: 1 reproduced, 1 not reproduced");
  expect(xml).toContain("1 &amp;lt; 2");
  expect(xml.indexOf("#/systems/b")).toBeLessThan(xml.indexOf("#/systems/a"));
  const ids = [
    ...xml.matchAll(/<id>(urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})<\/id>/g),
  ];
  expect(new Set(ids.map(([, id]) => id)).size).toBe(3);
  // A later record of the same system is another entry.
  expect(feedEntries([page("a", "2026-11-02")])[0]!.id).not.toBe(entries[1]!.id);
  const json = JSON.parse(writeJsonFeed(entries)) as { items: { id: string; url: string }[] };
  expect(json.items.map(({ url }) => url)).toEqual(["./#/systems/b", "./#/systems/a"]);
});

test("the digest holds the days that it names", () => {
  const pages = [
    page("a", "2026-11-01"),
    page("b", "2026-11-24T08:00:00Z"),
    page("c", "2026-11-29"),
  ];
  const week = writeDigest(pages);
  expect(week.match(/<section>/g)).toHaveLength(2);
  expect(writeDigest(pages, { until: "2026-11-02" }).match(/<section>/g)).toHaveLength(1);
  expect(writeDigest(pages, { days: 60 }).match(/<section>/g)).toHaveLength(3);
  expect(writeDigest(pages, { until: "2025-01-01" })).toContain("Nothing was recorded");
  expect(() => writeDigest(pages, { days: 0 })).toThrowCode("digest-option-invalid");
  expect(() => writeDigest(pages, { until: "soon" })).toThrowCode("digest-option-invalid");
});

test.each([
  [0.4, "share of sets", "40 % of sets"],
  [0.11428, "of the longest context", "11.4 % of the longest context"],
  [2.238, "tokens/forward", "2.24 tokens a forward pass"],
  [1665.6, "tokens/s", "1666 tokens a second"],
  [2.4758, "bits/byte", "2.48 bits a byte"],
  [0.9362, "recall", "recall 0.936"],
  [82, "% of questions", "82 % of questions"],
  [1.312, "MB", "1.31 MB"],
  [2, "", "2"],
])("%s in %j is written as %j", (value, unit, text) => {
  expect(describeFigure(value, unit)).toBe(text);
});

test("records of both kinds are read; what is no record is refused", () => {
  const old = {
    claims: [
      {
        id: "a",
        text: "T",
        paper: 2,
        measured: 2.4339,
        baseline: 1,
        baselineName: "none",
        unit: "times",
        verdict: "reproduced",
      },
    ],
    seconds: 3,
  };
  expect(recordOf(JSON.stringify(old), "x.json")).toEqual({
    seconds: 3,
    judgedBy: "points",
    claims: [
      {
        id: "a",
        text: "T",
        paper: "2 times",
        measured: "2.43 times",
        baseline: "1 (none)",
        verdict: "reproduced",
      },
    ],
  });
  expect(() => recordOf("[]", "x.json")).toThrowCode("catalogue-record-invalid");
  expect(() => recordOf("{", "x.json")).toThrowCode("catalogue-record-invalid");
});

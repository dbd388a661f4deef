/** The published systems with their records, as the page and the feeds show them. */
import { readFile } from "node:fs/promises";
import { type SystemArea, type SystemEntry, systems } from "../systems.ts";
import { readCitation, writeBibtex } from "./citation.ts";
import { type ReadmeSection, readmeSections } from "./readme-sections.ts";
import { type RecordedClaim, readRecord, type SystemRecord } from "./records.ts";

/** Folder of the sources; the same relative path from `src` and `dist`. */
const sourceFolder = new URL("../../src/", import.meta.url);

/** How many claims have which verdict. */
export interface Verdicts {
  readonly reproduced: number;
  readonly partly: number;
  readonly notReproduced: number;
}

/** A record in short. */
export interface RecordSummary {
  /** When it was recorded, ISO 8601, where the record says it. */
  readonly recorded?: string;
  readonly judgedBy: SystemRecord["judgedBy"];
  readonly verdicts: Verdicts;
  /** The record's first claim. */
  readonly leading: Pick<RecordedClaim, "text" | "paper" | "measured" | "baseline" | "verdict">;
}

/** A system in the feed. Plain data. */
export interface CatalogueEntry {
  readonly slug: string;
  readonly name: string;
  /** Title of the paper. */
  readonly paper: string;
  readonly arxiv?: string;
  readonly venue?: string;
  readonly year: number;
  readonly area: SystemArea;
  /** What the system does, in one sentence. */
  readonly sentence: string;
  /** Whether it is built. */
  readonly built: boolean;
  /** The last recorded full run, if there is one. */
  readonly record?: RecordSummary;
}

/** A system's page. Plain data. */
export interface CataloguePage extends CatalogueEntry {
  readonly authors: readonly string[];
  readonly sections: readonly ReadmeSection[];
  readonly claims: readonly RecordedClaim[];
  /** Seconds of the recorded run. */
  readonly seconds?: number;
  readonly bibtex: string;
  /** The command that measures the claims again; absent until the system is built. */
  readonly command?: string;
}

/**
 * Reads every system with its README and record.
 *
 * @returns systems with a record, the last recorded first; then the others, those that are built first
 * @throws JetonError `catalogue-record-invalid`
 */
export async function readCatalogue(): Promise<CataloguePage[]> {
  const pages = await Promise.all(systems.map(readSystem));
  return pages
    .map((page, index) => ({ page, index }))
    .sort((a, b) => compareEntries(a.page, b.page) || a.index - b.index)
    .map(({ page }) => page);
}

/** The part of a page that the feed shows. */
export function entryOf(page: CataloguePage): CatalogueEntry {
  const {
    authors: _,
    sections: _s,
    claims: _c,
    seconds: _t,
    bibtex: _b,
    command: _d,
    ...entry
  } = page;
  return entry;
}

async function readSystem({ reproduction, ...entry }: SystemEntry): Promise<CataloguePage> {
  const built = reproduction !== undefined;
  const [readme, record] = await Promise.all([readReadme(entry), readRecord(entry.slug)]);
  const sections = readme === undefined ? [] : readmeSections(readme);
  const citation = readCitation(
    sections.find(({ title }) => title === "Citation")?.markdown,
    entry,
  );
  const { slug, name, paper, arxiv, area, sentence } = entry;
  return {
    slug,
    name,
    paper,
    ...(arxiv !== undefined && { arxiv }),
    ...(citation.venue !== undefined && { venue: citation.venue }),
    year: citation.year,
    area,
    sentence,
    built,
    ...(record && { record: summarize(record), seconds: record.seconds }),
    authors: citation.authors,
    sections: sections.filter(({ title }) => title !== "Citation"),
    claims: record?.claims ?? [],
    bibtex: writeBibtex(entry, citation),
    ...(built && { command: `npx jeton reproduce ${slug}` }),
  };
}

async function readReadme({
  area,
  slug,
}: Pick<SystemEntry, "area" | "slug">): Promise<string | undefined> {
  const url = new URL(`${area}/${slug}/README.md`, sourceFolder);
  return readFile(url, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

function summarize({ recorded, judgedBy, claims }: SystemRecord): RecordSummary {
  const count = (verdict: RecordedClaim["verdict"]): number =>
    claims.filter((claim) => claim.verdict === verdict).length;
  const { text, paper, measured, baseline, verdict } = claims[0]!;
  return {
    ...(recorded !== undefined && { recorded }),
    judgedBy,
    verdicts: {
      reproduced: count("reproduced"),
      partly: count("partly"),
      notReproduced: count("not reproduced"),
    },
    leading: { text, paper, measured, ...(baseline !== undefined && { baseline }), verdict },
  };
}

/** Systems with a record first, the newest of them first; then those that are built. */
function compareEntries(a: CatalogueEntry, b: CatalogueEntry): number {
  const rank = ({ built, record }: CatalogueEntry): number => (record ? 0 : built ? 1 : 2);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  const [first, second] = [a.record?.recorded ?? "", b.record?.recorded ?? ""];
  return first === second ? 0 : first > second ? -1 : 1;
}

/** Records as entries of a feed. */
import { createHash } from "node:crypto";
import type { CataloguePage } from "./read-catalogue.ts";
import type { RecordedClaim } from "./records.ts";

/** One record, to be subscribed to. */
export interface FeedEntry {
  /** A `urn:uuid` of system and date: a new record is a new entry. */
  readonly id: string;
  readonly title: string;
  /** The system's page, relative to the feed's address. */
  readonly path: string;
  /** When the record was made, ISO 8601 with a time zone. */
  readonly updated: string;
  readonly area: string;
  /** Plain text. */
  readonly summary: string;
  /** The claims as an HTML table. */
  readonly html: string;
}

/** Entries of all records that say when they were made, the newest first. */
export function feedEntries(pages: readonly CataloguePage[]): FeedEntry[] {
  return pages
    .flatMap((page) =>
      page.record?.recorded === undefined ? [] : [entryFor(page, page.record.recorded)],
    )
    .sort((a, b) => (a.updated < b.updated ? 1 : a.updated > b.updated ? -1 : 0));
}

function entryFor(page: CataloguePage, recorded: string): FeedEntry {
  const { slug, name, sentence, area, claims } = page;
  const { verdicts, leading } = page.record!;
  const counts = describeVerdicts(verdicts);
  const updated = new Date(recorded).toISOString();
  return {
    id: uuidOf(`jeton ${slug} ${updated}`),
    title: `${name}: ${counts}`,
    path: `#/systems/${slug}`,
    updated,
    area,
    summary: `${sentence} ${leading.text.replace(/\.$/, "")}: ${leading.measured}; the paper: ${leading.paper}.`,
    html: claimsTable(claims),
  };
}

/** Counts in words, e.g. `7 reproduced, 1 partly, 2 not reproduced`. */
export function describeVerdicts({
  reproduced,
  partly,
  notReproduced,
}: {
  readonly reproduced: number;
  readonly partly: number;
  readonly notReproduced: number;
}): string {
  const parts = [
    [reproduced, "reproduced"],
    [partly, "partly"],
    [notReproduced, "not reproduced"],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}

/** The claims as an HTML table without styles. */
export function claimsTable(claims: readonly RecordedClaim[]): string {
  const cells = (values: readonly string[], tag: string): string =>
    `<tr>${values.map((value) => `<${tag}>${escapeXml(value)}</${tag}>`).join("")}</tr>`;
  const rows = claims.map(({ text, paper, measured, baseline, verdict }) =>
    cells([text, paper, measured, baseline ?? "", verdict], "td"),
  );
  const head = cells(["claim", "paper", "here", "beside", "verdict"], "th");
  return `<table><thead>${head}</thead><tbody>${rows.join("")}</tbody></table>`;
}

/** Text as XML and HTML hold it, in elements and quoted attributes. */
export function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return (
    text
      // XML 1.0 has no other control characters, not even escaped ones.
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "")
      .replace(/[&<>"']/g, (character) => names[character]!)
  );
}

/** A UUID (version 5's layout, of SHA-1) for a name. */
function uuidOf(name: string): string {
  const bytes = createHash("sha1").update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

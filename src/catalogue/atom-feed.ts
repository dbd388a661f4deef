/** The records as an Atom feed (RFC 4287). */
import { escapeXml, type FeedEntry } from "./feed-entries.ts";

/** Where a feed is published. */
export interface AtomOptions {
  /** Address of the folder that holds the feed, with a slash at its end. Default `./`: links are relative. */
  readonly base?: string;
}

/** Writes a valid Atom document. Without entries it says that it was updated at the epoch. */
export function writeAtomFeed(
  entries: readonly FeedEntry[],
  { base = "./" }: AtomOptions = {},
): string {
  const updated = entries[0]?.updated ?? new Date(0).toISOString();
  return `<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <id>urn:uuid:6a65746f-6e00-5000-8000-000000000001</id>
  <title>jeton: published systems, measured</title>
  <subtitle>A new entry for each recorded measurement of a paper's claims.</subtitle>
  <updated>${updated}</updated>
  <author><name>jeton</name></author>
  <link rel="self" type="application/atom+xml" href="${escapeXml(base)}feed.xml"/>
  <link rel="alternate" type="text/html" href="${escapeXml(base)}"/>
${entries.map((entry) => writeEntry(entry, base)).join("")}</feed>
`;
}

function writeEntry(entry: FeedEntry, base: string): string {
  const { id, title, path, updated, area, summary, html } = entry;
  return `  <entry>
    <id>${id}</id>
    <title>${escapeXml(title)}</title>
    <link rel="alternate" type="text/html" href="${escapeXml(base + path)}"/>
    <updated>${updated}</updated>
    <category term="${escapeXml(area)}"/>
    <summary>${escapeXml(summary)}</summary>
    <content type="html">${escapeXml(html)}</content>
  </entry>
`;
}

/** What was recorded in a stretch of days, as one HTML document: to be mailed or kept. */
import { JetonError } from "../core/index.ts";
import { escapeXml, type FeedEntry, feedEntries } from "./feed-entries.ts";
import type { CataloguePage } from "./read-catalogue.ts";

/** Options of `writeDigest`. */
export interface DigestOptions {
  /** The last day, ISO 8601. Default: that of the newest record. */
  readonly until?: string;
  /** Days before it that belong to the digest. Default 7. */
  readonly days?: number;
}

const dayMs = 86_400_000;

/**
 * Writes the records of a week, or of `days`.
 *
 * @throws JetonError `digest-option-invalid` for days that are no whole number from 1, or a date that is none
 */
export function writeDigest(pages: readonly CataloguePage[], options: DigestOptions = {}): string {
  const { days = 7 } = options;
  if (!(Number.isSafeInteger(days) && days > 0))
    throw invalid("days", days, "a whole number from 1");
  const entries = feedEntries(pages);
  const until = options.until ?? entries[0]?.updated ?? new Date(0).toISOString();
  const end = Date.parse(until);
  if (Number.isNaN(end)) throw invalid("until", until, "a date, e.g. 2026-11-29");
  // A day without a time means all of it.
  const last = /^\d{4}-\d\d-\d\d$/.test(until) ? end + dayMs - 1 : end;
  const chosen = entries.filter(({ updated }) => {
    const time = Date.parse(updated);
    return time <= last && time > last - days * dayMs;
  });
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  const range = `${day(last - days * dayMs + dayMs)} to ${day(last)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>jeton: recorded ${range}</title>
<style>${styles}</style>
</head>
<body>
<h1>Recorded ${range}</h1>
<p>${chosen.length === 0 ? "Nothing was recorded in these days." : `${chosen.length} of ${pages.length} systems.`}</p>
${chosen.map(writeSection).join("")}</body>
</html>
`;
}

function writeSection({ title, updated, summary, html }: FeedEntry): string {
  return `<section>
<h2>${escapeXml(title)}</h2>
<p>${updated.slice(0, 10)}. ${escapeXml(summary)}</p>
${html}
</section>
`;
}

const styles =
  ":root{color-scheme:light dark}body{font:1rem/1.5 Georgia,serif;max-width:60rem;margin:2rem auto;padding:0 1rem}" +
  "section{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}" +
  "td,th{border-bottom:1px solid #8888;padding:.3rem .6rem;text-align:left;vertical-align:top}";

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`digest option ${option}: ${String(found)}; expected ${expected}`, {
    code: "digest-option-invalid",
    details: { option, found, expected },
  });
}

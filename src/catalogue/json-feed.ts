/** The records as a JSON feed (version 1.1). */
import type { AtomOptions } from "./atom-feed.ts";
import type { FeedEntry } from "./feed-entries.ts";

/** Writes a JSON feed. */
export function writeJsonFeed(
  entries: readonly FeedEntry[],
  { base = "./" }: AtomOptions = {},
): string {
  const feed = {
    version: "https://jsonfeed.org/version/1.1",
    title: "jeton: published systems, measured",
    home_page_url: base,
    feed_url: `${base}feed.json`,
    language: "en",
    authors: [{ name: "jeton" }],
    items: entries.map(({ id, title, path, updated, area, summary, html }) => ({
      id,
      url: base + path,
      title,
      summary,
      content_html: html,
      date_published: updated,
      tags: [area],
    })),
  };
  return `${JSON.stringify(feed, null, 2)}\n`;
}

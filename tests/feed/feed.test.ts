/** `feed.xml`, valid against the rules of RFC 4287 and read back by a reader of feeds. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseFeed } from "feedsmith";
import { beforeAll, expect, test } from "vitest";
import {
  type FeedEntry,
  feedEntries,
  readCatalogue,
  writeAtomFeed,
  writeJsonFeed,
} from "../../src/catalogue/index.ts";

const schema = fileURLToPath(new URL("atom.rng", import.meta.url));
const hasXmllint = spawnSync("xmllint", ["--version"]).status === 0;
if (!hasXmllint) console.log("feed: not checked against the schema, no xmllint (libxml2-utils)");

/** What xmllint says of a document; empty where it is valid. */
function complaints(xml: string): string {
  const options = ["--noout", "--nonet", "--relaxng", schema, "-"];
  const { status, stderr } = spawnSync("xmllint", options, { input: xml, encoding: "utf8" });
  return status === 0 ? "" : stderr;
}

let entries: FeedEntry[];
let xml: string;
beforeAll(async () => {
  entries = feedEntries(await readCatalogue());
  xml = writeAtomFeed(entries, { base: "https://example.org/jeton/" });
});

test.skipIf(!hasXmllint)("the schema takes the feed, and an empty one", () => {
  expect(complaints(xml)).toBe("");
  expect(complaints(writeAtomFeed([]))).toBe("");
});

test.skipIf(!hasXmllint).each([
  ["no date", (text: string) => text.replace(/<updated>[^<]*<\/updated>/, "")],
  ["a day for a date", (text: string) => text.replace(/(<updated>[^T<]*)[^<]*/, "$1")],
  ["two ids", (text: string) => text.replace(/<id>[^<]*<\/id>/, "$&$&")],
  ["a link to nothing", (text: string) => text.replace(/ href="[^"]*"/, "")],
  ["an element of no namespace's", (text: string) => text.replace("<entry>", "<entry><date/>")],
  ["no such type of text", (text: string) => text.replace('type="html">', 'type="markdown">')],
  ["HTML that is not escaped", (text: string) => text.replace("&lt;table&gt;", "<table>")],
])("the schema refuses %s", (_, change) => {
  expect(change(xml)).not.toBe(xml);
  expect(complaints(change(xml))).not.toBe("");
});

test("feedsmith reads the feed back: every entry with its title, date, address and table", () => {
  const read = parseFeed(xml);
  if (read.format !== "atom") throw new Error(`read as ${read.format}`);
  const { feed } = read;
  expect(feed.links?.find(({ rel }) => rel === "self")?.href).toBe(
    "https://example.org/jeton/feed.xml",
  );
  const found = feed.entries!.map(({ id, title, updated, summary, content, links }) => ({
    ...{ id, updated, title: title?.value, summary: summary?.value, html: content?.value },
    url: links?.[0]?.href,
  }));
  expect(entries.length).toBeGreaterThan(5);
  expect(JSON.parse(JSON.stringify(found))).toEqual(
    entries.map(({ id, title, updated, summary, html, path }) => ({
      ...{ id, title, updated, summary, html },
      url: `https://example.org/jeton/${path}`,
    })),
  );
});

test("feedsmith reads feed.json back", () => {
  const read = parseFeed(writeJsonFeed(entries, { base: "https://example.org/jeton/" }));
  if (read.format !== "json") throw new Error(`read as ${read.format}`);
  expect(read.feed.items?.map(({ id, title }) => ({ id, title }))).toEqual(
    entries.map(({ id, title }) => ({ id, title })),
  );
});

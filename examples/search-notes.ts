// An index of a folder's Markdown files: words are found, explained and shown in their passage.
//
//   npx tsx examples/search-notes.ts "query" [folder]
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createIndex, makeSnippet } from "jeton/retrieve";

const [query = "emperor", folder = "."] = process.argv.slice(2);
const index = createIndex({ analyzer: { stopWords: "english", stemmer: "english" } });
for (const name of (await readdir(folder)).filter((entry) => entry.endsWith(".md"))) {
  const text = await readFile(join(folder, name), "utf8");
  const paragraphs = text.split(/\n\s*\n/);
  await index.put(
    paragraphs.map((paragraph, at) => ({
      id: `${name}#${at}`,
      text: paragraph,
      fields: { name },
    })),
  );
}
for (const hit of await index.search({ text: query, k: 3, explain: true })) {
  const { text, highlights } = makeSnippet(hit.text, hit.matches ?? [], { width: 120 });
  const words = new Set(highlights.map(([start, end]) => text.slice(start, end).toLowerCase()));
  console.log(`${hit.id}  ${hit.score.toFixed(3)}  ${[...words].join(", ")}`);
  console.log(`  ${text.replace(/\s+/g, " ")}`);
}

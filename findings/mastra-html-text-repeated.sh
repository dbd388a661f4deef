#!/usr/bin/env bash
# Mastra's HTML chunks hold every paragraph twice and table cells three times, and are empty where headings are wrapped.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @mastra/rag@2.6.4 @mastra/core@1.71.0 zod@4.6.7

echo "version:   @mastra/rag 2.6.4"
cat <<'TEXT'
behaviour: Expected: chunking a page by its headings gives each section's text once, as the page shows it.
           Happens: to the text of an element that of each part in it is added again, at every depth: a paragraph stands
           there twice, a table cell three or more times, and neighbouring cells are glued (30 and 4 are "304").
           Text before the first heading is dropped. A heading in a <header> or <div> of its own has an empty chunk,
           for only its siblings are read.
           Hurt: retrieval over web pages: most pages wrap their headings, so whole articles are missing without an
           error; the rest costs two to four times the tokens, with numbers that are on no page.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { MDocument } from "@mastra/rag";

const chunks = async (body) => {
  const document = MDocument.fromHTML(`<html><body>${body}</body></html>`);
  const parts = await document.chunk({ strategy: "html", headers: [["h1", "title"], ["h2", "section"]] });
  return parts.map(({ text }) => text);
};
const show = async (name, body) => {
  const found = await chunks(body);
  console.log(`${name}: ${JSON.stringify(found)}`);
  return found;
};
const plain = await show("paragraph", "<h1>Size</h1><p>It weighs one ton.</p>");
const list = await show("list", "<h1>Parts</h1><ul><li>wheel</li><li>door</li></ul>");
const table = await show("table", "<h1>Table</h1><table><tr><td>30</td><td>4</td></tr></table>");
const wrapped = await show("wrapped heading", "<article><header><h1>Size</h1></header><p>It weighs one ton.</p></article>");
const before = await show("text before", "<p>Do not touch.</p><h1>Size</h1><p>It weighs one ton.</p>");
const count = (text, word) => text.split(/\s+/).filter((part) => part === word).length;
assert.equal(count(plain[0], "weighs"), 2);
assert.equal(count(list[0], "wheel"), 2);
assert.equal(count(table[0], "304"), 2);
assert.deepEqual(wrapped, [""]);
assert.ok(!before.join(" ").includes("touch"));
JAVASCRIPT
node check.mjs

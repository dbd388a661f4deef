#!/usr/bin/env bash
# FlexSearch takes the numbers 1, 11 and 111 for the same word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline flexsearch@0.8.212

echo "version:   flexsearch 0.8.212"
cat <<'TEXT'
behaviour: Expected: a search for a number finds the texts with this number. The default encoder is documented to
           write doubled letters once, so that missing and mising meet.
           Happens: it does the same with digits, after cutting long numbers after every third: 10, 100 and
           1000 meet, and 1, 11 and 111 are one word. All count as the same match, so the texts come in the
           order in which they were added.
           Hurt: search in products, sections, errors and prices: a search for "phone 11" gives "phone 1"
           first, with no sign that it is not an exact match.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { Charset, Index } from "flexsearch";

const texts = ["phone 1", "phone 11", "phone 111", "price 10", "price 100", "price 1000"];
const search = (index, query) => index.search(query).map((id) => texts[id]);
const usual = new Index();
const exact = new Index({ encoder: Charset.Exact });
texts.forEach((text, id) => {
  usual.add(id, text);
  exact.add(id, text);
});
const found = {};
for (const query of ["phone 11", "price 100"]) {
  found[query] = search(usual, query);
  console.log(`${query}: ${found[query].join(", ")} (with the exact encoder: ${search(exact, query).join(", ")})`);
  assert.deepEqual(search(exact, query), [query]);
}
assert.deepEqual(found["phone 11"], ["phone 1", "phone 11", "phone 111"]);
assert.ok(found["price 100"].includes("price 10"));
assert.ok(found["price 100"].includes("price 1000"));
JAVASCRIPT
node check.mjs

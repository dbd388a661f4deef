#!/usr/bin/env bash
# Mastra's JSON chunks spell accented letters as backslash, u and four digits, for readers of the JSON too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @mastra/rag@2.6.4 @mastra/core@1.71.0 zod@4.6.7

echo "version:   @mastra/rag 2.6.4"
cat <<'TEXT'
behaviour: Expected: a chunk of a JSON document is JSON, and parsing it gives values of the document.
           Happens: letters outside ASCII are replaced by their escape first, and the result is then written as JSON, which
           escapes the backslash once more. The parsed value of "Zürich" is the 11 characters Z\u00fcrich. With
           ensureAscii: false the letters stay; then a text that holds such an escape itself is changed.
           Hurt: retrieval over product, place and person data in any language but English: embeddings and
           word indexes see u00fc instead of the letter, a Chinese word takes six characters a sign of the size limit, and
           a value taken from a chunk no longer equals the one in the database.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { MDocument } from "@mastra/rag";

const chunk = async (value, options = {}) => {
  const parts = await MDocument.fromJSON(JSON.stringify(value)).chunk({ strategy: "json", maxSize: 200, ...options });
  return parts[0].text;
};
const city = await chunk({ city: "Zürich" });
console.log(`{"city": "Zürich"} becomes ${city}, which is parsed as ${JSON.parse(city).city}`);
const path = { path: "C:\\u0041bc" };
const changed = await chunk(path, { ensureAscii: false });
console.log(`with ensureAscii: false ${JSON.stringify(path)} becomes ${changed}`);
assert.equal(JSON.parse(city).city, "Z\\u00fcrich");
assert.equal(JSON.parse(await chunk({ city: "Zürich" }, { ensureAscii: false })).city, "Zürich");
assert.equal(JSON.parse(await chunk({ city: "Bern" })).city, "Bern");
assert.notDeepEqual(JSON.parse(changed), path);
JAVASCRIPT
node check.mjs

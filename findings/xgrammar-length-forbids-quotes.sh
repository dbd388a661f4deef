#!/usr/bin/env bash
# A length for a string keeps line ends, quotes and backslashes out of it in XGrammar for JavaScript.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @mlc-ai/web-xgrammar@0.1.27

echo "version:   @mlc-ai/web-xgrammar 0.1.27"
cat <<'TEXT'
behaviour: Expected: {"type": "string", "minLength": 1} is any string but the empty one; JSON writes its line ends, quotes and
           backslashes as escapes.
           Happens: with minLength or maxLength the grammar has no escapes at all: no such character can be written, nor a
           letter as \u00e9. Without a length all of it can.
           Hurt: structured answers from schemas that say "not empty", as z.string().min(1) does: code comes on one line,
           paragraphs run together, a quotation or a path with backslashes ends early, since the mask lets
           only the closing quote or another letter follow. The result is always valid, so no retry sees it.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { createRequire } from "node:module";
// The package is one CommonJS file that says "type": "module"; under another ending Node reads it as bundlers do.
const require = createRequire(import.meta.url);
copyFileSync(require.resolve("@mlc-ai/web-xgrammar"), "xgrammar.cjs");
const { Grammar, Testings } = require("./xgrammar.cjs");

const values = ["plain words", "two\nlines", 'she said "yes"', "C:\\notes", "Zürich"];
const found = {};
for (const bounds of [{}, { minLength: 1 }, { maxLength: 200 }]) {
  const grammar = await Grammar.fromJSONSchema(JSON.stringify({ type: "string", ...bounds }));
  const refused = [];
  for (const value of values)
    if (!(await Testings.isGrammarAcceptString(grammar, JSON.stringify(value)))) refused.push(JSON.stringify(value));
  console.log(`${JSON.stringify(bounds)}: refused ${refused.join(" ") || "none"} of ${values.length}`);
  found[Object.keys(bounds)[0] ?? "none"] = refused.length;
}
assert.deepEqual(found, { none: 0, minLength: 3, maxLength: 3 });
JAVASCRIPT
node check.mjs

#!/usr/bin/env bash
# jsonrepair changes valid JSON: half-open intervals in a list become nested lists.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline jsonrepair@3.15.0

echo "version:   jsonrepair 3.15.0"
cat <<'TEXT'
behaviour: Expected: JSON that needs no repair comes back as it was.
           Happens: in a list, a string that begins with an opening bracket and does not close it is taken for a list
           with a quote in the wrong place: ["[0, 1)"] becomes ["", [0, 1, ")"]]. Keys after it can become
           list items. No error; a bracket that is closed in the string, or one in the value of a field, stays.
           Hurt: who puts the repair before every JSON.parse of a model's answer: bins and ranges, cut log lines, lines of
           code and lists of tokens change their structure, only for some answers. Parse first, repair on failure.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { jsonrepair } from "jsonrepair";

const found = {};
for (const value of [
  { bins: ["[0, 10]", "(10, 20]"] },
  { bins: ["[0, 10)", "[10, 20)"], count: 3 },
  { code: ["squares = (", "[i * i for i in x"] },
  { log: ["[warning: low"] },
  { log: "[warning: low" },
]) {
  const text = JSON.stringify(value);
  const repaired = jsonrepair(text);
  found[text] = JSON.parse(repaired);
  console.log(`${text}: ${repaired === text ? "the same" : repaired}`);
}
const [closed, open, code, list, field] = Object.entries(found);
for (const [text, value] of [closed, field]) assert.deepEqual(value, JSON.parse(text));
assert.deepEqual(open[1], { bins: ["[0, 10)", "", [10, 20, ")"], "count", ":3"] });
assert.deepEqual(code[1], { code: ["squares = (", "", ["i * i for i in x"]] });
assert.deepEqual(list[1], { log: ["", ["warning: low"]] });
JAVASCRIPT
node check.mjs

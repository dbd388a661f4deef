#!/usr/bin/env bash
# A chart of recall@0.5 is empty, for the name of the metric is read as a path.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  vega@6.4.0 \
  vega-lite@6.4.3

echo "version:   vega 6.4.0, vega-lite 6.4.3"
cat <<'TEXT'
behaviour: Expected: a field named as the column of the data is drawn, or the specification is refused.
           Happens: dots and brackets in a field name mean nested objects: nothing is drawn and nothing is
           said. A backslash before the dot helps.
           Hurt: those who plot evaluation metrics by name (recall@0.5, top[1], p.1): an empty chart looks
           like a result of zero.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { parse, View } from "vega";
import { compile } from "vega-lite";

async function countBars(key, field) {
  const values = [3, 5].map((value, index) => ({ model: String(index), [key]: value }));
  const encoding = { x: { field: "model", type: "nominal" }, y: { field, type: "quantitative" } };
  const view = new View(parse(compile({ data: { values }, mark: "bar", encoding }).spec), { renderer: "none" });
  return (await view.toSVG()).match(/aria-roledescription="bar"/g)?.length ?? 0;
}
const found = {};
for (const [key, field] of [["recall", "recall"], ["recall@0.5", "recall@0.5"], ["recall@0.5", "recall@0\\.5"]]) {
  found[field] = await countBars(key, field);
  console.log(`column ${key}, field ${field}: ${found[field]} bars of 2`);
}
assert.deepEqual(found, { recall: 2, "recall@0.5": 0, "recall@0\\.5": 2 });
JAVASCRIPT
node check.mjs

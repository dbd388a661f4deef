#!/usr/bin/env bash
# With a minimum of 0, XGrammar in JavaScript lets a model write no number between 0 and 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @mlc-ai/web-xgrammar@0.1.27

echo "version:   @mlc-ai/web-xgrammar 0.1.27"
cat <<'TEXT'
behaviour: Expected: the grammar of {"type": "number", "minimum": 0} admits the numbers from 0 on and no others, or the bound
           is refused. For integers the bounds are right.
           Happens: numbers with a fraction follow the whole parts only. With minimum or exclusiveMinimum 0 alone 0.5 and 0.99
           are refused and 0 and 1.5 admitted; with a maximum of 1 beside it 1.5 is admitted; from -1.5 on -1.6 is.
           Exponents and more than six decimals are refused as soon as there is a bound.
           Hurt: prices, probabilities and scores from schemas (z.number().positive(), .min(0).max(1)): the mask
           leaves the model 0 or a number above 1 where it means 0.25, and 1.5 for a probability passes as valid.
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

const rows = [];
const examine = async (schema, texts) => {
  const grammar = await Grammar.fromJSONSchema(JSON.stringify(schema));
  const admitted = {};
  for (const text of texts) admitted[text] = await Testings.isGrammarAcceptString(grammar, text);
  const list = (value) => texts.filter((text) => admitted[text] === value).join(" ") || "none";
  console.log(`${JSON.stringify(schema)}: admitted ${list(true)}; refused ${list(false)}`);
  rows.push(admitted);
  return admitted;
};
const numbers = ["0", "0.25", "0.99", "1", "1.5", "-0.5"];
const any = await examine({ type: "number" }, numbers);
const positive = await examine({ type: "number", exclusiveMinimum: 0 }, numbers);
const natural = await examine({ type: "number", minimum: 0 }, numbers);
const unit = await examine({ type: "number", minimum: 0, maximum: 1 }, [...numbers, "1e-3", "0.1234567"]);
const signed = await examine({ type: "number", minimum: -1.5, maximum: 2.25 }, ["-1.6", "-1.25", "-0.5", "2.25", "2.26"]);
const integers = await examine({ type: "integer", minimum: -5, maximum: 105 }, ["-6", "-5", "99", "105", "106"]);
assert.ok(Object.values(any).every(Boolean));
assert.ok(positive["0"] && positive["1.5"] && !positive["0.25"] && !positive["0.99"]);
assert.ok(natural["0"] && !natural["0.25"] && !natural["0.99"]);
assert.ok(unit["0.25"] && unit["1.5"] && !unit["1e-3"] && !unit["0.1234567"]);
assert.ok(signed["-1.6"] && !signed["-0.5"]);
assert.deepEqual(integers, { "-6": false, "-5": true, 99: true, 105: true, 106: false });
JAVASCRIPT
node check.mjs

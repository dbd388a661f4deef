#!/usr/bin/env bash
# A JSON schema with anyOf lets node-llama-cpp's grammar write nothing but null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  node-llama-cpp@3.22.1

echo "version:   node-llama-cpp 3.22.1"
cat <<'TEXT'
behaviour: Expected: a grammar from a JSON schema admits the values of the schema, and refuses keywords
           that it does not know.
           Happens: `anyOf` gives a grammar for `null` alone, `format: "email"` one for the empty string
           alone; `minimum` and `pattern` are ignored; no error.
           Hurt: those who pass schemas from zod or OpenAPI, where a nullable field is an anyOf: the field
           is null whatever the model thinks.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { getLlama } from "node-llama-cpp";

const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: "error" });
const grammarOf = async (schema) => (await llama.createGrammarForJsonSchema(schema)).grammar.split("\n");
const cases = [
  [{ anyOf: [{ type: "string" }, { type: "null" }] }, ['root ::= null-rule', 'null-rule ::= "null"']],
  [{ type: "string", format: "email" }, ['root ::= string-0-0-rule', 'string-0-0-rule ::= "\\"\\""']],
];
for (const [schema, rules] of cases) {
  const found = (await grammarOf(schema)).map((line) => line.replace(/ "(\\n)+".*$/, "")).filter((line) => line !== "");
  console.log(`${JSON.stringify(schema)}: ${found.join("; ")}`);
  assert.deepEqual(found.sort(), rules.sort());
}
for (const [schema, keyword] of [[{ type: "integer", minimum: 10 }, "minimum"], [{ type: "string", pattern: "^a+$" }, "pattern"]]) {
  const same = String(await grammarOf(schema)) === String(await grammarOf({ type: schema.type }));
  console.log(`${JSON.stringify(schema)}: ${same ? "the same grammar as without" : "another grammar than without"} ${keyword}`);
  assert.ok(same);
}
await llama.dispose();
JAVASCRIPT
node check.mjs

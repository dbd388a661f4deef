#!/usr/bin/env bash
# html-to-text writes the numbers of a table as one number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline html-to-text@10.0.1

echo "version:   html-to-text 10.0.1"
cat <<'TEXT'
behaviour: Expected: text made of a page keeps the words and numbers of it apart, as a browser's innerText does with a tab
           between cells and a line for each row.
           Happens: cells, rows, terms and their definitions are written without anything between them: a row of 12 and 30
           followed by one of 4 and 5 is 123045. Only tables that are named in the options (a selector with the format
           dataTable) are set apart. Neighbouring paragraphs, list items and headings are, without options.
           Hurt: retrieval over pages with prices, results or specifications, whose tables the author did not list first: numbers
           that stand nowhere are embedded, found and cited, and those that stand there are not found.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { convert } from "html-to-text";

const table = "<table><tr><td>12</td><td>30</td></tr><tr><td>4</td><td>5</td></tr></table>";
const plain = convert(table);
const list = convert("<dl><dt>Weight</dt><dd>7</dd><dt>Price</dt><dd>3</dd></dl>");
const named = convert(table, { selectors: [{ selector: "table", format: "dataTable" }] });
console.log(`a table of 12, 30 and 4, 5: ${JSON.stringify(plain)}; as dataTable ${JSON.stringify(named)}`);
console.log(`a list of definitions: ${JSON.stringify(list)}`);
assert.equal(plain, "123045");
assert.equal(list, "Weight7Price3");
assert.deepEqual(convert("<ul><li>12</li><li>30</li></ul>").match(/\d+/g), ["12", "30"]);
assert.deepEqual(named.match(/\d+/g), ["12", "30", "4", "5"]);
JAVASCRIPT
node check.mjs

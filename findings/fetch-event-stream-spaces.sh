#!/usr/bin/env bash
# fetch-event-stream takes the space from the front of every word that a server streams.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  fetch-event-stream@0.1.6 eventsource-parser@4.1.3

echo "version:   fetch-event-stream 0.1.6, eventsource-parser 4.1.3"
cat <<'TEXT'
behaviour: Expected: after "data:" one space, if there is one, belongs to the format and all that follows to the data, as the
           standard says. A token of a language model mostly begins with a space of its own.
           Happens: all white space after the colon is taken away: " world" is "world", four spaces before a line of code
           are none. Empty data lines count only once another line had text, so a token that begins with a line end loses
           it. White space at the end stays.
           Hurt: chats over servers that stream tokens as plain text: the words of the answer stick together, paragraphs
           become one and code loses its indentation. JSON, where the space stands in quotes, is not touched.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createParser } from "eventsource-parser";
import { events } from "fetch-event-stream";

const tokens = ["The", " answer", " is", "\n    return", " 42", "\n\n", "\t# done ", '{"text": " x"}'];
const stream = tokens
  .map((token) => `${token.split("\n").map((line) => `data: ${line}\n`).join("")}\n`)
  .join("");

const parsed = [];
createParser({ onEvent: ({ data }) => parsed.push(data) }).feed(stream);
const found = [];
for await (const { data } of events(new Response(stream))) found.push(data);

console.log(`sent:               ${JSON.stringify(tokens.join(""))}`);
console.log(`eventsource-parser: ${JSON.stringify(parsed.join(""))}`);
console.log(`fetch-event-stream: ${JSON.stringify(found.join(""))}`);
assert.deepEqual(parsed, tokens);
assert.deepEqual(found, ["The", "answer", "is", "return", "42", "", "# done ", '{"text": " x"}']);
JAVASCRIPT
node check.mjs

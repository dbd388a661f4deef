#!/usr/bin/env bash
# A line end that is streamed by itself is an empty text for Microsoft's fetch-event-source.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @microsoft/fetch-event-source@2.0.1 extended-eventsource@2.1.0 eventsource-parser@4.1.3

echo "version:   @microsoft/fetch-event-source 2.0.1, extended-eventsource 2.1.0, eventsource-parser 4.1.3"
cat <<'TEXT'
behaviour: Expected: n data lines of a server-sent event are n texts with line ends between them, also where some are empty:
           the token "\n", two empty data lines, is one line end, and "\n\n" two.
           Happens: a data line is joined to what is there only if that is not empty. Line ends at the front of an event
           are lost, so those that are tokens of their own are empty texts. Those within a text stay.
           Hurt: chats over servers that stream tokens as plain text: paragraphs, lists and lines of code run together, since
           tokenizers give line ends mostly as tokens of their own or in front of an indentation. The usual remedy is
           to escape line ends on the server or to send JSON.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { createParser } from "eventsource-parser";
import { EventSource } from "extended-eventsource";

const tokens = ["Steps:", "\n\n", "1.", " Mix", "\n", "2.", " Bake\nit", "\n    long"];
const lines = (token) => token.split("\n").map((line) => `data: ${line}\n`).join("");
const stream = tokens.map((token) => `${lines(token)}\n`).join("");
const expected = tokens.map((token) => token.replace(/^\n+/, ""));

const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" }).end(stream);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;

const reference = [];
createParser({ onEvent: ({ data }) => reference.push(data) }).feed(stream);
assert.deepEqual(reference, tokens);

// The parts of a browser that the first client asks for.
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
globalThis.window = { fetch, setTimeout, clearTimeout };
const microsoft = [];
await fetchEventSource(url, { openWhenHidden: true, onmessage: ({ data }) => microsoft.push(data) });

const extended = [];
await new Promise((resolve) => {
  console.error = console.warn = () => {}; // It reports the end of the stream there.
  const source = new EventSource(url, { disableRetry: true });
  source.addEventListener("message", ({ data }) => extended.push(data));
  source.addEventListener("error", () => resolve(source.close()));
});

const print = (name, found) => console.log(`${name} ${JSON.stringify(found.join(""))}`);
print("sent:                         ", tokens);
print("eventsource-parser:           ", reference);
print("@microsoft/fetch-event-source:", microsoft);
print("extended-eventsource:         ", extended);
assert.deepEqual(microsoft, expected);
assert.deepEqual(extended, expected);
process.exit(0);
JAVASCRIPT
node check.mjs

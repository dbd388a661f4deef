#!/usr/bin/env bash
# Of an event of several lines event-source-plus gives only the last one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  event-source-plus@0.1.15 eventsource-parser@4.1.3

echo "version:   event-source-plus 0.1.15, eventsource-parser 4.1.3"
cat <<'TEXT'
behaviour: Expected: the data lines of a server-sent event are one text with line ends between them, for the standard says
           that each appends. A server has no other way to send a line end in plain text.
           Happens: every data line replaces the one before, so the event holds only the last line, or is empty
           where the text ends in a line end. White space at both ends goes too. Ids and names are right.
           Hurt: answers that are streamed as text: of each part with a line end the rest is missing, code loses
           lines and indentation, words stick together where a token begins with its space. JSON on one line, which
           most services send, is whole.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { EventSourcePlus } from "event-source-plus";
import { createParser } from "eventsource-parser";

const texts = ["for x in y:\n    print(x)\n    total += x", "one\ntwo\n", "Hello", " world"];
const lines = (text) => text.split("\n").map((line) => `data: ${line}\n`).join("");
const stream = texts.map((text, index) => `id: ${index}\n${lines(text)}\n`).join("");

const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" }).end(stream);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const source = new EventSourcePlus(`http://127.0.0.1:${server.address().port}`, { retryStrategy: "on-error" });
const found = await new Promise((resolve) => {
  const messages = [];
  const controller = source.listen({
    onMessage(message) {
      messages.push(message);
      if (messages.length < texts.length) return;
      controller.abort();
      resolve(messages);
    },
  });
});
server.close();

const parsed = [];
createParser({ onEvent: ({ data }) => parsed.push(data) }).feed(stream);
assert.deepEqual(parsed, texts);
for (const [index, text] of texts.entries()) {
  console.log(`${JSON.stringify(text)}: ${JSON.stringify(found[index].data)}`);
}
assert.deepEqual(found.map(({ id }) => id), ["0", "1", "2", "3"]);
assert.deepEqual(found.map(({ data }) => data), ["total += x", "", "Hello", "world"]);
process.exit(0);
JAVASCRIPT
node check.mjs

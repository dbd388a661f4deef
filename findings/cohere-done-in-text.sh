#!/usr/bin/env bash
# A streamed answer of Cohere's client ends where its text says [DONE].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline cohere-ai@8.1.0

echo "version:   cohere-ai 8.1.0"
cat <<'TEXT'
behaviour: Expected: a stream of server-sent events ends with the event whose data is [DONE], as with the clients of other
           services; a text that mentions [DONE] is text.
           Happens: the client looks for [DONE] anywhere in the line of an event and stops there without an error: that
           part of the text, all after it and the closing event with the reason and the usage are missing.
           Hurt: answers about streaming code, logs and task lists ("[DONE] tests") break off in the middle and
           look complete; without streaming the same answer is whole. Each retry breaks off too.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { CohereClientV2 } from "cohere-ai";

const finish = { finish_reason: "COMPLETE", usage: { tokens: { input_tokens: 3, output_tokens: 9 } } };
const eventsOf = (parts) => [
  { type: "message-start", id: "1", delta: { message: { role: "assistant", content: [], tool_calls: [] } } },
  { type: "content-start", index: 0, delta: { message: { content: { type: "text", text: "" } } } },
  ...parts.map((text) => ({ type: "content-delta", index: 0, delta: { message: { content: { text } } } })),
  { type: "content-end", index: 0 },
  { type: "message-end", delta: finish },
];
let parts = [];
const server = createServer((_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of eventsOf(parts)) response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  response.end("data: [DONE]\n\n");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const client = new CohereClientV2({ token: "none", baseUrl: `http://127.0.0.1:${server.address().port}` });

const found = {};
for (const word of ["[END]", "[DONE]"]) {
  parts = ["The server sends ", `"data: ${word}" `, "last. ", "Then it closes."];
  let text = "";
  let reason = "none";
  for await (const event of await client.chatStream({ model: "m", messages: [{ role: "user", content: "?" }] })) {
    if (event.type === "content-delta") text += event.delta.message.content.text;
    if (event.type === "message-end") reason = event.delta.finishReason;
  }
  found[word] = [text, reason];
  console.log(`sent: ${parts.join("")}\nread: ${text} (finish reason: ${reason})`);
}
server.close();
assert.deepEqual(found["[END]"], ['The server sends "data: [END]" last. Then it closes.', "COMPLETE"]);
assert.deepEqual(found["[DONE]"], ["The server sends ", "none"]);
JAVASCRIPT
node check.mjs

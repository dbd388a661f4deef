#!/usr/bin/env bash
# A request that the server refuses is an empty answer without an error in the AI SDK's text stream.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  ai@7.0.173 \
  @ai-sdk/openai-compatible@3.0.92

echo "version:   ai 7.0.173, @ai-sdk/openai-compatible 3.0.92"
cat <<'TEXT'
behaviour: Expected: iterating the answer throws when the server says 400.
           Happens: `for await (… of streamText(…).textStream)` ends at once with no text; only `onError`
           or the promises beside it tell.
           Hurt: programs that print or store the stream, as the introductions show: a wrong parameter, a
           prompt beyond the context or a full queue is an empty text with exit status 0.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

function answer(_body, response) {
  response.writeHead(400, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { message: "the prompt has 9000 tokens, the context 4096", type: "invalid_request_error" } }));
}

const server = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => answer(JSON.parse(text), response));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const model = createOpenAICompatible({ name: "local", baseURL })("m");
const told = [];
let text = "";
const { textStream } = streamText({ model, prompt: "?", maxRetries: 0, onError: ({ error }) => told.push(error.message) });
for await (const part of textStream) text += part;
console.log(`streamText: ${JSON.stringify(text)}, no error from the loop; onError told: ${told}`);
const message = await generateText({ model, prompt: "?", maxRetries: 0 }).then(() => "no error", (error) => error.message);
console.log(`generateText: ${message}`);
server.close();
server.closeAllConnections();
assert.equal(text, "");
assert.match(told[0], /9000 tokens/);
assert.match(message, /9000 tokens/);
JAVASCRIPT
node check.mjs

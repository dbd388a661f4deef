#!/usr/bin/env bash
# An answer that breaks off in the middle looks complete to the OpenAI client.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  openai@7.59.0 \
  @langchain/openai@1.6.0 \
  @langchain/core@1.4.0

echo "version:   openai 7.59.0, @langchain/openai 1.6.0, @langchain/core 1.4.0"
cat <<'TEXT'
behaviour: Expected: a stream that ends without a finish_reason and without [DONE] (the server died) is an
           error, as it is for the same client's `stream()` helper.
           Happens: iterating `create({stream: true})` ends normally, and so does LangChain's `stream()`,
           which is built on it.
           Hurt: programs that store or act on streamed answers: half an answer is taken for a whole one
           after each restart of a server or proxy.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { ChatOpenAI } from "@langchain/openai";
import OpenAI from "openai";

function answer(_body, response) {
  response.setHeader("content-type", "text/event-stream");
  const choices = [{ index: 0, delta: { role: "assistant", content: "The answer is not tw" }, finish_reason: null }];
  const chunk = { id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices };
  response.end(`data: ${JSON.stringify(chunk)}\n\n`);
}

const server = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => answer(JSON.parse(text), response));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const request = { model: "m", messages: [{ role: "user", content: "?" }] };
async function collect(parts, read) {
  let text = "";
  for await (const part of await parts) text += read(part);
  return text;
}
const chat = new ChatOpenAI({ model: "m", apiKey: "none", configuration: { baseURL }, maxRetries: 0 });
const readers = {
  "openai create": () => collect(client.chat.completions.create({ ...request, stream: true }), (part) => part.choices[0]?.delta.content ?? ""),
  "openai stream": async () => (await client.chat.completions.stream(request).finalChatCompletion()).choices[0].message.content,
  "langchain stream": () => collect(chat.stream("?"), (part) => part.content),
};
const found = {};
for (const [name, read] of Object.entries(readers)) {
  found[name] = await read().then((text) => JSON.stringify(text), (error) => `error: ${error.message}`);
  console.log(`${name}: ${found[name]}`);
}
server.close();
server.closeAllConnections();
assert.equal(found["openai create"], '"The answer is not tw"');
assert.equal(found["langchain stream"], '"The answer is not tw"');
assert.match(found["openai stream"], /^error: missing finish_reason/);
JAVASCRIPT
node check.mjs

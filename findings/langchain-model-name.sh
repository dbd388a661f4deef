#!/usr/bin/env bash
# The name of a local model decides which fields LangChain sends to it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @langchain/openai@1.6.0 \
  @langchain/core@1.4.0

echo "version:   @langchain/openai 1.6.0, @langchain/core 1.4.0"
cat <<'TEXT'
behaviour: Expected: with a base address of one's own, the same options give the same request whatever the
           model is called.
           Happens: a name that begins with o and a digit or with gpt-5 turns the role `system` into
           `developer` and `max_tokens` into `max_completion_tokens`.
           Hurt: servers of local models that know only the older names: the limit is ignored or the role
           refused, for some names only.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { ChatOpenAI } from "@langchain/openai";

let body;
function answer(request, response) {
  body = request;
  response.setHeader("content-type", "application/json");
  const choices = [{ index: 0, message: { role: "assistant", content: "." }, finish_reason: "stop" }];
  response.end(JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "m", choices }));
}

const server = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => answer(JSON.parse(text), response));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const found = {};
for (const model of ["my-model", "o1-mini-finetune", "gpt-5-style-tiny"]) {
  const chat = new ChatOpenAI({ model, apiKey: "none", configuration: { baseURL }, maxTokens: 9, maxRetries: 0 });
  await chat.invoke([["system", "Be brief."], ["user", "?"]]);
  const limit = Object.keys(body).find((key) => key.startsWith("max_"));
  found[model] = `${body.messages[0].role}, ${limit}`;
  console.log(`${model}: ${found[model]}`);
}
server.close();
server.closeAllConnections();
assert.deepEqual(found, {
  "my-model": "system, max_tokens",
  "o1-mini-finetune": "developer, max_completion_tokens",
  "gpt-5-style-tiny": "developer, max_completion_tokens",
});
JAVASCRIPT
node check.mjs

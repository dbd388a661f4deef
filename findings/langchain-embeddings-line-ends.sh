#!/usr/bin/env bash
# LangChain's embeddings put code on one line before they embed it.
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
behaviour: Expected: the text that is indexed is the text that the server embeds.
           Happens: every line end becomes a space, for documents and queries, unless `stripNewLines:
           false` is given.
           Hurt: retrieval over code, tables and lists with a server of one's own: in Python code a
           comment swallows the rest of the file, and vectors differ from those computed in any other way.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { OpenAIEmbeddings } from "@langchain/openai";

let seen;
function answer(body, response) {
  seen = [body.input].flat()[0];
  response.setHeader("content-type", "application/json");
  const data = [{ object: "embedding", index: 0, embedding: [1, 0] }];
  response.end(JSON.stringify({ object: "list", model: "m", data, usage: { prompt_tokens: 1, total_tokens: 1 } }));
}

const server = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => answer(JSON.parse(text), response));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const text = "# add one\nx += 1";
for (const options of [{}, { stripNewLines: false }]) {
  const embeddings = new OpenAIEmbeddings({ model: "m", apiKey: "none", configuration: { baseURL }, maxRetries: 0, ...options });
  await embeddings.embedDocuments([text]);
  console.log(`${JSON.stringify(options)}: given ${JSON.stringify(text)}, sent ${JSON.stringify(seen)}`);
  assert.equal(seen, options.stripNewLines === false ? text : "# add one x += 1");
}
server.close();
server.closeAllConnections();
JAVASCRIPT
node check.mjs

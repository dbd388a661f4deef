#!/usr/bin/env bash
# Whether thoughts are the answer depends on streaming in the AI SDK: cut thoughts are text only when not streamed.
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
behaviour: Expected: extractReasoningMiddleware divides the same answer in the same way for generateText and streamText.
           Happens: generateText takes only closed <think> parts out, streamText all from an opening tag on. Thoughts
           that the token limit cuts off are the text of the one and the reasoning of the other. An answer that mentions
           the tag loses its rest to the reasoning when streamed. With startWithReasoning, an answer without
           thoughts is all reasoning and no text when streamed.
           Hurt: programs that test with one call and serve with the other: raw thoughts, tag included, are shown or
           parsed as the answer, or the answer is empty; both only for long, rare or unusual replies.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { extractReasoningMiddleware, generateText, streamText, wrapLanguageModel } from "ai";

let content = "";
let finish_reason = "stop";
function answer({ stream }, response) {
  const head = { id: "1", created: 1, model: "m" };
  if (!stream) {
    response.writeHead(200, { "content-type": "application/json" });
    const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason }];
    response.end(JSON.stringify({ ...head, object: "chat.completion", choices }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (choice) => {
    const choices = [{ index: 0, finish_reason: null, ...choice }];
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices })}\n\n`);
  };
  for (const part of content.match(/.{1,4}/gs)) send({ delta: { role: "assistant", content: part } });
  send({ delta: {}, finish_reason });
  response.end("data: [DONE]\n\n");
}
const server = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => answer(JSON.parse(text), response));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const provider = createOpenAICompatible({ name: "local", baseURL: `http://127.0.0.1:${server.address().port}/v1` });

const found = {};
for (const [name, text, startWithReasoning = false] of [
  ["closed", "<think>2 + 2</think>It is 4."],
  ["cut", "<think>First I add 2"],
  ["mentioned", "<think>hm</think>Write <think> before it."],
  ["none", "It is 4.", true],
]) {
  content = text;
  finish_reason = name === "cut" ? "length" : "stop";
  const middleware = extractReasoningMiddleware({ tagName: "think", startWithReasoning });
  const model = wrapLanguageModel({ model: provider("m"), middleware });
  const generated = await generateText({ model, prompt: "?" });
  const streamed = streamText({ model, prompt: "?" });
  found[name] = {
    generated: [generated.reasoningText ?? "", generated.text],
    streamed: [(await streamed.reasoningText) ?? "", await streamed.text],
  };
  console.log(`${text}${startWithReasoning ? " (startWithReasoning)" : ""}`);
  for (const [call, [reasoning, rest]] of Object.entries(found[name])) {
    console.log(`  ${call}: reasoning ${JSON.stringify(reasoning)}, text ${JSON.stringify(rest)}`);
  }
}
server.close();
server.closeAllConnections();
assert.deepEqual(found.closed.generated, found.closed.streamed);
assert.deepEqual(found.cut, { generated: ["", "<think>First I add 2"], streamed: ["First I add 2", ""] });
assert.equal(found.mentioned.generated[1], "Write <think> before it.");
assert.equal(found.mentioned.streamed[1], "Write ");
assert.deepEqual(found.none, { generated: ["", "It is 4."], streamed: ["It is 4.", ""] });
JAVASCRIPT
node check.mjs

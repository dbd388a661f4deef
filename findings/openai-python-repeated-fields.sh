#!/usr/bin/env bash
# OpenAI's Python client doubles a tool's name where the server repeats it with every part of a stream.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline openai@6.49.0
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  openai==3.22.1 pydantic==2.13.5 pydantic_core==2.46.5 annotated-types==0.8.0 typing-inspection==0.4.4 \
  typing_extensions==4.16.0 httpx2==2.13.1 httpcore2==2.13.1 truststore==0.10.4 h11==0.16.0 idna==3.20 \
  anyio==4.15.1 jiter==0.17.0 sniffio==1.3.1 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   openai 3.22.1 (Python), openai 6.49.0 (JavaScript)"
cat <<'TEXT'
behaviour: Expected: role, id and name of a streamed message say the same when they are said twice; a part's
           schema allows them everywhere, several compatible servers send them with every part, and the
           JavaScript client of the same maker takes the last one.
           Happens: the stream helper of the Python client appends them as it appends text: the final message
           has the role assistantassistant, the call the id call_1call_1 and the name get_weatherget_weather.
           The arguments are right, and no error is raised.
           Hurt: agents on compatible servers: the tool is not found under its name, and the message that goes
           back into the conversation is refused by a server that checks roles.
output:
TEXT

cat > server.mjs <<'JAVASCRIPT'
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";

const part = (delta, finish_reason = null) => ({
  id: "chat", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason }],
});
const call = (text) => ({ index: 0, id: "call_1", type: "function", function: { name: "get_weather", arguments: text } });
const parts = ['{"city": ', '"Rome"}'].map((text) => part({ role: "assistant", tool_calls: [call(text)] }));
parts.push(part({}, "tool_calls"));
const server = createServer((_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const data of parts) response.write(`data: ${JSON.stringify(data)}\n\n`);
  response.end("data: [DONE]\n\n");
}).listen(0, "127.0.0.1", () => writeFileSync("address", `http://127.0.0.1:${server.address().port}/v1`));
JAVASCRIPT
node server.mjs & server=$!
trap 'kill "$server" 2> /dev/null || true; rm -rf "$folder"' EXIT
until [ -s address ]; do sleep 0.1; done

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ apiKey: "none", baseURL: readFileSync("address", "utf8"), maxRetries: 0 });
const stream = client.chat.completions.stream({ model: "m", messages: [{ role: "user", content: "Weather in Rome?" }] });
const { role, tool_calls: [call] } = await stream.finalMessage();
console.log(`JavaScript: role ${role}, id ${call.id}, name ${call.function.name}, arguments ${call.function.arguments}`);
assert.deepEqual([role, call.id, call.function.name], ["assistant", "call_1", "get_weather"]);
JAVASCRIPT
node check.mjs

cat > check.py <<'PYTHON'
from openai import OpenAI

client = OpenAI(api_key="none", base_url=open("address").read(), max_retries=0)
messages = [{"role": "user", "content": "Weather in Rome?"}]
with client.chat.completions.stream(model="m", messages=messages) as stream:
    message = stream.get_final_completion().choices[0].message
call = message.tool_calls[0]
print(f"Python:     role {message.role}, id {call.id}, name {call.function.name}, arguments {call.function.arguments}")
assert message.role == "assistantassistant"
assert (call.id, call.function.name) == ("call_1call_1", "get_weatherget_weather")
assert call.function.arguments == '{"city": "Rome"}'
PYTHON
python/bin/python check.py

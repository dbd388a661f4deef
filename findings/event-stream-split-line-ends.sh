#!/usr/bin/env bash
# Two readers of event streams make two events of one where a packet ends between carriage return and line feed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  parse-sse@0.1.0 extended-eventsource@2.1.0 eventsource-parser@4.1.3

echo "version:   parse-sse 0.1.0, extended-eventsource 2.1.0, eventsource-parser 4.1.3"
cat <<'TEXT'
behaviour: Expected: the events of a stream do not depend on how its bytes come in. The standard counts a carriage return
           and a line feed as one line end, and both packages say that they comply with it.
           Happens: with the two in different chunks they are two line ends, the second an empty line. The event ends
           there: its name goes to nothing, its lines become events of their own, and data with line ends
           is divided.
           Hurt: clients of servers that write both characters (sse-starlette, which many Python servers use, does so
           by default): of many thousand streams now and then one has an event without its name or half of a
           JSON text, depending on the network, and never in a test.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createParser } from "eventsource-parser";
import { EventSource } from "extended-eventsource";
import { parseServerSentEvents } from "parse-sse";

const text = 'event: message_stop\r\ndata: {"reason":\r\ndata: "length"}\r\n\r\n';
const whole = ['message_stop {"reason":\n"length"}'];
const bytes = new TextEncoder().encode(text);
const response = (cut) => {
  const body = new ReadableStream({
    async start(controller) {
      for (const part of [bytes.slice(0, cut), bytes.slice(cut)]) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        if (part.length > 0) controller.enqueue(part);
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
};
const readers = {
  "eventsource-parser": async (cut) => {
    const found = [];
    const parser = createParser({ onEvent: ({ event, data }) => found.push(`${event} ${data}`) });
    for (const part of [text.slice(0, cut), text.slice(cut)]) parser.feed(part);
    return found;
  },
  "parse-sse": async (cut) => {
    const found = [];
    for await (const { type, data } of parseServerSentEvents(response(cut))) found.push(`${type} ${data}`);
    return found;
  },
  "extended-eventsource": async (cut) => {
    const found = [];
    globalThis.fetch = async () => response(cut);
    console.error = console.warn = () => {}; // It reports the end of the stream there.
    const source = new EventSource("http://localhost/", { disableRetry: true });
    for (const name of ["message", "message_stop"]) {
      source.addEventListener(name, ({ type, data }) => found.push(`${type} ${data}`));
    }
    await new Promise((resolve) => source.addEventListener("error", resolve));
    source.close();
    return found;
  },
};
const cuts = [...text].flatMap((sign, index) => (sign === "\r" ? [index + 1] : []));
const changed = {};
for (const [name, read] of Object.entries(readers)) {
  assert.deepEqual(await read(bytes.length), whole, name);
  assert.deepEqual(await read(10), whole, name);
  for (const cut of cuts.slice(0, 2)) {
    const found = await read(cut);
    console.log(`${name}, chunk ends after ${cut} bytes: ${JSON.stringify(found)}`);
    (changed[name] ??= []).push(JSON.stringify(found) !== JSON.stringify(whole));
  }
}
assert.deepEqual(changed, {
  "eventsource-parser": [false, false],
  "parse-sse": [true, true],
  "extended-eventsource": [true, true],
});
process.exit(0);
JAVASCRIPT
node check.mjs

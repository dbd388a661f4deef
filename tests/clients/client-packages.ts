/**
 * The installed clients of the OpenAI interface, and servers to ask with them.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";
import { complete } from "../../src/generate/index.ts";
import type { Generate } from "../../src/generate/types.ts";
import { startServerWith } from "../../src/serve/server.ts";
import { createFakeModel } from "../../src/serve/testing/fake-model.ts";
import { type NanoServer, startNanoServer } from "../../src/serve/testing/nano-server.ts";
import { reportSkip } from "../../src/testing/test-data.ts";

/** `JETON_CLIENTS`, otherwise the newest set that is installed and that this Node can run. */
function chooseSet(): string | undefined {
  const named = process.env["JETON_CLIENTS"];
  if (named) return named;
  const [major] = process.versions.node.split(".");
  const sets = Number(major) >= 22 ? ["node22", "node20"] : ["node20"];
  return sets.find((set) =>
    existsSync(fileURLToPath(new URL(`${set}/node_modules/openai`, import.meta.url))),
  );
}

const set = chooseSet();
if (set === undefined) reportSkip("needs node scripts/install-clients.mjs");

/** `describe`, skipped where no clients are installed. */
export const describeClients = describe.skipIf(set === undefined);

// biome-ignore lint/suspicious/noExplicitAny: packages that jeton does not depend on have no types here
type Packages = any;

/** Loads the clients. */
export function loadClients(): Promise<Packages> {
  return import(new URL(`${set}/packages.js`, import.meta.url).href);
}

/** Writes conversations for the bundled model, which was not trained on any. */
export const chatTemplate: string =
  "{% for m in messages %}{{ m.role }}: {{ m.content or '' }}\n" +
  "{% for call in m.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments | tojson }})\n{% endfor %}" +
  "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

/** A server over the bundled model, with an API key. */
export function startClientServer(): Promise<NanoServer> {
  return startNanoServer({ chatTemplate, apiKey });
}

/** What the library itself writes after a prompt, 8 tokens at most. */
export async function greedyText(
  { model }: NanoServer,
  prompt: string,
  addSpecialTokens: boolean,
): Promise<string> {
  const ids = model.tokenizer.encodeIds(prompt, { addSpecialTokens });
  return (await complete(model, ids, { greedy: true, maxTokens: 8 })).text;
}

/** The key of the servers. */
export const apiKey = "sk-clients";

/** A server whose generator breaks after two tokens of every text. */
export async function startBreakingServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const fake = createFakeModel({ chatTemplate });
  const breaking: Generate = async function* (model, prompt, options) {
    const tokens = fake.generate(model, prompt, options);
    for (let index = 0; index < 2; index++) yield (await tokens.next()).value as never;
    await tokens.return(undefined as never);
    throw new Error("the generator broke");
  };
  const address = { port: 0, host: "127.0.0.1", modelName: "nano", apiKey };
  const server = await startServerWith(
    { generate: breaking, score: fake.score },
    fake.model,
    address,
  );
  return { url: server.url, close: () => server.close({ graceMs: 0 }) };
}

/** The pieces of an asynchronous iterable. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

/** What a promise is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<Packages> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("expected a failure");
}

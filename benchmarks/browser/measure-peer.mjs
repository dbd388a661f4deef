/** jeton beside transformers.js: workers of one page, in turns. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createTokenizer } from "../../dist/browser.js";
import { decodingTasks } from "../../dist/generate/measure/reproduction-tasks.js";
import { writePublishedLayout } from "./onnx-decoder.mjs";
import { serveFolders } from "./serve-folders.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const promptLength = 32;

/** @returns tokens a second of both, and how many texts are the same token for token */
export async function measurePeer(browser, { root, folder, threads, tokens, rounds }) {
  const checkpoint = join(root, "models/jeton-nano");
  writePublishedLayout(checkpoint, join(folder, "peer/jeton-nano"));
  await bundle(join(folder, "scripts"));
  const require = createRequire(import.meta.url);
  const peerRuntime = dirname(require.resolve("onnxruntime-web/wasm"));
  const page =
    '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>';
  const server = await serveFolders(
    {
      "/": join(folder, "scripts"),
      "/checkpoint/": checkpoint,
      "/peer/": join(folder, "peer"),
      "/runtime/": join(root, "dist/onnxruntime"),
      "/peer-runtime/": peerRuntime,
    },
    { "/page.html": page },
  );
  const tab = await browser.newPage();
  tab.on("console", (message) => message.type() === "error" && console.error(message.text()));
  try {
    await tab.goto(`${server.url}/page.html`);
    await tab.waitForFunction(() => globalThis.bench !== undefined);
    const call = (name, method, argument) =>
      tab.evaluate((given) => globalThis.bench.call(...given), [name, method, argument]);
    const isIsolated = await tab.evaluate(() => crossOriginIsolated);
    if (!isIsolated) throw new Error("the page is not isolated: threads would not be used");
    await call("jeton", "open", {
      runtime: `${server.url}/runtime/`,
      folder: `${server.url}/checkpoint/`,
      threads,
    });
    await call("peer", "open", {
      runtime: `${server.url}/peer-runtime/`,
      root: `${server.url}/peer/`,
      name: "jeton-nano",
      threads,
    });
    return await interleave(call, await prompts(checkpoint, rounds), tokens);
  } finally {
    await tab.close();
    server.close();
  }
}

async function interleave(call, requests, maxTokens) {
  const rates = { jeton: [], peer: [] };
  let same = 0;
  for (const [round, ids] of requests.entries()) {
    const texts = {};
    const sides = round % 2 === 0 ? ["jeton", "peer"] : ["peer", "jeton"];
    for (const side of sides) {
      const found = await call(side, "run", { ids, maxTokens });
      if (found.ids.length !== maxTokens) {
        throw new Error(`${side} generated ${found.ids.length} tokens, expected ${maxTokens}`);
      }
      texts[side] = found.ids.join();
      // The first request warms up.
      if (round > 0) rates[side].push(maxTokens / found.seconds);
    }
    if (round > 0 && texts.jeton === texts.peer) same++;
  }
  return { ours: rates.jeton, peer: rates.peer, same };
}

/** Token ids of `rounds + 1` texts. */
async function prompts(checkpoint, rounds) {
  const tokenizer = createTokenizer(
    JSON.parse(readFileSync(join(checkpoint, "tokenizer.json"), "utf8")),
  );
  const tasks = await decodingTasks({ kind: "prose", count: rounds + 1, seed: 7 });
  return tasks.map(({ prompt }) => [...tokenizer.encodeIds(prompt)].slice(0, promptLength));
}

async function bundle(outdir) {
  await build({
    entryPoints: ["page", "jeton-worker", "peer-worker"].map((name) => join(here, `${name}.mjs`)),
    outdir,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: ["node:*"],
    logLevel: "error",
  });
}

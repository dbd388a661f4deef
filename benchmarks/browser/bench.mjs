/**
 * Generation in a browser: jeton beside transformers.js, each in a worker of one page, on the same weights and
 * threads; the page of `npm run site` beside its own worker without a page; and the longest task of the page's
 * thread while it generates, is typed into and scrolls.
 *
 *     npm run bench -- browser [--json] [--parts peer,page,trace] [--threads 1,2] [--tokens 128] [--rounds 5]
 *
 * Chromium is that of the system; the environment variable CHROMIUM names another one.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { describeMachine, formatTable, makeRow } from "../report.mjs";
import { measurePage, traceLongestTask } from "./measure-page.mjs";
import { measurePeer } from "./measure-peer.mjs";

export const description = "generation in a browser: transformers.js, and the page of the site";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const executable = process.env.CHROMIUM ?? "/usr/bin/chromium";

/**
 * @param {{ json: boolean, args: string[] }} options
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      parts: { type: "string", default: "peer,page,trace" },
      threads: { type: "string", default: "1,2" },
      tokens: { type: "string", default: "128" },
      rounds: { type: "string", default: "5" },
    },
  });
  if (!existsSync(executable)) {
    throw new Error(`no Chromium at ${executable}; CHROMIUM names another one`);
  }
  const parts = values.parts.split(",");
  const settings = { root, tokens: Number(values.tokens), rounds: Number(values.rounds) };
  const folder = mkdtempSync(join(tmpdir(), "jeton-bench-browser-"));
  const browser = await chromium.launch({
    executablePath: executable,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  });
  const rows = [];
  try {
    for (const threads of parts.includes("peer") ? values.threads.split(",").map(Number) : []) {
      const { ours, peer, same } = await measurePeer(browser, { ...settings, folder, threads });
      console.error(`${threads} threads: ${same} of ${settings.rounds} texts are the same`);
      const name = `greedy, autoregressive, f32, ${threads} thread${threads > 1 ? "s" : ""}`;
      rows.push(makeRow({ name, ours, peer, peerName: "transformers.js", unit: "tokens/s" }));
    }
    if (parts.includes("page")) {
      const { page, bare } = await measurePage(browser, { ...settings, folder });
      const name = "the lens of the site, with alternatives and entropy";
      const peerName = "its worker without a page";
      rows.push(makeRow({ name, ours: page, peer: bare, peerName, unit: "tokens/s" }));
    }
    if (parts.includes("trace")) {
      const { tasks, clock, processor, longest } = await traceLongestTask(browser, {
        ...settings,
        folder,
      });
      console.error(`${tasks} tasks of the page's thread; the longest: ${longest}`);
      for (const [kind, ours] of Object.entries({ clock, processor })) {
        const name = `longest task of the page (generation, typing, scrolling), ${kind}`;
        const sides = { ours: [ours], peer: [50], peerName: "the limit" };
        rows.push(makeRow({ name, ...sides, unit: "ms", lowerIsBetter: true }));
      }
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  if (!json) console.log(formatTable(rows));
  console.error(describeMachine());
  return rows;
}

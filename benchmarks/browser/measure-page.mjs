/** The page of the static site: its speed beside that of its worker alone, and the tasks of its thread. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { buildSite } from "../../scripts/build-site.mjs";
import { serveFolders } from "./serve-folders.mjs";

const prompt = "The emperor of the East";

async function openSite(folder) {
  const site = join(folder, "site");
  await buildSite(site);
  const server = await serveFolders({ "/": site }, { "/empty.html": "<!doctype html>" });
  const worker = readdirSync(join(site, "assets")).find((name) =>
    /^model-worker-.*\.js$/.test(name),
  );
  return { server, worker: `${server.url}/assets/${worker}` };
}

function lensAddress(url, tokens) {
  const settings = { prompt, n: tokens, t: 0, p: 1, d: "none", seed: 1 };
  return `${url}/#/lens?${new URLSearchParams(settings)}`;
}

/** Opens the lens, which writes at once, and waits until it has written. */
async function openLens(browser, url, tokens) {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const tab = await context.newPage();
  tab.setDefaultTimeout(120_000);
  await tab.goto(lensAddress(url, tokens));
  await tab.waitForSelector(".pane-figures");
  return tab;
}

/** @returns tokens a second of the page, and of its worker without a page */
export async function measurePage(browser, { folder, tokens, rounds }) {
  const { server, worker } = await openSite(folder);
  try {
    const tab = await openLens(browser, server.url, tokens);
    const bare = await tab.context().newPage();
    await bare.goto(`${server.url}/empty.html`);
    await openBare(bare, worker, server.url);
    const request = {
      ...{ kind: "generate", prompt, maxTokens: tokens, drafter: "none" },
      ...{ alternatives: 10, entropy: true },
      sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1 },
    };
    const rates = { page: [], bare: [] };
    for (let round = -1; round < rounds; round++) {
      const sides = round % 2 === 0 ? ["page", "bare"] : ["bare", "page"];
      for (const side of sides) {
        const run = side === "page" ? () => runPage(tab) : () => runBare(bare, request);
        await (side === "page" ? tab : bare).bringToFront();
        const rate = await run();
        if (round >= 0) rates[side].push(rate);
      }
    }
    await tab.context().close();
    return rates;
  } finally {
    server.close();
  }
}

/** Writes again by the page's button; gives the tokens a second that it shows. */
async function runPage(tab) {
  await tab.evaluate(() => document.querySelector(".pane-figures").setAttribute("data-old", ""));
  await tab.getByRole("button", { name: "Write", exact: true }).click();
  await tab.waitForSelector(".pane-figures:not([data-old]) [data-rate]");
  return Number(await tab.locator("[data-rate]").first().getAttribute("data-rate"));
}

/** Starts the page's worker on a page that does nothing else. */
function openBare(tab, address, url) {
  return tab.evaluate(
    ([script, base]) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(script, { type: "module" });
        worker.addEventListener("message", ({ data }) => {
          if (data.kind === "open") resolve();
          else if (data.kind === "open-failed") reject(new Error(data.error.message));
        });
        worker.onerror = ({ message }) => reject(new Error(message));
        const model = { model: "jeton-nano", format: "f32", device: "wasm" };
        worker.postMessage({ kind: "open", base, ...model });
        globalThis.modelWorker = worker;
      }),
    [address, `${url}/`],
  );
}

function runBare(tab, request) {
  return tab.evaluate(
    (asked) =>
      new Promise((resolve, reject) => {
        const worker = globalThis.modelWorker;
        const id = Math.random();
        const onMessage = ({ data }) => {
          if (data.id !== id) return;
          if (data.kind === "end") worker.removeEventListener("message", onMessage);
          if (data.kind === "end" && data.error) reject(new Error(data.error.message));
          if (data.kind !== "event" || data.event.kind !== "end") return;
          resolve(data.event.tokens / data.event.decodeSeconds);
        };
        worker.addEventListener("message", onMessage);
        worker.postMessage({ kind: "ask", id, request: asked });
      }),
    request,
  );
}

/**
 * Records a trace of a generation during which the page is typed into and scrolled.
 *
 * @returns the longest task of the page's thread in ms, by the clock and by the processor's time, how many there
 *   were, and the five longest in words
 */
export async function traceLongestTask(browser, { folder, tokens }) {
  const { server } = await openSite(folder);
  try {
    const tab = await openLens(browser, server.url, 4 * tokens);
    await tab.evaluate(() => document.querySelector(".pane-figures").setAttribute("data-old", ""));
    await browser.startTracing(tab, {
      categories: ["toplevel", "__metadata", "devtools.timeline", "blink.user_timing"],
    });
    await tab.evaluate(() => performance.mark("jeton:begin"));
    await tab.getByRole("button", { name: "Write", exact: true }).click();
    await tab.locator("textarea").focus();
    await tab.keyboard.press("End");
    const isDone = () => tab.locator(".pane-figures:not([data-old]) [data-rate]").count();
    for (let at = 0; at < 400 && !(await isDone()); at++) {
      await tab.keyboard.type(" and so");
      await tab.mouse.wheel(0, at % 2 === 0 ? 300 : -300);
    }
    await tab.evaluate(() => performance.mark("jeton:end"));
    return longestTask(JSON.parse(await browser.stopTracing()));
  } finally {
    server.close();
  }
}

function longestTask({ traceEvents }) {
  const marks = traceEvents.filter(({ name }) => /^jeton:/.test(name));
  const begin = marks.find(({ name }) => name === "jeton:begin");
  const end = marks.find(({ name }) => name === "jeton:end");
  const isOfPage = ({ pid, tid }) => pid === begin.pid && tid === begin.tid;
  const within = traceEvents.filter(
    (event) => isOfPage(event) && event.ts >= begin.ts && event.ts <= end.ts && event.ph === "X",
  );
  const tasks = within.filter(({ name }) => /RunTask$/.test(name));
  if (tasks.length === 0) throw new Error("the trace holds no tasks of the page's thread");
  const sorted = tasks.toSorted((a, b) => b.dur - a.dur);
  const describe = ({ ts, dur, tdur }) => {
    const inside = within
      .filter((event) => event.ts >= ts && event.ts < ts + dur && !/RunTask$/.test(event.name))
      .toSorted((a, b) => b.dur - a.dur)[0];
    return `${(dur / 1000).toFixed(1)} ms (${((tdur ?? 0) / 1000).toFixed(1)} of the processor, ${inside?.name ?? "?"})`;
  };
  return {
    tasks: tasks.length,
    clock: sorted[0].dur / 1000,
    processor: Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000,
    longest: sorted.slice(0, 5).map(describe).join(", "),
  };
}

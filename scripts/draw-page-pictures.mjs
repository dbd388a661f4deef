/**
 * Draws the pictures of the page for README.md and docs/studio.md: `npm run build && node scripts/draw-page-pictures.mjs`.
 *
 * The built page is served with the bundled model and opened in headless Chromium; the environment variable CHROMIUM
 * names another one than that of the system. What is computed is not written down: each picture shows a run.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { loadModel } from "../dist/index.js";
import { startServer } from "../dist/serve/index.js";

const folder = fileURLToPath(new URL("../docs/images", import.meta.url));
const demonstration = ".demonstration";

/** By the picture's name: its address, what is done there, and the part that is shown (default: the page). */
const pictures = {
  "studio-feed": {
    hash: "#/",
    async act(page) {
      const plot = page.locator(".thumbnail img").first();
      await plot.evaluate((image) => image.decode());
    },
    isWindow: true,
  },
  "studio-race": {
    hash: "#/systems/lookahead",
    async act(page) {
      await page.getByRole("button", { name: "Race" }).click();
      await page.getByText("the same", { exact: true }).nth(5).waitFor();
    },
    part: demonstration,
  },
  "studio-lens": {
    hash: "#/lens?prompt=The+emperor+of+the+East&t=0.8&p=0.95&n=96&seed=1&d=auto",
    async act(page) {
      await page.waitForSelector(".pane-figures");
      await page.locator(".tokens").focus();
      for (let at = 0; at < 8; at++) await page.keyboard.press("ArrowRight");
      await page.waitForSelector(".stages");
    },
  },
  "studio-context": {
    hash: "#/systems/token-select",
    async act(page) {
      const filled = () => document.querySelector(".demonstration textarea")?.value !== "";
      await page.waitForSelector(`${demonstration} textarea`);
      await page.waitForFunction(filled);
      await page.getByRole("button", { name: "Read and continue" }).click();
      await page.locator(`${demonstration} .data tbody tr`).nth(1).waitFor();
    },
    part: demonstration,
  },
};

const model = await loadModel();
const server = await startServer(model, { port: 0, host: "127.0.0.1", studio: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  for (const [name, { hash, act, part, isWindow = false }] of Object.entries(pictures)) {
    const page = await browser.newPage({
      viewport: { width: 1280, height: 860 },
      colorScheme: "light",
      reducedMotion: "reduce",
    });
    page.setDefaultTimeout(120_000);
    await page.goto(`${server.url}/${hash}`);
    await act(page);
    // The pointer and what it is over are no part of a picture.
    await page.mouse.move(0, 0);
    const path = join(folder, `${name}.png`);
    if (part) await page.locator(part).screenshot({ path });
    else await page.screenshot({ path, fullPage: !isWindow });
    console.log(`written: ${path}`);
    await page.close();
  }
} finally {
  await browser.close();
  await server.close({ graceMs: 0 });
  await model.close();
}

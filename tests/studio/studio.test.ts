/** The page of `jeton studio` and the static site in headless Chromium. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, systems } from "../../src/index.ts";
import { hasBrowser, openStudio, type Studio } from "./open-studio.ts";

describe.skipIf(!hasBrowser)("studio", { timeout: 60_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  }, 240_000);
  afterAll(() => studio?.close());

  describe.each(["server", "site"] as const)("%s", (build) => {
    test("the feed shows every system, and narrows to what is asked for", async () => {
      const { page, problems } = await studio.openTab();
      await page.goto(studio[build]);
      await page.waitForSelector(".card");
      expect(await page.locator(".card").count()).toBe(systems.length);
      await page.getByRole("searchbox").fill("shortens image tokens");
      await page.waitForFunction(() => document.querySelectorAll(".card mark").length > 0);
      const first = page.locator(".card").first();
      expect(await first.locator("h2").innerText()).toBe("Correlation-guided compression");
      expect(await first.locator("mark").allInnerTexts()).toContain("Shortens");
      await page.getByRole("searchbox").fill("");
      await page.getByRole("button", { name: /^generate/ }).click();
      const shown = systems.filter(({ area }) => area === "generate");
      expect(await page.locator(".card").count()).toBe(shown.length);
      expect(page.url()).toContain("area=generate");
      expect(problems).toEqual([]);
      await page.close();
    });

    test("the lens writes what the library writes, and a branch goes on from the chosen token", async () => {
      const { page, problems } = await studio.openTab();
      const query = "prompt=The+emperor&t=0&p=1&n=12&seed=1&d=auto";
      await page.goto(`${studio[build]}#/lens?${query}`);
      const text = (): Promise<string> => page.locator(".tokens").innerText();
      await page.waitForSelector(".pane-figures");
      const options = { greedy: true, maxTokens: 12 };
      const wanted = await complete(studio.model, "The emperor", options);
      expect(await text()).toBe(wanted.text);
      // The second most probable token of the third place.
      await page.locator('[data-place="2"]').click();
      await page.locator(".alternatives button").first().click();
      await page.waitForSelector(".pane-figures");
      const then = new URLSearchParams(new URL(page.url()).hash.split("?")[1]).get("then");
      const branch = then!.split(",").map(Number);
      expect(branch.slice(0, 2)).toEqual(wanted.ids.slice(0, 2));
      expect(branch[2]).not.toBe(wanted.ids[2]);
      const ids = [...studio.model.tokenizer.encodeIds("The emperor"), ...branch];
      expect(await text()).toBe((await complete(studio.model, ids, options)).text);
      expect(problems).toEqual([]);
      await page.close();
    });
  });
});

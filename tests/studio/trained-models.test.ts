/** Demonstrations that small models trained for them answer, in both builds of the page: they show what the library computes. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseContextPolicy } from "../../src/context/index.ts";
import { completeFrom } from "../../src/generate/index.ts";
import { complete, loadModel } from "../../src/index.ts";
import { loadSeq2Seq } from "../../src/model/index.ts";
import { violations } from "./axe.ts";
import { hasBrowser, openStudio, type Studio } from "./open-studio.ts";

describe.skipIf(!hasBrowser)("trained models", { timeout: 180_000 }, () => {
  let studio: Studio;
  let page: Page;
  let problems: string[];
  beforeAll(async () => {
    studio = await openStudio();
    ({ page, problems } = await studio.openTab());
  }, 240_000);
  afterAll(() => studio?.close());

  const demonstration = (): ReturnType<Page["locator"]> => page.locator(".demonstration");
  const open = async (build: "server" | "site", slug: string): Promise<void> => {
    await page.goto(`${studio[build]}#/systems/${slug}`);
    await page.waitForSelector(`[data-slug="${slug}"] .demonstration textarea`);
  };

  describe.each(["server", "site"] as const)("%s", (build) => {
    test("landmark attention finds another pass key by the blocks that the library opens", async () => {
      await using model = await loadModel("jeton-landmark", { format: "f32", threads: 1 });
      await open(build, "landmark-attention");
      const fields = demonstration().locator("textarea");
      const text = (await fields.first().inputValue()).replace("48213", "70956");
      await fields.first().fill(text);
      const prompt = `${text} ${await fields.nth(1).inputValue()}`;
      await page.getByRole("button", { name: "Read and answer" }).click();
      await demonstration().locator(".data tbody tr").nth(1).waitFor();
      const read = (blocks: number) =>
        complete(model, prompt, {
          ...{ greedy: true, maxTokens: 8, reportContext: true },
          contextPolicy: parseContextPolicy(`landmark:blocks=${blocks}`),
        });
      const [two, none] = [await read(2), await read(0)];
      const shown = await demonstration().locator(".data tbody td code").allTextContents();
      expect(shown).toEqual([two.text, none.text]);
      expect(two.text.trim()).toMatch(/^70956/);
      expect(none.text).not.toContain("70956");
      // The text is longer than the trained window, and few of its blocks are opened.
      const { block, trainLength } = model.config.landmark!;
      const ids = model.tokenizer.encodeIds(prompt);
      expect(ids.length).toBeGreaterThan(7 * trainLength);
      const blocksOf = (places: readonly number[]): string[] =>
        [...new Set(places.map((place) => Math.floor(place / block)))]
          .sort((a, b) => a - b)
          .map(String);
      const opened = (): Promise<string[]> =>
        demonstration()
          .locator("mark.kept")
          .evaluateAll((all) => all.map((mark) => (mark as HTMLElement).dataset["block"]!));
      const { layers } = two.context!.attended!;
      const inside = (places: readonly number[]) => places.filter((place) => place < ids.length);
      expect(await opened()).toEqual(blocksOf(inside(layers[1]!)));
      expect((await opened()).length).toBeLessThan(20);
      expect(await demonstration().locator("mark.kept").allTextContents()).toEqual(
        expect.arrayContaining([expect.stringContaining("70956")]),
      );
      await page.getByRole("button", { name: /^layer 1/ }).click();
      expect(await opened()).toEqual(blocksOf(inside(layers.flat())));
      expect(await violations(page)).toEqual([]);
      expect(problems).toEqual([]);
    });

    test("the gate of MrT5 deletes the bytes that it deletes in the library, and the decoder writes the same", async () => {
      await using model = await loadSeq2Seq("jeton-mrt5", { format: "f32", threads: 1 });
      await open(build, "mrt5");
      const pieces = ["The ship came back", "She lit a lamp"];
      await demonstration().locator("textarea").fill(pieces.join("\n"));
      const shown = async () => ({
        deleted: await demonstration().locator("del.byte").allTextContents(),
        bytes: await demonstration().locator(".byte").count(),
        written: await demonstration().locator(".data tbody th code").allTextContents(),
      });
      const wanted = async (how: { threshold?: number; soft?: boolean }) => {
        const found = { deleted: [] as string[], bytes: 0, written: [] as string[] };
        for (const [at, read] of (await model.encode(pieces, how)).entries()) {
          const kept = new Set(read.gate!.kept);
          const names = [...pieces[at]!, "</s>"];
          found.bytes += names.length;
          found.deleted.push(...names.filter((_, place) => !kept.has(place)));
          const options = { greedy: true, maxTokens: 96, ...how } as const;
          found.written.push((await completeFrom(model, pieces[at]!, options)).text);
        }
        return found;
      };
      const hard = await wanted({ threshold: -15 });
      await expect.poll(shown, { timeout: 60_000 }).toEqual(hard);
      // What the task does not need goes, and is gone from what is written.
      expect(hard.deleted.filter((letter) => /[aeiou]/i.test(letter)).length).toBeGreaterThan(8);
      expect(hard.deleted.length).toBeLessThan(hard.bytes / 2);
      expect(hard.written).toEqual(pieces.map((piece) => piece.replace(/[aeiou]/gi, "")));
      expect(await violations(page)).toEqual([]);
      await demonstration().locator('input[type="range"]').fill("-29");
      await expect.poll(shown).toEqual(await wanted({ threshold: -29 }));
      await demonstration().locator('input[type="checkbox"]').check();
      await expect.poll(shown).toEqual(await wanted({ soft: true }));
      expect((await shown()).deleted).toEqual([]);
      expect(problems).toEqual([]);
    });
  });
});

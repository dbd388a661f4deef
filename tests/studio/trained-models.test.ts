/** Demonstrations that small models trained for them answer, in both builds of the page: they show what the library computes. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseContextPolicy } from "../../src/context/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { completeFrom } from "../../src/generate/index.ts";
import { complete, loadModel } from "../../src/index.ts";
import { loadSeq2Seq, openSymbolModel, readSymbolModel } from "../../src/model/index.ts";
import { lossesByWindow } from "../../src/model/lexinvariant/reproduction-curves.ts";
import { foldText, letters } from "../../src/model/lexinvariant/reproduction-training.ts";
import { bundledModel } from "../../src/testing/test-data.ts";
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

    test("a renamed text is as surprising as to the library's models, and less so along it to the lexinvariant one alone", async () => {
      await open(build, "lexinvariant");
      const text =
        "The sea is wide. The sea is cold. The sea is wide. The sea is cold. The sea is wide.";
      await demonstration().locator("textarea").fill(text);
      await demonstration().locator('input[type="range"]').fill("7");
      const ids = foldText(text.replace(/\W+$/, ""));
      const names = createRandom(7, "alphabet").shuffle([...letters].map((_, id) => id));
      const renamed = ids.map((id) => names[id]!);
      const folder = join(dirname(bundledModel), "jeton-lexinvariant");
      const config: unknown = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
      const bitsOf = async (file: string, own: Int32Array): Promise<number[]> => {
        const weights = new Uint8Array(readFileSync(join(folder, file)));
        const read = readSymbolModel({ config, weights });
        await using model = await openSymbolModel({ ...read, threads: 1, inline: true });
        const whole = { batch: 1, time: own.length, ids: own };
        const [losses] = await lossesByWindow(model, whole, createRandom(7, "vectors"));
        return Array.from(losses!, (nats) => nats / Math.LN2);
      };
      const wanted = {
        lexinvariant: await bitsOf("model.safetensors", renamed),
        renamed: await bitsOf("ordinary.safetensors", renamed),
        own: await bitsOf("ordinary.safetensors", ids),
      };
      const quarters = (bits: readonly number[]): number[] =>
        [0, 1, 2, 3].map((at) => {
          const [from, to] = [at, at + 1].map((part) => Math.round((part * bits.length) / 4));
          const part = bits.slice(from, to);
          return part.reduce((sum, value) => sum + value, 0) / part.length;
        });
      const code = Array.from(renamed, (id) => letters[id]!).join("");
      await page.waitForFunction(
        (shown) => document.querySelector(".demonstration .renamed")?.textContent === shown,
        code,
      );
      const rows = await demonstration()
        .locator(".data tbody tr")
        .evaluateAll((all) =>
          all.map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent))),
        );
      expect(rows).toHaveLength(4);
      for (const [row, bits] of Object.values(wanted).entries()) {
        for (const [at, value] of quarters(bits).entries()) {
          // Kernels of WebAssembly and of Node round otherwise, and the page rounds to hundredths.
          expect(Math.abs(rows[row]![at]! - value)).toBeLessThan(0.02);
        }
      }
      const [free, foreign, own] = rows as [number[], number[], number[]];
      expect(free[3]).toBeLessThan(free[0]! - 0.5);
      expect(foreign[3]).toBeGreaterThan(free[3]! + 2);
      expect(own[3]).toBeLessThan(foreign[3]!);
      expect(await violations(page)).toEqual([]);
      expect(problems).toEqual([]);
    });
  });
});

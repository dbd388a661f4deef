/** The page of `jeton studio` and the static site in headless Chromium. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheName } from "../../src/browser-cache.ts";
import { parseContextPolicy } from "../../src/context/index.ts";
import { complete, type LoadedModel, loadModel, systems } from "../../src/index.ts";
import { recordRouting } from "../../src/model/index.ts";
import { startServer } from "../../src/serve/index.ts";
import { createRandomCheckpoint } from "../../src/testing/random-checkpoint.ts";
import { bundledModel } from "../../src/testing/test-data.ts";
import { createTokenTexts } from "../../src/tokenizer/index.ts";
import { executable, findAdapter, gpuSwitches } from "../browser/serve-page.ts";
import { violations } from "./axe.ts";
import { packedTexts, raceText, toolChecks, transferredTexts } from "./demonstrations.ts";
import { builtPage, hasBrowser, openStudio, type Studio } from "./open-studio.ts";

const hasAdapter = await findAdapter();

describe.skipIf(!hasBrowser)("studio", { timeout: 180_000 }, () => {
  let studio: Studio;
  let page: Page;
  let problems: string[];
  beforeAll(async () => {
    studio = await openStudio();
    ({ page, problems } = await studio.openTab());
  }, 240_000);
  afterAll(() => studio?.close());

  const tokens = (): Promise<string> => page.locator(".tokens").innerText();
  const written = (): Promise<unknown> => page.waitForSelector(".pane-figures");
  const demonstration = (): ReturnType<Page["locator"]> => page.locator(".demonstration");

  test("the first view takes less than 150 kB of compressed script", () => {
    const html = readFileSync(`${builtPage}/index.html`, "utf8");
    const scripts = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)];
    expect(scripts.length).toBeGreaterThan(0);
    const bytes = scripts.map(([, name]) => gzipSync(readFileSync(`${builtPage}/${name}`)).length);
    expect(bytes.reduce((a, b) => a + b, 0)).toBeLessThan(150_000);
  });

  test("the server's lens refuses what is no request, and requests that other pages could send", async () => {
    const ask = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${studio.server}studio/lens`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body,
      });
    const wrong = await ask('{"kind":"generate","prompt":"x","promptEmbeddings":[1]}');
    expect(wrong.status).toBe(400);
    expect(await wrong.json()).toMatchObject({ error: { code: "lens_request_invalid" } });
    expect((await ask('{"kind":"describe"}', { "content-type": "text/plain" })).status).toBe(415);
    for (const [policy, code] of [
      ["token-selekt", "context_policy_unknown"],
      ["top-k:k=0", "context_policy_option"],
    ]) {
      const refused = await ask(`{"kind":"generate","prompt":"x","contextPolicy":"${policy}"}`);
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ error: { code } });
    }
    const lines = (await (await ask('{"kind":"tokenize","text":"a b"}')).text()).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([{ kind: "text" }]);
    const page = await fetch(studio.server);
    expect(page.headers.get("cross-origin-opener-policy")).toBe("same-origin");
    const again = { "if-none-match": page.headers.get("etag")! };
    expect((await fetch(studio.server, { headers: again })).status).toBe(304);
    const outside = await fetch(`${studio.server}..%2fpackage.json`);
    expect(outside.status).toBe(404);
  });

  describe.each(["server", "site"] as const)("%s", (build) => {
    test("the feed shows every system, and narrows to what is asked for", async () => {
      await page.goto(studio[build]);
      await page.waitForSelector(".card");
      expect(await page.locator(".card").count()).toBe(systems.length);
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press("/");
      await page.keyboard.type("shortens image tokens");
      await page.waitForFunction(() => document.querySelectorAll(".card mark").length > 0);
      const first = page.locator(".card").first();
      expect(await first.locator("h2").innerText()).toBe("Correlation-guided compression");
      expect(await first.locator("mark").allInnerTexts()).toContain("Shortens");
      // What someone asks who knows no system by name.
      for (const asked of ["which system shortens prompts", "shorter prompts"]) {
        await page.getByRole("searchbox").fill("");
        await page.getByRole("searchbox").fill(asked);
        await page.waitForFunction(
          () => document.querySelector(".card h2")?.textContent === "GemFilter",
        );
      }
      await page.getByRole("searchbox").fill("");
      await page.getByRole("button", { name: /^generate/ }).click();
      const shown = systems.filter(({ area }) => area === "generate");
      expect(await page.locator(".card").count()).toBe(shown.length);
      expect(page.url()).toContain("area=generate");
      // From card to card and into one, by keys alone.
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      await page.keyboard.press("k");
      const name = await page.locator(".card h2").first().innerText();
      await page.keyboard.press("Enter");
      await page.waitForSelector(".system");
      expect(await page.locator("h1").innerText()).toBe(name);
      // Who goes back finds the card again; the head's link leads to the beginning.
      await page.goBack();
      await page.waitForFunction(
        (text) => document.activeElement?.textContent === text && text !== "",
        name,
      );
      await page.keyboard.press("Enter");
      await page.waitForSelector(".system");
      await page.getByRole("navigation").getByRole("link", { name: "Systems" }).click();
      await page.waitForSelector(".card");
      expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
      // No filter that is offered leads nowhere, and those of what was measured leave none out.
      const measured = page.getByRole("group", { name: "Measurement" }).getByRole("button");
      const counts = (await measured.allInnerTexts()).map((text) => Number(/\d+$/.exec(text)![0]));
      expect(Math.min(...counts)).toBeGreaterThan(0);
      const [recorded, ...rest] = counts;
      expect(rest.reduce((sum, count) => sum + count, 0)).toBe(systems.length);
      expect(recorded).toBeLessThan(systems.length);
      expect(problems).toEqual([]);
    });

    test("the lens writes what the library writes, and a branch goes on from the chosen token", async () => {
      const query = "prompt=The+emperor&t=0&p=1&n=12&seed=1&d=auto";
      await page.goto(`${studio[build]}#/lens?${query}`);
      await page.reload();
      await written();
      const options = { greedy: true, maxTokens: 12 };
      const wanted = await complete(studio.model, "The emperor", options);
      expect(await tokens()).toBe(wanted.text);
      // Both curves lie inside of their plot.
      const tops = await page
        .locator(".curve path")
        .evaluateAll((paths) => paths.map((path) => (path as SVGPathElement).getBBox().y));
      expect(tops).toHaveLength(2);
      expect(Math.min(...tops)).toBeGreaterThanOrEqual(0);
      // The second most probable token of the third place, by keys alone.
      await page.locator(".tokens").focus();
      for (let at = 0; at < 3; at++) await page.keyboard.press("ArrowRight");
      await page.waitForSelector(".stages");
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press("Enter");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => location.hash.includes("branch="));
      // The button is gone; the keys go on in the text.
      expect(await page.evaluate(() => document.activeElement?.getAttribute("role"))).toBe(
        "listbox",
      );
      await written();
      const taken = new URLSearchParams(new URL(page.url()).hash.split("?")[1]).get("branch");
      const branch = taken!.split(",").map(Number);
      expect(branch.slice(0, 2)).toEqual(wanted.ids.slice(0, 2));
      expect(branch[2]).not.toBe(wanted.ids[2]);
      const ids = [...studio.model.tokenizer.encodeIds("The emperor"), ...branch];
      expect(await tokens()).toBe((await complete(studio.model, ids, options)).text);
      // The address alone gives the same again.
      const shown = await tokens();
      await page.reload();
      await written();
      expect(await tokens()).toBe(shown);
      // A second text is written at once, without a drafter: the same one.
      await page.getByRole("button", { name: "Compare two" }).click();
      await page.locator(".pane-figures").nth(1).waitFor();
      expect(await page.locator(".tokens").allInnerTexts()).toEqual([shown, shown]);
      expect(await violations(page)).toEqual([]);
      expect(problems).toEqual([]);
    });

    test("whoever wants to subscribe finds the feeds' addresses, and what they hold", async () => {
      await page.goto(studio[build]);
      await page.getByRole("navigation").getByRole("link", { name: "Subscribe" }).click();
      await page.waitForSelector(".entries a");
      const [address] = await page.locator(".copy-block pre").allInnerTexts();
      expect(address).toBe(`${studio[build]}feed.xml`);
      const feed = await (await fetch(address!)).text();
      const first = await page.locator(".entries a").first().innerText();
      expect(feed).toContain(`<title>${first}</title>`);
      // The server's feed has whole addresses; a static site's has those that it is built with.
      if (build === "server") {
        expect(feed).toContain(`<link rel="self" type="application/atom+xml" href="${address}"/>`);
        const { items } = (await (await fetch(`${studio.server}feed.json`)).json()) as {
          items: { url: string }[];
        };
        expect(items[0]!.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#\/systems\//);
      }
      expect(await violations(page)).toEqual([]);
      await page.locator(".entries a").first().click();
      await page.waitForSelector(".system");
      expect(problems).toEqual([]);
    });

    test("two models side by side, and their drafted tokens by drafter and depth", async () => {
      const query = "prompt=The+emperor+and+the+emperor&t=0&p=1&n=24&c=origin";
      await page.goto(`${studio[build]}#/lens?${query}&d=prompt-lookup&d2=none&e2=draft`);
      await page.reload();
      await page.locator(".pane-figures").nth(1).waitFor();
      const asked = { greedy: true, maxTokens: 24 } as const;
      const draft = await loadModel("jeton-nano-draft", { format: "f32", threads: 1 });
      const texts = await page.locator(".tokens").allInnerTexts();
      try {
        const prompt = "The emperor and the emperor";
        const wanted = [
          await complete(studio.model, prompt, asked),
          await complete(draft, prompt, asked),
        ];
        expect(texts).toEqual(wanted.map(({ text }) => text));
      } finally {
        await draft.close();
      }
      expect(await page.locator(".tokens").nth(1).locator(".drafted").count()).toBe(0);
      const key = page.locator(".colour-key");
      expect(await key.nth(1).innerText()).toContain("No token of it was drafted");
      const depths = await page
        .locator(".tokens")
        .first()
        .locator(".drafted")
        .evaluateAll((all) => all.map(({ className }) => /depth-\d/.exec(className)![0]));
      expect(depths).toContain("depth-1");
      expect(depths).toContain("depth-2");
      expect(await violations(page)).toEqual([]);
      expect(problems).toEqual([]);
    });

    test("two panes side by side: a context policy with its kept tokens, and full attention", async () => {
      const prompt =
        "The emperor was a soldier of the old guard, and his army knew it. The king and";
      const policy = "top-k:k=5";
      const query = new URLSearchParams({ prompt, t: "0", p: "1", n: "10", d: "none", x: policy });
      await page.goto(`${studio[build]}#/lens?${query}&d2=none`);
      await page.reload();
      await page.locator(".pane-figures").nth(1).waitFor();
      await page.waitForSelector(".cache");
      const options = { greedy: true, maxTokens: 10 } as const;
      const contextPolicy = parseContextPolicy(policy);
      const kept = await complete(studio.model, prompt, {
        ...options,
        ...{ contextPolicy, reportContext: true },
      });
      const texts = await page.locator(".tokens").allInnerTexts();
      expect(texts).toEqual([kept.text, (await complete(studio.model, prompt, options)).text]);
      const describe = createTokenTexts(studio.model.tokenizer);
      const ids = studio.model.tokenizer.encodeIds(prompt);
      const { layers } = kept.context!.attended!;
      const marked = async (): Promise<string> =>
        (await page.locator(".pane .prompt mark.kept").allTextContents()).join("");
      const textOf = (places: readonly number[]): string =>
        [...new Set(places)]
          .sort((a, b) => a - b)
          .filter((place) => place < ids.length)
          .map((place) => describe(ids[place]!).name)
          .join("");
      expect(await marked()).toBe(textOf(layers.flat()));
      expect(await page.locator(".cache .number").allInnerTexts()).toEqual(
        layers.map(({ length }) => expect.stringContaining(String(length)) as string),
      );
      await page.getByRole("button", { name: /^layer 3/ }).click();
      expect(await marked()).toBe(textOf(layers[3]!));
      expect(await violations(page)).toEqual([]);
      // A misspelt policy says what there is.
      await page.getByLabel("Context policy of text 1").fill("top-kk");
      await page.getByRole("button", { name: "Write", exact: true }).click();
      await page.waitForSelector('.pane [role="alert"]');
      expect(await page.locator('.pane [role="alert"]').innerText()).toContain("top-k");
      expect(problems.filter((text) => !/status of 400/.test(text))).toEqual([]);
      problems.length = 0;
    });

    test.each(["token-select", "longheads", "gemfilter"])(
      "%s marks what it keeps and writes what the library writes",
      async (slug) => {
        await page.goto(`${studio[build]}#/systems/${slug}`);
        const field = demonstration().locator("textarea");
        await page.waitForFunction(
          () => document.querySelector<HTMLTextAreaElement>(".demonstration textarea")?.value,
        );
        const prompt = await field.inputValue();
        await page.getByRole("button", { name: "Read and continue" }).click();
        await page.locator(".demonstration .data tbody tr").nth(1).waitFor();
        const command = await demonstration().locator(".note code").innerText();
        const policy = /--context-policy (\S+)/.exec(command)![1]!;
        const shown = await demonstration().locator(".data tbody td code").allTextContents();
        const options = { greedy: true, maxTokens: 16 } as const;
        const contextPolicy = parseContextPolicy(policy);
        const kept = await complete(studio.model, prompt, {
          ...options,
          ...{ contextPolicy, reportContext: true },
        });
        expect(shown).toEqual([kept.text, (await complete(studio.model, prompt, options)).text]);
        const { chosen, attended } = kept.context!;
        const places = (chosen ?? [...new Set(attended!.layers.flat())]).toSorted((a, b) => a - b);
        const ids = studio.model.tokenizer.encodeIds(prompt);
        const describe = createTokenTexts(studio.model.tokenizer);
        const wanted = places.filter((place) => place < ids.length);
        const marks = await demonstration().locator("mark.kept").allTextContents();
        expect(marks.join("")).toBe(wanted.map((place) => describe(ids[place]!).name).join(""));
        // All layers together may well attend to all tokens.
        const least = chosen ?? attended!.layers.toSorted((a, b) => a.length - b.length)[0]!;
        expect(least.length).toBeLessThan(ids.length);
        expect(await violations(page)).toEqual([]);
        expect(problems).toEqual([]);
      },
    );

    test("drafters race to the same text", async () => {
      await page.goto(`${studio[build]}#/systems/lookahead`);
      await page.waitForSelector(".demonstration textarea");
      const prompt = await page.locator(".demonstration textarea").inputValue();
      await page.locator('.demonstration input[type="range"]').fill("24");
      await page.getByRole("button", { name: "Race" }).click();
      await demonstration().getByText("the same", { exact: true }).nth(5).waitFor();
      const wanted = await raceText(studio.model, prompt, 24);
      const texts = await page.locator("[data-drafter]").allInnerTexts();
      expect(texts.map((text) => text.replace(/\s+/g, " ").trim())).toEqual(Array(6).fill(wanted));
      // Tints tell drafters and depths apart.
      const tints = await page.locator("[data-drafter] .drafted").evaluateAll((tokens) =>
        tokens.map((token) => {
          const { backgroundColor } = getComputedStyle(token);
          const depth = /depth-\d/.exec(token.className)![0];
          const drafter = token.closest<HTMLElement>("[data-drafter]")!.dataset["drafter"]!;
          return { key: `${drafter} ${depth}`, backgroundColor };
        }),
      );
      const byKey = new Map(tints.map(({ key, backgroundColor }) => [key, backgroundColor]));
      expect(byKey.size).toBeGreaterThan(8);
      expect(new Set(byKey.values()).size).toBe(byKey.size);
      expect(await violations(page)).toEqual([]);
      expect(problems).toEqual([]);
    });
  });

  test.each(toolChecks)("$slug computes what the library computes", async (check) => {
    await page.goto(`${studio.site}#/systems/${check.slug}`);
    await page.waitForSelector(`.demonstration`);
    const fields = demonstration().locator("textarea");
    await page.waitForSelector(".demonstration .note");
    const wait = check.slug === "token-ring" ? ".demonstration .data" : ".demonstration textarea";
    await page.waitForSelector(wait);
    const values = await fields.evaluateAll((all) =>
      all.map((field) => (field as HTMLTextAreaElement).value),
    );
    const wanted = await check.expect(values, studio.model);
    for (const text of wanted) {
      await page
        .waitForFunction(
          (part) =>
            document.querySelector(".demonstration")!.textContent !== null &&
            (document.querySelector(".demonstration") as HTMLElement).innerText.includes(part),
          text,
        )
        .catch(async () => {
          expect(await demonstration().innerText()).toContain(text);
        });
    }
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
  });

  test("a prompt without line breaks wraps where its kept tokens are marked", async () => {
    await page.goto(`${studio.server}#/systems/token-select`);
    const field = demonstration().locator("textarea");
    await page.waitForFunction(
      () => document.querySelector<HTMLTextAreaElement>(".demonstration textarea")?.value,
    );
    await field.fill(
      "The emperor was a soldier of the old guard, and his army knew it. ".repeat(4),
    );
    await page.getByRole("button", { name: "Read and continue" }).click();
    await page.waitForSelector(".haystack mark.kept");
    const [width, shown, height, line] = await page.locator(".haystack").evaluate((box) => {
      const { lineHeight } = getComputedStyle(box);
      return [box.scrollWidth, box.clientWidth, box.scrollHeight, Number.parseFloat(lineHeight)];
    });
    expect(width).toBe(shown);
    expect(height).toBeGreaterThan(2 * line!);
    expect(problems).toEqual([]);
  });

  test("the next byte after half a word, and the needle of a haystack", async () => {
    await page.goto(`${studio.server}#/systems/exact-byte-probabilities`);
    await page.getByRole("button", { name: "What comes next" }).click();
    await page.waitForSelector(".demonstration .data");
    expect(await demonstration().innerText()).toMatch(
      /Next byte, exactly\s+byte\s+probability\s+[ei]\t\d\d %/,
    );
    await page.goto(`${studio.server}#/systems/needle-threading`);
    await page.getByRole("button", { name: "Ask for the needle" }).click();
    await page.waitForSelector(".haystack");
    expect(await demonstration().innerText()).toMatch(
      /Asked for \w{4}, wanted \w{4}: (not )?found\./,
    );
    expect(problems).toEqual([]);
  });

  test("routing: the bundled model with experts answers where the page's own has none, and another sparse one of the server", async () => {
    const shown = async (tab: Page): Promise<{ text: string; layer: number; first: string[] }> => ({
      text: await tab.locator(".demonstration textarea").inputValue(),
      layer: Number(await tab.locator(".routed").getAttribute("data-layer")),
      first: await tab.locator(".routed sub").allInnerTexts(),
    });
    const wanted = async (model: LoadedModel, text: string, layer: number): Promise<string[]> => {
      const { choices, perToken, layers } = await recordRouting(model, [{ text }]);
      const own = [...model.config.layers.keys()].filter((at) => model.config.layers[at]!.sparse);
      const row = own.indexOf(layer);
      return Array.from({ length: choices.length / perToken / layers }, (_, token) =>
        String(choices[(token * layers + row) * perToken]!),
      );
    };
    const bundled = await loadModel("jeton-experts", { format: "f32", threads: 1 });
    try {
      for (const build of ["server", "site"] as const) {
        await page.goto(`${studio[build]}#/systems/openmoe`);
        await page.locator(".demonstration textarea").fill("The emperor and the senate of Rome");
        await page.getByRole("button", { name: "Show the routing" }).click();
        await page.waitForSelector(".routed sub");
        const { text, layer, first } = await shown(page);
        expect(first).toEqual(await wanted(bundled, text, layer));
        expect(await demonstration().innerText()).toContain("jeton-nano has no experts");
        expect(await violations(page)).toEqual([]);
      }
    } finally {
      await bundled.close();
    }
    const folder = mkdtempSync(join(tmpdir(), "jeton-studio-experts-"));
    const tokenizer = join(bundledModel, "tokenizer.json");
    createRandomCheckpoint(folder, { family: "olmoe", seed: 6, vocabulary: 4099, tokenizer });
    const sparse = await loadModel(folder, { ...{ format: "f32", threads: 1 }, onWarning() {} });
    const server = await startServer(sparse, { port: 0, host: "127.0.0.1", studio: true });
    const tab = await studio.context.newPage();
    try {
      await tab.goto(`${server.url}/#/systems/openmoe`);
      await tab.getByRole("button", { name: "Show the routing" }).click();
      await tab.waitForSelector(".routed sub");
      const { text, layer, first } = await shown(tab);
      expect(first).toEqual(await wanted(sparse, text, layer));
      expect(await violations(tab)).toEqual([]);
    } finally {
      await tab.close();
      await server.close({ graceMs: 0 });
      await sparse.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.each(["server", "site"] as const)(
    "a packed text on the %s: embeddings, bits and answers are the library's",
    async (build) => {
      await page.goto(`${studio[build]}#/systems/extensible-tokenization`);
      await page.waitForSelector(".demonstration textarea");
      await demonstration().locator("select").selectOption("8");
      await page.getByRole("button", { name: "Pack and read" }).click();
      await page.waitForSelector(".demonstration .data");
      const [text, next, question] = await demonstration()
        .locator("textarea")
        .evaluateAll((all) => all.map((field) => (field as HTMLTextAreaElement).value));
      const shown = await demonstration().innerText();
      for (const wanted of await packedTexts(studio.model, text!, {
        next: next!,
        question: question!,
      })) {
        expect(shown).toContain(wanted);
      }
      expect(await violations(page)).toEqual([]);
      // Another factor is computed at once; what is too long for the context says so.
      await demonstration().locator("select").selectOption("32");
      await demonstration().locator("textarea").first().fill(`${text} `.repeat(8));
      await demonstration().getByText("too long for the context").waitFor();
      expect(problems).toEqual([]);
    },
  );

  test.each(["server", "site"] as const)(
    "a new vocabulary on the %s: bits are those of the transferred checkpoints",
    async (build) => {
      await page.goto(`${studio[build]}#/systems/zett`);
      await page.waitForSelector(".demonstration textarea");
      await page.getByRole("button", { name: "Learn it and read" }).click();
      await page.waitForSelector(".demonstration .data");
      const [corpus, text] = await demonstration()
        .locator("textarea")
        .evaluateAll((all) => all.map((field) => (field as HTMLTextAreaElement).value));
      const shown = await demonstration().innerText();
      for (const wanted of await transferredTexts(studio.model, corpus!, text!)) {
        expect(shown).toContain(wanted);
      }
      // What a word is near to: for its mean, the tokens that spell it.
      expect(shown).toMatch(/\n␣keeper\t␣ke e per\t/);
      expect(await violations(page)).toEqual([]);
      // Another kind, and a text that is no text.
      const caption = await demonstration().locator("caption").first().innerText();
      await demonstration().locator("select").selectOption("unigram");
      await page.waitForFunction(
        (before) =>
          document.querySelector<HTMLElement>(".demonstration caption")!.innerText !== before,
        caption,
      );
      await demonstration().locator("textarea").last().fill(" ");
      await demonstration().getByText("There is no text to read.").waitFor();
      expect(problems).toEqual([]);
    },
  );

  test("the model's download shows its progress and is kept for the next visit", async () => {
    const tab = await studio.context.newPage();
    const asked: string[] = [];
    studio.context.on("request", (request) => asked.push(request.url()));
    await tab.addInitScript(() => {
      const seen: string[] = [];
      Object.assign(globalThis, { seen });
      new MutationObserver(() => {
        const opening = document.querySelector<HTMLElement>(".opening");
        if (opening) seen.push(opening.textContent);
      }).observe(document, { childList: true, subtree: true, characterData: true });
    });
    const address = `${studio.site}#/lens?prompt=The+emperor&t=0&p=1&n=4&d=none`;
    await tab.goto(studio.site);
    await tab.evaluate((name) => caches.delete(name), cacheName);
    const visit = async (): Promise<string[]> => {
      await tab.goto(address);
      await tab.reload();
      await tab.waitForSelector(".pane-figures");
      return tab.evaluate(() => (globalThis as unknown as { seen: string[] }).seen);
    };
    const weights = (): number => asked.filter((url) => url.endsWith(".safetensors")).length;
    expect((await visit()).some((text) => /^\s*\d+\.\d of 11\.3 MB$/.test(text))).toBe(true);
    expect(weights()).toBeGreaterThan(0);
    asked.length = 0;
    await visit();
    expect(weights()).toBe(0);
    await tab.close();
  });

  test("every built system has a demonstration, or the reason why there is none", async () => {
    for (const { slug, built } of systems) {
      if (!built) continue;
      await page.goto(`${studio.site}#/systems/${slug}`);
      await page.waitForSelector(`[data-slug="${slug}"] .demonstration`);
      expect(await demonstration().innerText()).not.toContain("No demonstration of it is written");
    }
  });

  test("a computation that takes long can be stopped, and the next input is computed", async () => {
    await page.goto(`${studio.site}#/systems/lib-tokenizer`);
    await page.waitForSelector(".demonstration .data");
    const corpus = demonstration().locator("textarea").first();
    const short = await corpus.inputValue();
    const words = (at: number): string =>
      Array.from({ length: 9 }, (_, of) =>
        (((at * 9 + of) * 2_654_435_761) % 1e9).toString(36),
      ).join(" ");
    await corpus.fill(Array.from({ length: 6000 }, (_, at) => words(at)).join(" "));
    const stop = demonstration().getByRole("button", { name: "Stop" });
    await stop.dispatchEvent("click"); // click() first waits for two frames, in which a fast machine may end
    await demonstration().getByText("Stopped. Change the input to compute again.").waitFor();
    await corpus.fill(short);
    await demonstration().getByText("Stopped.").waitFor({ state: "detached" });
    await page.waitForFunction(
      () => document.querySelector(".demonstration .call-state")!.textContent === "",
    );
    expect(problems).toEqual([]);
  });

  test.each(["light", "dark"] as const)(
    "axe finds nothing in any view in %s colours, and no view is wider than a phone",
    async (colorScheme) => {
      const tab = await studio.context.newPage();
      try {
        await tab.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await tab.setViewportSize({ width: 360, height: 740 });
        const generated = "prompt=The+keeper+and+the+keeper&t=0&p=1&n=24";
        const views: readonly (readonly [hash: string, shown: string])[] = [
          ["#/", ".card"],
          ["#/?q=shorter+prompts", ".card mark"],
          ["#/?q=zzzzz", ".nothing"],
          ["#/subscribe", ".entries a"],
          ["#/nowhere", "h1"],
          ["#/systems/none", "[role=alert]"],
          ["#/lens", ".pane"],
          [`#/lens?${generated}&d=lookahead`, ".pane-figures"],
          [`#/lens?${generated}&d=lookahead&c=entropy`, ".pane-figures"],
          [
            `#/lens?${generated}&d=lookahead&c=origin&d2=none&e2=draft`,
            ".pane + .pane .pane-figures",
          ],
          [`#/lens?${generated}&d=none&x=top-k:k=3`, ".cache"],
          [`#/lens?${generated}&d=none&x=top-kk`, ".pane [role=alert]"],
          ["#/lens?prompt=The+keeper&mode=read", ".token"],
          ...systems.map(
            ({ slug, built }) =>
              [
                `#/systems/${slug}`,
                built ? ".demonstration :is(.field, p:not(.note))" : ".system .status",
              ] as const,
          ),
        ];
        const found: string[] = [];
        for (const [hash, shown] of views) {
          await tab.goto("about:blank");
          await tab.goto(`${studio.site}${hash}`);
          await tab.locator(shown).first().waitFor();
          const wider = await tab.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          );
          if (wider > 0) found.push(`${hash}: ${wider} pixels wider than the screen`);
          for (const violation of await violations(tab)) found.push(`${hash}: ${violation}`);
        }
        expect(found).toEqual([]);
      } finally {
        await tab.close();
      }
    },
  );

  test("on a phone plots keep their size, captions stay in view, and what is touched is as high as a fingertip", async () => {
    const tab = await studio.context.newPage();
    try {
      await tab.setViewportSize({ width: 360, height: 740 });
      for (const slug of ["m2-bert-loco", "rag-token-metrics", "qtok"]) {
        await tab.goto(`${studio.site}#/systems/${slug}`);
        await tab.waitForSelector(`[data-slug="${slug}"] .demonstration .data`);
        const plot = tab.locator(".plot img");
        await plot.evaluate((image: HTMLImageElement) => image.decode());
        const [shown, own] = await plot.evaluate((image: HTMLImageElement) => [
          image.getBoundingClientRect().width,
          image.naturalWidth,
        ]);
        expect(own).toBeGreaterThan(360);
        expect(shown).toBeGreaterThanOrEqual(own!);
        const right = await tab
          .locator(".data caption span")
          .first()
          .evaluate((caption) => caption.getBoundingClientRect().right);
        expect(right).toBeLessThan(360);
        // A question that takes two lines is seen as a whole.
        for (const field of await tab.locator('.demonstration textarea[rows="1"]').all()) {
          const [whole, seen] = await field.evaluate((box) => [box.scrollHeight, box.clientHeight]);
          expect(whole).toBeLessThanOrEqual(seen!);
        }
        const low = await tab
          .locator("button, select, .masthead nav a")
          .evaluateAll((all) =>
            all
              .filter((target) => target.getBoundingClientRect().height < 32)
              .map((target) => target.outerHTML),
          );
        expect(low).toEqual([]);
        // No line begins with a percent sign.
        const figures = (await tab.locator(".claim dd").allTextContents()).join("\n");
        expect(figures).not.toMatch(/\d %/);
      }
    } finally {
      await tab.close();
    }
  });

  test("a text that is read has no colours of drafting, also where a link asks for them", async () => {
    await page.goto(`${studio.site}#/lens?prompt=The+keeper&mode=read&c=origin`);
    await page.reload();
    await page.waitForSelector(".token");
    const colours = page.getByRole("group", { name: "Colour" }).getByRole("button");
    expect(await colours.allInnerTexts()).toEqual(["probability", "entropy"]);
    const writes = page.getByRole("button", { name: "continues" });
    await writes.click();
    await page.getByRole("button", { name: "drafted or decoded" }).click();
    await page.getByRole("button", { name: "reads", exact: true }).click();
    expect(await page.locator('[aria-label="Colour"] [aria-pressed="true"]').innerText()).toBe(
      "probability",
    );
    expect(problems).toEqual([]);
  });

  test("a system that is not built says so", async () => {
    const planned = systems.find(({ built }) => !built)!;
    await page.goto(`${studio.site}#/systems/${planned.slug}`);
    await page.waitForSelector(".system .status");
    expect(await page.locator(".system .status").innerText()).toContain("not built yet");
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
  });

  test("WebGPU is no choice without an adapter, and a link that names it opens the default", async () => {
    await page.goto(`${studio.site}#/lens?prompt=The+emperor&t=0&p=1&n=8&e=webgpu`);
    await page.reload();
    await written();
    const options = await page
      .locator(".pane-head select")
      .first()
      .locator("option")
      .allInnerTexts();
    expect(options.filter((option) => /WebGPU/.test(option))).toEqual([]);
    expect(await page.locator(".pane-figures").innerText()).toContain("WebAssembly");
    expect(problems).toEqual([]);
  });

  test.skipIf(!hasAdapter)(
    "with an adapter the static site offers WebGPU, fetches its runtime when it is chosen, and writes the same text",
    async () => {
      const browser = await chromium.launch({
        executablePath: executable,
        args: [...gpuSwitches],
      });
      try {
        const tab = await browser.newPage();
        const asked: string[] = [];
        tab.on("request", (request) => asked.push(new URL(request.url()).pathname));
        tab.setDefaultTimeout(150_000);
        await tab.goto(`${studio.site}#/lens?d=none`);
        const models = tab.locator(".pane-head select").first();
        await models.waitFor();
        expect(await models.inputValue()).toBe("f32");
        const runtime = /\/onnxruntime\/ort.*(?:webgpu|asyncify)/;
        expect(asked.filter((path) => runtime.test(path))).toEqual([]);
        await models.selectOption("webgpu");
        await tab.getByLabel("Text to continue").fill("The emperor");
        await tab.getByText("Sampler, length, seed").click();
        await tab.getByRole("button", { name: "Greedy" }).click();
        await tab.getByLabel("tokens at most").fill("6");
        await tab.getByRole("button", { name: "Write", exact: true }).click();
        // In software some hundred shaders are compiled first; a failure would be told at once.
        await tab.waitForSelector('.pane-figures, .pane [role="alert"]');
        expect(await tab.locator('.pane [role="alert"]').allInnerTexts()).toEqual([]);
        const wanted = await complete(studio.model, "The emperor", { greedy: true, maxTokens: 6 });
        expect(await tab.locator(".tokens").innerText()).toBe(wanted.text);
        expect(await tab.locator(".pane-figures").innerText()).toContain("f32, WebGPU");
        expect(asked.filter((path) => runtime.test(path)).length).toBeGreaterThan(0);
      } finally {
        await browser.close();
      }
    },
  );

  test("Chromium installs the static site: its manifest has no fault, and icons of the sizes that it names", async () => {
    await page.goto(studio.site);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const session = await studio.context.newCDPSession(page);
    const { url, errors, data } = await session.send("Page.getAppManifest");
    expect(errors).toEqual([]);
    const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
    expect(installabilityErrors).toEqual([]);
    await session.detach();
    const { icons } = JSON.parse(data!) as { icons: { src: string; sizes: string }[] };
    const sizes = await page.evaluate(
      (addresses) =>
        Promise.all(
          addresses.map(async (address) => {
            const image = new Image();
            image.src = address;
            await image.decode();
            return `${image.naturalWidth}x${image.naturalHeight}`;
          }),
        ),
      icons.map(({ src }) => new URL(src, url).href),
    );
    for (const [at, { sizes: named }] of icons.entries()) {
      if (named !== "any") expect(sizes[at]).toBe(named);
    }
    expect(problems).toEqual([]);
  });

  test("the static site works without a network after it was used once", async () => {
    await page.goto(studio.site);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.reload();
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await page.goto(`${studio.site}#/lens?prompt=The+emperor&t=0&p=1&n=8`);
    await page.reload();
    await written();
    const online = await tokens();
    studio.disconnectSite();
    await page.reload();
    await written();
    expect(await tokens()).toBe(online);
    await page.goto(`${studio.site}#/`);
    await page.waitForSelector(".card");
    expect(await page.locator(".card").count()).toBe(systems.length);
  });
});

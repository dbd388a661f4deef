import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systems } from "../systems.ts";
import { type Claim, defineReproduction, type ReproductionContext } from "./define-reproduction.ts";
import { renderClaims, renderPlot } from "./plot.ts";
import { recordResult } from "./record.ts";
import { formatResult } from "./report.ts";
import { runReproduction } from "./run-reproduction.ts";

let cache = "";
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), "jeton-reproduce-"));
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

const small: Claim<"small"> = {
  id: "small",
  text: "The method is better than nothing.",
  paper: 3,
  unit: "points",
  direction: "higher",
  effect: "difference",
  reproduced: 2,
  partly: 1,
};
const large: Claim<"large"> = {
  id: "large",
  text: "It stays so at scale.",
  paper: "on 64 machines",
  unit: "%",
  direction: "higher",
  effect: "value",
  reproduced: 90,
  partly: 50,
  fullOnly: true,
};

const reproductionOf = (run: (context: ReproductionContext<"small" | "large">) => Promise<void>) =>
  defineReproduction({ system: "some-system", claims: [small, large], run });

const environment = (): Record<string, string> => ({ JETON_CACHE: cache });

describe("runReproduction", () => {
  test("judges every claim and keeps what does not hold", async () => {
    const reproduction = reproductionOf(async ({ report, seed }) => {
      report("large", { measured: 40 + seed, details: { machines: 2 } });
      report("small", { measured: 12, baseline: 10, baselineName: "nothing", uncertainty: 0.5 });
    });
    const { result } = await runReproduction(reproduction, { seed: 7, environment: environment() });
    expect(result).toMatchObject({
      system: "some-system",
      seed: 7,
      quick: false,
      claims: [
        {
          id: "small",
          paper: 3,
          measured: 12,
          baseline: 10,
          unit: "points",
          verdict: "reproduced",
        },
        { id: "large", measured: 47, baseline: null, verdict: "not reproduced" },
      ],
    });
    expect(result).not.toHaveProperty("skipped");
    expect(result.machine.onnxruntime).toMatch(/^\d+\.\d+/);
    const text = formatResult(result, reproduction.claims);
    expect(text).toContain("12 ± 0.5");
    expect(text).toMatch(/large +see below +47 +- +% +not reproduced/);
  });

  test("a quick run leaves out what only full runs measure, and says so", async () => {
    const reproduction = reproductionOf(async ({ report }) => {
      report("small", { measured: 11, baseline: 10 });
    });
    const { result } = await runReproduction(reproduction, {
      quick: true,
      environment: environment(),
    });
    expect(result.claims.map(({ id, verdict }) => ({ id, verdict }))).toEqual([
      { id: "small", verdict: "partly" },
    ]);
    expect(formatResult(result, reproduction.claims)).toContain("one claim is left to full runs");
  });

  test("missing data is skipped with its name and source; what does not need it is measured", async () => {
    const reproduction = reproductionOf(async ({ report, data, part }) => {
      const found = await part(async () => {
        await data("text/tinyshakespeare.txt");
        report("large", { measured: 99 });
        return true;
      });
      expect(found).toBeUndefined();
      report("small", { measured: 12, baseline: 10 });
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    expect(result.claims.map(({ id }) => id)).toEqual(["small"]);
    expect(result.skipped).toMatchObject({
      claims: ["large"],
      files: [{ file: "text/tinyshakespeare.txt", source: expect.stringContaining("://") }],
    });
    const text = formatResult(result, reproduction.claims);
    expect(text).toMatch(/large .* skipped/);
    expect(text).toContain("missing: text/tinyshakespeare.txt, from");
  });

  test("data missing outside a part ends the run, which is skipped, never passed", async () => {
    const reproduction = reproductionOf(async ({ data, report }) => {
      await data("text/tinyshakespeare.txt");
      report("small", { measured: 99, baseline: 0 });
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    expect(result.claims).toEqual([]);
    expect(result.skipped?.claims).toEqual(["small", "large"]);
  });

  test("a claim that is simply left out is an error, as is one that was never made", async () => {
    await expect(
      runReproduction(
        reproductionOf(async ({ report }) => report("small", { measured: 1, baseline: 1 })),
        { environment: environment() },
      ),
    ).rejects.toMatchObject({
      code: "reproduction-claim-unmeasured",
      details: { claims: ["large"] },
    });
    await expect(
      runReproduction(
        reproductionOf(async ({ report }) => report("other" as "small", { measured: 1 })),
        { environment: environment() },
      ),
    ).rejects.toMatchObject({ code: "reproduction-claim-unknown" });
  });

  test("an error of the reproduction itself is not taken for missing data", async () => {
    const reproduction = reproductionOf(async ({ part }) => {
      await part(async () => {
        throw new TypeError("broken");
      });
    });
    await expect(runReproduction(reproduction, { environment: environment() })).rejects.toThrow(
      "broken",
    );
  });

  test("folders are the same for the same question only, and fresh ones forget", async () => {
    const folders: string[] = [];
    const charged = 100;
    const reproduction = reproductionOf(async ({ folder, report, charge, quick }) => {
      folders.push(await folder("model", { width: 8 }), await folder("model", { width: 9 }));
      writeFileSync(join(folders.at(-1)!, "kept"), "");
      charge(charged);
      report("small", { measured: 12, baseline: 10 });
      if (!quick) report("large", { measured: 95 });
    });
    const run = (options: object) =>
      runReproduction(reproduction, { environment: environment(), ...options });
    const { result } = await run({});
    expect(result.seconds).toBeGreaterThanOrEqual(charged);
    await run({});
    await run({ seed: 1 });
    await run({ quick: true });
    const [a, b, again, , seeded, , quick] = folders;
    expect(again).toBe(a);
    expect(new Set([a, b, seeded, quick]).size).toBe(4);
    await run({ fresh: true });
    expect(existsSync(join(seeded!, "kept"))).toBe(false);
  });

  test("progress is said with how much is left", async () => {
    const lines: string[] = [];
    const reproduction = reproductionOf(async ({ progress, report }) => {
      progress("counting", 1, 4);
      progress("looking");
      report("small", { measured: 12, baseline: 10 });
    });
    await runReproduction(reproduction, {
      quick: true,
      environment: environment(),
      onProgress: (line) => lines.push(line),
    });
    expect(lines).toEqual(["some-system: counting, 1 of 4", "some-system: looking"]);
  });

  test("an interrupted run gives no result", async () => {
    const controller = new AbortController();
    const reproduction = reproductionOf(async ({ report }) => {
      report("small", { measured: 12, baseline: 10 });
      controller.abort(new Error("interrupted"));
    });
    await expect(
      runReproduction(reproduction, {
        quick: true,
        signal: controller.signal,
        environment: environment(),
      }),
    ).rejects.toThrow("interrupted");
  });
});

describe("defineReproduction", () => {
  test.each<[string, Claim[]]>([
    ["no claims", []],
    ["an identifier with capitals", [{ ...small, id: "Small" }]],
    ["twice the same identifier", [small, small]],
    ["partly above reproduced", [{ ...small, partly: 3 }]],
    [
      "partly below an upper bound",
      [{ ...small, direction: "lower", effect: "value", reproduced: 2, partly: 1 }],
    ],
  ])("refuses %s", (_, claims) => {
    expect(() => defineReproduction({ system: "x", claims, async run() {} })).toThrow(
      expect.objectContaining({ code: "reproduction-invalid" }),
    );
  });

  test.each(systems.filter((system) => system.built))(
    "$slug's reproduction carries the system's name",
    async ({ slug, reproduction }) => {
      expect((await reproduction!()).reproduction.system).toBe(slug);
    },
  );
});

describe("records", () => {
  test("hold the result and a plot, and nothing half-written", async () => {
    const reproduction = reproductionOf(async ({ report }) => {
      report("small", { measured: 12, baseline: 10 });
      report("large", { measured: 95 });
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    const folder = join(cache, "records");
    const paths = await recordResult(folder, result, await renderClaims(result));
    expect(JSON.parse(readFileSync(paths.json, "utf8"))).toEqual(result);
    const svg = readFileSync(paths.svg, "utf8");
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
    for (const word of ["small", "large", "reproduced", "baseline", "paper"]) {
      expect(svg).toContain(word);
    }
    expect(readdirSync(folder).sort()).toEqual(["some-system.json", "some-system.svg"]);
  });

  test("plots show every series, and are the same every time", async () => {
    const plot = {
      title: "Loss & context",
      panels: (["line", "bar", "scatter"] as const).map((kind) => ({
        title: `a ${kind} panel`,
        kind,
        x: { title: "length", scale: kind === "bar" ? "category" : "log" } as const,
        y: { title: "nats" },
        series: ["ours", "theirs"].map((name, at) => ({
          name,
          dashed: at === 1,
          points: [1, 2, 4].map((x) => ({ x, y: x + at, low: x, high: x + 2 })),
        })),
      })),
    };
    const svg = await renderPlot(plot);
    for (const word of ["Loss &amp; context", "a line panel", "a bar panel", "ours", "theirs"]) {
      expect(svg).toContain(word);
    }
    expect(svg).toBe(await renderPlot(plot));
  });
});

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { systems } from "../systems.ts";
import { type Claim, defineReproduction, type ReproductionContext } from "./define-reproduction.ts";
import * as machine from "./machine.ts";
import { renderClaims } from "./plot.ts";
import { checkLoad, recordResult, speedClaims, withoutLoadedSpeed } from "./record.ts";
import { formatResult } from "./report.ts";
import { runReproduction } from "./run-reproduction.ts";
import { meanOf, type Sample } from "./sample.ts";

let cache = "";
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), "jeton-reproduce-"));
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

const small: Claim<"small"> = {
  id: "small",
  text: "The method is better than nothing.",
  paper: { value: 3, unit: "points", compares: "effect" },
  unit: "points",
  units: "texts",
  control: "nothing at all",
  direction: "higher",
  effect: "difference",
  reproduced: 2,
  partly: 1,
  quick: { reproduced: 4, partly: 0.5 },
};
const large: Claim<"large"> = {
  id: "large",
  text: "It stays so at scale.",
  paper: { words: "on 64 machines" },
  unit: "%",
  units: "machines",
  control: "machines that are off",
  direction: "higher",
  effect: "value",
  noEffect: 0,
  reproduced: 90,
  partly: 50,
  quick: "full-only",
  speed: true,
};

const module = import.meta.url;
const reproductionOf = (run: (context: ReproductionContext<"small" | "large">) => Promise<void>) =>
  defineReproduction({ system: "some-system", module, claims: [small, large], run });

/** Five units of about one value. */
const five = (value: number): Sample =>
  meanOf([-0.25, -0.125, 0, 0.125, 0.25].map((by) => value + by));
const control = five(0);
/** A measurement of a value beside nothing. */
const of = (value: number) => ({ measured: five(value), control });
/** One beside a baseline that varies with it. */
const beside = (value: number, baseline: number) => ({
  measured: five(value),
  baseline: five(baseline),
  control: five(baseline - 1),
});

const environment = (): Record<string, string> => ({ JETON_CACHE: cache });

describe("runReproduction", () => {
  test("judges every claim and keeps what does not hold", async () => {
    const reproduction = reproductionOf(async ({ report, seed }) => {
      report("large", { ...of(40 + seed), details: { machines: 2 } });
      report("small", { ...beside(12, 10), baselineName: "nothing", original: five(8) });
    });
    const { result } = await runReproduction(reproduction, { seed: 7, environment: environment() });
    expect(result).toMatchObject({
      system: "some-system",
      seed: 7,
      quick: false,
      claims: [
        {
          id: "small",
          paper: { value: 3, unit: "points", distance: -1 },
          measured: 12,
          baseline: 10,
          unit: "points",
          units: { name: "texts", count: 5 },
          effect: { value: 2, interval: [2, 2] },
          control: { name: "nothing at all", measured: 9, effect: -1, passes: false },
          original: { value: 8, distancePercent: 50 },
          verdict: "reproduced",
        },
        { id: "large", measured: 47, baseline: null, verdict: "not reproduced" },
      ],
    });
    expect(result).not.toHaveProperty("skipped");
    expect(result.machine.onnxruntime).toMatch(/^\d+\.\d+/);
    expect(result.date).toMatch(/^2\d{3}-\d\d-\d\dT/);
    expect(result.code).toMatch(/^[0-9a-f]{16}$/);
    expect(result.machine.commit).toMatch(/^[0-9a-f]{40}\+?$/);
    expect(result.load).toMatchObject({ loadAverage: expect.any(Number) });
    expect(Math.abs(Number(result.claims[1]!.effect.interval[0]) - 47)).toBeLessThan(0.2);
    const text = formatResult(result, reproduction.claims).replace(/\s+/g, " ");
    expect(text).toMatch(/small 3 12 10 9 points 2 to 2 reproduced/);
    expect(text).toMatch(/large see below 47 - 0 % 46\.\S+ to 47\.\S+ not reproduced/);
    expect(text).toContain("paper: 3 points; ours is -1 from it");
    expect(text).toContain("original: 8; measured is +50 % from it");
    expect(text).toContain("over 5 texts");
  });

  test("a quick run has thresholds of its own, and says that it only indicates", async () => {
    const reproduction = reproductionOf(async ({ report }) => {
      // Reproduced in a full run, which asks for 2.
      report("small", beside(13, 10));
    });
    const { result } = await runReproduction(reproduction, {
      quick: true,
      environment: environment(),
    });
    expect(result.claims.map(({ id, verdict }) => ({ id, verdict }))).toEqual([
      { id: "small", verdict: "partly" },
    ]);
    expect(result.claims[0]).toMatchObject({ indicative: true, effect: { reproduced: 4 } });
    const text = formatResult(result, reproduction.claims);
    expect(text).toContain("indicative: partly");
    expect(text).toContain("one claim is left to full runs");
  });

  test("missing data is skipped with its name and source; what does not need it is measured", async () => {
    const reproduction = reproductionOf(async ({ report, data, part }) => {
      const found = await part(async () => {
        await data("text/tinyshakespeare.txt");
        report("large", of(99));
        return true;
      });
      expect(found).toBeUndefined();
      report("small", beside(12, 10));
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
      report("small", beside(99, 0));
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    expect(result.claims).toEqual([]);
    expect(result.skipped?.claims).toEqual(["small", "large"]);
  });

  test("a claim that is simply left out is an error, as is one that was never made", async () => {
    await expect(
      runReproduction(
        reproductionOf(async ({ report }) => report("small", beside(1, 1))),
        { environment: environment() },
      ),
    ).rejects.toMatchObject({
      code: "reproduction-claim-unmeasured",
      details: { claims: ["large"] },
    });
    await expect(
      runReproduction(
        reproductionOf(async ({ report }) => report("other" as "small", of(1))),
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
      report("small", beside(12, 10));
      if (!quick) report("large", of(95));
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
    const notes = readdirSync(join(cache, "reproduce", "some-system"));
    expect(notes.every((name) => /^model-[0-9a-f]{12}-[0-9a-f]{16}$/.test(name))).toBe(true);
    await run({ fresh: true });
    expect(existsSync(join(seeded!, "kept"))).toBe(false);
  });

  test("progress is said with how much is left", async () => {
    const lines: (string | undefined)[] = [];
    const reproduction = reproductionOf(async ({ progress, report }) => {
      progress("counting", 1, 4);
      progress("looking");
      report("small", beside(12, 10));
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
      report("small", beside(12, 10));
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

describe("claims about speed", () => {
  test("are left out where that is asked for, and named", async () => {
    const reproduction = reproductionOf(async ({ report, speed }) => {
      report("small", beside(12, 10));
      if (speed) report("large", of(95));
    });
    const options = { environment: environment(), skipSpeed: true };
    const { result } = await runReproduction(reproduction, options);
    expect(result.claims.map(({ id }) => id)).toEqual(["small"]);
    expect(result.withoutSpeed).toEqual(["large"]);
    expect(formatResult(result, reproduction.claims)).toContain("left out (speed): large");
  });

  test("refuse to be recorded on a loaded machine", () => {
    const reproduction = reproductionOf(async () => {});
    const busy = { loadAverage: 4.3, coresBusyElsewhere: 1.9, quiet: false };
    expect(() => checkLoad(reproduction, busy)).toThrow(
      expect.objectContaining({ code: "reproduction-machine-loaded" }),
    );
    expect(() => checkLoad(reproduction, busy, true)).not.toThrow();
    expect(() => checkLoad({ ...reproduction, claims: [small] }, busy)).not.toThrow();
    // The load is sampled for these alone.
    expect(speedClaims(reproduction)).not.toEqual([]);
    expect(speedClaims(reproduction, true)).toEqual([]);
    expect(speedClaims({ claims: [small] })).toEqual([]);
    expect(() => checkLoad(reproduction, { ...busy, quiet: true })).not.toThrow();
  });

  test("are left out of a record when the machine became loaded while they were measured", async () => {
    const reproduction = reproductionOf(async ({ report }) => {
      report("small", beside(12, 10));
      report("large", of(95));
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    const load = { loadAverage: 4.3, coresBusyElsewhere: 1.9, quiet: false };
    const { claims, withoutSpeed } = withoutLoadedSpeed({ ...result, load }, reproduction);
    expect(claims.map(({ id }) => id)).toEqual(["small"]);
    expect(withoutSpeed).toEqual(["large"]);
    const quiet = { ...result, load: { ...load, quiet: true } };
    expect(withoutLoadedSpeed(quiet, reproduction)).toBe(quiet);
  });
});

describe("measurements of time", () => {
  const quiet = { loadAverage: 0.1, coresBusyElsewhere: 0.02, quiet: true };
  const busy = { loadAverage: 4.3, coresBusyElsewhere: 1.9, quiet: false };

  test("claims about speed carry the load of their own measurement, others none", async () => {
    const reproduction = reproductionOf(async ({ report, timed }) => {
      await timed(async () => {
        report("small", beside(12, 10));
        report("large", of(95));
      });
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    const loads = Object.fromEntries(result.claims.map(({ id, load }) => [id, load]));
    expect(loads).toEqual({
      small: undefined,
      large: expect.objectContaining({ quiet: expect.any(Boolean) }),
    });
  });

  test("a record keeps what was timed on a quiet machine, also after loaded hours", async () => {
    const reproduction = reproductionOf(async ({ report }) => {
      report("small", beside(12, 10));
      report("large", of(95));
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    const timedAt = (load: typeof quiet, run: typeof quiet): typeof result => ({
      ...result,
      claims: result.claims.map((claim) => (claim.id === "large" ? { ...claim, load } : claim)),
      load: run,
    });
    const kept = timedAt(quiet, busy);
    expect(withoutLoadedSpeed(kept, reproduction)).toBe(kept);
    const lost = withoutLoadedSpeed(timedAt(busy, quiet), reproduction);
    expect(lost.claims.map(({ id }) => id)).toEqual(["small"]);
    expect(lost.withoutSpeed).toEqual(["large"]);
  });

  test("wait for a quiet machine where that is asked for, and say so", async () => {
    const samples = [busy, busy, quiet];
    vi.spyOn(machine, "sampleLoad").mockImplementation(async () => samples.shift()!);
    const lines: (string | undefined)[] = [];
    const waiting = "some-system: waiting for a quiet machine (1.9 cores busy elsewhere)";
    const reproduction = reproductionOf(async ({ report, timed }) => {
      report("small", beside(12, 10));
      await timed(async () => {
        expect(samples).toEqual([]);
        // The line goes before the measurement begins.
        expect(lines).toEqual([waiting, waiting, undefined]);
        report("large", of(95));
      });
      samples.push(quiet);
      await timed(async () => {});
    });
    await runReproduction(reproduction, {
      ...{ environment: environment(), waitQuiet: 1 },
      onProgress: (line) => lines.push(line),
    });
    expect(lines).toEqual([waiting, waiting, undefined]);
    vi.restoreAllMocks();
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
      [{ ...large, direction: "lower", noEffect: 100, reproduced: 2, partly: 1 }],
    ],
    ["partly at no difference", [{ ...small, partly: 0 }]],
    ["partly at a ratio of one", [{ ...small, effect: "ratio", reproduced: 2, partly: 1 }]],
    ["partly at the value of no effect", [{ ...large, noEffect: 50 }]],
    ["partly at no effect in quick runs", [{ ...small, quick: { reproduced: 1, partly: 0 } }]],
    ["no control", [{ ...small, control: " " }]],
    ["no units", [{ ...small, units: "" }]],
  ])("refuses %s", (_, claims) => {
    expect(() => defineReproduction({ system: "x", module, claims, async run() {} })).toThrow(
      expect.objectContaining({ code: "reproduction-invalid" }),
    );
  });

  test('accepts a loss as partly where the claim says "no worse than"', () => {
    const claim: Claim = { ...small, noWorse: true, reproduced: -0.5, partly: -1 };
    const claims = [{ ...claim, quick: { reproduced: -0.5, partly: -1 } }];
    expect(defineReproduction({ system: "x", module, claims, async run() {} })).toBeDefined();
  });

  test("is typed: a claim without units or a control, a measurement without a control", () => {
    const { control: _, ...uncontrolled } = small;
    const { units: __, ...unitless } = small;
    // @ts-expect-error a claim names its control
    const first: Claim = uncontrolled;
    // @ts-expect-error a claim names its units
    const second: Claim = unitless;
    // @ts-expect-error a measurement has its control
    const third: Parameters<ReproductionContext["report"]>[1] = { measured: five(1) };
    // @ts-expect-error a number alone has no units
    const fourth: Parameters<ReproductionContext["report"]>[1] = { measured: 1, control };
    expect([first, second, third, fourth]).toHaveLength(4);
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
      report("small", beside(12, 10));
      report("large", of(95));
    });
    const { result } = await runReproduction(reproduction, { environment: environment() });
    const folder = join(cache, "records");
    const paths = await recordResult(folder, result, await renderClaims(result));
    expect(JSON.parse(readFileSync(paths.json, "utf8"))).toEqual(result);
    const svg = readFileSync(paths.svg, "utf8");
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
    for (const word of ["small", "large", "reproduced", "baseline", "control"]) {
      expect(svg).toContain(word);
    }
    expect(readdirSync(folder).sort()).toEqual(["some-system.json", "some-system.svg"]);
  });
});

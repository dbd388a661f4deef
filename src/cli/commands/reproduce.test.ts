import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { constantOf, defineReproduction } from "../../reproduce/index.ts";
import { runCommand } from "../testing/run-command.ts";

/** Four systems of the catalogue with small reproductions of their own. */
vi.mock("../../systems.ts", async (importOriginal) => {
  const { systems } = await importOriginal<typeof import("../../systems.ts")>();
  const claim = {
    text: "Three is more than two.",
    paper: { value: 3, unit: "apples", compares: "measured" },
    unit: "apples",
    units: "baskets",
    control: "empty baskets",
    direction: "higher",
    effect: "difference",
    reproduced: 1,
    partly: 0.1,
    quick: { reproduced: 2, partly: 0.1 },
  } as const;
  const module = import.meta.url;
  const beside = (measured: number, baseline: number) => ({
    measured: constantOf(measured, 5),
    baseline: constantOf(baseline, 5),
    control: constantOf(0, 5),
  });
  const small = {
    dyspec: defineReproduction({
      system: "dyspec",
      module,
      claims: [{ ...claim, id: "holds" }],
      async run({ report, seed, progress, remember }) {
        progress("counting apples");
        const own = await remember("apples", seed, async () => 3 + seed);
        report("holds", beside(own, 2));
      },
    }),
    xtr: defineReproduction({
      system: "xtr",
      module,
      claims: [
        { ...claim, id: "holds" },
        { ...claim, id: "needs-data" },
      ],
      async run({ report, data }) {
        report("holds", beside(2.5, 2));
        await data("text/tinyshakespeare.txt");
      },
    }),
    lookahead: defineReproduction({
      system: "lookahead",
      module,
      claims: [
        { ...claim, id: "holds" },
        { ...claim, id: "needs-derived-data" },
      ],
      async run({ report, data }) {
        report("holds", beside(3, 2));
        await data("text/pud/en.txt");
      },
    }),
    zett: defineReproduction({
      system: "zett",
      module,
      claims: [{ ...claim, id: "fails" }],
      async run() {
        throw new Error("no apples left");
      },
    }),
  };
  return {
    systems: systems.map((system) => {
      const { reproduction: _, ...bare } = system;
      const own = (small as Record<string, (typeof small)["xtr"]>)[system.slug];
      return own === undefined
        ? { ...bare, built: false }
        : { ...bare, built: true, reproduction: async () => ({ reproduction: own }) };
    }),
  };
});

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-reproduce-command-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...args: string[]) =>
  runCommand(["reproduce", ...args], { environment: { JETON_CACHE: folder } });

describe("jeton reproduce", () => {
  test("prints the paper's number, ours and the verdict", async () => {
    const { status, stdout, stderr } = await run("dyspec");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^DySpec: Faster.*arXiv 2410\.11744/);
    expect(stdout).toMatch(/holds +3 +3 +2 +0 +apples +1 to 1 +reproduced/);
  });

  test("says on standard error what is remembered, and records only what is measured now", async () => {
    expect((await run("dyspec")).stderr).toBe("");
    const remembered = /^dyspec: apples is remembered from 2\d{3}-\S+ \(same code and models\)/;
    expect((await run("dyspec")).stderr).toMatch(remembered);
    expect((await run("dyspec", "--quiet", "--json")).stderr).toMatch(remembered);
    vi.spyOn(process, "cwd").mockReturnValue(folder);
    const { status, stderr } = await run("dyspec", "--record");
    expect(status).toBe(0);
    expect(stderr).toMatch(/^written: /);
  });

  test("--json is one document, and the seed arrives", async () => {
    const { status, stdout, stderr } = await run("dyspec", "--json", "--seed", "4", "--quick");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      system: "dyspec",
      seed: 4,
      quick: true,
      seconds: expect.any(Number),
      claims: [
        {
          id: "holds",
          text: "Three is more than two.",
          paper: { value: 3, unit: "apples", distance: 4 },
          measured: 7,
          baseline: 2,
          unit: "apples",
          units: { name: "baskets", count: 5 },
          verdict: "reproduced",
          indicative: true,
        },
      ],
    });
  });

  test("what is skipped for want of data makes the exit status 1", async () => {
    const { status, stdout } = await run("xtr");
    expect(status).toBe(1);
    expect(stdout).toMatch(/holds .* partly/);
    expect(stdout).toMatch(/needs-data .* skipped/);
    expect(stdout).toContain("missing: text/tinyshakespeare.txt, from https://");
    const json = await run("xtr", "--json");
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout).skipped.claims).toEqual(["needs-data"]);
  });

  test("what is skipped for want of data that cannot be downloaded is named, at exit status 0", async () => {
    const { status, stdout } = await run("lookahead");
    expect(status).toBe(0);
    expect(stdout).toMatch(/needs-derived-data .* skipped/);
    expect(stdout).toMatch(
      /missing: text\/pud\/en\.txt, from .*not downloadable \(the sentences of/,
    );
    vi.spyOn(process, "cwd").mockReturnValue(folder);
    expect((await run("lookahead", "--record")).status).toBe(1);
  });

  test("--all goes on after a failure and reports it", async () => {
    const { status, stdout, stderr } = await run("--all", "--json");
    expect(status).toBe(1);
    const documents = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(documents.map(({ system }) => system).sort()).toEqual([
      "dyspec",
      "lookahead",
      "xtr",
      "zett",
    ]);
    expect(documents.find(({ system }) => system === "zett").error).toEqual({
      code: "unexpected",
      message: "no apples left",
    });
    expect(stderr).toBe("error: zett: no apples left\n");
  });

  test("--record keeps full, complete results only", async () => {
    vi.spyOn(process, "cwd").mockReturnValue(folder);
    const { status, stderr } = await run("dyspec", "--record");
    expect(status).toBe(0);
    expect(stderr).toContain("dyspec.json");
    const records = join(folder, "reproductions");
    expect(JSON.parse(readFileSync(join(records, "dyspec.json"), "utf8")).claims).toHaveLength(1);
    expect(readFileSync(join(records, "dyspec.svg"), "utf8")).toMatch(/^<svg /);
    expect((await run("xtr", "--record")).stderr).toContain("not recorded");
    expect(readdirSync(records).sort()).toEqual(["dyspec.json", "dyspec.svg"]);
    expect((await run("dyspec", "--record", "--quick")).status).toBe(2);
    expect(existsSync(join(folder, "reproductions", "xtr.json"))).toBe(false);
  });

  test.each([
    [["dispec"], "did you mean dyspec?", "system-unknown"],
    [["something-else-entirely"], "jeton systems lists them", "system-unknown"],
    [["lexinvariant"], "not built yet", "system-not-built"],
    [[], "give --all", "system-missing"],
    [["dyspec", "--all"], "not both", "system-missing"],
    [["dyspec", "--skip-speed", "--wait-quiet", "3"], "leave one out", "wait-quiet-unused"],
    [["dyspec", "--wait-quiet", "-1"], "at least 0", "option-value-invalid"],
  ])("%j is bad usage", async (args, message, code) => {
    const { status, stdout, stderr } = await run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toContain(code);
  });
});

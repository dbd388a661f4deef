import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readCatalogue } from "../../catalogue/index.ts";
import { type System, systems } from "../../systems.ts";
import { runCommand } from "../testing/run-command.ts";

describe("the catalogue", () => {
  test("has 48 systems, each once, with a title and a sentence", () => {
    expect(systems).toHaveLength(48);
    expect(new Set(systems.map((system) => system.slug)).size).toBe(48);
    expect(new Set(systems.map((system) => system.arxiv)).size).toBe(48);
    for (const system of systems) {
      expect(system.slug).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
      expect(system.sentence).toMatch(/^[A-Z].*\.$/);
      expect(system.paper).not.toBe("");
      expect(system.arxiv).toMatch(/^\d{4}\.\d{5}$/);
    }
  });

  test("calls built what has a reproduction in its folder, and nothing else", async () => {
    for (const { slug, area, built, reproduction } of systems) {
      const file = new URL(`../../${area}/${slug}/reproduction.ts`, import.meta.url);
      expect({ slug, built }).toEqual({ slug, built: existsSync(file) });
      if (reproduction !== undefined) expect(await reproduction()).toHaveProperty("reproduction");
    }
  });
});

test("the counts of verdicts are those of the records", () => {
  const root = new URL("../../../", import.meta.url);
  for (const { slug, built, verdicts } of systems) {
    const file = new URL(`reproductions/${slug}.json`, root);
    if (!existsSync(file)) {
      expect({ slug, verdicts }).toEqual({ slug, verdicts: undefined });
      continue;
    }
    const { claims } = JSON.parse(readFileSync(file, "utf8")) as {
      claims: { verdict: string; control?: unknown }[];
    };
    const count = (verdict: string): number =>
      claims.filter((claim) => claim.verdict === verdict).length;
    expect({ slug, built, ...verdicts }).toMatchObject({
      slug,
      built: true,
      reproduced: count("reproduced"),
      partly: count("partly"),
      notReproduced: count("not reproduced"),
      judgedBy: claims.every(({ control }) => control) ? "intervals" : "points",
    });
  }
});

describe("jeton systems", () => {
  test("shows the counts of verdicts", async () => {
    const { stdout } = await runCommand(["systems", "--built"]);
    for (const { slug, verdicts } of systems.filter(({ built }) => built)) {
      const counts = verdicts
        ? `${verdicts.reproduced}/${verdicts.partly}/${verdicts.notReproduced}\\*?`
        : "none";
      expect(stdout).toMatch(new RegExp(`${slug} +${counts} `));
    }
    expect(stdout).toContain("recorded claims: reproduced / partly / not");
  });

  test("--json gives the catalogue as data", async () => {
    const { status, stdout, stderr } = await runCommand(["systems", "--json"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const listed = JSON.parse(stdout) as System[];
    expect(listed.map(({ slug, built }) => ({ slug, built }))).toEqual(
      systems.map(({ slug, built }) => ({ slug, built })),
    );
  });

  test("--area shows one area", async () => {
    const { stdout } = await runCommand(["systems", "--area", "generate"]);
    const own = systems.filter((system) => system.area === "generate");
    for (const system of systems) {
      expect(stdout.includes(` ${system.slug} `)).toBe(own.includes(system));
    }
    expect(stdout).toContain(`of ${own.length} built`);
  });

  test("words narrow the list to who has all of them, in any form", async () => {
    const { stdout } = await runCommand(["systems", "shorten", "prompts"]);
    expect(stdout).toMatch(/ gemfilter .*\n\nDiscovering the Gems.*arXiv 2409\.17422\n/);
    expect(stdout).toContain("jeton reproduce gemfilter --quick");
    const found = await runCommand(["systems", "--json", "--area", "generate", "drafted tokens"]);
    const slugs = (JSON.parse(found.stdout) as System[]).map(({ slug }) => slug);
    expect(slugs).toContain("token-recycling");
    expect(slugs).not.toContain("exact-byte-probabilities");
    const none = await runCommand(["systems", "gemfliter"]);
    expect(none).toMatchObject({ status: 2, stdout: "" });
    expect(none.stderr).toContain("did you mean gemfilter?");
  });

  test("--built leaves out what is planned", async () => {
    const { stdout } = await runCommand(["systems", "--built", "--json"]);
    expect(JSON.parse(stdout)).toHaveLength(systems.filter((system) => system.built).length);
  });

  test("--digest prints the records of the last days as one page, newest first", async () => {
    const dated = (await readCatalogue())
      .flatMap(({ name, record }) => (record?.recorded ? [{ name, at: record.recorded }] : []))
      .sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
    const titles = (html: string): string[] =>
      [...html.matchAll(/<h2>(.*?): \d/g)].map(([, name]) => name!.replaceAll("&#39;", "'"));
    const all = await runCommand(["systems", "--digest", "--days", "4000"]);
    expect({ status: all.status, stderr: all.stderr }).toEqual({ status: 0, stderr: "" });
    expect(all.stdout).toMatch(/^<!doctype html>\n[\s\S]*<\/html>\n$/);
    expect(titles(all.stdout).sort()).toEqual(dated.map(({ name }) => name).sort());
    expect(titles(all.stdout)[0]).toBe(dated[0]!.name);
    const week = await runCommand(["systems", "--digest"]);
    const first = Date.parse(dated[0]!.at) - 7 * 86_400_000;
    const recent = dated.filter(({ at }) => Date.parse(at) > first);
    expect(titles(week.stdout).sort()).toEqual(recent.map(({ name }) => name).sort());
  });

  test.each([
    [["--days", "3"], "--digest"],
    [["--digest", "--json"], "--json"],
    [["--digest", "--area", "generate"], "--area"],
    [["--digest", "--days", "0"], "--days"],
  ])("%s is bad usage", async (options, named) => {
    const { status, stdout, stderr } = await runCommand(["systems", ...options]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(named);
  });

  test("an unknown area is bad usage", async () => {
    const { status, stderr } = await runCommand(["systems", "--area", "genrate"]);
    expect(status).toBe(2);
    expect(stderr).toContain("did you mean generate?");
  });
});

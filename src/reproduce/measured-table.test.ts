import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { formatInterval } from "./figures.ts";
import { changedModels } from "./measured-models.ts";
import { measuredMarks, measuredTable } from "./measured-table.ts";
import type { ClaimResult, ReproductionResult } from "./run-reproduction.ts";

const claim: ClaimResult = {
  ...{ id: "closer", text: "A | B", paper: { value: 4, unit: "times", distance: 1.5 } },
  ...{ measured: 0.12345, baseline: 1, baselineName: "start", unit: "bits", verdict: "partly" },
  units: { name: "texts", count: 7 },
  effect: {
    ...{ kind: "ratio", direction: "lower", value: null, interval: ["-inf", "inf"] },
    ...{ reproduced: 2, partly: 1.5 },
  },
  control: { name: "nothing", measured: 1234.5, effect: 1, margin: [0, "inf"], passes: true },
};

const result: Omit<ReproductionResult, "code" | "load" | "seed"> = {
  ...{ system: "some-system", quick: false, seconds: 61, date: "2026-11-29T10:00:00.000Z" },
  claims: [claim],
  withoutSpeed: ["speed"],
  machine: {
    ...{ processor: "CPU", cores: 2, memoryGigabytes: 4, system: "linux", node: "20.0.0" },
    ...{ jeton: "0.1.0", onnxruntime: "1.30.0", commit: null },
  },
};

describe("measuredTable", () => {
  test("writes a row for each claim and where the numbers come from", () => {
    const lines = measuredTable(result).split("\n");
    expect(lines[3]).toBe(
      "| A \\| B | 4 times; ours is +1.5 from it | 0.123 bits | 1 (start) | -inf to inf (7 texts) | " +
        "1235 (nothing): passes as well | partly |",
    );
    expect(lines[5]).toBe(
      "(`reproductions/some-system.json`, 2 minutes on 2 x CPU, 2026-11-29. " +
        "Not recorded, as the machine was loaded: speed.)",
    );
  });

  test("replaces the table that stands between the marks", () => {
    const page = `a\n${measuredTable(result)}\nb`;
    expect(page.replace(measuredMarks, () => "c")).toBe("a\nc\nb");
  });
});

test("a table of earlier weights says so", () => {
  const table = measuredTable(result, ["jeton-nano"]);
  expect(table).toContain("speed. Measured with an earlier jeton-nano.)");
});

test("the README of every system holds the table of its record", async () => {
  const records = new URL("../../reproductions/", import.meta.url);
  const src = fileURLToPath(new URL("../", import.meta.url));
  const readmes = readdirSync(src, { recursive: true, encoding: "utf8" });
  const outdated: string[] = [];
  for (const file of readdirSync(records).filter((name) => name.endsWith(".json"))) {
    const record = JSON.parse(readFileSync(new URL(file, records), "utf8")) as ReproductionResult;
    const readme = readmes.find((path) => path.endsWith(join(record.system, "README.md")));
    const text = readFileSync(join(src, readme!), "utf8");
    const table = measuredTable(record, await changedModels(record.models));
    if (!text.includes(table)) outdated.push(record.system);
  }
  expect(outdated).toEqual([]);
});

test("the README of every system that is measured has a place for its table", () => {
  const src = new URL("../", import.meta.url);
  const folders = readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((path) => basename(path) === "reproduction.ts")
    .map((path) => dirname(path));
  expect(folders.length).toBeGreaterThan(20);
  const without = folders.filter(
    (folder) => !measuredMarks.test(readFileSync(new URL(`${folder}/README.md`, src), "utf8")),
  );
  expect(without).toEqual([]);
});

test("an interval says which way its end is infinite", () => {
  expect(formatInterval(["-inf", 1.23456])).toBe("-inf to 1.235");
  expect(formatInterval([1e16, "inf"])).toBe("1.00e+16 to inf");
});

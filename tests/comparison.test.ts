/** Each "yes" of docs/comparison.md names tests that exist. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const [tables, evidence] = readFileSync(join(root, "docs/comparison.md"), "utf8").split(
  "\n## What shows it\n",
) as [string, string];

const rows = tables
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
  .map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  )
  .filter(([feature]) => feature !== "feature");

/** `file: name` of the tests behind each number. */
const shown = new Map(
  [...evidence.matchAll(/^(\d+)\. ((?:.+\n)(?: {4}.+\n)*)/gm)].map(([, number, text]) => [
    number!,
    [...text!.replace(/\n {4}/g, " ").matchAll(/`([^`]+\.test\.ts)`: (.+?)(?=(?:; `)|$|\n)/g)].map(
      ([, file, name]) => ({ file: file!, name: name!.trim().replace(/;$/, "") }),
    ),
  ]),
);

/** True where a file has a test or a group of this name, or a case of a table. */
function holdsName(file: string, name: string): boolean {
  const text = readFileSync(join(root, file), "utf8");
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(
    `(?:test|describe)(?:\\.[\\w.]+\\([^\\n]*\\))?\\(\\s*"(?:%s: )?${escaped}"|^ {2}(?:async )?${escaped}[:(]`,
    "m",
  ).test(text);
}

describe("docs/comparison.md", () => {
  test("every row has a cell for each tool, and every yes of jeton's has its tests", () => {
    expect(rows.length).toBeGreaterThan(40);
    const used = new Set<string>();
    for (const row of rows) {
      expect(row).toHaveLength(6);
      const own = row.at(-1)!;
      const numbers = [...own.matchAll(/\[(\d+)\]/g)].map(([, number]) => number!);
      expect(own).toMatch(/^(?:yes|no)\b/);
      if (own.startsWith("yes")) expect([row[0], numbers.length]).not.toEqual([row[0], 0]);
      for (const number of numbers) {
        expect(shown.get(number)?.length, `[${number}]`).toBeGreaterThan(0);
        used.add(number);
      }
    }
    expect([...used].sort()).toEqual([...shown.keys()].sort());
  });

  test.each(
    [...shown].flatMap(([number, tests]) => tests.map(({ file, name }) => [number, file, name])),
  )("%s: %s has %s", (_number, file, name) => {
    expect(existsSync(join(root, file!))).toBe(true);
    expect(holdsName(file!, name!)).toBe(true);
  });
});

/** Form of `findings/`: every script is executable, reports in the same form and is listed in the README. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const folder = fileURLToPath(new URL("../findings", import.meta.url));
const scripts = readdirSync(folder)
  .filter((name) => name.endsWith(".sh"))
  .sort();
const readme = readFileSync(join(folder, "README.md"), "utf8");

describe("findings", () => {
  test.each(scripts)("%s has the form of a finding and is listed in one line", (name) => {
    const text = readFileSync(join(folder, name), "utf8");
    const [shebang, headline] = text.split("\n");
    expect(shebang).toBe("#!/usr/bin/env bash");
    expect(readme.split("\n")).toContain(`| [\`${name}\`](${name}) | ${headline!.slice(2)} |`);
    for (const label of ["version:", "behaviour:", "output:"]) expect(text).toContain(label);
    if (process.platform !== "win32") expect(statSync(join(folder, name)).mode & 0o111).not.toBe(0);
    // Every package is installed in a fixed version.
    const installed = /(?:npm install|pip install)((?:[^\n]*\\\n)*[^\n]*)/.exec(text)?.[1] ?? "";
    const packages =
      installed.replace(/2>.*/s, "").match(/(?<=\s)@?[A-Za-z][\w./-]*[^\s\\]*/g) ?? [];
    expect(packages.length).toBeGreaterThan(0);
    for (const name of packages) expect(name).toMatch(/^[^@=]\S*(@|==)\d|^@[^@]+@\d/);
  });

  test("the README lists no script that is gone", () => {
    const listed = [...readme.matchAll(/^\| \[`([^`]+)`\]/gm)].map(([, name]) => name);
    expect(listed).toEqual(scripts);
  });
});

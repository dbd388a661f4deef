/**
 * README.md as its reader meets it: every block of code runs as written in a project that has installed the packed
 * package; the JavaScript is strict TypeScript too. Runs on every version of Node (`scripts/node-matrix.mjs`).
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fencedBlocks } from "./code-blocks.ts";
import { createPackedProject, type PackedProject, repository } from "./packed-project.ts";
import { checkTypes, nameOfBlock, runBlock } from "./run-block.ts";

const blocks = fencedBlocks("README.md");
const run = blocks.filter(({ notRun }) => notRun === undefined);

let project: PackedProject;
beforeAll(() => {
  project = createPackedProject();
}, 120_000);
afterAll(() => project?.remove());

describe("README.md", { timeout: 120_000 }, () => {
  test.each(run.map((block) => [block.line, block] as const))(
    "the block at line %i runs",
    async (_line, block) => {
      const { status, stdout, stderr } = await runBlock(block, project, project.folder);
      expect(status, stderr).toBe(0);
      expect(stdout.trim().length).toBeGreaterThan(20);
    },
  );

  test("the JavaScript has no type errors, as JavaScript and as TypeScript", async () => {
    const files = new Map(
      blocks
        .filter(({ language }) => language === "js")
        .flatMap((block) => [
          [nameOfBlock(block, "js"), block.code],
          [nameOfBlock(block, "ts").replace(/^/, "typed-"), block.code],
        ]),
    );
    expect(files.size).toBeGreaterThanOrEqual(4);
    expect(await checkTypes(files, project)).toBe("");
  });

  test("holds the two commands of a fresh clone, and quickstarts of ten lines at most", () => {
    const text = readFileSync(join(repository, "README.md"), "utf8");
    expect(text).toContain('\nnpm ci && npx jeton run "The emperor"\n');
    expect(text).toContain("\nnpm test\n");
    for (const { code, line } of run) {
      const lines = code.split("\n").filter((text) => text.trim() !== "");
      expect(lines.length, `line ${line}`).toBeLessThanOrEqual(10);
    }
  });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("a run ends with what was skipped, what would add it, and one plain line", () => {
  const folder = mkdtempSync(join(root, "src", "testing", "summary-"));
  try {
    writeFileSync(
      join(folder, "example.test.ts"),
      `import { expect, test } from "vitest";
       import { testData, testModels } from "../test-data.ts";
       const texts = testData("text/wikitext-2");
       const tiny = testData("models/tinystories-260k");
       test.skipIf(texts.skip)("needs texts", () => {});
       test.skipIf(tiny.skip)("needs a model", () => {});
       test("runs", () => expect(testModels()).toHaveLength(1));`,
    );
    const { JETON_DATA: _, ...environment } = process.env;
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const { stdout } = spawnSync(process.execPath, [vitest, "run", folder], {
      cwd: root,
      env: environment,
      encoding: "utf8",
    });
    expect(stdout).not.toContain("[skipped tests]");
    const lines = stdout.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("1 passed, 0 failed, 2 skipped");
    const list = lines.slice(lines.indexOf("skipped"));
    expect(list[1]).toMatch(
      /example\.test\.ts: 2 \(text\/wikitext-2 needs JETON_DATA; models\/tinystories-260k needs JETON_DATA\)$/,
    );
    // The model is derived: jeton data fetch cannot get it.
    expect(list[2]).toBe("to run more: npx jeton data fetch text/wikitext-2");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

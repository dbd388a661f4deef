import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { loadModel } from "../../model/index.ts";
import { score } from "../score.ts";
import { writeWidened } from "./reproduction-widened.ts";

const folder = mkdtempSync(join(tmpdir(), "jeton-wide-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a model with more of everything, all of it zero, is the same function", async () => {
  const nano = fileURLToPath(new URL("../../../models/jeton-nano", import.meta.url));
  await writeWidened(nano, folder, {
    ...{ hiddenSize: 320, intermediateSize: 640, layers: 8 },
    ...{ keyValueHeads: 3, group: 3 },
  });
  const options = { format: "f32", threads: 1 } as const;
  await using narrow = await loadModel(nano, options);
  await using wide = await loadModel(folder, options);
  expect(wide.config).toMatchObject({ hiddenSize: 320, numAttentionHeads: 9 });
  const text = "The emperor of the East was born in the year of the city.";
  const [expected, found] = [await score(narrow, text), await score(wide, text)];
  for (const [at, { logProbability }] of found.tokens.entries()) {
    expect(logProbability).toBeCloseTo(expected.tokens[at]!.logProbability, 3);
  }
});

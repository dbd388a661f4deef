import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BundledModelName } from "../checkpoint/index.ts";
import { type Claim, defineReproduction } from "./define-reproduction.ts";
import { changedModels } from "./measured-models.ts";
import { runReproduction } from "./run-reproduction.ts";
import { meanOf } from "./sample.ts";

let cache = "";
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), "jeton-measured-models-"));
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

const claim: Claim<"kept"> = {
  ...{ id: "kept", text: "Something is kept.", paper: { words: "it is" }, unit: "files" },
  ...{ direction: "higher", units: "runs", control: "nothing", quick: "full-only" },
  ...{ effect: "value", noEffect: 0, reproduced: 1, partly: 0.5 },
};
const one = meanOf([1, 1, 1, 1, 1]);
const none = meanOf([0, 0, 0, 0, 0]);

test("names the bundled weights that it measured, and opens no others", async () => {
  const run = (models: readonly BundledModelName[]) =>
    runReproduction(
      defineReproduction({
        ...{ system: "some-system", module: import.meta.url, claims: [claim], models },
        async run(context) {
          expect(await context.model("jeton-landmark")).toMatch(/jeton-landmark$/);
          const file = join(await context.folder("measured"), "file");
          const details = { isKept: existsSync(file) };
          context.report("kept", { measured: one, control: none, details });
          writeFileSync(file, "");
        },
      }),
      { environment: { JETON_CACHE: cache } },
    );
  const { result } = await run(["jeton-landmark"]);
  expect(result.models).toEqual([
    { name: "jeton-landmark", weights: expect.stringMatching(/^[0-9a-f]{16}$/) },
  ]);
  expect(await changedModels(result.models)).toEqual([]);
  expect(await changedModels([{ name: "jeton-landmark", weights: "0" }])).toEqual([
    "jeton-landmark",
  ]);
  const again = await run(["jeton-landmark"]);
  expect(again.result.claims[0]?.details).toEqual({ isKept: true });
  // What other weights measured is not taken for theirs.
  const more = await run(["jeton-landmark", "jeton-nano"]);
  expect(more.result.claims[0]?.details).toEqual({ isKept: false });
  await expect(run(["jeton-nano"])).rejects.toMatchObject({
    code: "reproduction-invalid",
    details: { found: "jeton-landmark", expected: ["jeton-nano"] },
  });
});

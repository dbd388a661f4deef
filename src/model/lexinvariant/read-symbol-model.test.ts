import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { countedLosses } from "./counted-losses.ts";
import { readSymbolModel } from "./read-symbol-model.ts";
import { lossesByWindow, mean } from "./reproduction-curves.ts";
import { foldText, letters } from "./reproduction-training.ts";
import { openSymbolModel } from "./symbol-model.ts";

const folder = join(bundledModel, "../jeton-lexinvariant");
const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as object;
const weights = (name: string) => new Uint8Array(readFileSync(join(folder, `${name}.safetensors`)));

test("the bundled models: renaming costs the lexinvariant one nothing, and the ordinary one much", async () => {
  const text = foldText("the old ship comes home and the sea is wide ".repeat(4).trim());
  const lossesOf = async (name: string, own: Int32Array): Promise<number> => {
    const { symbols, ...read } = readSymbolModel({ config, weights: weights(name) });
    expect(symbols).toBe(letters);
    expect(read.embeddings).toBe(name === "model" ? "random" : "learned");
    await using model = await openSymbolModel({ ...read, threads: 1, inline: true });
    const batch = { batch: 1, time: own.length, ids: own };
    const [losses] = await lossesByWindow(model, batch, createRandom(3, "vectors"));
    return mean(losses!.slice(-60));
  };
  const renamed = text.map((id) => (id * 5 + 2) % letters.length);
  const free = await lossesOf("model", text);
  expect(Math.abs((await lossesOf("model", renamed)) - free)).toBeLessThan(0.3);
  expect(await lossesOf("ordinary", renamed)).toBeGreaterThan(
    2 + (await lossesOf("ordinary", text)),
  );
  // It says more than what counting says without a model.
  const [unigrams] = countedLosses({ batch: 1, time: text.length, ids: text }, 27, "unigrams");
  expect(free).toBeLessThan(mean(unigrams!.slice(-60)));
});

test("what is no model of symbols is refused", async () => {
  const codeOf = async (change: object) =>
    (
      await errorOf(
        (async () =>
          readSymbolModel({ config: { ...config, ...change }, weights: weights("model") }))(),
      )
    ).code;
  expect(await codeOf({ model_type: "llama" })).toBe("model-family-unknown");
  expect(await codeOf({ symbols: "aa" })).toBe("model-config-invalid");
  expect(await codeOf({ symbols: undefined })).toBe("model-config-invalid");
});

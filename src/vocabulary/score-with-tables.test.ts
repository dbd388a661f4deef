import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { score } from "../generate/index.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { codeOf } from "../testing/code-of.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { bundledModel } from "../testing/test-data.ts";
import { loadTokenizer, saveTokenizer, trainTokenizer } from "../tokenizer/index.ts";
import { initializeHypernetwork } from "./hypernetwork.ts";
import {
  hypernetworkConfig,
  meanOfSubtokens,
  nearestRows,
  openDynamicModel,
  predictTables,
  readHypernetwork,
  readModelFiles,
  readTokenForms,
  scoreWithTables,
  transfer,
  writeHypernetwork,
  zett,
} from "./index.ts";

const inline = { inline: true, threads: 1 } as const;
const quiet = { ...inline, format: "f32", onWarning: () => undefined } as const;
const text = "The keeper of the lighthouse counted the ships every evening.";
let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-score-tables-"));
  const trained = await trainTokenizer({
    ...{ kind: "byte-level-bpe", vocabSize: 300, texts: [text] },
    ...{ specialTokens: ["<s>", "</s>"], bosToken: "<s>", eosToken: "</s>" },
  });
  await saveTokenizer(join(folder, "target"), trained);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const makeModel = (name: string, family: string, seed = 3): string => {
  const source = join(folder, name);
  const tokenizer = join(bundledModel, "tokenizer.json");
  createRandomCheckpoint(source, { family, seed, layers: 2, vocabulary: 4099, tokenizer });
  return source;
};
const open = (source: string): Promise<LoadedModel> => loadModel(source, quiet);

// Gemma scales embeddings and ties its head; gemma2 caps logits; granite scales them.
test.each(["llama", "gemma", "gemma2", "granitemoe"])(
  "%s under other tables scores as the transferred checkpoint does",
  async (family) => {
    const source = makeModel(`source-${family}`, family);
    const target = join(folder, "target");
    const out = join(folder, `out-${family}`);
    await transfer(source, target, meanOfSubtokens(), { out, dtype: "F32" });
    await using moved = await open(out);
    const wanted = await score(moved, text);
    const tokenizer = await loadTokenizer(target);
    const { source: from } = await readModelFiles(source);
    const tables = await predictTables(from, readTokenForms(tokenizer), meanOfSubtokens());
    await using model = await open(source);
    const found = await scoreWithTables(model, tables, tokenizer.encodeIds(text));
    expect(found).toHaveLength(wanted.tokens.length);
    for (const [at, { logProbability }] of wanted.tokens.entries()) {
      expect(found[at]).toBeCloseTo(logProbability, 4);
    }
  },
);

test("a head with a bias is refused: nothing predicts the bias of a new token", async () => {
  await using model = await open(makeModel("phimoe", "phimoe"));
  const tables = { embedding: new Float32Array(4 * model.config.hiddenSize) };
  const scored = scoreWithTables(model, tables, [0, 1]);
  expect(await codeOf(scored)).toBe("transfer-head-unsupported");
});

test("nearest rows are those of the largest cosine, in their order", () => {
  const table = Float32Array.of(0, 0, 1, 0, 3, 3, 0, 2, -1, 0);
  const near = nearestRows(Float32Array.of(2, 1), table, 3);
  expect(near.map(({ id }) => id)).toEqual([2, 1, 3]);
  expect(near[1]!.cosine).toBeCloseTo(2 / Math.sqrt(5), 6);
});

describe("a hypernetwork knows its model", () => {
  test("kept in half precision and read from bytes; another model of its shape is refused", async () => {
    const [source, other] = [makeModel("one", "llama"), makeModel("two", "llama", 4)];
    const { source: from } = await readModelFiles(source);
    const form = { hidden: 16, heads: 2, layers: 1, predicts: "rows" } as const;
    const config = hypernetworkConfig(from.config, form);
    const made = await initializeHypernetwork(config, from.tables, 1, inline);
    const file = join(folder, "hypernetwork.safetensors");
    await writeHypernetwork(file, { ...made, model: from.identity! }, { dtype: "F16" });
    const read = await readHypernetwork(new Uint8Array(readFileSync(file)));
    expect(read.model).toBe(from.identity);
    expect(read).toEqual(await readHypernetwork(file));
    for (const [name, { data }] of made.parameters) {
      for (const [at, value] of read.parameters.get(name)!.data.entries()) {
        expect(Math.abs(value - data[at]!)).toBeLessThanOrEqual(Math.abs(data[at]!) / 1024 + 1e-7);
      }
    }
    const target = readTokenForms(await loadTokenizer(join(folder, "target")));
    const predict = (folderOf: string, acceptOtherModel: boolean) =>
      readModelFiles(folderOf).then((model) =>
        predictTables(model.source, target, zett(read, { ...inline, acceptOtherModel })),
      );
    const own = await predict(source, false);
    expect(own.embedding).toHaveLength(target.size * config.width);
    expect(await codeOf(predict(other, false))).toBe("zett-hypernetwork-foreign");
    expect(await predict(other, true)).not.toEqual(own);
    const dynamic = (folderOf: string) =>
      openDynamicModel(folderOf, { ...inline, hypernetwork: read });
    expect(await codeOf(dynamic(other))).toBe("zett-hypernetwork-foreign");
    await (await dynamic(source))[Symbol.asyncDispose]();
  });
});

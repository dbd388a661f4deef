/** Modules behind a static model, beside vectors that the test computes itself from the numbers it wrote. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSafetensors } from "../../../checkpoint/index.ts";
import { createRandom } from "../../../core/index.ts";
import { createTokenizer, type Tokenizer } from "../../../tokenizer/index.ts";
import { activateNumber } from "../../layers/activate-number.ts";
import { openEncoder } from "../open-encoder.ts";
import { embed } from "../tasks/embed.ts";
import {
  expectNear,
  line,
  meanOf,
  model2vec,
  open,
  plainIds,
  randomRows,
  type StaticTensor,
  table,
  trainStaticTokenizer,
  unit,
  width,
  writeStaticFolder,
} from "../testing/static-folders.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-static-modules-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let trained: Awaited<ReturnType<typeof trainStaticTokenizer>>;
let tokenizer: Tokenizer;
beforeAll(async () => {
  trained = await trainStaticTokenizer();
  tokenizer = createTokenizer(trained.json);
});
const idsOf = (text: string): number[] => plainIds(tokenizer, text);
const writeFolder = (
  tensors: readonly StaticTensor[],
  files: Readonly<Record<string, unknown>>,
): Promise<string> => writeStaticFolder(root, trained, tensors, files);

const texts = ["Where is the King?", "", "a rose ☃ Ωmega"];

test("Dense, LayerNorm and Normalize behind it, in any order, as the numbers that the test wrote", async () => {
  const rows = randomRows(tokenizer.vocabSize);
  const random = createRandom(3, "modules");
  const draw = (shape: number[]): Float32Array =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal() / 4);
  const tensors = (shapes: Readonly<Record<string, number[]>>) =>
    Object.entries(shapes).map(([name, shape]) => ({
      ...{ name, dtype: "F32" as const, shape, data: draw(shape) },
    }));
  const modules = {
    "1_Normalize": [],
    "2_Dense": tensors({ "linear.weight": [9, width], "linear.bias": [9] }),
    "3_LayerNorm": tensors({ "norm.weight": [9], "norm.bias": [9] }),
    "4_Dense": tensors({ "linear.weight": [5, 9], "residual.weight": [5, 9] }),
  };
  const dense = (inputs: number, outputs: number, name: string, more: object) => ({
    ...{ in_features: inputs, out_features: outputs, ...more },
    activation_function: `torch.nn.modules.activation.${name}`,
  });
  const paths = Object.keys(modules);
  const files = {
    "modules.json": [
      line("StaticEmbedding", ""),
      ...paths.map((path) => line(path.slice(2), path)),
    ],
    "2_Dense/config.json": dense(width, 9, "ReLU", { bias: true }),
    "4_Dense/config.json": dense(9, 5, "GELU", { bias: false, use_residual: true }),
  };
  const folder = await writeFolder([table("embedding.weight", rows)], files);
  for (const [path, own] of Object.entries(modules)) {
    if (own.length > 0) await writeSafetensors(join(folder, path, "model.safetensors"), own);
  }
  const product = ({ data }: { data: Float32Array }, x: readonly number[]): number[] =>
    Array.from({ length: data.length / x.length }, (_, row) =>
      x.reduce((sum, value, at) => sum + value * data[row * x.length + at]!, 0),
    );
  const expected = (text: string): number[] => {
    const [first, bias] = modules["2_Dense"];
    const raised = product(first!, unit(meanOf(rows, idsOf(text)))).map((value, at) =>
      Math.max(0, value + bias!.data[at]!),
    );
    const mean = raised.reduce((a, b) => a + b) / 9;
    const deviation = Math.sqrt(raised.reduce((a, b) => a + (b - mean) ** 2, 0) / 9 + 1e-5);
    const [scale, shift] = modules["3_LayerNorm"];
    const normed = raised.map(
      (value, at) => ((value - mean) / deviation) * scale!.data[at]! + shift!.data[at]!,
    );
    const [last, residual] = modules["4_Dense"];
    const added = product(residual!, normed);
    return product(last!, normed).map((value, at) => activateNumber(value, "gelu") + added[at]!);
  };
  await using model = await open(folder);
  expect(model.embeddingSize).toBe(5);
  const vectors = await embed(model, texts);
  for (const [at, text] of texts.entries()) expectNear(vectors[at], expected(text));

  const readFile = async (path: string): Promise<Uint8Array | undefined> =>
    existsSync(join(folder, path)) ? readFileSync(join(folder, path)) : undefined;
  await using opened = await openEncoder({
    files: { config: undefined, tokenizer: trained.json },
    weights: [{ name: "model.safetensors", data: (await readFile("model.safetensors"))! }],
    ...{ readFile, format: "f32" },
  });
  expect(await embed(opened, texts)).toEqual(vectors);

  const config = join(folder, "2_Dense", "config.json");
  const states = { ...files["2_Dense/config.json"], module_input_name: "token_embeddings" };
  writeFileSync(config, JSON.stringify(states));
  await expect(open(folder)).rejects.toMatchObject({
    code: "encoder-module-invalid",
    message: expect.stringContaining("module_input_name") as string,
  });
  writeFileSync(config, JSON.stringify(files["2_Dense/config.json"]));
  const turned = files["modules.json"].toSpliced(1, 4, line("Dense", "4_Dense"));
  writeFileSync(join(folder, "modules.json"), JSON.stringify(turned));
  await expect(open(folder)).rejects.toMatchObject({
    code: "encoder-module-invalid",
    message: `4_Dense/config.json: in_features is 9, expected ${width}, the width before it`,
  });
});

test("a Dense behind model2vec's own table is refused: its library would leave it out", async () => {
  const modules = [line("StaticEmbedding", ""), line("Dense", "1_Dense")];
  const files = { ...model2vec, "modules.json": modules };
  const folder = await writeFolder([table("embeddings", randomRows(20))], files);
  await expect(open(folder)).rejects.toMatchObject({ code: "encoder-module-unknown" });
});

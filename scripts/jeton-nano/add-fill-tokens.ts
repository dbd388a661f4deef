/**
 * Gives a checkpoint the three tokens of fill-in-the-middle prompts, as the start of a stage that trains them:
 *
 *     node --import tsx scripts/jeton-nano/add-fill-tokens.ts models/NAME OUT
 *
 * Their rows in both tables begin as the mean row: known to no text, and no likelier than the average token.
 */
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, writeFileAtomically } from "../../src/checkpoint/index.ts";
import {
  type TensorToWrite,
  writeSafetensors,
} from "../../src/checkpoint/safetensors/write-safetensors.ts";
import { fillTokens } from "./fill-tokens.ts";

const [from, out] = process.argv.slice(2);
if (from === undefined || out === undefined) throw new Error("usage: add-fill-tokens.ts MODEL OUT");
const readJson = async (name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(from, name), "utf8"));
const writeJson = (name: string, value: unknown): Promise<void> =>
  writeFileAtomically(join(out, name), `${JSON.stringify(value, null, 2)}\n`);

await mkdir(out, { recursive: true });
for (const name of ["tokenizer_config.json", "generation_config.json"]) {
  await copyFile(join(from, name), join(out, name));
}
const config = await readJson("config.json");
const vocabSize = config["vocab_size"] as number;
await writeJson("config.json", { ...config, vocab_size: vocabSize + fillTokens.length });

const tokenizer = await readJson("tokenizer.json");
const flags = {
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};
const tokens = fillTokens.map((content, at) => ({ id: vocabSize + at, content, ...flags }));
await writeJson("tokenizer.json", {
  ...tokenizer,
  added_tokens: [...(tokenizer["added_tokens"] as unknown[]), ...tokens],
});

await using file = await openSafetensors(join(from, "model.safetensors"));
const tensors: TensorToWrite[] = [];
for (const [name, { shape }] of file.tensors) {
  const data = await file.readFloat32(name);
  const isTable = shape[0] === vocabSize;
  tensors.push({
    name,
    dtype: "F32",
    shape: isTable ? [vocabSize + fillTokens.length, ...shape.slice(1)] : [...shape],
    data: isTable ? withMeanRows(data, vocabSize) : data,
  });
}
await writeSafetensors(join(out, "model.safetensors"), tensors);

function withMeanRows(table: Float32Array, rows: number): Float32Array {
  const width = table.length / rows;
  const wider = new Float32Array(table.length + fillTokens.length * width);
  wider.set(table);
  for (let column = 0; column < width; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += table[row * width + column]!;
    for (let row = rows; row < rows + fillTokens.length; row++)
      wider[row * width + column] = sum / rows;
  }
  return wider;
}

/** Heads of masked tokens that are stored though they are the table of tokens: held once, and without a change. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type ModelConfig, writeShardedSafetensors } from "../../checkpoint/index.ts";
import {
  encodeReference,
  ReferenceWeights,
} from "../../testing/reference-encoder/reference-encoder.ts";
import { referenceEncoders } from "../../testing/reference-encoder/reference-encoder-families.ts";
import { wordTokenizer } from "../../testing/word-tokenizer.ts";
import { encoderClassName, prefixEncoderName } from "./class-names.ts";
import { encoderConfig } from "./config.ts";
import { encoderNames, weightOf } from "./encoder-names.ts";
import { encoderHeadShapes } from "./heads/head-shapes.ts";
import { repeatedTable } from "./heads/heads.ts";
import { loadEncoder } from "./load-encoder.ts";
import { openEncoder } from "./open-encoder.ts";
import type { LoadedEncoder } from "./types.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-repeated-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ids = [5, 17, 40, 8];
const options = { format: "f32", threads: 1, onWarning: () => {} } as const;

/** A model of masked tokens; with an output matrix of its own that is the table, or differs from it in one number. */
async function writeMasked(family: string, output: "none" | "equal" | "other"): Promise<string> {
  const folder = mkdtempSync(join(root, `${family}-`));
  const { config: file, plan } = referenceEncoders[family]!();
  const config = encoderConfig(file as ModelConfig);
  const weights = new ReferenceWeights(3);
  encodeReference(plan, weights, [5]);
  for (const [name, shape] of encoderHeadShapes(config, "masked")) weights.get(name, ...shape);
  const tensors = new Map(weights.tensors);
  if (output !== "none") {
    const table = prefixEncoderName(family, weightOf(encoderNames(config).tokens));
    const { shape, data } = tensors.get(table)!;
    const copy = data.slice();
    if (output === "other") copy[copy.length - 1]! += 1;
    tensors.set(repeatedTable(config)!.name, { shape, data: copy });
  }
  await writeShardedSafetensors(
    folder,
    Array.from(tensors, ([name, tensor]) => ({ name, dtype: "F32" as const, ...tensor })),
  );
  const architectures = [encoderClassName(family, "masked")!];
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...file, architectures }));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(wordTokenizer(96)));
  return folder;
}

function openBytes(folder: string): Promise<LoadedEncoder> {
  const read = (name: string): Buffer => readFileSync(join(folder, name));
  const json = (name: string): unknown => JSON.parse(read(name).toString());
  const data = new Uint8Array(read("model.safetensors"));
  const files = { config: json("config.json"), tokenizer: json("tokenizer.json") };
  return openEncoder({ ...options, files, weights: [{ name: "model.safetensors", data }] });
}

async function logitsOf(opened: Promise<LoadedEncoder>) {
  await using model = await opened;
  const { masked } = await model.run({ ids, outputs: ["masked"], rows: [1, 3] });
  const { name } = repeatedTable(model.config)!;
  return { logits: [...masked!.data], isHeld: model.checkpoint.tensors.has(name) };
}

describe.each(["roberta", "distilbert", "albert", "electra"])("%s", (family) => {
  test("a head that repeats the table of tokens is held once, another one is kept", async () => {
    const [none, equal, other] = await Promise.all(
      (["none", "equal", "other"] as const).map((output) => writeMasked(family, output)),
    );
    for (const open of [
      (folder: string) => loadEncoder(folder, { ...options, inline: true }),
      openBytes,
    ]) {
      const tied = await logitsOf(open(none!));
      expect(tied.isHeld).toBe(false);
      expect(await logitsOf(open(equal!))).toEqual(tied);
      const own = await logitsOf(open(other!));
      expect(own.isHeld).toBe(true);
      expect(own.logits).not.toEqual(tied.logits);
      expect(own.logits.slice(0, 95)).toEqual(tied.logits.slice(0, 95));
    }
  });
});

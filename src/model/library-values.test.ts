/**
 * Logits of transformers 5.18.0 (eager attention, float32) for small models of unusual configurations. The weights are
 * hashes of their names (`hashedWeights`), so that nothing but the numbers below had to be brought here.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeShardedSafetensors } from "../checkpoint/index.ts";
import { libraryDecoders } from "../testing/library-values/decoders.ts";
import { libraryEncoderDecoders } from "../testing/library-values/encoder-decoders.ts";
import { hashedWeights } from "../testing/library-values/hashed-weights.ts";
import type { LibraryValues } from "../testing/library-values/library-values.ts";
import { libraryOlderDecoders } from "../testing/library-values/older-decoders.ts";
import { toStoredLayout } from "../testing/older-families/stored-layout.ts";
import type { ReferenceTensor } from "../testing/reference-checkpoint.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { decoderConfig } from "./decoder/config.ts";
import { decoderParameterShapes } from "./decoder/parameter-shapes.ts";
import { loadEncoder } from "./encoder/index.ts";
import { loadModel } from "./load-model.ts";
import { seq2seqConfig } from "./seq2seq/config.ts";
import { loadSeq2Seq } from "./seq2seq/load-seq2seq.ts";
import { seq2seqParameterShapes } from "./seq2seq/parameter-shapes.ts";
import type { LoadedModel } from "./types.ts";

const textOf = (vocabulary: number): number[] =>
  Array.from({ length: 24 }, (_, at) => (7 * at * at + 3 * at + 5) % vocabulary);

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-reference-values-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A folder with hashed weights for a configuration. */
async function writeFolder({ what, config, ownHead, masks }: LibraryValues): Promise<string> {
  const folder = join(root, what.replaceAll(/\W+/g, "-"));
  mkdirSync(folder);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const vocabulary = Number(config["vocab_size"]);
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(wordTokenizer(vocabulary)));
  const shapes =
    ownHead === undefined
      ? decoderParameterShapes(decoderConfig(config))
      : seq2seqParameterShapes(seq2seqConfig(config), ownHead);
  const centre = String(config.model_type).startsWith("gemma") ? 0 : 1;
  await writeShardedSafetensors(
    folder,
    [...storedShapes(config, shapes), ...(masks ?? [])].map(([name, shape]) => {
      return { name, dtype: "F32", shape, data: hashedWeights(name, shape, centre) } as const;
    }),
  );
  return folder;
}

/** Parameters by the names and in the shapes of the library's own files. */
function storedShapes(
  config: LibraryValues["config"],
  shapes: ReadonlyMap<string, readonly number[]>,
): [string, number[]][] {
  const family = String(config.model_type);
  const tensors = Array.from(shapes, ([name, shape]): [string, ReferenceTensor] => {
    const size = shape.reduce((product, length) => product * length, 1);
    return [name, { shape: [...shape], data: new Float64Array(size) }];
  });
  const stored = toStoredLayout(family, new Map(tensors));
  return Array.from(stored, ([name, { shape }]) => [name, [...shape]]);
}

function expectNear(found: Float32Array, wanted: readonly number[]): void {
  const distances = wanted.map((logit, id) => Math.abs(logit - found[id]!));
  expect(Math.max(...distances)).toBeLessThan(1e-4);
}

async function checkText(
  model: LoadedModel,
  ids: readonly number[],
  { middle, last, greedy, experts }: LibraryValues,
): Promise<void> {
  const { vocabSize } = model.config;
  const sequence = await model.openSequence({ promptLength: ids.length });
  const routing = experts !== undefined;
  const whole = await sequence.step({ ids, results: "all", logits: true, routing });
  const rows = (at: number): Float32Array =>
    whole.logits!.subarray(at * vocabSize, (at + 1) * vocabSize);
  expectNear(rows(9), middle);
  expectNear(rows(ids.length - 1), last);
  if (experts) {
    const count = experts.flat().length;
    expect([...whole.expertChoices!.slice(-count)]).toEqual(experts.flat());
  }
  let next = whole.topIds.at(-1)!;
  for (const [at, id] of greedy.entries()) {
    expect(next, `token ${at}`).toBe(id);
    next = (await sequence.step({ ids: [id] })).topIds[0]!;
  }
  await sequence.release();
}

describe("decoders", () => {
  test.each([...libraryDecoders, ...libraryOlderDecoders])("$what", async (subject) => {
    const folder = await writeFolder(subject);
    await using model = await loadModel(folder, { format: "f32", threads: 1, inline: true });
    await checkText(model, textOf(model.config.vocabSize), subject);
  });
});

describe("encoder-decoders", () => {
  test.each(libraryEncoderDecoders)("$what", async (subject) => {
    const folder = await writeFolder(subject);
    await using model = await loadSeq2Seq(folder, { format: "f32", threads: 1, inline: true });
    const ids = textOf(model.config.encoder.vocabSize);
    await using decoder = await model.read(ids);
    const { decoderStartTokenId: start } = model.config;
    await checkText(decoder, [start, ...ids.slice(3, 20)], subject);
    // The encoder alone reads the same, also beside a shorter text.
    const [read] = await model.encode([ids]);
    await using encoder = await loadEncoder(folder, { format: "f32", threads: 1, inline: true });
    const outputs = ["states"] as const;
    const alone = [ids, ids.slice(2, 9)].map((text) => encoder.run({ ids: text, outputs }));
    const [{ states }] = await Promise.all(alone as [(typeof alone)[0], (typeof alone)[0]]);
    expectNear(states!.data, [...read!.states!]);
  });
});

import { describe, expect, test } from "vitest";
import { compile, int32, type Tensor, trace } from "../../tensor/index.ts";
import { initializeWordModel, wordModelInputs } from "../../train/index.ts";
import { rotationTypes } from "../decoder/full-sequence.ts";
import { traceWeights } from "../weights/trace-weights.ts";
import { byteVocabSize, documentId, wordEndId } from "./byte-vocabulary.ts";
import { smallWordConfig } from "./testing/small-word-model.ts";
import { bucketInput, bucketLengths, ignoredByte, layOutWords, placeWords } from "./word-batch.ts";
import { type WordModelConfig, wordModelConfig } from "./word-config.ts";
import { predictWords, type WordBucketTensors } from "./word-layers.ts";
import { wordParameterShapes } from "./word-parameters.ts";
import { createWordService } from "./word-service.ts";

const encode = (text: string): number[] => [...new TextEncoder().encode(text)];

describe("ragged batches", () => {
  test("words of two sequences, worked by hand", () => {
    // "a bc" and document, "x": words "a", " bc" | document, "x" and a byte of the next word.
    const ids = Int32Array.from([...encode("a bc"), documentId, ...encode("x!?")]);
    const values = layOutWords(
      { batch: 2, time: 4, ids, segments: Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1) },
      { rule: { fixed: 2 }, maxWordBytes: 2 },
    );
    expect([...values[bucketInput("units", 0)]!.data]).toEqual(
      [encode("a "), encode("bc"), [documentId, 0], encode("x!"), encode("?"), [0]].flat(),
    );
    expect([...values[bucketInput("lengths", 0)]!.data]).toEqual([2, 2, 1, 2, 1]);
    expect([...values[bucketInput("previous", 0)]!.data]).toEqual([0, 0, 0, 3, 4]);
    const none = ignoredByte;
    expect([...values[bucketInput("targets", 0)]!.data]).toEqual([
      ...[none, none, none], // nothing comes before a sequence's first word
      ...[...encode("bc"), none], // the last word may go on
      ...[none, none, none],
      ...[...encode("x!"), wordEndId],
      ...[...encode("?"), none, none],
    ]);
    expect(values["order"]!.shape).toEqual([2, 3]);
    expect([...values["order"]!.data]).toEqual([0, 1, 0, 2, 3, 4]);
    expect([...values["segments"]!.data]).toEqual([0, 0, 0, 1, 1, 1]);
  });

  test("a document's sign is a word of its own and completes the word before it", () => {
    const ids = Int32Array.from([...encode("ab"), documentId, documentId, ...encode("c")]);
    expect(placeWords(ids, { rule: "unicode", maxBytes: 9 })).toEqual([
      { start: 0, end: 2, isComplete: true },
      { start: 2, end: 3, isComplete: true },
      { start: 3, end: 4, isComplete: true },
      { start: 4, end: 5, isComplete: false },
    ]);
  });

  test("lengths double up to the longest word", () => {
    expect([8, 9, 24, 100].map(bucketLengths)).toEqual([
      [8],
      [8, 9],
      [8, 16, 24],
      [8, 16, 32, 64, 100],
    ]);
  });
});

/** Logits of every word of a batch by the graph that is trained, by bucket. */
async function predict(
  config: WordModelConfig,
  ids: Int32Array,
  batch: number,
): Promise<{
  logits: Float32Array[];
  inputs: ReturnType<ReturnType<typeof wordModelInputs>>;
}> {
  const shapes = wordParameterShapes(config);
  const weights = traceWeights(
    new Map([...shapes].map(([name, shape]) => [name, { dtype: "F32", shape }])),
    "f32",
  );
  const lengths = bucketLengths(config.maxWordBytes);
  const types = { order: int32(["batch", "words"]), ...rotationTypes(config.backbone) };
  const buckets = lengths.flatMap((length, bucket) => [
    [bucketInput("units", bucket), int32([`n${bucket}`, length])],
    [bucketInput("lengths", bucket), int32([`n${bucket}`])],
    [bucketInput("previous", bucket), int32([`n${bucket}`])],
  ]);
  const graph = trace<string, string>({ ...types, ...Object.fromEntries(buckets) }, (input) => {
    const given = lengths.map(
      (_, bucket): WordBucketTensors => ({
        units: input[bucketInput("units", bucket)]!,
        lengths: input[bucketInput("lengths", bucket)]!,
        previous: input[bucketInput("previous", bucket)]!,
      }),
    );
    const sequences = { order: input["order"]!, rotations: input };
    const rows = predictWords(config, weights, given, sequences);
    return Object.fromEntries(rows.map((row, bucket): [string, Tensor] => [`${bucket}`, row]));
  });
  const parameters = new Map(
    [...valuesOf(config)].map(([name, { data }]) => [name, { kind: "data", data } as const]),
  );
  await using program = await compile(graph, { parameters, inline: true });
  const time = ids.length / batch;
  const inputs = wordModelInputs(config, { sequenceLength: time })({ batch, time, ids });
  const results = await program.run(inputs as never);
  return {
    logits: lengths.map((_, bucket) => results[`${bucket}`]!.data as Float32Array),
    inputs,
  };
}

function valuesOf(config: WordModelConfig): ReturnType<typeof initializeWordModel> {
  const options = { deviation: 0.4, outputDeviation: 0.4, embeddingDeviation: 1 };
  return initializeWordModel(config, 2, options);
}

describe.each([
  ["word-pooled", {}],
  ["hierarchical-transformer", {}],
  ["hierarchical-transformer", { word_rule: "whitespace", max_word_bytes: 30 }],
  ["hierarchical-transformer", { word_rule: { fixed: 5 } }],
  ["hierarchical-transformer", { num_key_value_heads: 1 }],
])("%s %j: the trained graph", (family, more) => {
  const config = wordModelConfig(smallWordConfig(family, more));
  const texts = ["The cat sat on a mat, in 1999. ", "unbelievable élan: 漢字 and more! "];
  const bytes = texts.map((text) => [documentId, ...encode(text)]);
  const time = Math.min(...bytes.map((one) => one.length));
  const ids = Int32Array.from(bytes.flatMap((one) => one.slice(0, time)));

  test("equals the programs with caches, place by place", async () => {
    const { logits, inputs } = await predict(config, ids, 2);
    const service = await openService(config);
    const lengths = bucketLengths(config.maxWordBytes);
    const order = inputs["order"]!.data;
    const width = inputs["order"]!.shape[1]!;
    let compared = 0;
    for (const row of [0, 1]) {
      const own = ids.subarray(row * time, (row + 1) * time);
      const words = placeWords(own, { rule: config.rule, maxBytes: config.maxWordBytes });
      const handle = service.open();
      let before = await service.step(handle, [documentId], "last");
      for (const [index, { start, end }] of words.entries()) {
        if (index === 0) continue;
        const behind = await service.step(handle, [...own.subarray(start, end), wordEndId], "all");
        const cached = Float32Array.from([...before, ...behind.slice(0, -byteVocabSize)]);
        before = behind.slice(-byteVocabSize);
        // The place in its bucket is the place in the order, less the words of the buckets before.
        const bucket = lengths.findIndex((length) => end - start <= length);
        let at = order[row * width + index]!;
        for (let earlier = 0; earlier < bucket; earlier++) {
          at -= inputs[bucketInput("lengths", earlier)]!.shape[0]!;
        }
        const from = at * (lengths[bucket]! + 1) * byteVocabSize;
        const trained = logits[bucket]!.subarray(from, from + cached.length);
        const differences = cached.map((value, place) => Math.abs(value - trained[place]!));
        expect(Math.max(...differences)).toBeLessThan(5e-4);
        compared += cached.length;
      }
      service.release(handle);
    }
    expect(compared).toBeGreaterThan(40 * byteVocabSize);
    await service.close();
  });

  test("a word's vector depends on its own bytes alone", async () => {
    const alone = await predict(config, Int32Array.from([documentId, ...encode("cat sat ")]), 1);
    const beside = await predict(
      config,
      Int32Array.from([documentId, ...encode("cat sat unbelievably")]),
      1,
    );
    // Rows of "sat" follow from the vectors of the words before it, in a bucket of any words.
    const size = 2 * (bucketLengths(config.maxWordBytes)[0]! + 1) * byteVocabSize;
    const differences = alone.logits[0]!.subarray(0, size).map((value, place) =>
      Math.abs(value - beside.logits[0]![place]!),
    );
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });
});

function openService(config: WordModelConfig): ReturnType<typeof createWordService> {
  const values = valuesOf(config);
  return createWordService({
    config,
    tensors: new Map(
      [...values].map(([name, { shape }]) => [name, { dtype: "F32", shape: [...shape] }]),
    ),
    bindings: new Map([...values].map(([name, { data }]) => [name, { kind: "data", data }])),
    format: "f32",
    threads: 1,
  });
}

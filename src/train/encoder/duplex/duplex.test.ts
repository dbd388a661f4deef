/** DupMAE's pre-training: masks by hand, what the decoder may know, and losses against plain computations. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../../core/index.ts";
import {
  embedHybrid,
  encoderConfig,
  encoderParameterShapes,
  loadEncoder,
  maskedScore,
  traceFloat32Weights,
} from "../../../model/index.ts";
import {
  evaluateReference,
  float32,
  gradients,
  multiply,
  type ReferenceInput,
  sum,
  trace,
} from "../../../tensor/index.ts";
import { codeOf } from "../../../testing/code-of.ts";
import { loadTokenizer, saveTokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import type { TrainEncoderOptions } from "../encoder-options.ts";
import { trainEncoder } from "../train-encoder.ts";
import { decodeSentence, duplexDecoderShapes } from "./duplex-decoder.ts";
import { duplexInputs } from "./duplex-inputs.ts";
import { chooseWords, numberWords, sampleDuplexMasks, sampleVisibility } from "./duplex-masks.ts";

const words = "cat dog tree hill sun moon river stone bread wine".split(" ");
const file = {
  model_type: "bert",
  vocab_size: 120,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 32,
};
const config = encoderConfig(file as never);

let root = "";
let tokenizer = "";
const random = createRandom(1, "texts");
const word = (): string => words[random.integer(words.length)]!;
const texts = Array.from({ length: 48 }, () => `the ${word()} sees a ${word()} and the ${word()}.`);

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-duplex-"));
  tokenizer = join(root, "tokenizer");
  await saveTokenizer(
    tokenizer,
    await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 120 }),
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function writeLines(name: string, lines: readonly unknown[]): string {
  const path = join(root, name);
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  return path;
}

describe("masks", () => {
  test("words by hand", () => {
    //            [CLS]   wine   ##skin   ,        red      -        ish      [SEP]
    const offsets = [
      [0, 0],
      [0, 4],
      [4, 8],
      [8, 9],
      [10, 13],
      [13, 14],
      [14, 17],
      [0, 0],
    ] as const;
    const found = numberWords("wineskin, red-ish", offsets);
    expect([...found]).toEqual([-1, 0, 0, 1, 2, 3, 4, -1]);
    // A token that brings its own space begins a word.
    expect([
      ...numberWords("a b", [
        [0, 1],
        [1, 3],
      ]),
    ]).toEqual([0, 1]);
  });

  test("whole words are chosen, about as many tokens as asked for, and no special ones", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 8, maxLength: 40 }),
        fc.nat(),
        (lengths, seed) => {
          const numbers = [-1, ...lengths.flatMap((length, at) => new Array(length).fill(at)), -1];
          const chosen = chooseWords(numbers, 0.3, createRandom(seed));
          for (const [at, number] of numbers.entries()) {
            const others = numbers.flatMap((one, place) => (one === number ? [chosen[place]] : []));
            expect(number < 0 ? chosen[at] === 0 : new Set(others).size === 1).toBe(true);
          }
          const tokens = numbers.length - 2;
          const count = chosen.reduce((total, one) => total + one, 0);
          expect(Math.abs(count - 0.3 * tokens)).toBeLessThanOrEqual(2.5);
        },
      ),
    );
  });

  test("rows: their own token is hidden, the sentence visible, and half of the others", () => {
    fc.assert(
      fc.property(fc.integer({ min: 12, max: 60 }), fc.nat(), (time, seed) => {
        const numbers = Array.from({ length: time }, (_, at) =>
          at === 0 || at === time - 1 ? -1 : at,
        );
        const visible = sampleVisibility(numbers, 0.5, createRandom(seed));
        let seen = 0;
        for (let row = 0; row < time; row++) {
          expect(visible[row * time + row]).toBe(0);
          if (row > 0) expect(visible[row * time]).toBe(1);
          for (let at = 1; at < time; at++) seen += visible[row * time + at]!;
        }
        expect(seen / (time * (time - 1))).toBeGreaterThan(0.38);
        expect(seen / (time * (time - 1))).toBeLessThan(0.62);
        // Rows differ: one context for all would lose most of the signal.
        const rows = Array.from({ length: time - 2 }, (_, at) =>
          visible.subarray((at + 1) * time, (at + 2) * time).join(""),
        );
        expect(new Set(rows).size).toBeGreaterThan(time / 3);
      }),
      { numRuns: 30 },
    );
  });
});

/** The decoder in float64 with weights and values drawn at random. */
function openDecoder(time: number) {
  const shapes = new Map([...encoderParameterShapes(config), ...duplexDecoderShapes(config)]);
  const types = {
    sentence: float32([1, config.hiddenSize]),
    context: float32([1, time, config.hiddenSize]),
    hidden: float32([1, time, time]),
  };
  const body = (input: Record<keyof typeof types, ReturnType<typeof sum>>) =>
    decodeSentence(config, traceFloat32Weights(shapes), input);
  const draw = createRandom(3, "decoder");
  const values = new Map<string, ReferenceInput>();
  for (const [name, shape] of shapes) {
    const size = shape.reduce((a, b) => a * b, 1);
    values.set(name, { shape, data: Float64Array.from({ length: size }, () => draw.normal() / 3) });
  }
  const normal = (...shape: number[]) => ({
    shape,
    data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => draw.normal()),
  });
  const input = {
    sentence: normal(1, config.hiddenSize),
    context: normal(1, time, config.hiddenSize),
    hidden: { shape: [1, time, time], data: new Float64Array(time * time) },
  };
  return { types, body, parameters: Object.fromEntries(values), input };
}

describe("the decoder", () => {
  const time = 6;
  const width = config.hiddenSize;
  const visible = sampleVisibility([-1, 0, 1, 2, 3, -1], 0.5, createRandom(5));

  test("tells a token from the sentence and visible tokens, and never from itself", () => {
    const { types, body, parameters, input } = openDecoder(time);
    const hidden = Float64Array.from(visible, (one) => (one === 1 ? 0 : maskedScore));
    const given = { ...parameters, ...input, hidden: { shape: [1, time, time], data: hidden } };
    const graph = trace(types, (inputs) => ({ states: body(inputs) }));
    const before = evaluateReference(graph, given).states.data;
    const changesOf = (moved: Record<string, ReferenceInput>): boolean[] => {
      const after = evaluateReference(graph, { ...given, ...moved }).states.data;
      return Array.from({ length: time }, (_, row) =>
        before
          .slice(row * width, (row + 1) * width)
          .some((value, at) => Math.abs(value - after[row * width + at]!) > 1e-9),
      );
    };
    for (let token = 1; token < time; token++) {
      const data = input.context.data.slice();
      for (let at = 0; at < width; at++) data[token * width + at]! += 1;
      const changed = changesOf({ context: { shape: [1, time, width], data } });
      expect(changed).toEqual(
        Array.from({ length: time }, (_, row) => visible[row * time + token] === 1),
      );
    }
    // The first position of the context is the sentence vector; what is given there is not read.
    const first = input.context.data.slice();
    first[0]! += 1;
    expect(changesOf({ context: { shape: [1, time, width], data: first } })).not.toContain(true);
    const sentence = input.sentence.data.map((value, at) => value + at / 9);
    expect(changesOf({ sentence: { shape: [1, width], data: sentence } })).not.toContain(false);
  });

  test("has the gradients of finite differences", () => {
    const { types, body, parameters, input } = openDecoder(time);
    const weights = float32([1, time, width]);
    const draw = createRandom(9);
    const given = {
      ...parameters,
      ...input,
      weights: {
        shape: [1, time, width],
        data: Float64Array.from({ length: time * width }, () => draw.normal()),
      },
    };
    const loss = trace({ ...types, weights }, (inputs) => ({
      loss: sum(multiply(body(inputs), inputs.weights)),
    }));
    const graph = trace({ ...types, weights }, (inputs) => {
      const total = sum(multiply(body(inputs), inputs.weights));
      const [sentence, context] = gradients(total, [inputs.sentence, inputs.context]);
      return { sentence: sentence!, context: context! };
    });
    const exact = evaluateReference(graph, given);
    for (const name of ["sentence", "context"] as const) {
      for (const at of [0, 5, input[name].data.length - 1]) {
        const moved = (by: number): number => {
          const data = input[name].data.with(at, input[name].data[at]! + by);
          const changed = { ...given, [name]: { shape: input[name].shape, data } };
          return evaluateReference(loss, changed).loss.data[0]!;
        };
        const slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        expect(exact[name].data[at]).toBeCloseTo(slope, 5);
      }
    }
  });
});

function optionsFor(name: string, more: Partial<TrainEncoderOptions> = {}): TrainEncoderOptions {
  const { vocab_size: _, ...own } = file;
  return {
    folder: join(root, name),
    objective: { kind: "dupmae" },
    config: own,
    tokenizer,
    examples: [
      writeLines(
        "texts.jsonl",
        texts.map((text) => ({ text })),
      ),
    ],
    steps: 1,
    batch: 16,
    threads: 1,
    dtype: "F32",
    schedule: { kind: "constant", peak: 0 },
    documentLength: 16,
    queryLength: 16,
    ...more,
  };
}

const open = (folder: string) => loadEncoder(folder, { inline: true, threads: 1, format: "f32" });

const logSoftmaxAt = (logits: Float32Array, id: number): number => {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return logits[id]! - largest - Math.log(total);
};

describe("pre-training", () => {
  test("the losses are those of the exported model: masked tokens, and words by brute force", async () => {
    const held = [
      writeLines(
        "held.jsonl",
        texts.slice(0, 16).map((text) => ({ text })),
      ),
    ];
    const lossOf = async (lexicalWeight: number) => {
      const objective = { kind: "dupmae", lexicalWeight, decodingWeight: 0 } as const;
      return trainEncoder(optionsFor(`losses-${lexicalWeight}`, { objective, heldOut: held }));
    };
    const [masked, both] = [await lossOf(0), await lossOf(1)];
    const opened = await loadTokenizer(tokenizer);
    const { inputs } = duplexInputs(texts.slice(0, 16), {
      ...{ config, tokenizer: opened, queryLength: 16, documentLength: 16 },
      ...{ pass: 0, seed: 0, rates: { masked: 0.3, hidden: 0.5 } },
      factors: { decoding: 1, lexical: 1 },
    });
    await using model = await open(both.modelFolder);
    const { data: ids, shape } = inputs["text.ids"]!;
    const original = inputs["original"]!.data;
    const time = shape[1]!;
    let [tokens, bag] = [0, 0];
    for (let row = 0; row < 16; row++) {
      const length = opened.encode(texts[row]!).ids.length;
      const place = (at: number): number => row * time + at;
      const own = Array.from({ length }, (_, at) => Number(ids[place(at)]));
      const chosen = [...(inputs["masked.rows"]!.data as Int32Array)]
        .filter((flat) => Math.floor(flat / time) === row)
        .map((flat) => flat - row * time);
      const results = await model.run({ ids: own, outputs: ["masked", "lexical"], rows: chosen });
      const { vocabSize } = model.config;
      for (const [index, at] of chosen.entries()) {
        const logits = results.masked!.data.subarray(index * vocabSize, (index + 1) * vocabSize);
        tokens -= logSoftmaxAt(logits, Number(original[place(at)])) / chosen.length;
      }
      const unique = new Set(
        Array.from({ length }, (_, at) => Number(original[place(at)])).filter(
          (id) => !opened.isSpecial(id),
        ),
      );
      for (const id of unique) bag -= logSoftmaxAt(results.lexical!.data, id) / unique.size;
    }
    expect(masked.heldOutLoss).toBeCloseTo(tokens / 16, 4);
    expect(both.heldOutLoss! - masked.heldOutLoss!).toBeCloseTo(bag / 16, 4);
  });

  test("learns, in other masks at every pass, and the decoder is no part of the export", async () => {
    const { modelFolder, loss } = await trainEncoder(
      optionsFor("learned", { steps: 60, schedule: { kind: "constant", peak: 5e-3 } }),
    );
    // Three parts of about log(40) nats at the beginning.
    expect(loss).toBeLessThan(7.5);
    await using model = await open(modelFolder);
    expect([...model.checkpoint.tensors.keys()].filter((name) => /duplex/.test(name))).toEqual([]);
    expect(model.sentence).toMatchObject({ poolings: ["cls"], modules: [], similarity: "dot" });
    const options = {
      ...{ config, tokenizer: model.tokenizer, queryLength: 16, documentLength: 16 },
      ...{ seed: 0, rates: { masked: 0.3, hidden: 0.5 } },
      factors: { decoding: 1, lexical: 1 },
    };
    const first = duplexInputs([texts[0]!], { ...options, pass: 0 }).inputs;
    expect(duplexInputs([texts[0]!], { ...options, pass: 0 }).inputs).toEqual(first);
    expect(duplexInputs([texts[0]!], { ...options, pass: 1 }).inputs["hidden"]).not.toEqual(
      first["hidden"],
    );
    const alone = { masking: 0.3, hiding: 0.5, seed: 0, pass: 0 };
    const encoded = model.tokenizer.encode(texts[0]!);
    const masks = sampleDuplexMasks(model.tokenizer, texts[0]!, encoded, alone);
    // Behind the text the batch is filled up.
    const batchIds = first["text.ids"]!.data as Int32Array;
    expect(masks.ids).toEqual(batchIds.subarray(0, masks.ids.length));
    expect(batchIds.subarray(masks.ids.length).every((id) => id === config.padTokenId)).toBe(true);
    expect(Int32Array.from(masks.masked)).toEqual(first["masked.rows"]!.data);
    const [document] = await embedHybrid(model, ["the cat sees a dog"], { terms: 7 });
    expect(document!.ids).toHaveLength(7);
    expect(document!.dense).toHaveLength(16);
  });

  test("shares and weights of the wrong kind are refused", async () => {
    const code = (objective: TrainEncoderOptions["objective"]) =>
      codeOf(trainEncoder(optionsFor("wrong", { objective })));
    expect(await code({ kind: "dupmae", masking: 1 })).toBe("option-invalid");
    expect(await code({ kind: "dupmae", hiding: 0 })).toBe("option-invalid");
    expect(await code({ kind: "dupmae", lexicalWeight: -1 })).toBe("option-invalid");
    expect(await code({ kind: "hybrid-contrastive", terms: 0 })).toBe("option-invalid");
  });
});

describe("fine-tuning", () => {
  test("the loss is the contrast of the exported model's scores", async () => {
    const pairs = texts.slice(0, 16).map((text, at) => ({
      query: text.split(" ").slice(1, 2).join(" "),
      document: `${text} ${at}`,
    }));
    const held = [writeLines("pairs.jsonl", pairs)];
    const { modelFolder, heldOutLoss } = await trainEncoder(
      optionsFor("hybrid", {
        objective: { kind: "hybrid-contrastive", terms: 9, width: 5, temperature: 2 },
        examples: held,
        heldOut: held,
      }),
    );
    await using model = await open(modelFolder);
    const queries = await embedHybrid(
      model,
      pairs.map(({ query }) => query),
    );
    const documents = await embedHybrid(
      model,
      pairs.map(({ document }) => document),
      { terms: 9 },
    );
    expect(documents[0]!.dense).toHaveLength(5);
    let expected = 0;
    for (const [row, query] of queries.entries()) {
      const right = pairs.flatMap((pair, at) => (pair.query === pairs[row]!.query ? [at] : []));
      const scores = documents.map((document) => {
        const dense = document.dense.reduce((sum, value, at) => sum + value * query.dense[at]!, 0);
        const terms = document.ids.reduce(
          (sum, id, at) => sum + document.weights[at]! * query.weights[id]!,
          0,
        );
        return (dense + terms) / 2;
      });
      const kept = scores.filter((_, at) => at === row || !right.includes(at));
      const largest = Math.max(...kept);
      const total = kept.reduce((sum, score) => sum + Math.exp(score - largest), 0);
      expected += largest + Math.log(total) - scores[row]!;
    }
    expect(heldOutLoss).toBeCloseTo(expected / pairs.length, 4);
  });
});

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import {
  classify,
  classifyTokens,
  embed,
  embedTokens,
  fillMask,
  loadEncoder,
} from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { trainLanguageModel } from "../train-language-model.ts";
import type { TrainEncoderOptions } from "./encoder-options.ts";
import { readEncoderRunOptions, trainEncoder } from "./train-encoder.ts";

const words = "cat dog tree hill sun moon river stone bread wine".split(" ");
const config = {
  model_type: "bert",
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 64,
};

let root = "";
let tokenizer = "";

/** A query of two words and a document that holds them among others. */
function pairs(
  seed: number,
  count: number,
): { query: string; document: string; negatives: string[] }[] {
  const random = createRandom(seed, "pairs");
  const word = (): string => words[random.integer(words.length)]!;
  return Array.from({ length: count }, () => {
    const [a, b] = [word(), word()];
    const document = `the ${a} sees a ${b} and the ${a}`;
    return { query: `${a} ${b}`, document, negatives: [`the ${word()} sees a ${word()}`] };
  });
}

function writeLines(name: string, lines: readonly unknown[]): string {
  const path = join(root, name);
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  return path;
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-encoder-"));
  tokenizer = join(root, "tokenizer");
  const texts = pairs(1, 40).map(({ document }) => document);
  const trained = await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 120 });
  await saveTokenizer(tokenizer, trained);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function optionsFor(name: string, more: Partial<TrainEncoderOptions> = {}): TrainEncoderOptions {
  return {
    folder: join(root, name),
    objective: { kind: "contrastive" },
    config,
    tokenizer,
    examples: [writeLines(`${name}.jsonl`, pairs(2, 64))],
    steps: 4,
    batch: 8,
    threads: 1,
    dtype: "F32",
    schedule: { kind: "constant", peak: 2e-3 },
    ...more,
  };
}

const digestOf = (folder: string): string =>
  createHash("sha256")
    .update(readFileSync(join(folder, "model.safetensors")))
    .digest("hex");

const open = (folder: string) => loadEncoder(folder, { inline: true, threads: 1, format: "f32" });

/** −log of the share of the first of each row's scores that is not excluded: by hand, in float64. */
function contrastByHand(
  scores: readonly (readonly number[])[],
  targets: readonly number[],
  isExcluded: (row: number, at: number) => boolean,
): number {
  const losses = scores.map((row, index) => {
    const kept = row.filter((_, at) => at === targets[index] || !isExcluded(index, at));
    return Math.log(kept.reduce((sum, score) => sum + Math.exp(score), 0)) - row[targets[index]!]!;
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, at) => sum + value * b[at]!, 0);

describe("contrastive training", () => {
  test("the loss is that of the exported model's vectors, equal documents left out", async () => {
    const held = pairs(3, 8);
    held[1] = { ...held[0]!, negatives: [held[0]!.document] };
    const still = { schedule: { kind: "constant", peak: 0 } as const, steps: 1 };
    const heldOut = [writeLines("held.jsonl", held)];
    for (const chunk of [undefined, 3]) {
      const objective = { kind: "contrastive", ...(chunk && { chunk }) } as const;
      const { modelFolder, heldOutLoss } = await trainEncoder(
        optionsFor(`still-${chunk}`, { ...still, heldOut, objective }),
      );
      await using model = await open(modelFolder);
      const texts = held.flatMap(({ document, negatives }) => [document, ...negatives]);
      const queries = await embed(
        model,
        held.map(({ query }) => query),
      );
      const documents = await embed(model, texts);
      const scores = queries.map((a) => documents.map((b) => dot(a, b) / 0.05));
      const targets = held.map((_, row) => 2 * row);
      const expected = contrastByHand(
        scores,
        targets,
        (row, at) => texts[at] === held[row]!.document,
      );
      expect(heldOutLoss).toBeCloseTo(expected, 4);
    }
  });

  test("chunks with cached gradients learn what one pass learns", async () => {
    const whole = await trainEncoder(optionsFor("whole"));
    const cached = await trainEncoder(
      optionsFor("cached", { objective: { kind: "contrastive", chunk: 5 } }),
    );
    expect(cached.loss).toBeCloseTo(whole.loss, 4);
    await using one = await open(whole.modelFolder);
    await using other = await open(cached.modelFolder);
    const texts = ["the cat sees a tree", "wine"];
    const [a, b] = [await embed(one, texts), await embed(other, texts)];
    for (const [index, vector] of a.entries()) expect(dot(vector, b[index]!)).toBeCloseTo(1, 4);
    // It has learned something at all.
    expect(dot(a[0]!, a[1]!)).toBeLessThan(0.999);
  });

  test("queries find their documents after training", async () => {
    const { modelFolder } = await trainEncoder(optionsFor("learned", { steps: 60 }));
    await using model = await open(modelFolder);
    const held = pairs(9, 20);
    const queries = await embed(
      model,
      held.map(({ query }) => query),
    );
    const documents = await embed(
      model,
      held.map(({ document }) => document),
    );
    const found = queries.filter((query, row) => {
      const scores = documents.map((document) => dot(query, document));
      return held[scores.indexOf(Math.max(...scores))]!.document === held[row]!.document;
    });
    expect(found.length).toBeGreaterThan(14);
  });

  test("a run that was broken off ends as one that was not", async () => {
    const controller = new AbortController();
    const options = optionsFor("broken", { steps: 6, checkpointEvery: 100 });
    const run = trainEncoder({
      ...options,
      signal: controller.signal,
      onProgress: ({ step }) => step === 3 && controller.abort(),
    });
    await expect(run).rejects.toThrow(/abort/i);
    const known = await readEncoderRunOptions(options.folder);
    const resumed = await trainEncoder({ ...known, existing: "resume" });
    const whole = await trainEncoder(
      optionsFor("unbroken", { steps: 6, examples: options.examples }),
    );
    expect(digestOf(resumed.modelFolder)).toBe(digestOf(whole.modelFolder));
  });
});

describe("token vectors", () => {
  test("max-sim's loss is that of the exported model's token vectors", async () => {
    const held = pairs(4, 8);
    const { modelFolder, heldOutLoss } = await trainEncoder(
      optionsFor("max-sim", {
        objective: { kind: "token-contrastive", scoring: "max-sim", width: 16 },
        schedule: { kind: "constant", peak: 0 },
        steps: 1,
        heldOut: [writeLines("held-tokens.jsonl", held)],
      }),
    );
    await using model = await open(modelFolder);
    const texts = held.flatMap(({ document, negatives }) => [document, ...negatives]);
    const queries = await embedTokens(
      model,
      held.map(({ query }) => query),
      { role: "query" },
    );
    const documents = await embedTokens(model, texts);
    const rows = ({ vectors, width }: { vectors: Float32Array; width: number }): Float32Array[] =>
      Array.from({ length: vectors.length / width }, (_, at) =>
        vectors.subarray(at * width, (at + 1) * width),
      );
    const scores = queries.map((query) =>
      documents.map((document) => {
        const best = rows(query).map((a) => Math.max(...rows(document).map((b) => dot(a, b))));
        return best.reduce((sum, value) => sum + value, 0) / best.length / 0.05;
      }),
    );
    const targets = held.map((_, row) => 2 * row);
    const expected = contrastByHand(
      scores,
      targets,
      (row, at) => texts[at] === held[row]!.document,
    );
    expect(heldOutLoss).toBeCloseTo(expected, 3);
  });

  test("xtr trains to a folder that late interaction loads", async () => {
    const { modelFolder, loss } = await trainEncoder(
      optionsFor("xtr", {
        objective: { kind: "token-contrastive", width: 16, candidates: 24 },
        steps: 40,
      }),
    );
    expect(loss).toBeLessThan(Math.log(16) - 0.3);
    await using model = await open(modelFolder);
    const [found] = await embedTokens(model, ["the cat sees"], { role: "query" });
    expect(found!.width).toBe(16);
    expect(found!.vectors.length).toBe(16 * found!.ids.length);
  });
});

describe("distillation", () => {
  test("the loss is the cross-entropy between both softmaxes", async () => {
    const lines = pairs(5, 16).map(({ query, document, negatives }, at) => ({
      query,
      documents: [document, ...negatives],
      scores: [1 + (at % 3), 0.5],
    }));
    const { modelFolder, heldOutLoss } = await trainEncoder(
      optionsFor("distilled", {
        objective: { kind: "distillation" },
        examples: [writeLines("scored.jsonl", lines)],
        heldOut: [writeLines("scored-held.jsonl", lines.slice(0, 8))],
        schedule: { kind: "constant", peak: 0 },
        steps: 1,
      }),
    );
    await using model = await open(modelFolder);
    let expected = 0;
    for (const { query, documents, scores } of lines.slice(0, 8)) {
      const [own, ...others] = await embed(model, [query, ...documents]);
      const student = others.map((vector) => dot(own!, vector) / 0.05);
      const total = Math.log(student.reduce((sum, score) => sum + Math.exp(score), 0));
      const powers = scores.map(Math.exp);
      const all = powers.reduce((a, b) => a + b, 0);
      for (const [at, power] of powers.entries())
        expected -= (power / all) * (student[at]! - total);
    }
    expect(heldOutLoss).toBeCloseTo(expected / 8, 4);
  });
});

describe("classes", () => {
  test("a head learns classes of texts", async () => {
    const lines = pairs(6, 64).map(({ query, document }) => ({
      text: document,
      label: query.includes("cat") ? "cat" : "other",
    }));
    const { modelFolder } = await trainEncoder(
      optionsFor("classes", {
        objective: { kind: "classes", labels: ["other", "cat"] },
        examples: [writeLines("classes-lines.jsonl", lines)],
        steps: 60,
        batch: 16,
      }),
    );
    await using model = await open(modelFolder);
    const [cat, none] = await classify(model, [
      "the cat sees a cat and the cat",
      "the sun sees a moon",
    ]);
    expect([cat![0]!.label, none![0]!.label]).toEqual(["cat", "other"]);
  });

  test("a head learns classes of tokens", async () => {
    const lines = pairs(7, 64).map(({ document }) => {
      const start = document.lastIndexOf("the ") + 4;
      return { text: document, spans: [[start, document.length, "LAST"]] };
    });
    const { modelFolder } = await trainEncoder(
      optionsFor("token-classes", {
        objective: { kind: "token-classes", labels: ["O", "LAST"] },
        examples: [writeLines("token-lines.jsonl", lines)],
        steps: 80,
        batch: 16,
        schedule: { kind: "constant", peak: 5e-3 },
      }),
    );
    await using model = await open(modelFolder);
    const [found] = await classifyTokens(model, ["the dog sees a hill and the dog"]);
    expect(found!.map(({ label, text }) => [label, text])).toEqual([["LAST", "dog"]]);
  });

  test("several classes at once, and scores", async () => {
    const lines = pairs(8, 32).map(({ document, query }) => ({
      text: document,
      label: [...new Set(query.split(" "))],
    }));
    const multi = await trainEncoder(
      optionsFor("multi", {
        objective: { kind: "classes", labels: words, problem: "multi-label" },
        examples: [writeLines("multi-lines.jsonl", lines)],
        steps: 3,
      }),
    );
    await using model = await open(multi.modelFolder);
    expect(model.config.problemType).toBe("multi-label");
    const scored = lines.map(({ text }) => ({ text, label: text.length / 40 }));
    const { loss } = await trainEncoder(
      optionsFor("scores", {
        objective: { kind: "classes", labels: ["length"] },
        examples: [writeLines("score-lines.jsonl", scored)],
        steps: 40,
      }),
    );
    expect(loss).toBeLessThan(0.05);
  });
});

describe("masked language modelling", () => {
  test("trains in the run of language models, and fills masks", async () => {
    // With [CLS] and [SEP] a document is a sequence. They differ in two words, so that masks differ too.
    const lines = Array.from({ length: 300 }, (_, at) => ({
      text: `the cat sees a ${words[at % 10]} and the ${words[(3 * at + Math.floor(at / 10)) % 10]}`,
    }));
    const corpus = writeLines("corpus.jsonl", lines);
    const { modelFolder, loss } = await trainLanguageModel({
      folder: join(root, "masked"),
      config,
      tokenizer,
      corpora: [{ files: [corpus] }],
      steps: 60,
      batch: 8,
      sequenceLength: 10,
      threads: 1,
      dtype: "F32",
      schedule: { kind: "constant", peak: 5e-3 },
    });
    // Two of eight tokens cannot be told.
    expect(loss).toBeLessThan((2 / 8) * Math.log(10) + 0.5);
    await using model = await open(modelFolder);
    const [first] = await fillMask(model, "the [MASK] sees a tree and the sun");
    expect(first![0]!.text).toBe("cat");
    // A head that should have a matrix of its own, and has none, is none.
    const apart = join(root, "apart");
    cpSync(modelFolder, apart, { recursive: true });
    const path = join(apart, "config.json");
    const own = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...own, tie_word_embeddings: false }));
    await using other = await open(apart);
    expect([model.heads.includes("masked"), other.heads.includes("masked")]).toEqual([true, false]);
    expect(await codeOf(fillMask(other, "the [MASK] sees"))).toBe("encoder-head-missing");
    // Its weights are the first ones of a retrieval model.
    const { initialWeights, ...options } = optionsFor("from-masked", {
      initialWeights: modelFolder,
    });
    const { config: _, tokenizer: __, ...rest } = options;
    const trained = await trainEncoder({ ...rest, initialWeights: initialWeights! });
    expect(trained.steps).toBe(4);
  });
});

describe("what a caller gets wrong", () => {
  test("ends in an error that names it", async () => {
    const broken = writeLines("broken-line.jsonl", [{ query: "cat" }]);
    const code = (more: Partial<TrainEncoderOptions>) =>
      codeOf(trainEncoder(optionsFor("wrong", more)));
    expect(await code({ examples: [broken] })).toBe("example-invalid");
    expect(await code({ batch: 1000 })).toBe("option-invalid");
    expect(await code({ documentLength: 65 })).toBe("option-invalid");
    expect(await code({ objective: { kind: "contrastive", temperature: 0 } })).toBe(
      "option-invalid",
    );
    expect(await code({ objective: { kind: "classes", labels: [] } })).toBe("option-invalid");
    expect(await code({ objective: { kind: "token-classes", labels: ["A"] } })).toBe(
      "option-invalid",
    );
    expect(await code({ frozen: ["nothing.*"] })).toBe("option-invalid");
    // No run is begun with them.
    const early = (more: Partial<TrainEncoderOptions>) =>
      codeOf(trainEncoder(optionsFor("early", more)));
    expect(await early({ checkpointEvery: 0 })).toBe("option-invalid");
    expect(await early({ evaluateEvery: 0.5 })).toBe("option-invalid");
    expect(await early({ averageDecay: 1 })).toBe("option-invalid");
    expect(await early({ schedule: { kind: "constant", peak: -1 } })).toBe("option-invalid");
    expect(await early({ frozen: ["nothing.*"] })).toBe("option-invalid");
    expect(await early({ heldOut: [join(root, "nowhere.jsonl")] })).toBe("corpus-file-unreadable");
    expect(existsSync(join(root, "early"))).toBe(false);
  });

  test("rows of the table that no token reaches are a warning", async () => {
    const warnings: string[] = [];
    await trainEncoder(
      optionsFor("rows", {
        config: { ...config, vocab_size: 512 } as never,
        steps: 1,
        onWarning: ({ code }) => warnings.push(code),
      }),
    );
    expect(warnings).toEqual(["train-rows-unused"]);
  });
});

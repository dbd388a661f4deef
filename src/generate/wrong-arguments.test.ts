/** What a caller in plain JavaScript may give by mistake ends in a `JetonError` that names it, before anything runs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, generate, loadModel } from "../front.ts";
import { checkTask } from "../model/encoder/tasks/check-task.ts";
import type { LoadedModel } from "../model/index.ts";
import { loadEncoder } from "../model/index.ts";
import { startServer } from "../serve/index.ts";
import { codeOf, errorOf } from "../testing/code-of.ts";
import { completeBytes, openByteDistribution } from "./index.ts";
import { score } from "./score.ts";
import type { Drafter, DraftTree } from "./speculative/drafter.ts";

let model: LoadedModel;
beforeAll(async () => {
  model = await loadModel(undefined, { inline: true, threads: 1, format: "f32" });
});
afterAll(() => model?.close());

const options = { greedy: true, maxTokens: 4 } as const;

/** A call whose types TypeScript would reject. */
// biome-ignore lint/suspicious/noExplicitAny: stands for JavaScript
const wrong = (value: unknown): any => value;

describe("the model", () => {
  test("a promise of one, another kind, a path or nothing", async () => {
    const promise = Promise.resolve(model);
    const { message, code } = await errorOf(complete(wrong(promise), "The emperor", options));
    expect(code).toBe("model-not-loaded");
    expect(message).toBe(
      "the model is a promise, expected a decoder, as loadModel gives it after await",
    );
    for (const value of [undefined, null, "path/to/model", { kind: "encoder", name: "e" }]) {
      expect(await codeOf(() => generate(wrong(value), "The emperor").next())).toBe(
        "model-not-loaded",
      );
      expect(await codeOf(() => complete(wrong(value), "x", { drafter: "auto" }))).toBe(
        "model-not-loaded",
      );
      expect(await codeOf(() => score(wrong(value), "The emperor"))).toBe("model-not-loaded");
      expect(await codeOf(() => startServer(wrong(value), { port: 0 }))).toBe("model-not-loaded");
    }
    const encoder = wrong({ kind: "encoder", run() {} });
    expect(await codeOf(() => checkTask("embed", model, ["a"], {}))).toBe("model-not-loaded");
    expect(await codeOf(() => checkTask("embed", encoder, ["a"], {}))).toBe("accepted");
    expect(await codeOf(() => checkTask("embed", encoder, "a text", {}))).toBe(
      "encoder-text-invalid",
    );
    expect(await codeOf(() => checkTask("embed", encoder, ["a", undefined], {}))).toBe(
      "encoder-text-invalid",
    );
    expect(await codeOf(() => checkTask("classify", encoder, [["a", "b"]], {}))).toBe("accepted");
    expect(await codeOf(() => checkTask("rerank", encoder, [["a", "b"]], {}))).toBe(
      "encoder-text-invalid",
    );
    const { message: near } = await errorOf(() =>
      checkTask("embed", encoder, ["a"], { normalise: true }),
    );
    expect(near).toBe("normalise is no option of embed; did you mean normalize?");
  });
});

describe("options", () => {
  test.each([
    [{ thread: 1 }, "model-option-unknown"],
    [{ threads: 0 }, "model-option-invalid"],
    [{ threads: 999 }, "model-option-invalid"],
    [{ threads: "2" }, "model-option-invalid"],
    [{ format: "int5" }, "model-option-invalid"],
    [{ contextLength: 1.5 }, "model-option-invalid"],
    [null, "model-option-invalid"],
  ])("loadModel with %j", async (given, code) => {
    expect(await codeOf(() => loadModel(undefined, wrong(given)))).toBe(code);
    expect(await codeOf(() => loadEncoder("jeton-embed", wrong(given)))).toBe(code);
  });

  test.each([
    [{ topLogprobs: 2 }, "generate-option-unknown"],
    [{ chunk: 0 }, "generate-option-invalid"],
    [{ chunk: "all" }, "generate-option-invalid"],
    [{ prefix: 5 }, "generate-option-invalid"],
    [null, "generate-option-invalid"],
  ])("score with %j", async (given, code) => {
    expect(await codeOf(() => score(model, "The emperor", wrong(given)))).toBe(code);
  });

  test.each([
    [{ prot: 0 }],
    [{}],
    [undefined],
    [{ port: "0" }],
    [{ port: 0, host: "" }],
    [{ port: 0, drafter: "lookahed" }],
    [{ port: 0, allowedHosts: "example.org" }],
  ])("startServer with %j", async (given) => {
    expect(await codeOf(() => startServer(model, wrong(given)))).toBe("serve-invalid-option");
  });

  test("a server without a host listens to this machine alone", async () => {
    const server = await startServer(model, { port: 0 });
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    await server.close();
  });
});

test("a tokenizer's text, ids and unit of offsets", async () => {
  const { tokenizer } = model;
  for (const value of [5, undefined, null, ["a"]]) {
    expect(await codeOf(() => tokenizer.encode(wrong(value)))).toBe("tokenizer-input-invalid");
    expect(await codeOf(() => tokenizer.encodeIds(wrong(value)))).toBe("tokenizer-input-invalid");
  }
  for (const value of [5, undefined, "1 2"]) {
    expect(await codeOf(() => tokenizer.decode(wrong(value)))).toBe("tokenizer-input-invalid");
  }
  const mistyped = wrong({ addSpecial: true });
  expect(await codeOf(() => tokenizer.encode("a", mistyped))).toBe("tokenizer-input-invalid");
  expect(await codeOf(() => tokenizer.encodeIds("a", mistyped))).toBe("tokenizer-input-invalid");
  expect(await codeOf(() => tokenizer.decode([1], mistyped))).toBe("tokenizer-input-invalid");
  const unit = wrong({ offsetUnit: "bytes" });
  expect(await codeOf(() => tokenizer.encode("a", unit))).toBe("tokenizer-input-invalid");
});

test("options of a generation by bytes", async () => {
  const bytes = await openByteDistribution(model);
  const run = (given: object) => codeOf(() => completeBytes(bytes, "The emp", wrong(given)));
  expect(await run({ maxByte: 3 })).toBe("generate-option-unknown");
  expect(await run({ maxBytes: "3" })).toBe("generate-option-invalid");
  expect(await run({ maxBytes: 3, greedy: true, forced: "er", before: [1] })).toBe("accepted");
  await bytes.close();
});

test.each([[5], [undefined], [{ text: "x" }], [[1, 2, 1e9]], [[{ role: "user" }]]])(
  "score of %j",
  async (text) => {
    expect(await codeOf(() => score(model, wrong(text)))).toBe("generate-prompt-invalid");
  },
);

describe("a drafter of one's own", () => {
  const tree = { ids: [5], parents: [-1] };
  const drafter = (sequence: object, parts: object = {}): Drafter =>
    wrong({
      name: "own",
      candidates: 0,
      begin: () => ({ propose: () => tree, observe() {}, end() {}, ...sequence }),
      close() {},
      ...parts,
    });
  const failure = async (given: Drafter): Promise<string> => {
    const code = await codeOf(() => complete(model, "The emperor", { ...options, drafter: given }));
    expect(model.openSequences).toBe(0);
    return code;
  };

  test("is accepted as the interface has it, also where it promises its proposals", async () => {
    expect(await failure(drafter({}))).toBe("accepted");
    expect(await failure(drafter({ propose: async () => tree }))).toBe("accepted");
  });

  test("without a name, a number of candidates or a function", async () => {
    for (const part of ["name", "candidates", "begin", "close"]) {
      expect(await failure(drafter({}, { [part]: undefined })), part).toBe(
        "generate-option-invalid",
      );
    }
    expect(await failure(drafter({}, { candidates: -1 }))).toBe("generate-option-invalid");
  });

  test("whose begin gives no sequence", async () => {
    for (const part of ["propose", "observe", "end"]) {
      expect(await failure(drafter({ [part]: undefined })), part).toBe("drafter-invalid");
    }
    const { message } = await errorOf(
      complete(model, "The emperor", { ...options, drafter: drafter({}, { begin() {} }) }),
    );
    expect(message).toBe(
      "begin() of the drafter own gives nothing, expected an object with the functions propose, observe, end",
    );
    expect(await failure(drafter({}, { begin: async () => ({}) }))).toBe("drafter-invalid");
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["a list", [5]],
    ["no parents", { ids: [5] }],
    ["texts", { ids: ["a"], parents: [-1] }],
    ["parents counted from 0", { ids: [5, 6], parents: [0, 1] }],
    ["a probability that is no number", { ...tree, acceptanceProbabilities: ["x"] }],
  ])("that proposes %s", async (_, proposal) => {
    const propose = (): DraftTree => wrong(proposal);
    expect(await failure(drafter({ propose }))).toBe("drafter-proposal-invalid");
    expect(await failure(drafter({ propose: async () => propose() }))).toBe(
      "drafter-proposal-invalid",
    );
  });
});

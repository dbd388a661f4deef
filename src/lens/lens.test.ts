/** Lens: one worked example, then what it tells beside what the library computes otherwise. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOutcome, openByteDistribution } from "../generate/index.ts";
import { complete, loadModel, score } from "../index.ts";
import type { LoadedModel } from "../model/index.ts";
import {
  checkLensRequest,
  createLensHost,
  type LensAnswers,
  type LensHost,
  type LensRequest,
  runLens,
} from "./index.ts";
import { entropyOf } from "./lens-host.ts";

let model: LoadedModel;
let host: LensHost;
beforeAll(async () => {
  model = await loadModel(undefined, { inline: true, threads: 1, format: "f32" });
  host = createLensHost({ model, drafters: ["none"], drafter: async () => undefined });
});
afterAll(() => model.close());

async function all<K extends LensRequest["kind"]>(
  request: Extract<LensRequest, { readonly kind: K }>,
): Promise<LensAnswers[K][]> {
  const events: LensAnswers[K][] = [];
  for await (const event of runLens<K>(host, request)) events.push(event);
  return events;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

test("entropy of a row: two equal tokens have ln 2, an excluded one adds nothing", () => {
  expect(entropyOf(Float32Array.of(5, 5, -Infinity))).toBeCloseTo(Math.LN2, 6);
  expect(entropyOf(Float32Array.of(9, 0, 0, 1), 1, 3)).toBeCloseTo(Math.LN2, 6);
  expect(entropyOf(Float32Array.of(1000, -Infinity))).toBe(0);
});

describe("generate", () => {
  const options = { temperature: 0.8, seed: 7 } as const;

  test("gives the text of the library's own generation, seen or not seen", async () => {
    const wanted = await complete(model, "The emperor", { ...options, maxTokens: 10 });
    for (const detail of [{}, { alternatives: 5, entropy: true }]) {
      const request = { kind: "generate", prompt: "The emperor", maxTokens: 10 } as const;
      const events = await all<"generate">({ ...request, sampling: options, ...detail });
      const tokens = events.flatMap((event) => (event.kind === "token" ? [event.token] : []));
      expect(tokens.map(({ id }) => id)).toEqual(wanted.ids);
      expect(tokens.map(({ text }) => text).join("")).toBe(wanted.text);
      expect(events.at(-1)).toMatchObject({ kind: "end", tokens: 10, finishReason: "length" });
      expect(events[0]).toMatchObject({ kind: "text" });
    }
  });

  test("alternatives come in order, and entropy is that of the whole distribution", async () => {
    const request = { kind: "generate", prompt: "The emperor", maxTokens: 3 } as const;
    const events = await all<"generate">({ ...request, alternatives: 4, entropy: true });
    for (const event of events) {
      if (event.kind !== "token") continue;
      const logs = event.token.alternatives!.map(({ logProbability }) => logProbability);
      expect(logs).toHaveLength(4);
      expect([...logs].sort((a, b) => b - a)).toEqual(logs);
      // The four best alone have less entropy than all tokens.
      expect(event.token.entropy!).toBeGreaterThan(-sum(logs.map((log) => Math.exp(log) * log)));
    }
  });

  test("leaving the loop early gives the sequence back", async () => {
    for await (const event of runLens(host, { kind: "generate", prompt: "The", maxTokens: 50 })) {
      if (event.kind === "token") break;
    }
    expect(model.openSequences).toBe(0);
  });
});

test("read: log-probabilities are those of score", async () => {
  const text = "The emperor was a soldier of the old guard, and his army knew it.";
  const [events, scored] = [
    await all({ kind: "read", prompt: text, entropy: true }),
    await score(model, text),
  ];
  const tokens = events.flatMap((event) => event.tokens);
  expect(tokens[0]!.logProbability).toBeUndefined();
  const logs = tokens.slice(1).map(({ logProbability }) => logProbability!);
  expect(logs).toHaveLength(scored.tokens.length);
  for (const [at, log] of logs.entries()) {
    expect(log).toBeCloseTo(scored.tokens[at]!.logProbability, 4);
  }
});

describe("stages", () => {
  test("top-k keeps k, and each step's probabilities are those of the step before, cut and renormalized", async () => {
    const sampling = { temperature: 0.5, topK: 4, topP: 0.9 };
    const [event] = await all<"stages">({ kind: "stages", prompt: "The emperor", sampling });
    const { stages, tokens } = event!;
    expect(stages.map(({ name }) => name)).toEqual(["model", "temperature", "top-k", "top-p"]);
    const [own, cooled, best] = stages;
    expect(best!.kept).toBe(4);
    expect(sum(best!.probabilities)).toBeCloseTo(1, 9);
    const kept = sum(cooled!.probabilities.slice(0, 4));
    for (let at = 0; at < 4; at++) {
      expect(best!.probabilities[at]).toBeCloseTo(cooled!.probabilities[at]! / kept, 9);
    }
    expect(own!.entropy).toBeGreaterThan(cooled!.entropy);
    expect(tokens).toHaveLength(12);
  });

  test("the last step is what greedy decoding takes", async () => {
    const [event] = await all<"stages">({
      kind: "stages",
      prompt: "The emperor",
      sampling: { greedy: true },
    });
    const { ids } = await complete(model, "The emperor", { greedy: true, maxTokens: 1 });
    const last = event!.stages.at(-1)!;
    expect(event!.tokens[last.probabilities.indexOf(1)]!.id).toBe(ids[0]);
  });

  test("the repetition penalty lowers what stands in the text", async () => {
    const prompt = "the emperor and the emperor and the emperor and the";
    const sampling = { repetitionPenalty: 1.5 };
    const [event] = await all<"stages">({ kind: "stages", prompt, sampling });
    const [own, penalized] = event!.stages;
    const at = event!.tokens.findIndex(({ text }) => text === " emperor");
    expect(penalized!.name).toBe("penalties");
    expect(penalized!.probabilities[at]!).toBeLessThan(own!.probabilities[at]!);
  });
});

test("bytes: a prompt that ends inside a word goes on with the word, which its own tokens do not", async () => {
  const text = "The Roman emp";
  const [event] = await all<"bytes">({ kind: "bytes", text, outcomes: 64 });
  const bytes = await openByteDistribution(model);
  await bytes.prefill(new TextEncoder().encode(text));
  const logs = await bytes.logProbabilities();
  await bytes.close();
  for (const { byte, probability } of event!.outcomes) {
    expect(probability).toBeCloseTo(Math.exp(logs[byte < 0 ? endOutcome : byte]!), 9);
  }
  expect(event!.outcomes[0]!.probability).toBe(Math.max(...Array.from(logs, Math.exp)));
  // The coverings' bytes beyond the text have the probabilities of the next byte, until they end with the text.
  const beyond = (letter: string): number =>
    sum(
      event!.coverings.map(({ rest, probability }) => (rest.startsWith(letter) ? probability : 0)),
    );
  const ofByte = (letter: string): number => Math.exp(logs[letter.charCodeAt(0)]!);
  for (const letter of ["e", "i"])
    expect(beyond(letter)).toBeLessThanOrEqual(ofByte(letter) + 1e-6);
  expect(beyond("i")).toBeGreaterThan(beyond("e"));
  expect(model.openSequences).toBe(0);
});

test("requests from outside are checked", () => {
  const request = { kind: "generate", prompt: [1, 2], sampling: { topK: 3 }, drafter: "auto" };
  expect(checkLensRequest(request)).toEqual(request);
  for (const wrong of [
    undefined,
    [],
    { kind: "write" },
    { kind: "generate" },
    { kind: "generate", prompt: [1.5] },
    { kind: "generate", prompt: "x", promptEmbeddings: [1] },
    { kind: "generate", prompt: "x", sampling: { logitsProcessors: [] } },
    { kind: "generate", prompt: "x", drafter: "lookahed" },
    { kind: "generate", prompt: "x", alternatives: 21 },
    { kind: "generate", prompt: "x", contextPolicy: "" },
    { kind: "bytes", text: 3 },
    { kind: "toString" },
    // Names that every object has, and a name as the checker writes it, are no fields either.
    { kind: "describe", constructor: 1 },
    { kind: "generate", prompt: "x", toString: "x" },
    { kind: "tokenize", text: "x", "*text": "y" },
  ]) {
    expect(() => checkLensRequest(wrong)).toThrowCode("lens-request-invalid");
  }
});

test("a lens refuses a misspelt field, which would be ignored, and says what was meant", async () => {
  const request = { kind: "generate", prompt: "x", maxToken: 3 } as unknown as LensRequest;
  const first = runLens(host, request).next();
  await expect(first).rejects.toThrow(/maxToken of a lens request: 3; .*did you mean maxTokens/);
  await expect(runLens(host, request).next()).rejects.toMatchObject({
    code: "lens-request-invalid",
  });
});

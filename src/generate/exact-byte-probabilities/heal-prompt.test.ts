/** Prompts that end inside a token: an example by hand in which healing misses, and the bundled model. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { createTokenizer } from "../../tokenizer/index.ts";
import type { TokenRow, TokenRows } from "../bytes/token-rows.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../sampling/options.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";
import { defaultHealing, type Healing, healings, healPrompt, healPrompts } from "./heal-prompt.ts";
import { tokenBaselines } from "./token-baselines.ts";

const encoder = new TextEncoder();

describe("by hand: the token of the word begins two tokens before the prompt's end", () => {
  // Merges B C and A BC; ids </s> 0, A 1, B 2, C 3, BC 4, ABC 5. The prompt AB is encoded as A, B.
  const tokenizer = createTokenizer({
    added_tokens: [{ id: 0, content: "</s>", special: true }],
    model: {
      type: "BPE",
      vocab: { "</s>": 0, A: 1, B: 2, C: 3, BC: 4, ABC: 5 },
      merges: [
        ["B", "C"],
        ["A", "BC"],
      ],
    },
  });
  const after: Readonly<Record<string, readonly number[]>> = {
    "": [0, 0.3, 0.2, 0.1, 0, 0.4],
    // After A neither B C nor BC was seen: that is the one token ABC.
    "1": [0, 0.3, 0.5, 0.2, 0, 0],
    "1,2": [0.05, 0.9, 0.05, 0, 0, 0],
  };
  const rows: TokenRows = {
    name: "by hand",
    contextLength: 100,
    endIds: [0],
    beginning: [0],
    async evaluate({ base, ids, parents }) {
      const sequences = [[...base]];
      for (const [at, id] of ids.entries()) sequences.push([...sequences[parents[at]! + 1]!, id]);
      return sequences.map(
        (sequence): TokenRow => ({
          logits: Float64Array.from(after[String(sequence.slice(1))]!, Math.log),
          logSumExp: 0,
        }),
      );
    },
    async close() {},
  };

  test("greedy bytes write C, token healing and plain tokens A", async () => {
    expect([...tokenizer.encodeIds("AB")]).toEqual([1, 2]);
    const bytes = createExactBytes(rows, tokenizer);
    await bytes.prefill(encoder.encode("AB"));
    // P(A, B) = .3 x .5 = .15 and P(ABC) = .4: P(AB) = .55, of which .4 goes on with C.
    const exact = (await bytes.logProbabilities()).map(Math.exp);
    expect(exact[67]).toBeCloseTo(0.4 / 0.55, 12);
    expect(exact[65]).toBeCloseTo((0.15 * 0.9) / 0.55, 12);
    const { plain, healed } = await tokenBaselines(rows, tokenizer, "AB");
    // The token before B stays A, after which no token begins with BC.
    expect(Math.exp(healed[65]!)).toBeCloseTo(0.9, 12);
    expect(Math.exp(healed[67]!)).toBe(0);
    expect(Math.exp(plain[65]!)).toBeCloseTo(0.9, 12);
  });
});

describe("jeton-nano", () => {
  let model: LoadedModel;
  beforeAll(async () => {
    const folder = fileURLToPath(new URL("../../../models/jeton-nano", import.meta.url));
    model = await loadModel(folder, { exact: false });
  });
  afterAll(() => model.close());

  const write = async (prompt: string, healing: Healing): Promise<string> => {
    const sampling = resolveSampling(model, { greedy: true });
    const { ids, rest } = await healPrompt(model, prompt, { healing, sampling });
    const begunText = new TextDecoder().decode(rest, { stream: true });
    return (await complete(model, ids, { greedy: true, maxTokens: 3, begunText })).text;
  };

  test("where a word is several tokens, token healing takes back too few", async () => {
    const prompt = "of the barb";
    const tokens = Array.from(model.tokenizer.encodeIds(prompt, { addSpecialTokens: false }));
    // `arb` is taken back, ` b` stays: ` barbar` and ` barbarians` cannot be reached.
    expect(tokens.map((id) => model.tokenizer.decode([id]))).toEqual(["of", " the", " b", "arb"]);
    expect(await write(prompt, "exact")).toMatch(/^ar(ous|ian|y)/);
    expect(await write(prompt, "token")).not.toMatch(/^ar/);
    expect(await write(prompt, "none")).not.toMatch(/^ar/);
  });

  test("a prompt at the end of a word stays as it is; one that ends with a space takes it back", async () => {
    const ends = ["they were sold", "In the mean"];
    for (const prompt of ends)
      expect(await write(prompt, "exact")).toBe(await write(prompt, "none"));
    const sampling = resolveSampling(model, { greedy: true });
    const spaced = await healPrompt(model, "The emperor ", { healing: "exact", sampling });
    expect(model.tokenizer.idToToken(spaced.ids.at(-1)!)).toMatch(/^Ġ\w/);
  });

  test("special tokens that the prompt spells stay tokens", async () => {
    const sampling = resolveSampling(model, { greedy: true });
    const prompt = "<|user|>The Roman emp";
    const plain = [...model.tokenizer.encodeIds(prompt)];
    for (const healing of healings) {
      const { ids } = await healPrompt(model, prompt, { healing, sampling });
      expect(ids.slice(0, 2), healing).toEqual([0, 2]);
      if (healing === "none") expect(ids).toEqual(plain);
      else expect(ids.slice(0, plain.length - 1)).toEqual(plain.slice(0, -1));
    }
    // Nothing behind a special token, and nothing at all.
    for (const text of ["<|user|>", ""]) {
      const { ids, rest } = await healPrompt(model, text, { healing: "exact", sampling });
      expect([[...ids], rest.length]).toEqual([text === "" ? [0] : [0, 2], 0]);
    }
  });

  test("several continuations draw their own coverings, as each would alone", async () => {
    const samplings = Array.from({ length: 12 }, (_, sequence) =>
      resolveSampling(model, { temperature: 1, topP: 1, seed: 5, sequence }),
    );
    const prompt = "The p";
    const { prompts } = await healPrompts(model, prompt, { healing: "exact", samplings });
    const rests = prompts.map(({ rest }) => new TextDecoder().decode(rest));
    expect(new Set(rests).size).toBeGreaterThan(1);
    const [, second] = samplings;
    const alone = await healPrompt(model, prompt, { healing: "exact", sampling: second! });
    expect(alone).toEqual(prompts[1]);
    expect(model.openSequences).toBe(0);
  });

  test("text that the last token holds counts for stop strings and begins the text", async () => {
    const sampling = resolveSampling(model, { greedy: true });
    const { ids, rest } = await healPrompt(model, "The Roman emp", { healing: "exact", sampling });
    const begunText = new TextDecoder().decode(rest);
    const asked = { greedy: true, maxTokens: 4, begunText } as const;
    const whole = await complete(model, ids, asked);
    expect(whole.text.startsWith(begunText)).toBe(true);
    expect(whole.tokens[0]!.text.startsWith(begunText)).toBe(true);
    const early = await complete(model, ids, { ...asked, stop: [begunText.slice(1)] });
    expect(early).toMatchObject({
      text: begunText[0],
      tail: begunText[0],
      ids: [],
      finishReason: "stop",
    });
    // A stop string that begins in the prompt's last token and ends behind it.
    const across = whole.text.slice(begunText.length - 1, begunText.length + 2);
    const stopped = await complete(model, ids, { ...asked, stop: [across] });
    expect(stopped.text).toBe(begunText.slice(0, -1));
  });
});

const record = new URL("../../../reproductions/exact-byte-probabilities.json", import.meta.url);

test.skipIf(!existsSync(record))("the default is what the recorded measurement says", () => {
  const { claims } = JSON.parse(readFileSync(record, "utf8")) as {
    claims: { id: string; verdict: string; details?: { words?: Record<Healing, number> } }[];
  };
  const { verdict, details } = claims.find(({ id }) => id === "default-healing")!;
  const words = details!.words!;
  const best = [...healings].sort((a, b) => words[b] - words[a])[0]!;
  expect(defaultHealing).toBe(verdict === "not reproduced" ? "none" : best);
});

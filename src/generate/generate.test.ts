import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type LoadedModel,
  loadModel,
  type OpenSequence,
  type WeightFormat,
} from "../model/index.ts";
import { complete, generate } from "./generate.ts";
import { createStopText } from "./sampling/stop-text.ts";
import { score } from "./score.ts";
import { createPromptLookupDrafter } from "./speculative/prompt-lookup.ts";
import type { GenerateOptions, Prompt } from "./types.ts";

const data = process.env["JETON_DATA"];
const tiny = data ? join(data, "models/tinystories-260k") : "";
const available = data !== undefined && existsSync(tiny);
if (!available) console.log("generate: skipped, JETON_DATA does not hold models/tinystories-260k");

interface Reference {
  greedy_ids: number[];
  logits_after_bos: number[];
}

const reference = (): Reference =>
  JSON.parse(readFileSync(join(tiny, "reference.json"), "utf8")) as Reference;

/** A model that returns whole rows instead of sampling, or finding a nucleus, in the step. */
function withWholeRows(model: LoadedModel): LoadedModel {
  const openSequence: LoadedModel["openSequence"] = async (options) => {
    const sequence = await model.openSequence(options);
    const step: OpenSequence["step"] = ({ sample, nucleus, ...rest }, stepOptions) =>
      sequence.step({ ...rest, logits: (sample ?? nucleus) !== undefined }, stepOptions);
    return Object.assign(Object.create(sequence) as OpenSequence, { step });
  };
  return Object.assign(Object.create(model) as LoadedModel, { openSequence });
}

/** A model that counts the steps that returned whole rows. */
function countingRows(model: LoadedModel, count: { rows: number; steps: number }): LoadedModel {
  const openSequence: LoadedModel["openSequence"] = async (options) => {
    const sequence = await model.openSequence(options);
    const step: OpenSequence["step"] = async (wanted, stepOptions) => {
      const result = await sequence.step(wanted, stepOptions);
      count.steps++;
      if (result.logits) count.rows++;
      return result;
    };
    return Object.assign(Object.create(sequence) as OpenSequence, { step });
  };
  return Object.assign(Object.create(model) as LoadedModel, { openSequence });
}

describe.skipIf(!available)("generate on tinystories-260k", () => {
  let model: LoadedModel;
  let greedyIds: number[];
  beforeAll(async () => {
    model = await loadModel(tiny, { format: "f32", threads: 1, slots: 8 });
    greedyIds = reference().greedy_ids;
  });
  afterAll(() => model.close());

  const all = { greedy: true, maxTokens: 200, ignoreEos: true } as const;

  test("the empty prompt gives the reference's 200 greedy tokens, and its logits", async () => {
    const result = await complete(model, "", all);
    expect(result.ids).toEqual(greedyIds.slice(1));
    const sequence = await model.openSequence();
    const { logits } = await sequence.step({ ids: [1], logits: true });
    await sequence.release();
    const differences = reference().logits_after_bos.map((logit, id) => logit - logits![id]!);
    expect(Math.max(...differences.map(Math.abs))).toBeLessThan(1e-4);
  });

  test("one prefill, chunks of 7 and single tokens give the same ids", async () => {
    for (const prefillChunk of [200, 7, 1]) {
      const fresh = await loadModel(tiny, { format: "f32", threads: 2, inline: true });
      const result = await complete(fresh, greedyIds.slice(0, 100), {
        ...all,
        maxTokens: 101,
        prefillChunk,
      });
      expect(result.reusedTokens).toBe(0);
      expect(result.ids).toEqual(greedyIds.slice(100));
      await fresh.close();
    }
  });

  test("four concurrent sequences give the same ids as each alone", async () => {
    const results = await Promise.all(
      [1, 20, 50, 100].map((length) =>
        complete(model, greedyIds.slice(0, length), { ...all, maxTokens: 100 }),
      ),
    );
    for (const [index, length] of [1, 20, 50, 100].entries()) {
      expect(results[index]!.ids).toEqual(greedyIds.slice(length, length + 100));
    }
    expect(model.openSequences).toBe(0);
  });

  test("a cached prefix of a prompt is not computed again", async () => {
    await complete(model, greedyIds.slice(0, 60), { ...all, maxTokens: 5 });
    const again = await complete(model, greedyIds.slice(0, 80), { ...all, maxTokens: 20 });
    expect(again.reusedTokens).toBeGreaterThanOrEqual(59);
    expect(again.ids).toEqual(greedyIds.slice(80, 100));
  });

  test("sampling depends on seed and sequence only", async () => {
    const options = { temperature: 0.9, topP: 0.95, maxTokens: 30, seed: 5 } as const;
    const alone = await complete(model, "Once upon a time", options);
    const [beside, other] = await Promise.all([
      complete(model, "Once upon a time", options),
      complete(model, "Once upon a time", { ...options, sequence: 1 }),
      complete(model, "The dog", { ...options, seed: 6 }),
    ]);
    expect(beside.ids).toEqual(alone.ids);
    expect(other.ids).not.toEqual(alone.ids);
    expect((await complete(model, "Once upon a time", { ...options, seed: 9 })).ids).not.toEqual(
      alone.ids,
    );
  });

  test("a token sampled in the step equals that of the whole row, with and without drafts", async () => {
    const drafter = createPromptLookupDrafter();
    for (const [seed, minP] of [0, 0.05].entries()) {
      const options = { temperature: 0.8, minP, maxTokens: 120, seed, ignoreEos: true };
      const wanted = await complete(withWholeRows(model), "Once upon a time", options);
      const autoregressive = await complete(model, "Once upon a time", options);
      const drafted = await complete(model, "Once upon a time", { ...options, drafter });
      expect(autoregressive.ids).toEqual(wanted.ids);
      expect(drafted.ids).toEqual(wanted.ids);
      expect(drafted.drafting!.accepted).toBeGreaterThan(0);
      for (const [index, { logProbability }] of wanted.tokens.entries()) {
        expect(autoregressive.tokens[index]!.logProbability).toBeCloseTo(logProbability, 4);
        expect(drafted.tokens[index]!.logProbability).toBeCloseTo(logProbability, 3);
      }
    }
  });

  test("a nucleus is found among the most probable tokens; whole rows are returned where it is wider", async () => {
    const cases = [
      { options: { temperature: 0.8, topP: 0.9 }, rows: "never" },
      { options: { temperature: 3, topP: 0.9, minP: 0.001 }, rows: "sometimes" },
      { options: { temperature: 20, topP: 0.9 }, rows: "always" },
    ] as const;
    for (const [seed, { options, rows }] of cases.entries()) {
      const sampling = { ...options, maxTokens: 80, seed, ignoreEos: true };
      const whole = { rows: 0, steps: 0 };
      const wanted = await complete(withWholeRows(model), "Once upon a time", sampling);
      const autoregressive = await complete(
        countingRows(model, whole),
        "Once upon a time",
        sampling,
      );
      const drafter = createPromptLookupDrafter();
      const drafted = await complete(model, "Once upon a time", { ...sampling, drafter });
      expect(autoregressive.ids).toEqual(wanted.ids);
      expect(drafted.ids).toEqual(wanted.ids);
      const share = whole.rows / whole.steps;
      expect(share === 0 ? "never" : share === 1 ? "always" : "sometimes").toBe(rows);
    }
  });

  test("concurrent requests with different sampling give the same ids as each alone", async () => {
    const requests = [
      { temperature: 0.7, seed: 1 },
      { greedy: true },
      { temperature: 1.2, minP: 0.02, seed: 2 },
      { temperature: 0.9, topP: 0.9, seed: 3 },
      { temperature: 20, topP: 0.9, seed: 4 },
    ].map((options) => ({ ...options, maxTokens: 30, ignoreEos: true }));
    const ask = (options: GenerateOptions) => complete(model, "The dog", options);
    const together = await Promise.all(requests.map(ask));
    for (const [index, options] of requests.entries()) {
      expect(together[index]!.ids).toEqual((await ask(options)).ids);
    }
  });

  test("pieces and tail join to the text; log-probabilities are those of scoring", async () => {
    const result = await complete(model, "", { ...all, maxTokens: 60, topLogProbabilities: 3 });
    const joined = result.tokens.map((token) => token.text).join("") + result.tail;
    expect(joined).toBe(result.text);
    const scored = await score(model, result.ids, { prefix: [1] });
    for (const [index, token] of result.tokens.entries()) {
      expect(token.logProbability).toBeCloseTo(scored.tokens[index]!.logProbability, 3);
      expect(token.topLogProbabilities![0]!.id).toBe(token.id);
      expect(token.topLogProbabilities).toHaveLength(3);
    }
  });

  test("the text continues the prompt, with its leading space", async () => {
    const whole = await complete(model, "", { ...all, maxTokens: 60 });
    const prompt = [1, ...whole.ids.slice(0, 20)];
    const begun = model.tokenizer.decode(prompt);
    const rest = await complete(model, prompt, { ...all, maxTokens: 40 });
    expect(begun + rest.text).toBe(whole.text);
  });

  test("a stop string ends the text before it and releases the sequence", async () => {
    const whole = await complete(model, "", { ...all, maxTokens: 60 });
    const stop = whole.text.slice(30, 36);
    const cut = await complete(model, "", { ...all, maxTokens: 60, stop: [stop] });
    expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
    expect(cut.finishReason).toBe("stop");
    expect(model.openSequences).toBe(0);
  });

  test("repetition penalty and stop ids change the text", async () => {
    const penalized = await complete(model, "", { ...all, maxTokens: 80, repetitionPenalty: 1.5 });
    expect(penalized.ids).not.toEqual(greedyIds.slice(1, 81));
    const stopId = greedyIds[10]!;
    const stopped = await complete(model, "", { ...all, stopIds: [stopId] });
    expect(stopped.ids).toEqual(greedyIds.slice(1, greedyIds.indexOf(stopId, 1)));
  });

  test("an abort throws the signal's reason and frees the slot", async () => {
    const controller = new AbortController();
    let tokens = 0;
    const run = async () => {
      for await (const _token of generate(model, "", { ...all, signal: controller.signal })) {
        if (++tokens === 5) controller.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(tokens).toBe(5);
    expect(model.openSequences).toBe(0);
    for await (const _token of generate(model, "", all)) break;
    expect(model.openSequences).toBe(0);
  });

  test("more sequences than slots wait for their turn", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, () => complete(model, "", { ...all, maxTokens: 12 })),
    );
    for (const result of results) expect(result.ids).toEqual(greedyIds.slice(1, 13));
    expect(model.openSequences).toBe(0);
  });

  test("wrong options and prompts are rejected with their names", async () => {
    const fails = (prompt: Prompt, options?: GenerateOptions) =>
      expect(complete(model, prompt, options));
    await fails("x", { maxTokens: 600 }).toRejectWithCode("generate-context-exceeded");
    await fails([1, 9999]).toRejectWithCode("generate-prompt-invalid");
    await fails([]).toRejectWithCode("generate-prompt-empty");
    await fails("x", { topP: 2 }).toRejectWithCode("generate-option-invalid");
    await fails("x", { temperature: Number.NaN }).toRejectWithCode("generate-option-invalid");
    await fails("x", { maxTokes: 3 } as object).toRejectWithCode("generate-option-unknown", {
      name: "maxTokes",
      expected: "maxTokens",
    });
    await expect(score(model, "")).toRejectWithCode("score-text-empty");
  });

  test("drafted rows equal a chain: a tree of two branches, one accepted", async () => {
    const sequence = await model.openSequence();
    await sequence.step({ ids: greedyIds.slice(0, 20), results: "none" });
    // Two branches from the cache: a wrong token with a child, and the right continuation.
    const right = greedyIds.slice(20, 23);
    const result = await sequence.step({
      ids: [7, right[0]!, 8, right[1]!, right[2]!],
      parents: [-1, -1, 0, 1, 3],
      results: "all",
      commit: false,
    });
    expect(result.topIds[1]).toBe(greedyIds[21]);
    expect(result.topIds[3]).toBe(greedyIds[22]);
    expect(result.topIds[4]).toBe(greedyIds[23]);
    await sequence.accept([1, 3, 4]);
    expect(sequence.length).toBe(23);
    const rest: number[] = [];
    let next = greedyIds[23]!;
    for (let step = 0; step < 40; step++) {
      rest.push(next);
      next = (await sequence.step({ ids: [next] })).topIds[0]!;
    }
    expect(rest).toEqual(greedyIds.slice(23, 63));
    await sequence.truncate(30);
    const redone = await sequence.step({ ids: greedyIds.slice(30, 40) });
    expect(redone.topIds[0]).toBe(greedyIds[40]);
    await sequence.release();
  });

  test.each<[WeightFormat, number]>([
    ["int8", 30],
    ["int8-channel", 30],
    ["int4", 5],
  ])("%s keeps the first %d greedy tokens and nearly the perplexity", async (format, kept) => {
    const packed = await loadModel(tiny, { format, threads: 1, inline: true });
    const result = await complete(packed, "", { ...all, maxTokens: kept });
    expect(result.ids).toEqual(greedyIds.slice(1, kept + 1));
    const own = await score(packed, greedyIds.slice(1));
    const exact = await score(model, greedyIds.slice(1));
    expect(own.perplexity / exact.perplexity).toBeLessThan(format === "int4" ? 1.2 : 1.02);
    await packed.close();
  });

  test("bits per byte follow from log-probability and bytes", async () => {
    const text = "Lily went to the café.";
    const result = await score(model, text);
    expect(result.bytes).toBe(new TextEncoder().encode(text).length);
    const sum = result.tokens.reduce((total, token) => total + token.logProbability, 0);
    expect(result.bitsPerByte).toBeCloseTo(-sum / Math.LN2 / result.bytes, 10);
    expect(result.perplexity).toBeCloseTo(Math.exp(-sum / result.tokens.length), 6);
  });

  test("a prefix and a text are scored as one text", async () => {
    const sentence = "Once upon a time, there was";
    const whole = await score(model, sentence);
    for (const cut of [4, 9, 16]) {
      const [prefix, text] = [sentence.slice(0, cut), sentence.slice(cut)];
      const part = await score(model, text, { prefix });
      const last = whole.tokens.slice(whole.tokens.length - part.tokens.length);
      expect(part.tokens.map(({ id }) => id)).toEqual(last.map(({ id }) => id));
      const sum = last.reduce((total, token) => total + token.logProbability, 0);
      expect(part.logProbability).toBeCloseTo(sum, 3);
      expect(part.bytes).toBe(text.length);
    }
  });
});

const architectures = data ? join(data, "models/architectures") : "";
describe.skipIf(!available)("architectures of the data folder", () => {
  const names = available ? readdirSync(architectures) : [];
  test.each(names)("%s gives its expected ids and logits", async (name) => {
    const folder = join(architectures, name);
    const { prompts } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as {
      prompts: {
        text: string;
        promptIds: number[];
        greedyIds: number[];
        logitsAfterPrompt: number[];
      }[];
    };
    const model = await loadModel(folder, { format: "f32", threads: 1, inline: true });
    for (const prompt of prompts) {
      expect([...model.tokenizer.encodeIds(prompt.text)]).toEqual(prompt.promptIds);
      const result = await complete(model, prompt.text, {
        greedy: true,
        maxTokens: 40,
        ignoreEos: true,
      });
      expect(result.ids).toEqual(prompt.greedyIds);
      const sequence = await model.openSequence();
      const { logits } = await sequence.step({ ids: prompt.promptIds, logits: true });
      await sequence.release();
      const largest = prompt.logitsAfterPrompt.reduce(
        (most, logit, id) => Math.max(most, Math.abs(logit - logits![id]!)),
        0,
      );
      expect(largest).toBeLessThan(1e-3);
    }
    await model.close();
  });
});

describe("createStopText", () => {
  test("equals a search in the whole text, for any division into pieces", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 8 }),
        fc.array(stop, { maxLength: 3 }),
        (pieces, stops) => {
          const whole = pieces.join("");
          const ends = stops.flatMap((text) => {
            const at = whole.indexOf(text);
            return at < 0 ? [] : [{ at, complete: at + text.length }];
          });
          const filter = createStopText(stops);
          let text = "";
          let stopped = false;
          for (const piece of pieces) {
            const result = filter.push(piece);
            text += result.text;
            stopped = result.stopped;
            if (stopped) break;
          }
          if (!stopped) text += filter.flush();
          expect(stopped).toBe(ends.length > 0);
          if (!stopped) expect(text).toBe(whole);
          // The text ends where a stop string begins, and contains none.
          else {
            expect(ends.some(({ at }) => at <= whole.length)).toBe(true);
            expect(whole.startsWith(text)).toBe(true);
            expect(stops.some((s) => text.includes(s))).toBe(false);
            expect(stops.some((s) => whole.startsWith(s, text.length))).toBe(true);
          }
        },
      ),
    );
  });
});

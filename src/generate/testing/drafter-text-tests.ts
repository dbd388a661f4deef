/** Tests of the text of drafted generations: it equals that of autoregressive decoding. */
import { expect, test } from "vitest";
import { loadModel } from "../../model/index.ts";
import { complete } from "../generate.ts";
import type { GenerateOptions, GenerateResult } from "../types.ts";
import { conformanceGreedy, conformancePrompts, type DrafterUnderTest } from "./drafter-subject.ts";
import { expectConsistent } from "./expect-consistent.ts";
import { testModelFolder } from "./test-model.ts";

const prompts = conformancePrompts;
const greedy = conformanceGreedy;

const samplings: GenerateOptions[] = [
  { temperature: 0.8 },
  { temperature: 1.2, topP: 0.9 },
  { temperature: 0.7, topK: 12 },
  { temperature: 1, topK: 30, topP: 0.8, minP: 0.05 },
  { temperature: 0.9, minP: 0.1, repetitionPenalty: 1.3 },
  { greedy: true, repetitionPenalty: 1.3 },
  { temperature: 0.9, frequencyPenalty: 0.4, presencePenalty: 0.3 },
  { temperature: 0.9, logitBias: { 300: 2, 310: -Infinity }, noRepeatNgramSize: 3 },
  { greedy: true, suppressTokens: [13, 261], badWordsIds: [[300, 301]], minTokens: 30 },
  {
    temperature: 1,
    topP: 0.9,
    logitsProcessors: [
      // Tokens of even and odd ids take turns.
      async ({ ids, logits }) => {
        await Promise.resolve();
        for (let id = ids.length % 2; id < logits.length; id += 2) logits[id] = -Infinity;
      },
    ],
  },
];

/** Declares the tests of equal text. */
export function testDraftedText(under: DrafterUnderTest): void {
  test("greedy text is that of autoregressive decoding, cold and warm, for every size of trees", async () => {
    for (const prompt of prompts) {
      const autoregressive = await complete(under.model, prompt, greedy);
      for (const maxDraft of [1, 2, 7, 40, 40]) {
        const drafted = await complete(under.model, prompt, {
          ...greedy,
          drafter: under.drafter,
          maxDraft,
        });
        expect(drafted.ids).toEqual(autoregressive.ids);
        expect(drafted.text).toBe(autoregressive.text);
        expectConsistent(drafted);
      }
    }
  });

  test.each(samplings)("sampled text under %o", async (sampling) => {
    const { model, drafter } = under;
    const options = { ...sampling, maxTokens: 40, ignoreEos: true, seed: 11 };
    for (const prompt of prompts.slice(0, 2)) {
      const autoregressive = await complete(model, prompt, options);
      const drafted = await complete(model, prompt, { ...options, drafter });
      expectConsistent(drafted);
      expect(drafted.ids).toHaveLength(40);
      // Equal in distribution only: the statistical tests cover it.
      if (under.samples && sampling.greedy !== true) continue;
      expect(drafted.ids).toEqual(autoregressive.ids);
    }
  });

  test("a repeated request on a fresh drafter gives the same text", async () => {
    const options = { temperature: 0.9, maxTokens: 40, ignoreEos: true, seed: 3 };
    const results: GenerateResult[] = [];
    for (let run = 0; run < 2; run++) {
      const fresh = await under.open(under.model);
      results.push(await complete(under.model, prompts[1]!, { ...options, drafter: fresh }));
      await fresh.close();
    }
    expect(results[1]!.ids).toEqual(results[0]!.ids);
  });

  test("log-probabilities are those of autoregressive decoding", async () => {
    const options = { ...greedy, topLogProbabilities: 4 };
    const autoregressive = await complete(under.model, prompts[2]!, options);
    const drafted = await complete(under.model, prompts[2]!, {
      ...options,
      drafter: under.drafter,
    });
    for (const [index, token] of drafted.tokens.entries()) {
      const expected = autoregressive.tokens[index]!;
      expect(token.logProbability).toBeCloseTo(expected.logProbability, 4);
      expect(token.topLogProbabilities).toHaveLength(4);
      for (const [rank, top] of token.topLogProbabilities!.entries()) {
        expect(top.logProbability).toBeCloseTo(
          expected.topLogProbabilities![rank]!.logProbability,
          4,
        );
      }
    }
  });
}

/** Declares the tests of drafted text that ends. */
export function testDraftedEnds(under: DrafterUnderTest): void {
  test("every length limit is exact", async () => {
    const autoregressive = await complete(under.model, prompts[1]!, greedy);
    for (let maxTokens = 0; maxTokens <= 9; maxTokens++) {
      const drafted = await complete(under.model, prompts[1]!, {
        ...greedy,
        maxTokens,
        drafter: under.drafter,
      });
      expect(drafted.ids).toEqual(autoregressive.ids.slice(0, maxTokens));
      expect(drafted.finishReason).toBe("length");
    }
  });

  test("an end token ends the text at every position of a draft", async () => {
    const autoregressive = await complete(under.model, prompts[1]!, greedy);
    for (const at of [0, 1, 2, 5, 9, 20]) {
      const options = { ...greedy, stopIds: [autoregressive.ids[at]!] };
      const drafted = await complete(under.model, prompts[1]!, {
        ...options,
        drafter: under.drafter,
      });
      expect(drafted.ids).toEqual(
        autoregressive.ids.slice(0, autoregressive.ids.indexOf(autoregressive.ids[at]!)),
      );
      expect(drafted.finishReason).toBe("stop");
      expectConsistent(drafted);
    }
  });

  test("a stop string ends the text before it", async () => {
    const autoregressive = await complete(under.model, prompts[1]!, greedy);
    for (const at of [0, 3, 8, 21, 40]) {
      const stop = [autoregressive.text.slice(at, at + 4)];
      const cut = await complete(under.model, prompts[1]!, { ...greedy, stop });
      const drafted = await complete(under.model, prompts[1]!, {
        ...greedy,
        stop,
        drafter: under.drafter,
      });
      expect(drafted.text).toBe(cut.text);
      expect(drafted.ids).toEqual(cut.ids);
      expect(drafted.tokens.map((token) => token.text).join("") + drafted.tail).toBe(cut.text);
    }
  });

  test("the last tokens of the context are reached", async () => {
    const contextLength = 40;
    const short = await loadModel(testModelFolder, { threads: 1, contextLength, inline: true });
    const own = await under.open(short);
    const options = { greedy: true, ignoreEos: true };
    const autoregressive = await complete(short, prompts[1]!, options);
    const drafted = await complete(short, prompts[1]!, { ...options, drafter: own });
    expect(drafted.ids).toEqual(autoregressive.ids);
    expect(drafted.promptTokens + drafted.ids.length).toBe(contextLength);
    await own.close();
    await short.close();
  });
}

/** Declares the test of a quantized format. */
export function testQuantizedText(under: DrafterUnderTest): void {
  test("int4: log-probabilities are bit-identical", async () => {
    const exact = await loadModel(testModelFolder, {
      format: "int4",
      threads: 1,
      inline: true,
    });
    const own = await under.open(exact);
    for (const sampling of [{ greedy: true }, { temperature: 0.9, seed: 8 }]) {
      if (under.samples && !sampling.greedy) continue;
      const options = { ...sampling, maxTokens: 50, ignoreEos: true };
      const autoregressive = await complete(exact, prompts[1]!, options);
      const drafted = await complete(exact, prompts[1]!, { ...options, drafter: own });
      expect(drafted.ids).toEqual(autoregressive.ids);
      expect(drafted.tokens.map((token) => token.logProbability)).toEqual(
        autoregressive.tokens.map((token) => token.logProbability),
      );
    }
    await own.close();
    await exact.close();
  });
}

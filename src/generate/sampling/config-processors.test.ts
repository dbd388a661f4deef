/** Keys of `generation_config.json` without an option of their own, by rows of logits and whole texts. */
import { describe, expect, test } from "vitest";
import { complete } from "../generate.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import { type ConfigModel, configProcessors } from "./config-processors.ts";
import { type LogitsProcessor, processLogits } from "./logits-processors.ts";

const ends: ReadonlySet<number> = new Set([5]);

const modelOf = (generationConfig: object): ConfigModel =>
  ({ checkpoint: { generationConfig } }) as unknown as ConfigModel;

/** Logits 1, -1, 1, -1, … of six tokens after all processors of a config. */
function edited(
  config: object,
  {
    ids,
    promptLength = 2,
    maxTokens = 8,
  }: { ids: number[]; promptLength?: number; maxTokens?: number },
): number[] {
  const found = configProcessors(modelOf(config), { promptLength, maxTokens, ends, vocabSize: 6 });
  const all: LogitsProcessor[] = [...found.first, ...found.afterNgrams, ...found.afterLength];
  const logits = Float32Array.of(1, -1, 1, -1, 1, -1);
  processLogits(all, { ids, promptLength, logits });
  return [...logits];
}

const plain = [1, -1, 1, -1, 1, -1];

describe("keys of the generation config", () => {
  test("sequence_bias: single tokens everywhere, sequences where their beginning ends the text", () => {
    const config = {
      sequence_bias: [
        [[3], 2],
        [[1, 2, 4], -5],
        [[0, 0, 0, 0, 0, 4], 9],
        [[4000], 9],
      ],
    };
    expect(edited(config, { ids: [0, 1, 2] })).toEqual([1, -1, 1, 1, -4, -1]);
    expect(edited(config, { ids: [0, 1] })).toEqual([1, -1, 1, 1, 1, -1]);
  });

  test("encoder_repetition_penalty raises the prompt's tokens, not the text's", () => {
    const config = { encoder_repetition_penalty: 2 };
    expect(edited(config, { ids: [0, 1, 2] })).toEqual([2, -0.5, 1, -1, 1, -1]);
  });

  test("encoder_no_repeat_ngram_size excludes what follows in the prompt, not in the text", () => {
    const config = { encoder_no_repeat_ngram_size: 2 };
    const ids = [1, 2, 3, 4, 3, 1];
    expect(edited(config, { ids, promptLength: 3 })).toEqual([1, -1, -Infinity, -1, 1, -1]);
    expect(edited(config, { ids: [1, 2, 3, 4, 3], promptLength: 3 })).toEqual(plain);
  });

  test("forced_eos_token_id ends the last place, forced_bos_token_id follows a single token", () => {
    const end = { forced_eos_token_id: 5 };
    const only = (id: number) => plain.map((_, at) => (at === id ? 0 : -Infinity));
    expect(edited(end, { ids: [0, 1, 2, 2], maxTokens: 3 })).toEqual(only(5));
    expect(edited(end, { ids: [0, 1, 2], maxTokens: 3 })).toEqual(plain);
    const begin = { forced_bos_token_id: 4 };
    expect(edited(begin, { ids: [0], promptLength: 1 })).toEqual(only(4));
    expect(edited(begin, { ids: [0, 1] })).toEqual(plain);
  });

  test("exponential_decay_length_penalty raises end tokens behind its start", () => {
    const config = { exponential_decay_length_penalty: [1, 1.5] };
    expect(edited(config, { ids: [0, 1, 2] })).toEqual(plain);
    // |-1| * (1.5^2 - 1) is added two tokens behind the start.
    expect(edited(config, { ids: [0, 1, 2, 3, 4] })[5]).toBeCloseTo(-1 + 1.25, 6);
  });

  test("wrong values end in an error that names the key", () => {
    for (const config of [
      { sequence_bias: { "1": 2 } },
      { encoder_repetition_penalty: 0 },
      { encoder_no_repeat_ngram_size: -1 },
      { forced_eos_token_id: "5" },
      { exponential_decay_length_penalty: [1] },
    ]) {
      expect(() => edited(config, { ids: [0, 1] })).toThrow(Object.keys(config)[0]!);
    }
    expect(edited({ sequence_bias: null, forced_bos_token_id: null }, { ids: [0] })).toEqual(plain);
  });

  test("whole texts obey them, with drafts or without", async () => {
    const model = createDistributionModel();
    const generationConfig = {
      sequence_bias: [[[3], 100]],
      forced_eos_token_id: 5,
      typical_p: 0.2,
      max_new_tokens: 6,
    };
    Object.assign(model, { checkpoint: { ...model.checkpoint, generationConfig } });
    const { ids } = await complete(model, [1, 2], { seed: 1 });
    expect(ids).toEqual([3, 3, 3, 3, 3, 5]);
    Object.assign(generationConfig, { typical_p: 2 });
    await expect(complete(model, [1, 2])).toRejectWithCode("generation-config-invalid");
  });
});

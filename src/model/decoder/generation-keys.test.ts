import { expect, test } from "vitest";
import { unobeyedKeys } from "./generation-keys.ts";

const keysOf = (config: Record<string, unknown>): unknown =>
  unobeyedKeys(config as never)?.details["keys"] ?? [];

test("keys of a generation config that would change the text and are not obeyed are named once", () => {
  const error = unobeyedKeys({ num_beams: 4, guidance_scale: 1.5, do_sample: true });
  expect(error?.code).toBe("model-generation-config-unobeyed");
  expect(error?.message).toContain("num_beams (beam search), guidance_scale");
  expect(keysOf({ penalty_alpha: 0.6, top_k: 4 })).toEqual(["penalty_alpha"]);
  expect(keysOf({ dola_layers: "high", max_time: 2, token_healing: true })).toEqual([
    "dola_layers",
    "token_healing",
    "max_time",
  ]);
});

test("values that ask for nothing, and keys that are obeyed, are not named", () => {
  expect(unobeyedKeys(undefined)).toBeUndefined();
  for (const config of [
    { num_beams: 1, num_beam_groups: 1, num_return_sequences: 1, guidance_scale: null },
    { penalty_alpha: 0.6, top_k: 4, do_sample: true },
    { penalty_alpha: 0, force_words_ids: [], token_healing: false, dola_layers: null },
    { typical_p: 0.9, epsilon_cutoff: 0.001, sequence_bias: [[[1], 2]], renormalize_logits: true },
    { use_cache: true, length_penalty: 2, early_stopping: true, pad_token_id: 0 },
  ]) {
    expect(keysOf(config)).toEqual([]);
  }
});

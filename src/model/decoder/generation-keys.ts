/**
 * Keys of `generation_config.json` by which transformers would write another text and which are not obeyed
 * here.
 */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";

type Values = Readonly<Record<string, unknown>>;
type Test = (value: unknown, config: Values) => boolean;

const above =
  (least: number): Test =>
  (value) =>
    typeof value === "number" && value > least;
const isGiven: Test = (value) =>
  value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);

/** When each key changes a text, and what it asks for. */
const unobeyed: Readonly<Record<string, { readonly active: Test; readonly what: string }>> = {
  num_beams: { active: above(1), what: "beam search" },
  num_beam_groups: { active: above(1), what: "beam search" },
  num_return_sequences: { active: above(1), what: "several texts for a prompt" },
  penalty_alpha: {
    active: (value, { top_k: topK, do_sample: samples }) =>
      above(0)(value, {}) && samples !== true && above(1)(topK ?? 50, {}),
    what: "contrastive search",
  },
  guidance_scale: {
    active: (value) => typeof value === "number" && value !== 1,
    what: "classifier-free guidance",
  },
  dola_layers: { active: isGiven, what: "contrasting layers" },
  force_words_ids: { active: isGiven, what: "constrained beam search" },
  constraints: { active: isGiven, what: "constrained beam search" },
  watermarking_config: { active: isGiven, what: "a watermark" },
  token_healing: { active: isGiven, what: "token healing" },
  top_h: { active: (value) => typeof value === "number" && value < 1, what: "top-h sampling" },
  max_time: { active: above(0), what: "a time limit" },
};

/**
 * A warning `model-generation-config-unobeyed` that names all keys that would change the text and are not
 * obeyed; undefined where there are none.
 */
export function unobeyedKeys(
  generationConfig: Checkpoint["generationConfig"],
): JetonError | undefined {
  const config: Values = generationConfig ?? {};
  const found = Object.entries(unobeyed).filter(([key, { active }]) => {
    const value = config[key];
    return value !== undefined && value !== null && active(value, config);
  });
  if (found.length === 0) return undefined;
  const named = found.map(([key, { what }]) => `${key} (${what})`);
  return new JetonError(`generation_config.json: not obeyed: ${named.join(", ")}`, {
    code: "model-generation-config-unobeyed",
    details: { keys: found.map(([key]) => key) },
  });
}

/** Finds the filter layer of a model with needle prompts, which need no labels besides the needles' places. */
import { createRandom } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { type GemFilterOptions, gemFilter } from "./gemfilter.ts";

/** A prompt and where its needle stands. */
export interface CalibrationPrompt {
  readonly ids: readonly number[];
  /** Place of the needle's first token. */
  readonly needle: number;
}

/** Options of `needlePrompts`. */
export interface NeedlePromptsOptions {
  /** Tokens of a prompt, met within a sentence. */
  readonly tokens: number;
  readonly count: number;
  /** Default 0. */
  readonly seed?: number;
}

const fillers = [
  "Rain fell on the hills. ",
  "The river is wide and slow. ",
  "Birds cross the valley at dawn. ",
  "A cart stands by the road. ",
  "Nothing else is to be seen. ",
];

/** Prompts that tell a number of five digits somewhere in their first nine tenths, and ask for it at their end. */
export function needlePrompts(
  tokenizer: Pick<LoadedModel["tokenizer"], "encodeIds">,
  { tokens, count, seed = 0 }: NeedlePromptsOptions,
): CalibrationPrompt[] {
  const encode = (text: string): number[] => [...tokenizer.encodeIds(text, { applyLimits: false })];
  const perSentence = encode(fillers.join("")).length / fillers.length;
  const sentences = Math.max(2, Math.floor((tokens - 40) / perSentence));
  return Array.from({ length: count }, (_, at) => {
    const random = createRandom(seed, "needle prompts", tokens, at);
    const key = String(10_000 + random.integer(90_000));
    const place = 1 + random.integer(Math.max(1, Math.floor(0.9 * sentences)));
    const first = random.integer(fillers.length);
    const text = (from: number, to: number): string =>
      Array.from(
        { length: to - from },
        (_, i) => fillers[(first + from + i) % fillers.length],
      ).join("");
    const before = `${text(0, place)}The pass key is `;
    const after = `${key}. Remember it. ${text(place, sentences)}`;
    const asked = "What is the pass key? The pass key is";
    return { ids: encode(`${before}${after}${asked}`), needle: encode(before.trimEnd()).length };
  });
}

/** What was found of one layer. */
export interface LayerCalibration {
  readonly layer: number;
  /** Tokens from the needle to the nearest chosen token, by prompt. */
  readonly distances: readonly number[];
}

/** Options of `calibrateFilterLayer`. */
export interface CalibrateOptions extends Omit<GemFilterOptions, "layer"> {
  /** Share of the prompts whose needle must be chosen. Default 0.9. */
  readonly reached?: number;
  readonly onProgress?: (layer: number, layers: number) => void;
}

/**
 * Measures every layer and takes the first one that reliably chooses the needle; where none does, the one that
 * does most often.
 *
 * @param prompts of a set of their own, not those that are measured later
 */
export async function calibrateFilterLayer(
  model: LoadedModel,
  prompts: readonly CalibrationPrompt[],
  { reached = 0.9, onProgress, ...options }: CalibrateOptions = {},
): Promise<{ readonly layer: number; readonly curve: readonly LayerCalibration[] }> {
  const curve: LayerCalibration[] = [];
  for (const layer of model.config.layers.keys()) {
    onProgress?.(layer, model.config.layers.length);
    const policy = gemFilter({ ...options, layer });
    const view = model.withContextPolicy!(policy);
    const distances: number[] = [];
    for (const { ids, needle } of prompts) {
      const chosen = await policy.choosePrompt!(view, ids);
      distances.push(Math.min(...chosen.map((place) => Math.abs(place - needle))));
    }
    curve.push({ layer, distances });
  }
  const hits = ({ distances }: LayerCalibration): number =>
    distances.filter((distance) => distance === 0).length / distances.length;
  const first = curve.find((found) => hits(found) >= reached);
  const best = curve.reduce((a, b) => (hits(b) > hits(a) ? b : a));
  return { layer: (first ?? best).layer, curve };
}

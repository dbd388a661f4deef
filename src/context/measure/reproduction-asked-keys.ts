/** Questions for `trainSmall`'s models: held-out prose of many windows that tells a number once. */
import { createRandom } from "../../core/index.ts";
import type { PasskeyPrompt } from "../policies/reproduction-recall.ts";
import { sampleKey, type Texts, tellKey, window } from "./reproduction-small-models.ts";

/** Which questions are asked. */
export interface AskedKeysOptions {
  readonly seed: number;
  /** Length of a prompt. */
  readonly tokens: number;
  readonly count: number;
  /**
   * Where the number stands among the free tokens of a prompt: a share from 0 to 1 for its place in the list and a uniform
   * number. Default: uniform before the last two windows.
   */
  readonly depth?: (at: number, uniform: number) => number;
}

/** Held-out prose that tells a number, before its last window where it has several, and asks for it at its end. */
export function askedKeys(
  { tokenizer, heldOut }: Texts,
  { seed, tokens, count, depth: chooseDepth }: AskedKeysOptions,
): PasskeyPrompt[] {
  return Array.from({ length: count }, (_, at) => {
    const random = createRandom(seed, "question", tokens, at);
    const answer = sampleKey(random);
    const { told, asked } = tellKey(tokenizer, answer);
    const free = tokens - told.length - asked.length;
    const start = random.integer(heldOut.length - free);
    const prose = heldOut.subarray(start, start + free);
    const depth = chooseDepth
      ? Math.floor(free * chooseDepth(at, random.uniform()))
      : random.integer(free > 2 * window ? free - 2 * window : free);
    const ids = [1, ...prose.subarray(0, depth), ...told, ...prose.subarray(depth), ...asked];
    // The number begins where the words that ask for it end.
    return { ids, answer, distance: ids.length - (1 + depth + asked.length) };
  });
}

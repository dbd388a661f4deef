/** Character noise: how a text looks after typing errors, to measure what they cost a model. */
import { createRandom } from "../../core/index.ts";

/** Kinds of noise, in the order in which tables list them. */
export const noiseKinds = ["permute", "replace", "delete", "caps"] as const;

/** Kind of noise; `caps` writes all letters large. */
export type NoiseKind = (typeof noiseKinds)[number];

/** Options of `perturbText`. */
export interface PerturbTextOptions {
  kind: NoiseKind;
  /** Share of the letters that change. Default 0.1; without effect on `caps`. */
  rate?: number;
  /** Default 0. */
  seed?: number;
}

/**
 * Changes letters of each word, drawn anew for each: exchanges one with the next (`permute`), puts another
 * letter of the text in its place (`replace`), or leaves it out (`delete`). White space and punctuation stay.
 *
 * @example
 * perturbText("The cat", { kind: "caps" }); // "THE CAT"
 */
export function perturbText(text: string, options: PerturbTextOptions): string {
  const { kind, rate = 0.1, seed = 0 } = options;
  if (kind === "caps") return text.toUpperCase();
  const random = createRandom(seed, "noise", kind);
  const characters = [...text];
  const isLetter = characters.map((one) => /\p{L}/u.test(one));
  const letters = characters.filter((_, at) => isLetter[at]);
  const changed: string[] = [];
  for (let at = 0; at < characters.length; at++) {
    const one = characters[at]!;
    if (!isLetter[at] || random.uniform() >= rate) changed.push(one);
    else if (kind === "replace") changed.push(letters[random.integer(letters.length)]!);
    else if (kind === "permute" && isLetter[at + 1]) {
      changed.push(characters[at + 1]!, one);
      at++;
    } else if (kind === "permute") changed.push(one);
  }
  return changed.join("");
}

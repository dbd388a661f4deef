/** Character n-grams of texts, and how alike two texts are by them. */
import { JetonError } from "../core/index.ts";
import { checkOptionNames, describeValue } from "../core/option-rules.ts";

/** Options of `characterNgrams`. */
export interface CharacterNgramOptions {
  /** Code points of an n-gram, at most 1,000. Default 3. */
  n?: number;
  /** Puts n - 1 of these before and after the text, so that its edges count. Default none. */
  pad?: string;
}

/**
 * The n-grams of a text as it is (nothing is normalized) with how often each occurs, in the order of their first occurrence. A text
 * shorter than n (with its padding) is one n-gram by itself; an empty one has none.
 *
 * @throws JetonError `ngram-option-invalid` for an `n` that is no whole number from 1 to 1,000, a `pad` of more
 *   than one character, an unknown option, or no text
 *
 * @example
 * characterNgrams("anna", { n: 2 }); // Map { "an" => 1, "nn" => 1, "na" => 1 }
 */
export function characterNgrams(
  text: string,
  options: CharacterNgramOptions = {},
): Map<string, number> {
  if (typeof text !== "string") throw invalid("text", text, "a text");
  checkOptionNames(options, ["n", "pad"], { what: "n-grams", invalidCode: "ngram-option-invalid" });
  const { n = 3, pad = "" } = options;
  if (!(Number.isInteger(n) && n > 0 && n <= 1000)) {
    throw invalid("n", n, "a whole number from 1 to 1,000");
  }
  if (typeof pad !== "string" || [...pad].length > 1)
    throw invalid("pad", pad, "one character or none");
  const counts = new Map<string, number>();
  if (text === "") return counts;
  const edge = pad.repeat(n - 1);
  const characters = [...`${edge}${text}${edge}`];
  for (let at = 0; at === 0 || at + n <= characters.length; at++) {
    const gram = characters.slice(at, at + n).join("");
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`n-gram option ${option}: ${String(found)}; expected ${expected}`, {
    code: "ngram-option-invalid",
    details: { option, found, expected },
  });
}

/**
 * How alike two bags are, 0 to 1; 1 for two empty ones (without an element, or all of them 0 times). `jaccard`: common over all; `dice`: twice the
 * common over the sum of both; both count occurrences. `cosine`: of the vectors of counts.
 *
 * @throws JetonError `ngram-option-invalid` for another measure, `bag-invalid` for what is no bag
 */
export function compareBags(
  a: ReadonlyMap<string, number>,
  b: ReadonlyMap<string, number>,
  measure: "jaccard" | "dice" | "cosine" = "jaccard",
): number {
  if (!["jaccard", "dice", "cosine"].includes(measure)) {
    throw invalid("measure", measure, "jaccard, dice or cosine");
  }
  checkBag(a);
  checkBag(b);
  let [common, product, sumA, sumB, squareA, squareB] = [0, 0, 0, 0, 0, 0];
  for (const [key, count] of a) {
    const other = b.get(key) ?? 0;
    common += Math.min(count, other);
    product += count * other;
    sumA += count;
    squareA += count * count;
  }
  for (const count of b.values()) {
    sumB += count;
    squareB += count * count;
  }
  if (sumA === 0 && sumB === 0) return 1;
  switch (measure) {
    case "jaccard":
      return common / (sumA + sumB - common);
    case "dice":
      return (2 * common) / (sumA + sumB);
    case "cosine":
      return product === 0 ? 0 : product / Math.sqrt(squareA * squareB);
  }
}

function checkBag(bag: ReadonlyMap<string, number>): void {
  const counts =
    bag instanceof Map ? [...(bag as Map<string, number>)] : [["bag", describeValue(bag)]];
  const wrong = counts.find(([, count]) => !(Number.isFinite(count) && (count as number) >= 0));
  if (wrong === undefined) return;
  const expected = "a Map with a finite number from 0 for each element";
  throw new JetonError(`a bag: ${describeValue(wrong)}; expected ${expected}`, {
    code: "bag-invalid",
    details: { found: wrong, expected },
  });
}

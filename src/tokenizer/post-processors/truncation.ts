/** Truncation of texts to the length that a tokenizer file sets. */
import { JetonError } from "../../core/error.ts";
import type { Truncation } from "../formats/tokenizer-json.ts";
import type { TemplatePiece } from "./post-processors.ts";
import { cutRaw, type Raw } from "./template.ts";

/** Cuts the texts so that they and the template's special tokens fit the file's maximum. */
export function truncateTexts(
  raws: Record<"A" | "B", Raw>,
  template: readonly TemplatePiece[],
  truncation: Truncation,
  isPair: boolean,
): void {
  const added = template.reduce(
    (sum, piece) => sum + (piece.kind === "special" ? piece.ids.length : 0),
    0,
  );
  const capacity = Math.max(0, truncation.maxLength - added);
  const first = raws.A.ids.length;
  const second = raws.B.ids.length;
  if (first + second <= capacity) return;
  let [keepFirst, keepSecond] = [first, second];
  if (truncation.strategy === "OnlyFirst") {
    keepFirst = capacity - second;
  } else if (truncation.strategy === "OnlySecond") {
    keepSecond = capacity - first;
  } else if (isPair) {
    // The longer text gives way first; when both are too long they share the capacity.
    const shorter = Math.min(first, second);
    const longer = shorter > capacity ? shorter : Math.max(shorter, capacity - shorter);
    const half = Math.floor(capacity / 2);
    const [a, b] = shorter + longer > capacity ? [half, half + (capacity % 2)] : [shorter, longer];
    [keepFirst, keepSecond] = first > second ? [b, a] : [a, b];
  } else {
    keepFirst = capacity;
  }
  if (keepFirst < 0 || keepSecond < 0) {
    throw new JetonError(
      `the text that may be truncated is too short: ${first} and ${second} tokens must fit ${capacity}`,
      { code: "tokenizer-truncation-impossible", details: { first, second, capacity } },
    );
  }
  raws.A = cutRaw(raws.A, keepFirst, truncation.direction);
  raws.B = cutRaw(raws.B, keepSecond, truncation.direction);
}

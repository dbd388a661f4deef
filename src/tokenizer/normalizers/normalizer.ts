/**
 * What a normalizer is.
 */
import type { AlignedText } from "./aligned-text.ts";

/** One step of normalization. Both functions give the same text. */
export interface Normalizer {
  normalize(text: string): string;
  align(aligned: AlignedText): AlignedText;
}

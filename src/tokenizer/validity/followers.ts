/** What is remembered of tokens that follow the end of a text. */
import type { WordPlace } from "./whole-words.ts";

/** What may happen where a token of a shape follows an end. */
export const continuesWord = 1;
export const beginsNewWord = 2;
/** The same, if some further token can follow that. */
export const continuesOpen = 4;
export const beginsOpen = 8;
/** Set where the others are known. */
export const isKnown = 16;

/** A token after an end. */
export interface NextToken {
  readonly id: number;
  /** Whether no merge joins it to the token before. */
  readonly isApart: boolean;
  /** The end's last word before it. */
  readonly word: WordPlace;
}

/** What may follow an end, by the shape of the token. */
export interface Followers {
  readonly end: string;
  readonly isFirst: boolean;
  /** `[shapes]`, filled as they are asked for. */
  readonly flags: Uint8Array;
}

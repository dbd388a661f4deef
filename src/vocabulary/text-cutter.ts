/** How the texts of a hypernetwork's training are cut: each step has a vocabulary of its own. */
import type { Random } from "../core/index.ts";

/** Texts of one step, cut into tokens. */
export interface CutTexts {
  /** Byte forms of the step's vocabulary, whose rows are predicted. */
  readonly forms: readonly string[];
  /** One for each text. */
  readonly rows: readonly CutText[];
}

/** A text as places in `CutTexts.forms`, then ids of the source, which keep their rows. */
export interface CutText {
  readonly predicted: readonly number[];
  /** Default: none. Read only where the cutter `continues`. */
  readonly known?: readonly number[];
}

/** Cuts the texts of each step, in the order of the steps. */
export interface TextCutter {
  /** Texts may end in tokens of the source. Default false. */
  readonly continues?: boolean;
  /** Texts that are seen before those of the first step, less one step's. Default 0. */
  readonly earlier?: number;
  /** Takes a text that a step will cut, or an earlier one. */
  see?(text: string): void;
  cut(texts: readonly string[], random: Random): CutTexts;
}

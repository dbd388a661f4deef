/**
 * Where a pre-tokenizer may cut a text that is not at its end yet.
 *
 * What follows may move the last boundaries (GPT-2's pattern leaves the last white space to the next
 * word). So a text's end is tried with continuations of every class of characters.
 */
import type { PreTokenizerStep } from "../pre-tokenizers/pre-tokenizers.ts";
import {
  boundary,
  completions,
  readShape,
  type ShapeParts,
  type ShapeRules,
  settleShape,
} from "./text-shapes.ts";

/** What is known of a text's end with its chosen boundaries. */
export interface EndFacts {
  /** Whether some continuation makes the pre-tokenizer cut so. */
  readonly isPossible: boolean;
  /** Whether the text may be followed by a boundary, or its end. */
  readonly endsWord: boolean;
  /** Whether the text is cut so where it ends here. */
  readonly isWhole: boolean;
  /** The end from its last boundary on that no continuation moves. */
  readonly end: string;
  /** How many of its boundaries lie before that, that one included. */
  readonly dropped: number;
}

/** Continuations that patterns may look ahead to. */
const probes: readonly string[] = [
  ..."aA1 \n\t.'/中\u0301\u00a0",
  ..."strmld",
  "",
  " a",
  " A",
  " 1",
  " .",
  "  ",
  " \n",
  "11",
  "111",
  "1a",
  "11a",
  "111a",
  "ve",
  "re",
  "ll",
  "'s",
  "\r\n",
];

/** Stands where an incomplete character begins: no shape holds it. */
const openMark = "\ude00";

/** What trying continuations says of an end. */
type Tried = Pick<EndFacts, "isPossible" | "endsWord" | "isWhole"> & {
  /** How many boundaries no continuation moves. */
  readonly certain: number;
};

const impossible: EndFacts = {
  isPossible: false,
  endsWord: false,
  isWhole: false,
  end: "",
  dropped: 0,
};

/** The cuts of one pre-tokenizer. */
export class WordCuts {
  readonly #steps: readonly PreTokenizerStep[];
  readonly #rules: ShapeRules;
  readonly #space: string;
  readonly #facts = new Map<string, EndFacts>();
  readonly #tried = new Map<string, Tried>();
  #units: Uint16Array = new Uint16Array(256);

  /**
   * @param steps splits; words are what they leave whole
   * @param space how a space is written where the steps see it
   */
  constructor(steps: readonly PreTokenizerStep[], rules: ShapeRules, space: string) {
    this.#steps = steps.filter(({ kind }) => kind === "split");
    this.#rules = rules;
    this.#space = space;
  }

  /** False where texts are not cut into words. */
  get cuts(): boolean {
    return this.#steps.length > 0;
  }

  /** Facts about a text's end, given as a shape. */
  facts(shape: string): EndFacts {
    let facts = this.#facts.get(shape);
    if (facts === undefined) {
      if (this.#facts.size > 200_000) this.#facts.clear();
      facts = this.#probe(shape);
      this.#facts.set(shape, facts);
    }
    return facts;
  }

  #probe(shape: string): EndFacts {
    const parts = readShape(shape);
    const { cuts, pending } = parts;
    const whole = shape.slice(0, shape.length - pending.length);
    let [isPossible, endsWord, isWhole, certain] = [false, false, false, cuts.length];
    // What an incomplete character is tried as decides, not its bytes.
    for (const completion of completions(pending, this.#rules)) {
      const key = pending.length > 0 ? `${whole}${openMark}${completion}` : whole;
      let tried = this.#tried.get(key);
      if (tried === undefined) {
        if (this.#tried.size > 200_000) this.#tried.clear();
        tried = this.#tryContinuations(parts, completion);
        this.#tried.set(key, tried);
      }
      isPossible ||= tried.isPossible;
      endsWord ||= tried.endsWord;
      isWhole ||= tried.isWhole;
      certain = Math.min(certain, tried.certain);
    }
    if (!isPossible) return impossible;
    const end = settleShape(afterCuts(shape, certain), this.#rules);
    return { isPossible, endsWord, isWhole, end, dropped: certain };
  }

  #tryContinuations({ text, cuts, pending }: ShapeParts, completion: string): Tried {
    // Before an incomplete character there may be a boundary, too.
    const limit = pending.length > 0 ? text.length : text.length - 1;
    let [isPossible, endsWord, isWhole, certain] = [false, false, false, cuts.length];
    for (const probe of probes) {
      const found = this.split(text + completion + probe);
      const inside = found.filter((cut) => cut <= limit);
      let shared = 0;
      while (shared < certain && inside[shared] === cuts[shared]) shared++;
      certain = shared;
      if (inside.length !== cuts.length || !inside.every((cut, i) => cut === cuts[i])) continue;
      isPossible = true;
      endsWord ||= pending.length > 0 || probe === "" || found.includes(text.length);
      isWhole ||= probe === "" && (pending.length === 0 || this.#rules.text === "bytes");
    }
    return { isPossible, endsWord, isWhole, certain };
  }

  /** Boundaries between the words of a text, ascending; not its beginning and end. */
  split(text: string): number[] {
    const spaced = this.#space === " " ? text : text.replaceAll(" ", this.#space);
    const cuts: number[] = [];
    this.#splitPiece(spaced, 0, 0, cuts);
    return cuts;
  }

  #splitPiece(piece: string, offset: number, number: number, cuts: number[]): void {
    const step = this.#steps[number];
    if (step?.kind !== "split") {
      if (offset > 0) cuts.push(offset);
      return;
    }
    if (step.scan !== undefined && step.dropsSpaces !== true) {
      const units = this.#read(piece);
      for (let start = 0; start < piece.length; ) {
        const end = step.scan(units, start, piece.length);
        if (number + 1 === this.#steps.length) {
          if (offset + start > 0) cuts.push(offset + start);
        } else {
          this.#splitPiece(piece.slice(start, end), offset + start, number + 1, cuts);
          this.#read(piece);
        }
        start = end;
      }
      return;
    }
    step.split(piece, (start, end) =>
      this.#splitPiece(piece.slice(start, end), offset + start, number + 1, cuts),
    );
  }

  #read(piece: string): Uint16Array {
    if (piece.length > this.#units.length) this.#units = new Uint16Array(piece.length * 2);
    for (let at = 0; at < piece.length; at++) this.#units[at] = piece.charCodeAt(at);
    return this.#units;
  }
}

/** A shape from its `count`-th boundary on. */
function afterCuts(shape: string, count: number): string {
  let from = 0;
  for (let cut = 0; cut < count; cut++) from = shape.indexOf(boundary, from) + 1;
  return shape.slice(from);
}

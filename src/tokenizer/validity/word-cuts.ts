/**
 * Where a pre-tokenizer may cut a text that is not at its end yet.
 *
 * What follows may move the last boundaries (GPT-2's pattern leaves the last white space to the next
 * word). So a text's end is tried with continuations of every class of characters.
 */
import type { PreTokenizerStep } from "../pre-tokenizers/pre-tokenizers.ts";
import { seesCases } from "../pre-tokenizers/scanners.ts";
import {
  boundary,
  completions,
  readShape,
  type ShapeParts,
  type ShapeRules,
  settleShape,
} from "./text-shapes.ts";

/** A way to cut a sequence into words. */
export interface Way {
  readonly end: string;
  /** Number of the token at which the end begins. */
  readonly start: number;
  /** Numbers of the tokens after its boundaries. */
  readonly cuts: readonly number[];
}

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
  "",
  ..."aA1 \n\t.'/中\u0301\u00a0",
  // Letters of contractions: those that follow the apostrophe, and that of 're and 've behind r and v.
  ..."strmlde",
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

/**
 * Those that known patterns tell apart behind an end whose last characters are no white space, digits or apostrophes: one
 * character of each class. The one that most ends bear comes first.
 */
const plainProbes: readonly string[] = ["", ..."aA1 \n.'/中\u0301"];

/** Whether an end leaves more than the next character open. */
const isOpenEnd = /['\s\p{N}].{0,2}$/su;

/** Stands where an incomplete character begins: no shape holds it. */
const openMark = "\ude00";

/** What the first continuations say of an end. */
export type Judged = Pick<EndFacts, "isPossible" | "endsWord">;

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

/** How far characters may stand for each other before these splits. */
export function reductionOf(splits: readonly PreTokenizerStep[]): ShapeRules["reduces"] {
  const scans = splits.map((step) => (step.kind === "split" ? step.scan : undefined));
  if (scans.includes(undefined)) return "nothing";
  return scans.some((scan) => seesCases(scan!)) ? "classes" : "letters";
}

/** The cuts of one pre-tokenizer. */
export class WordCuts {
  readonly #steps: readonly PreTokenizerStep[];
  readonly #rules: ShapeRules;
  readonly #space: string;
  readonly #facts = new Map<string, EndFacts>();
  readonly #judged = new Map<string, Judged>();
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

  /** Two of the facts, from as few continuations as tell them. */
  judge(shape: string): Judged {
    const known = this.#facts.get(shape) ?? this.#judged.get(shape);
    if (known !== undefined) return known;
    if (this.#judged.size > 200_000) this.#judged.clear();
    const judged = this.#tryUntilTold(readShape(shape));
    this.#judged.set(shape, judged);
    return judged;
  }

  #tryUntilTold(parts: ShapeParts): Judged {
    let isPossible = false;
    for (const completion of completions(parts.pending, this.#rules)) {
      for (const probe of this.#probesAfter(parts.text + completion)) {
        const { isSame, endsWord } = this.#tryContinuation(parts, completion, probe);
        if (isSame && endsWord) return { isPossible: true, endsWord };
        isPossible ||= isSame;
      }
    }
    return { isPossible, endsWord: false };
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

  #tryContinuations(parts: ShapeParts, completion: string): Tried {
    const { cuts, pending } = parts;
    let [isPossible, endsWord, isWhole, certain] = [false, false, false, cuts.length];
    for (const probe of this.#probesAfter(parts.text + completion)) {
      const tried = this.#tryContinuation(parts, completion, probe);
      certain = Math.min(certain, tried.shared);
      if (!tried.isSame) continue;
      isPossible = true;
      endsWord ||= tried.endsWord;
      isWhole ||= probe === "" && (pending.length === 0 || this.#rules.text === "bytes");
    }
    return { isPossible, endsWord, isWhole, certain };
  }

  #probesAfter(text: string): readonly string[] {
    return this.#rules.reduces !== "nothing" && !isOpenEnd.test(text) ? plainProbes : probes;
  }

  /** Whether a text is cut as said before a continuation, how many of its cuts are those, and whether another follows it. */
  #tryContinuation(
    { text, cuts, pending }: ShapeParts,
    completion: string,
    probe: string,
  ): { readonly isSame: boolean; readonly shared: number; readonly endsWord: boolean } {
    const found = this.split(text + completion + probe);
    // Before an incomplete character there may be a boundary, too.
    const limit = pending.length > 0 ? text.length : text.length - 1;
    let inside = 0;
    while (inside < found.length && found[inside]! <= limit) inside++;
    let shared = 0;
    while (shared < cuts.length && shared < inside && found[shared] === cuts[shared]) shared++;
    const endsWord = pending.length > 0 || probe === "" || found[inside] === text.length;
    return { isSame: shared === cuts.length && inside === shared, shared, endsWord };
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

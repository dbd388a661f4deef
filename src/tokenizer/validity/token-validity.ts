/**
 * Which token sequences are beginnings of encodings, step by step.
 *
 * A sequence is *valid* when some text has an encoding that begins with it. For byte-pair encoding that
 * is decided by neighbours: inside a word no merge may cross a boundary of tokens, and between words the
 * pre-tokenizer must be able to cut, given some continuation of the text.
 */
import type { Tokenizer } from "../tokenizer-interface.ts";
import { type ByteTokens, readByteTokens } from "./byte-tokens.ts";
import { PairValidity } from "./pair-validity.ts";
import {
  boundary,
  byteShape,
  closeShape,
  joinShapes,
  readShape,
  type ShapeRules,
  shapeOfBytes,
} from "./text-shapes.ts";
import { WordCuts } from "./word-cuts.ts";

/** A valid sequence, as far as it decides what may follow. Equal states are one object. */
export interface ValidState {
  /** Last token; -1 before the first one. */
  readonly last: number;
  /** Ways to cut the text's end into words, as shapes; all begin at a boundary that is certain. */
  readonly ends: readonly string[];
}

/** Options of `createTokenValidity`. */
export interface TokenValidityOptions {
  /**
   * What counts as text: legal UTF-8 (default), which is all that a tokenizer encodes, or any bytes.
   */
  text?: "utf8" | "bytes";
}

/** Answers for one tokenizer. Answers are remembered, up to a limit of memory. */
export interface TokenValidity {
  readonly tokens: ByteTokens;
  /** Bytes of each token that some encoding contains, by id. */
  readonly bytesById: readonly (Uint8Array | undefined)[];
  /** The state before the first token of a text. */
  readonly start: ValidState;
  /** `[size]`: 1 for each token that may follow. The array is shared. */
  mask(state: ValidState): Uint8Array;
  /** The state after a token; undefined where it may not follow. */
  after(state: ValidState, id: number): ValidState | undefined;
  /** Whether a text may end here with this encoding. */
  isWhole(state: ValidState): boolean;
  /**
   * Number of the token of an encoding that begins after the last boundary between words that no
   * continuation of the text moves; 0 where there is none. Undefined for a sequence that is not valid.
   */
  certainStart(ids: ArrayLike<number>): number | undefined;
}

/**
 * Reads which token sequences a tokenizer's encodings begin with.
 *
 * @throws JetonError `byte-tokens-unsupported`
 */
export function createTokenValidity(
  tokenizer: Tokenizer,
  options: TokenValidityOptions = {},
): TokenValidity {
  return new Validity(readByteTokens(tokenizer), options.text ?? "utf8");
}

/** A way to cut a sequence into words. */
interface Way {
  readonly end: string;
  /** Number of the token at which the end begins. */
  readonly start: number;
  /** Numbers of the tokens after its boundaries. */
  readonly cuts: readonly number[];
}

/** Bytes that remembered masks may take. */
const maxMaskBytes = 64_000_000;

/** What may happen where a token of a shape follows an end. */
const continuesWord = 1;
const beginsNewWord = 2;
/** The same, if some further token can follow that. */
const continuesOpen = 4;
const beginsOpen = 8;

class Validity implements TokenValidity {
  readonly tokens: ByteTokens;
  readonly bytesById: readonly (Uint8Array | undefined)[];
  readonly start: ValidState;
  readonly #rules: ShapeRules;
  readonly #pairs: PairValidity;
  readonly #cuts: WordCuts;
  /** Shapes of tokens, and which one each token has; -1 for tokens that no encoding contains. */
  readonly #shapes: string[] = [];
  readonly #shapeOf: Int32Array;
  readonly #flags = new Map<string, Uint8Array>();
  readonly #states = new Map<string, ValidState>();
  readonly #masks = new Map<ValidState, Uint8Array>();
  readonly #open = new Map<string, boolean>();

  constructor(tokens: ByteTokens, text: "utf8" | "bytes") {
    this.tokens = tokens;
    this.#pairs = new PairValidity(tokens.rules.pairs, tokens.size, (id) => tokens.symbolsOf(id));
    const splits = tokens.steps.filter(({ kind }) => kind === "split");
    this.#rules = {
      text,
      reduces: splits.every((step) => step.kind === "split" && step.scan !== undefined),
      ...(tokens.spellsByBytes && { spellsByBytes: tokens.spellsByBytes }),
    };
    this.#cuts = new WordCuts(tokens.steps, this.#rules, tokens.space);
    this.bytesById = tokens.bytesById.map((bytes, id) =>
      this.#pairs.isReachable(id) ? bytes : undefined,
    );
    const numbers = new Map<string, number>();
    this.#shapeOf = Int32Array.from(this.bytesById, (bytes, id) => {
      if (bytes === undefined) return -1;
      const shape = this.#isByteToken(id) ? byteShape(bytes[0]!) : shapeOfBytes(bytes, this.#rules);
      let number = numbers.get(shape);
      if (number === undefined) {
        number = this.#shapes.push(shape) - 1;
        numbers.set(shape, number);
      }
      return number;
    });
    this.start = this.#intern(-1, [""]);
  }

  mask(state: ValidState): Uint8Array {
    let mask = this.#masks.get(state);
    if (mask === undefined) {
      if (this.#masks.size * this.tokens.size > maxMaskBytes) this.#masks.clear();
      mask = this.#computeMask(state);
      this.#masks.set(state, mask);
    }
    return mask;
  }

  after(state: ValidState, id: number): ValidState | undefined {
    if (this.mask(state)[id] !== 1) return undefined;
    const shape = this.#shapes[this.#shapeOf[id]!]!;
    const isFirst = state.last < 0;
    const mayContinue = !isFirst && this.#pairs.isValid(state.last, id);
    const ends = new Set<string>();
    for (const end of state.ends) {
      if (isFirst || mayContinue) this.#addEnd(ends, id, joinShapes(end, shape, this.#rules));
      if (!isFirst) this.#addEnd(ends, id, this.#cutAndJoin(end, shape));
    }
    return this.#intern(id, [...ends]);
  }

  isWhole(state: ValidState): boolean {
    if (state.last < 0) return true;
    return state.ends.some((end) => this.#factsOf(end).isWhole);
  }

  certainStart(ids: ArrayLike<number>): number | undefined {
    let state: ValidState | undefined = this.start;
    let ways: Way[] = [{ end: "", start: 0, cuts: [] }];
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at]!;
      const next = this.after(state, id);
      if (next === undefined) return undefined;
      const shape = this.#shapes[this.#shapeOf[id]!]!;
      const joined = ways.flatMap(({ end, start, cuts }) => {
        const found: Way[] = [];
        const add = (text: string | undefined, marks: readonly number[]): void => {
          if (text === undefined) return;
          const { isPossible, dropped, end } = this.#factsOf(text);
          if (!isPossible || !next.ends.includes(end)) return;
          const from = dropped > 0 ? marks[dropped - 1]! : start;
          found.push({ end, start: from, cuts: marks.slice(dropped) });
        };
        add(joinShapes(end, shape, this.#rules), cuts);
        if (at > 0) add(this.#cutAndJoin(end, shape), [...cuts, at]);
        return found;
      });
      ways = joined;
      state = next;
    }
    return Math.min(...ways.map(({ start }) => start));
  }

  #isByteToken(id: number): boolean {
    const { rules, bytesById } = this.tokens;
    return !rules.bytesAsSymbols && rules.byteIds?.[bytesById[id]![0]!] === id;
  }

  #addEnd(ends: Set<string>, id: number, joined: string | undefined): void {
    if (joined === undefined) return;
    const facts = this.#factsOf(joined);
    if (facts.isPossible && (this.#isSettled(joined) || this.#canGoOn(id, joined))) {
      ends.add(facts.end);
    }
  }

  #intern(last: number, ends: readonly string[]): ValidState {
    const key = `${last} ${ends.join("\u0000")}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size > 1_000_000) this.#states.clear();
      state = { last, ends };
      this.#states.set(key, state);
    }
    return state;
  }

  #factsOf(end: string): ReturnType<WordCuts["facts"]> {
    if (this.#cuts.cuts) return this.#cuts.facts(end);
    // One word: only the bytes of an incomplete character matter.
    const { pending } = readShape(end);
    const isWhole = pending.length === 0 || this.#rules.text === "bytes";
    const kept = pending.map(byteShape).join("");
    return { isPossible: true, endsWord: isWhole, isWhole, end: kept, dropped: 0 };
  }

  /** Whether the text may end here, so that nothing need follow. */
  #isSettled(end: string): boolean {
    if (!this.#factsOf(end).endsWord) return false;
    return this.#rules.text === "bytes" || readShape(end).pending.length === 0;
  }

  #computeMask({ last, ends }: ValidState): Uint8Array {
    const mask = new Uint8Array(this.tokens.size);
    const invalid = last < 0 ? undefined : this.#pairs.invalidAfter(last);
    for (const end of ends) {
      const flags = this.#flagsAfter(end, last < 0);
      for (let id = 0; id < mask.length; id++) {
        const shape = this.#shapeOf[id]!;
        if (shape < 0 || mask[id] === 1) continue;
        const flag = flags[shape]!;
        if (flag === 0) continue;
        const isApart = invalid?.[id] !== 1;
        if ((flag & beginsNewWord) !== 0 || ((flag & continuesWord) !== 0 && isApart)) mask[id] = 1;
        else if ((flag & continuesOpen) !== 0 && isApart) {
          if (this.#canGoOn(id, joinShapes(end, this.#shapes[shape]!, this.#rules)!)) mask[id] = 1;
        } else if ((flag & beginsOpen) !== 0) {
          const joined = this.#cutAndJoin(end, this.#shapes[shape]!)!;
          if (this.#canGoOn(id, joined)) mask[id] = 1;
        }
      }
    }
    return mask;
  }

  /** `[shapes]`: what may happen where a token of each shape follows an end. */
  #flagsAfter(end: string, isFirst: boolean): Uint8Array {
    const key = isFirst ? "" : `-${end}`;
    let flags = this.#flags.get(key);
    if (flags !== undefined) return flags;
    if (this.#flags.size * this.#shapes.length > maxMaskBytes) this.#flags.clear();
    flags = new Uint8Array(this.#shapes.length);
    for (const [number, shape] of this.#shapes.entries()) {
      flags[number] = this.#judge(
        joinShapes(end, shape, this.#rules),
        continuesWord,
        continuesOpen,
      );
      if (isFirst) continue;
      flags[number] |= this.#judge(this.#cutAndJoin(end, shape), beginsNewWord, beginsOpen);
    }
    this.#flags.set(key, flags);
    return flags;
  }

  /** An end with a token after it that begins a new word; undefined where none can begin. */
  #cutAndJoin(end: string, shape: string): string | undefined {
    if (!this.#cuts.cuts) return undefined;
    const closed = closeShape(end, this.#rules);
    return closed === undefined ? undefined : joinShapes(closed + boundary, shape, this.#rules);
  }

  #judge(joined: string | undefined, settled: number, open: number): number {
    if (joined === undefined || !this.#factsOf(joined).isPossible) return 0;
    return this.#isSettled(joined) ? settled : open;
  }

  /** Whether some token can follow a text that cannot end after its last token. */
  #canGoOn(last: number, joined: string): boolean {
    const { end } = this.#factsOf(joined);
    const key = `${last} ${end}`;
    let found = this.#open.get(key);
    if (found !== undefined) return found;
    if (this.#open.size > 200_000) this.#open.clear();
    // Against circles; a longer way out would be found through another token.
    this.#open.set(key, false);
    found = this.#findNext(last, end);
    this.#open.set(key, found);
    return found;
  }

  #findNext(last: number, end: string): boolean {
    const flags = this.#flagsAfter(end, false);
    const invalid = this.#pairs.invalidAfter(last);
    const apart = (id: number): boolean => invalid[id] !== 1;
    for (let pass = 0; pass < 2; pass++) {
      for (let id = 0; id < this.#shapeOf.length; id++) {
        const shape = this.#shapeOf[id]!;
        if (shape < 0) continue;
        const flag = flags[shape]!;
        if ((flag & beginsNewWord) !== 0) return true;
        if ((flag & continuesWord) !== 0 && apart(id)) return true;
        if (pass === 0 || (flag & continuesOpen) === 0 || !apart(id)) continue;
        if (this.#canGoOn(id, joinShapes(end, this.#shapes[shape]!, this.#rules)!)) return true;
      }
    }
    return false;
  }
}

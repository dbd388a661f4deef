/**
 * Which token sequences are beginnings of encodings, step by step.
 *
 * A sequence is *valid* when some text has an encoding that begins with it. For byte-pair encoding that
 * is decided by neighbours: inside a word no merge may cross a boundary of tokens, and between words the
 * pre-tokenizer must be able to cut, given some continuation of the text.
 */
import type { Tokenizer } from "../tokenizer-interface.ts";
import { type ByteTokens, readByteTokens, unsupported } from "./byte-tokens.ts";
import { PairValidity } from "./pair-validity.ts";
import {
  beginsInCharacter,
  boundary,
  byteShape,
  closeShape,
  endsInCharacter,
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
  /** Bytes of a token that some encoding contains; undefined for others. */
  bytesOf(id: number): Uint8Array | undefined;
  /** The state before the first token of a text. */
  readonly start: ValidState;
  /** `[size]`: 1 for each token that may follow. The array is shared. */
  mask(state: ValidState): Uint8Array;
  /** One entry of the mask: for a few tokens, faster than all. */
  mayFollow(state: ValidState, id: number): boolean;
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
/** Set where the others are known. */
const isKnown = 16;

/** What may follow an end, by the shape of the token. */
interface Followers {
  readonly end: string;
  readonly isFirst: boolean;
  /** `[shapes]`, filled as they are asked for. */
  readonly flags: Uint8Array;
}

/**
 * With `ignore_merges` a word that is a token is never merged. That differs from merging only where no merges give
 * the token: it then stands for whole words, which neighbours do not tell.
 *
 * @throws JetonError `byte-tokens-unsupported` for a token with bytes
 */
function refuseWholeWord({ bytesById }: ByteTokens, id: number): void {
  const bytes = bytesById[id];
  if (bytes === undefined) return;
  const text = new TextDecoder().decode(bytes);
  throw unsupported(`no merges give its token ${JSON.stringify(text)}, only a whole word does`, {
    token: id,
    text,
  });
}

class Validity implements TokenValidity {
  readonly tokens: ByteTokens;
  readonly start: ValidState;
  readonly #rules: ShapeRules;
  readonly #pairs: PairValidity;
  readonly #cuts: WordCuts;
  /** Shapes of tokens, and which one each token has; -1 for ids without bytes. */
  readonly #shapes: string[] = [];
  readonly #shapeOf: Int32Array;
  /** Tokens with bytes, and those of them that begin with a byte that begins no character. */
  #spelt: readonly number[] | undefined;
  #continuing: readonly number[] | undefined;
  readonly #follow = new Map<string, Followers>();
  readonly #states = new Map<string, ValidState>();
  readonly #masks = new Map<ValidState, Uint8Array>();
  readonly #open = new Map<string, boolean>();

  constructor(tokens: ByteTokens, text: "utf8" | "bytes") {
    this.tokens = tokens;
    this.#pairs = new PairValidity(tokens.rules.pairs, tokens.size, {
      symbolsOf: (id) => tokens.symbolsOf(id),
      ...(tokens.rules.ignoreMerges && { onUnreachable: (id) => refuseWholeWord(tokens, id) }),
    });
    const splits = tokens.steps.filter(({ kind }) => kind === "split");
    this.#rules = {
      text,
      reduces: splits.every((step) => step.kind === "split" && step.scan !== undefined),
      ...(tokens.spellsByBytes && { spellsByBytes: tokens.spellsByBytes }),
    };
    this.#cuts = new WordCuts(tokens.steps, this.#rules, tokens.space);
    const numbers = new Map<string, number>();
    this.#shapeOf = Int32Array.from(tokens.bytesById, (bytes, id) => {
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

  bytesOf(id: number): Uint8Array | undefined {
    return this.#pairs.isReachable(id) ? this.tokens.bytesById[id] : undefined;
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

  mayFollow(state: ValidState, id: number): boolean {
    const known = this.#masks.get(state);
    if (known) return known[id] === 1;
    if (!(this.#shapeOf[id]! >= 0) || !this.#pairs.isReachable(id)) return false;
    const { last, ends } = state;
    const isApart = last < 0 || this.#pairs.isValid(last, id);
    return ends.some((end) => this.#fits(this.#followers(end, last < 0), id, isApart));
  }

  after(state: ValidState, id: number): ValidState | undefined {
    if (!this.mayFollow(state, id)) return undefined;
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
      const follow = this.#followers(end, last < 0);
      for (let id = 0; id < mask.length; id++) {
        if (mask[id] === 1 || this.#shapeOf[id]! < 0) continue;
        if (!this.#pairs.isReachable(id)) continue;
        if (this.#fits(follow, id, invalid?.[id] !== 1)) mask[id] = 1;
      }
    }
    return mask;
  }

  /** Whether a token may follow an end. @param isApart no merge joins it to the token before */
  #fits(follow: Followers, id: number, isApart: boolean): boolean {
    const { end } = follow;
    const shape = this.#shapeOf[id]!;
    const flag = this.#flagOf(follow, shape);
    if ((flag & beginsNewWord) !== 0 || ((flag & continuesWord) !== 0 && isApart)) return true;
    if ((flag & continuesOpen) !== 0 && isApart) {
      return this.#canGoOn(id, joinShapes(end, this.#shapes[shape]!, this.#rules)!);
    }
    if ((flag & beginsOpen) === 0) return false;
    return this.#canGoOn(id, this.#cutAndJoin(end, this.#shapes[shape]!)!);
  }

  #followers(end: string, isFirst: boolean): Followers {
    const key = isFirst ? "" : `-${end}`;
    let follow = this.#follow.get(key);
    if (follow === undefined) {
      if (this.#follow.size * this.#shapes.length > maxMaskBytes) this.#follow.clear();
      follow = { end, isFirst, flags: new Uint8Array(this.#shapes.length) };
      this.#follow.set(key, follow);
    }
    return follow;
  }

  /** What may happen where a token of a shape follows an end. */
  #flagOf({ end, isFirst, flags }: Followers, number: number): number {
    if (flags[number] !== 0) return flags[number]!;
    const shape = this.#shapes[number]!;
    const joined = joinShapes(end, shape, this.#rules);
    let flag = isKnown | this.#judge(joined, continuesWord, continuesOpen);
    if (!isFirst) flag |= this.#judge(this.#cutAndJoin(end, shape), beginsNewWord, beginsOpen);
    flags[number] = flag;
    return flag;
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

  /** Tokens that may follow a text's end as far as its last character goes, unreachable ones among them. */
  #candidatesAfter(isInCharacter: boolean): readonly number[] {
    if (!isInCharacter) {
      this.#spelt ??= Array.from(this.#shapeOf.keys()).filter((id) => this.#shapeOf[id]! >= 0);
      return this.#spelt;
    }
    this.#continuing ??= this.#candidatesAfter(false).filter((id) =>
      beginsInCharacter(this.#shapes[this.#shapeOf[id]!]!),
    );
    return this.#continuing;
  }

  #findNext(last: number, end: string): boolean {
    const follow = this.#followers(end, false);
    const isUtf8 = this.#rules.text === "utf8";
    const isApart = (id: number): boolean =>
      this.#pairs.isReachable(id) && this.#pairs.isValid(last, id);
    const open: number[] = [];
    for (const id of this.#candidatesAfter(isUtf8 && endsInCharacter(end))) {
      const shape = this.#shapeOf[id]!;
      // What ends with a whole character comes first.
      if (isUtf8 && follow.flags[shape] === 0) {
        const joined = joinShapes(end, this.#shapes[shape]!, this.#rules);
        if (joined !== undefined && endsInCharacter(joined)) {
          open.push(id);
          continue;
        }
      }
      const flag = this.#flagOf(follow, shape);
      if ((flag & beginsNewWord) !== 0 && this.#pairs.isReachable(id)) return true;
      if ((flag & continuesWord) !== 0 && isApart(id)) return true;
      if ((flag & continuesOpen) !== 0) open.push(id);
    }
    return open.some((id) => {
      const shape = this.#shapeOf[id]!;
      if ((this.#flagOf(follow, shape) & continuesOpen) === 0 || !isApart(id)) return false;
      return this.#canGoOn(id, joinShapes(end, this.#shapes[shape]!, this.#rules)!);
    });
  }
}

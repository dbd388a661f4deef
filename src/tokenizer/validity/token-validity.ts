/**
 * Which token sequences are beginnings of encodings, step by step.
 *
 * A sequence is *valid* when some text has an encoding that begins with it. For byte-pair encoding that
 * is decided by neighbours: inside a word no merge may cross a boundary of tokens, and between words the
 * pre-tokenizer must be able to cut, given some continuation of the text.
 */
import type { Tokenizer } from "../tokenizer-interface.ts";
import { type ByteTokens, readByteTokens } from "./byte-tokens.ts";
import { CompletingTokens } from "./completing-tokens.ts";
import {
  beginsNewWord,
  beginsOpen,
  continuesOpen,
  continuesWord,
  type Followers,
  isKnown,
  type NextToken,
} from "./followers.ts";
import { PairValidity } from "./pair-validity.ts";
import { SymbolValidity } from "./symbol-validity.ts";
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
import type { TokenValidity, TokenValidityOptions, ValidState } from "./validity.ts";
import { closedWord, noWholeWord, WholeWords, type WordPlace } from "./whole-words.ts";
import { reductionOf, type Way, WordCuts } from "./word-cuts.ts";

/**
 * Reads which token sequences a tokenizer's encodings begin with.
 *
 * @throws JetonError `byte-tokens-unsupported`
 */
export function createTokenValidity(
  tokenizer: Tokenizer,
  options: TokenValidityOptions = {},
): TokenValidity {
  const tokens = readByteTokens(tokenizer);
  const { symbols, bytesById } = tokens;
  const text = options.text ?? "utf8";
  if (symbols.size === 0) return new Validity(tokens, text);
  const ordinary = bytesById.map((bytes, id) => (symbols.has(id) ? undefined : bytes));
  return new SymbolValidity(tokens, new Validity({ ...tokens, bytesById: ordinary }, text));
}

/** A state with what is known of its last words. */
interface WordState extends ValidState {
  /** For each end, how much of a token that only a whole word gives its last word is. */
  readonly words: readonly WordPlace[];
}

/** Bytes that remembered masks may take. */
const maxMaskBytes = 64_000_000;

class Validity implements TokenValidity {
  readonly tokens: ByteTokens;
  readonly start: WordState;
  readonly #rules: ShapeRules;
  readonly #pairs: PairValidity;
  readonly #whole: WholeWords;
  readonly #cuts: WordCuts;
  /** Shapes of tokens, and which one each token has; -1 for ids without bytes. */
  readonly #shapes: string[] = [];
  readonly #shapeOf: Int32Array;
  /** Tokens with bytes, and those of them that begin with a byte that begins no character. */
  #spelt: readonly number[] | undefined;
  #continuing: readonly number[] | undefined;
  /** Tokens that words have. */
  #tokenIds: Int32Array | undefined;
  readonly #follow = new Map<string, Followers>();
  readonly #states = new Map<string, WordState>();
  readonly #masks = new Map<ValidState, Uint8Array>();
  readonly #open = new Map<string, boolean>();
  readonly #longer = new Map<string, boolean>();
  /** Tokens that could go on from some end, the latest first. */
  readonly #goingOn: number[] = [];
  #completing: CompletingTokens | undefined;

  constructor(tokens: ByteTokens, text: "utf8" | "bytes") {
    this.tokens = tokens;
    this.#pairs = new PairValidity(tokens.rules.pairs, tokens.size, {
      symbolsOf: (id) => tokens.symbolsOf(id),
    });
    const unreachable = tokens.rules.ignoreMerges ? this.#pairs.findUnreachable() : [];
    const whole = unreachable.filter((id) => tokens.bytesById[id] !== undefined);
    this.#whole = new WholeWords(whole, tokens.bytesById);
    const splits = tokens.steps.filter(({ kind }) => kind === "split");
    this.#rules = {
      text,
      reduces: reductionOf(splits),
      named: splits.flatMap((step) => (step.kind === "split" ? (step.named ?? []) : [])),
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
    this.start = this.#intern(-1, [["", this.#whole.start]]);
  }

  bytesOf(id: number): Uint8Array | undefined {
    return this.#isToken(id) ? this.tokens.bytesById[id] : undefined;
  }

  /** Whether some word has this token. */
  #isToken(id: number): boolean {
    return this.#whole.has(id) || this.#pairs.isReachable(id);
  }

  /** Whether no merge joins two tokens beside each other in a word. */
  #isApart(last: number, id: number): boolean {
    if (this.#whole.has(last) || this.#whole.has(id)) return false;
    return this.#pairs.isValid(last, id);
  }

  mask(state: WordState): Uint8Array {
    let mask = this.#masks.get(state);
    if (mask === undefined) {
      if (this.#masks.size * this.tokens.size > maxMaskBytes) this.#masks.clear();
      mask = this.#computeMask(state);
      this.#masks.set(state, mask);
    }
    return mask;
  }

  mayFollow(state: WordState, id: number): boolean {
    const known = this.#masks.get(state);
    if (known) return known[id] === 1;
    if (!(this.#shapeOf[id]! >= 0) || !this.#isToken(id)) return false;
    const { last, ends, words } = state;
    const isApart = last < 0 || this.#isApart(last, id);
    return ends.some((end, at) =>
      this.#fits(this.#followers(end, last < 0), { id, isApart, word: words[at]! }),
    );
  }

  after(state: WordState, id: number): WordState | undefined {
    if (!this.mayFollow(state, id)) return undefined;
    const shape = this.#shapes[this.#shapeOf[id]!]!;
    const { last, ends, words } = state;
    const isFirst = last < 0;
    const mayContinue = !isFirst && this.#isApart(last, id);
    const whole = this.#whole;
    const first = whole.has(id) ? closedWord : whole.advance(whole.start, id);
    const found = new Map<string, readonly [string, WordPlace]>();
    for (const [at, end] of ends.entries()) {
      const word = words[at]!;
      if (isFirst) this.#addEnd(found, id, joinShapes(end, shape, this.#rules), first);
      else if (mayContinue && word !== closedWord) {
        this.#addEnd(found, id, joinShapes(end, shape, this.#rules), whole.advance(word, id));
      }
      if (!isFirst && !whole.mustGoOn(word)) {
        this.#addEnd(found, id, this.#cutAndJoin(end, shape), first);
      }
    }
    return this.#intern(id, [...found.values()]);
  }

  isWhole({ last, ends, words }: WordState): boolean {
    if (last < 0) return true;
    return ends.some((end, at) => this.#factsOf(end).isWhole && !this.#whole.mustGoOn(words[at]!));
  }

  certainStart(ids: ArrayLike<number>): number | undefined {
    let state: WordState = this.start;
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

  #addEnd(
    found: Map<string, readonly [string, WordPlace]>,
    id: number,
    joined: string | undefined,
    word: WordPlace,
  ): void {
    if (joined === undefined || !this.#factsOf(joined).isPossible) return;
    if (!this.#isOpen(joined, word, id)) return;
    const { end } = this.#factsOf(joined);
    found.set(`${word} ${end}`, [end, word]);
  }

  /** Whether some text goes on from a possible end, or ends there. */
  #isOpen(joined: string, word: WordPlace, id: number): boolean {
    if (word === closedWord) return this.#isSettled(joined);
    if (this.#whole.mustGoOn(word)) return this.#canContinue(id, joined);
    return this.#isSettled(joined) || this.#canGoOn(id, joined);
  }

  #intern(last: number, ways: readonly (readonly [string, WordPlace])[]): WordState {
    const key = `${last} ${ways.map(([end, word]) => `${word} ${end}`).join("\u0000")}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size > 1_000_000) this.#states.clear();
      state = { last, ends: ways.map(([end]) => end), words: ways.map(([, word]) => word) };
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

  #computeMask({ last, ends, words }: WordState): Uint8Array {
    const mask = new Uint8Array(this.tokens.size);
    const isClosed = last < 0 || this.#whole.has(last);
    const invalid = isClosed ? undefined : this.#pairs.invalidAfter(last);
    const tokens = this.#everyToken();
    const isPlain = this.#whole.start === noWholeWord;
    for (const [at, end] of ends.entries()) {
      const follow = this.#followers(end, last < 0);
      const word = words[at]!;
      for (const id of tokens) {
        if (mask[id] === 1) continue;
        const isApart = invalid?.[id] !== 1;
        const flag = isPlain ? this.#flagOf(follow, this.#shapeOf[id]!) : 0;
        // Most tokens are told by their shape.
        if ((flag & beginsNewWord) !== 0 || ((flag & continuesWord) !== 0 && isApart)) mask[id] = 1;
        else if (flag !== isKnown && this.#fits(follow, { id, isApart, word })) mask[id] = 1;
      }
    }
    return mask;
  }

  /** Ids that some word has as a token. */
  #everyToken(): Int32Array {
    this.#tokenIds ??= Int32Array.from(
      this.#candidatesAfter(false).filter((id) => this.#isToken(id)),
    );
    return this.#tokenIds;
  }

  /** Whether a token may follow an end. */
  #fits(follow: Followers, next: NextToken): boolean {
    const { end } = follow;
    const { id, isApart } = next;
    const shape = this.#shapeOf[id]!;
    const flag = this.#flagOf(follow, shape);
    if (this.#whole.start !== noWholeWord) return this.#fitsWords(follow, next, flag);
    if ((flag & beginsNewWord) !== 0 || ((flag & continuesWord) !== 0 && isApart)) return true;
    // What completes a character decides whether it begins a word: either may be the only way.
    const joined = joinShapes(end, this.#shapes[shape]!, this.#rules);
    if ((flag & continuesOpen) !== 0 && isApart && this.#canGoOn(id, joined!)) return true;
    if ((flag & beginsOpen) === 0) return false;
    return this.#canGoOn(id, this.#cutAndJoin(end, this.#shapes[shape]!)!);
  }

  /** The same where whole words may be tokens that no merges give. */
  #fitsWords({ end, isFirst }: Followers, { id, isApart, word }: NextToken, flag: number): boolean {
    const whole = this.#whole;
    const shape = this.#shapes[this.#shapeOf[id]!]!;
    const first = whole.has(id) ? closedWord : whole.advance(whole.start, id);
    const continues = (flag & (continuesWord | continuesOpen)) !== 0;
    const mayContinue = isFirst || (isApart && word !== closedWord && !whole.has(id));
    if (continues && mayContinue) {
      const place = isFirst ? first : whole.advance(word, id);
      if (this.#isOpen(joinShapes(end, shape, this.#rules)!, place, id)) return true;
    }
    if ((flag & (beginsNewWord | beginsOpen)) === 0 || whole.mustGoOn(word)) return false;
    return this.#isOpen(this.#cutAndJoin(end, shape)!, first, id);
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
    if (joined === undefined) return 0;
    if (!this.#cuts.cuts) return this.#isSettled(joined) ? settled : open;
    const { isPossible, endsWord } = this.#cuts.judge(joined);
    if (!isPossible) return 0;
    const isInCharacter = this.#rules.text === "utf8" && endsInCharacter(joined);
    return endsWord && !isInCharacter ? settled : open;
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
    found = this.#canComplete(last, end) || this.#findNext(last, end);
    this.#open.set(key, found);
    return found;
  }

  /** Whether tokens that add nothing else complete the character in which a text ends. */
  #canComplete(last: number, end: string): boolean {
    if (this.#rules.text !== "utf8" || !endsInCharacter(end)) return false;
    const { pending } = readShape(end);
    const whole = end.slice(0, -pending.length);
    this.#completing ??= new CompletingTokens({
      candidates: this.#candidatesAfter(true).filter((id) => this.#pairs.isReachable(id)),
      shapeOf: (id) => this.#shapes[this.#shapeOf[id]!]!,
      pairs: this.#pairs,
      rules: this.#rules,
    });
    return this.#completing
      .charactersAfter(last, pending)
      .some((character) => this.#judge(joinShapes(whole, character, this.#rules), 1, 0) === 1);
  }

  /** Whether some token can go on in the last word of a text. */
  #canContinue(last: number, joined: string): boolean {
    const { end } = this.#factsOf(joined);
    const key = `${last} ${end}`;
    let found = this.#longer.get(key);
    if (found !== undefined) return found;
    if (this.#longer.size > 200_000) this.#longer.clear();
    const follow = this.#followers(end, false);
    found = this.#candidatesAfter(false).some(
      (id) =>
        (this.#flagOf(follow, this.#shapeOf[id]!) & continuesWord) !== 0 &&
        this.#pairs.isReachable(id) &&
        this.#pairs.isValid(last, id),
    );
    this.#longer.set(key, found);
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
    const goesOn = (id: number): boolean => {
      const flag = this.#flagOf(follow, this.#shapeOf[id]!);
      if ((flag & beginsNewWord) !== 0 && this.#pairs.isReachable(id)) return true;
      return (flag & continuesWord) !== 0 && isApart(id);
    };
    // What went on from another text's end probably does from this one.
    if (this.#goingOn.some(goesOn)) return true;
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
      if (goesOn(id)) {
        this.#goingOn.unshift(id);
        this.#goingOn.splice(8);
        return true;
      }
      if ((this.#flagOf(follow, shape) & continuesOpen) !== 0) open.push(id);
    }
    return open.some((id) => {
      const shape = this.#shapeOf[id]!;
      if ((this.#flagOf(follow, shape) & continuesOpen) === 0 || !isApart(id)) return false;
      return this.#canGoOn(id, joinShapes(end, this.#shapes[shape]!, this.#rules)!);
    });
  }
}

/**
 * Valid sequences of tokenizers that find some strings in a text before they cut it: added tokens that are
 * ordinary text (`<think>`, runs of spaces), and user-defined pieces of SentencePiece.
 *
 * Such a *symbol* is found leftmost first and the longest of those that begin at one place. What stands between two
 * is a text of its own, on which neighbours decide as ever. So ordinary tokens may spell no symbol, and after a symbol
 * no longer one, or one that begins before it, may come to its end.
 */
import type { ByteTokens } from "./byte-tokens.ts";
import type { TokenValidity, ValidState } from "./validity.ts";

/** A place in the trie of symbols. */
interface Place {
  readonly number: number;
  readonly next: Map<number, Place>;
  /** Whether a symbol ends here. */
  isEnd: boolean;
}

/** The state of the text since the last symbol, and the symbols that it is inside of. */
interface SymbolState extends ValidState {
  readonly segment: ValidState;
  /** Beginnings of symbols at the text's end that must not come to their ends. */
  readonly open: readonly Place[];
}

/** Bytes that remembered masks may take. */
const maxMaskBytes = 64_000_000;

/** Symbols over the validity of the texts between them. */
export class SymbolValidity implements TokenValidity {
  readonly tokens: ByteTokens;
  readonly start: SymbolState;
  readonly #segments: TokenValidity;
  readonly #root: Place;
  readonly #states = new Map<ValidState, Map<string, SymbolState>>();
  readonly #masks = new Map<SymbolState, Uint8Array>();
  /** By the open symbols: 1 for ordinary tokens that would bring one to its end. */
  readonly #spelling = new Map<string, Uint8Array>();

  /**
   * @param tokens with the bytes of symbols among those of all tokens
   * @param segments validity of the texts between symbols
   */
  constructor(tokens: ByteTokens, segments: TokenValidity) {
    this.tokens = tokens;
    this.#segments = segments;
    let count = 0;
    const create = (): Place => ({ number: count++, next: new Map(), isEnd: false });
    this.#root = create();
    for (const id of tokens.symbols) {
      let place = this.#root;
      for (const byte of tokens.bytesById[id]!) {
        let next = place.next.get(byte);
        if (next === undefined) {
          next = create();
          place.next.set(byte, next);
        }
        place = next;
      }
      place.isEnd = true;
    }
    this.start = this.#intern(segments.start, []);
  }

  bytesOf(id: number): Uint8Array | undefined {
    return this.tokens.symbols.has(id) ? this.tokens.bytesById[id] : this.#segments.bytesOf(id);
  }

  mask(state: SymbolState): Uint8Array {
    let mask = this.#masks.get(state);
    if (mask === undefined) {
      if (this.#masks.size * this.tokens.size > maxMaskBytes) this.#masks.clear();
      const spelling = this.#spellingAfter(state.open);
      mask = this.#segments.mask(state.segment).map((may, id) => (spelling[id] === 1 ? 0 : may));
      for (const id of this.tokens.symbols) mask[id] = this.mayFollow(state, id) ? 1 : 0;
      this.#masks.set(state, mask);
    }
    return mask;
  }

  mayFollow(state: SymbolState, id: number): boolean {
    if (this.tokens.symbols.has(id)) {
      return this.isWhole(state) && this.#openAfterSymbol(state.open, id) !== undefined;
    }
    const { segment, open } = state;
    return this.#segments.mayFollow(segment, id) && this.#openAfter(open, id) !== undefined;
  }

  after(state: SymbolState, id: number): SymbolState | undefined {
    if (this.tokens.symbols.has(id)) {
      const open = this.isWhole(state) ? this.#openAfterSymbol(state.open, id) : undefined;
      return open && this.#intern(this.#segments.start, open);
    }
    const open = this.#openAfter(state.open, id);
    const segment = open && this.#segments.after(state.segment, id);
    return segment && this.#intern(segment, open);
  }

  isWhole({ segment }: SymbolState): boolean {
    return this.#segments.isWhole(segment);
  }

  certainStart(ids: ArrayLike<number>): number | undefined {
    const closed = this.#countClosed(ids);
    if (closed === undefined) return undefined;
    let from = closed;
    while (from > 0 && !this.tokens.symbols.has(ids[from - 1]!)) from--;
    let to = closed;
    while (to < ids.length && !this.tokens.symbols.has(ids[to]!)) to++;
    const segment = Array.from(ids).slice(from, to);
    // A symbol that the text's end may become would end the segment before it.
    const whole = this.#segments.certainStart(segment);
    const cut = this.#segments.certainStart(segment.slice(0, closed - from));
    return whole === undefined || cut === undefined ? undefined : from + Math.min(whole, cut);
  }

  /** Number of tokens before the first symbol that the end of their text may become a beginning of. */
  #countClosed(ids: ArrayLike<number>): number | undefined {
    let state: SymbolState | undefined = this.start;
    // Where each open symbol began, as the number of the token.
    let begun: { readonly place: Place; readonly token: number }[] = [];
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at]!;
      const next: SymbolState | undefined = this.after(state, id);
      if (next === undefined) return undefined;
      const isSymbol = this.tokens.symbols.has(id);
      for (const [index, byte] of this.tokens.bytesById[id]!.entries()) {
        if (!isSymbol || index === 0) begun.push({ place: this.#root, token: at });
        begun = begun.flatMap(({ place, token }) => {
          const further = place.next.get(byte);
          return further === undefined ? [] : [{ place: further, token }];
        });
      }
      begun = begun.filter(({ place }) => place.next.size > 0);
      state = next;
    }
    return begun.reduce((least, { token }) => Math.min(least, token), ids.length);
  }

  #intern(segment: ValidState, open: readonly Place[]): SymbolState {
    let states = this.#states.get(segment);
    if (states === undefined) {
      if (this.#states.size > 200_000) this.#states.clear();
      states = new Map();
      this.#states.set(segment, states);
    }
    const key = keyOf(open);
    let state = states.get(key);
    if (state === undefined) {
      state = { last: segment.last, ends: segment.ends, segment, open };
      states.set(key, state);
    }
    return state;
  }

  /** The open symbols after an ordinary token; undefined where one would come to its end. */
  #openAfter(open: readonly Place[], id: number): readonly Place[] | undefined {
    return this.#advance(open, this.tokens.bytesById[id]!, true);
  }

  /** The same after a symbol, within which no other begins. */
  #openAfterSymbol(open: readonly Place[], id: number): readonly Place[] | undefined {
    const bytes = this.tokens.bytesById[id]!;
    const earlier = this.#advance(open, bytes, false);
    if (earlier === undefined) return undefined;
    let own = this.#root;
    for (const byte of bytes) own = own.next.get(byte)!;
    return own.next.size > 0 ? unique([...earlier, own]) : earlier;
  }

  #advance(
    open: readonly Place[],
    bytes: Uint8Array | undefined,
    begins: boolean,
  ): readonly Place[] | undefined {
    let places = open;
    for (const byte of bytes ?? []) {
      const next: Place[] = [];
      for (const place of begins ? [...places, this.#root] : places) {
        const further = place.next.get(byte);
        if (further === undefined) continue;
        if (further.isEnd) return undefined;
        next.push(further);
      }
      places = next;
    }
    return places === open ? places : unique(places);
  }

  #spellingAfter(open: readonly Place[]): Uint8Array {
    const key = keyOf(open);
    let spelling = this.#spelling.get(key);
    if (spelling === undefined) {
      if (this.#spelling.size * this.tokens.size > maxMaskBytes) this.#spelling.clear();
      spelling = Uint8Array.from(this.tokens.bytesById, (bytes) =>
        this.#advance(open, bytes, true) === undefined ? 1 : 0,
      );
      this.#spelling.set(key, spelling);
    }
    return spelling;
  }
}

function unique(places: readonly Place[]): readonly Place[] {
  return [...new Set(places)].sort((a, b) => a.number - b.number);
}

function keyOf(open: readonly Place[]): string {
  return open.map(({ number }) => number).join(" ");
}

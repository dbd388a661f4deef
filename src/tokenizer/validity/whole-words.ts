/**
 * Words that are one token although no merges give it (`ignore_merges`, tiktoken): such a word is never the tokens that
 * merging would leave of it.
 */

/** How much of such a word the text's last word is so far. */
export type WordPlace = number;

/** The last word is the beginning of none, and will be none. */
export const noWholeWord: WordPlace = -1;
/** The last word is one of these tokens, and ends with it. */
export const closedWord: WordPlace = -2;

interface Place {
  readonly next: Map<number, WordPlace>;
  isWord: boolean;
}

/** Tokens that only whole words are, as a trie of their bytes. */
export class WholeWords {
  /** The place at which a word begins. */
  readonly start: WordPlace;
  readonly #ids: ReadonlySet<number>;
  readonly #bytesById: readonly (Uint8Array | undefined)[];
  readonly #places: Place[] = [];

  constructor(ids: readonly number[], bytesById: readonly (Uint8Array | undefined)[]) {
    this.#ids = new Set(ids);
    this.#bytesById = bytesById;
    this.start = ids.length > 0 ? this.#create() : noWholeWord;
    for (const id of ids) {
      let place = this.start;
      for (const byte of bytesById[id]!) {
        const { next } = this.#places[place]!;
        let further = next.get(byte);
        if (further === undefined) {
          further = this.#create();
          next.set(byte, further);
        }
        place = further;
      }
      this.#places[place]!.isWord = true;
    }
  }

  #create(): WordPlace {
    return this.#places.push({ next: new Map(), isWord: false }) - 1;
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  /** The place after a token that merges give. */
  advance(place: WordPlace, id: number): WordPlace {
    let at = place;
    for (const byte of at < 0 ? [] : (this.#bytesById[id] ?? [])) {
      at = this.#places[at]!.next.get(byte) ?? noWholeWord;
      if (at < 0) break;
    }
    return at;
  }

  /** Whether a word that ends here would be another token. */
  mustGoOn(place: WordPlace): boolean {
    return place >= 0 && this.#places[place]!.isWord;
  }
}

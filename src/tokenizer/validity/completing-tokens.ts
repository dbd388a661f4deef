/** Which characters tokens complete that begin inside of them. */
import type { PairValidity } from "./pair-validity.ts";
import {
  byteShape,
  endsInCharacter,
  joinShapes,
  readShape,
  type ShapeRules,
} from "./text-shapes.ts";

/** What `CompletingTokens` reads of a vocabulary. */
export interface CompletingTokensOptions {
  /** Reachable tokens that begin inside a character. */
  readonly candidates: readonly number[];
  readonly shapeOf: (id: number) => string;
  readonly pairs: PairValidity;
  readonly rules: ShapeRules;
}

/** Tokens that are tried at each place: a few of them tell almost always, and all would be a million characters. */
const triedTokens = 6;

/** Characters that follow from the bytes of an incomplete one. */
export class CompletingTokens {
  readonly #options: CompletingTokensOptions;
  readonly #known = new Map<string, readonly string[]>();

  constructor(options: CompletingTokensOptions) {
    this.#options = options;
  }

  /**
   * Some characters, by their shapes, that tokens beside each other in a word complete and add nothing to.
   *
   * @param last the token before
   * @param pending bytes of the incomplete character
   */
  charactersAfter(last: number, pending: readonly number[]): readonly string[] {
    const key = `${last} ${pending}`;
    let found = this.#known.get(key);
    if (found === undefined) {
      found = [...this.#find(last, pending)];
      this.#known.set(key, found);
    }
    return found;
  }

  #find(last: number, pending: readonly number[]): Set<string> {
    const { candidates, shapeOf, pairs, rules } = this.#options;
    const characters = new Set<string>();
    const start = pending.map(byteShape).join("");
    let tried = 0;
    // Far apart, so that they lead to different kinds of characters.
    const stride = Math.max(1, Math.floor(candidates.length / triedTokens));
    for (let at = 0; at < candidates.length && tried < triedTokens; at++) {
      const place = at * stride;
      const id = candidates[(place + Math.floor(place / candidates.length)) % candidates.length]!;
      const joined = joinShapes(start, shapeOf(id), rules);
      if (joined === undefined || !pairs.isValid(last, id)) continue;
      if (!endsInCharacter(joined)) {
        characters.add(joined);
      } else {
        const { text, pending: further } = readShape(joined);
        if (text !== "") continue;
        for (const one of this.charactersAfter(id, further)) characters.add(one);
      }
      tried++;
    }
    return characters;
  }
}

/** Text to ids on strings alone: words are looked up in a cache without copying them. */
import type { AddedTokenFinder, SpecialTokenPolicy } from "../added-tokens.ts";
import type { IntegerList } from "../models/token-sink.ts";
import type { WordCache } from "../models/word-cache.ts";
import type { Normalizer } from "../normalizers/normalizer.ts";
import { isWhitespace } from "../pre-tokenizers/character-classes.ts";
import type { PreTokenizerStep } from "../pre-tokenizers/pre-tokenizers.ts";
import type { TextPipeline } from "./text-pipeline.ts";

export class PlainEncoder {
  readonly #finder: AddedTokenFinder | null;
  readonly #normalizer: Normalizer | null;
  readonly #normalizedFinder: AddedTokenFinder | null;
  readonly #steps: readonly PreTokenizerStep[];
  readonly #cache: WordCache;
  readonly #list: IntegerList;

  /** @param list receives the ids */
  constructor(pipeline: TextPipeline, list: IntegerList) {
    this.#finder = pipeline.finder;
    this.#normalizer = pipeline.normalizer;
    this.#normalizedFinder = pipeline.normalizedFinder;
    this.#steps = pipeline.steps;
    this.#cache = pipeline.cache;
    this.#list = list;
  }

  /** Appends the ids of a text to the list. */
  append(text: string, policy: SpecialTokenPolicy | null): void {
    if (this.#finder?.mayOccur(text)) {
      this.#finder.cut(text, policy, (start, end, token) => {
        if (token !== null) this.#list.push(token.id);
        else this.#appendSegment(text.slice(start, end), start === 0, policy);
      });
    } else {
      this.#appendSegment(text, true, policy);
    }
  }

  /** A stretch of text without plain added tokens. */
  #appendSegment(source: string, atStart: boolean, policy: SpecialTokenPolicy | null): void {
    const normalizer = this.#normalizer;
    const text = normalizer === null ? source : normalizer.normalize(source);
    if (this.#normalizedFinder?.mayOccur(text)) {
      this.#normalizedFinder.cut(text, policy, (start, end, token) => {
        if (token !== null) this.#list.push(token.id);
        else this.#appendPiece(text.slice(start, end), 0, atStart && start === 0);
      });
    } else {
      this.#appendPiece(text, 0, atStart);
    }
  }

  #appendPiece(piece: string, firstStep: number, atStart: boolean): void {
    const steps = this.#steps;
    const cache = this.#cache;
    const list = this.#list;
    let text = piece;
    for (let i = firstStep; i < steps.length; i++) {
      const step = steps[i]!;
      if (text === "") return;
      if (step.kind === "rewrite") {
        text = step.rewrite(text, atStart);
      } else if (i === steps.length - 1) {
        cache.load(text);
        if (step.scan === undefined) {
          step.split(text, (start, end) => cache.appendIds(start, end, list));
          return;
        }
        const { scan } = step;
        const { length } = text;
        const drops = step.dropsSpaces === true;
        for (let start = 0; start < length; ) {
          const end = scan(cache.units, start, length);
          if (!(drops && isWhitespace(cache.units[start]!))) cache.appendIds(start, end, list);
          start = end;
        }
        return;
      } else {
        step.split(text, (start, end) =>
          this.#appendPiece(text.slice(start, end), i + 1, atStart && start === 0),
        );
        return;
      }
    }
    if (text === "") return;
    cache.load(text);
    cache.appendIds(0, text.length, list);
  }
}

/** Text to tokens with offsets: every step carries the place of each character along. */
import type { SpecialTokenPolicy } from "../added-tokens.ts";
import { toWellFormed } from "../decoders/byte-alphabet.ts";
import { TokenSink } from "../models/token-sink.ts";
import { type AlignedText, alignSource, sliceAligned } from "../normalizers/aligned-text.ts";
import { BytePlaces, characterUnits } from "../normalizers/byte-places.ts";
import { addToken, type Raw } from "../post-processors/template.ts";
import type { SpecialTextOptions } from "../tokenizer-interface.ts";
import { createSpecialPolicy } from "./special-policy.ts";
import type { TextPipeline } from "./text-pipeline.ts";

export class AlignedEncoder {
  readonly #pipeline: TextPipeline;
  readonly #sink: TokenSink = new TokenSink();

  constructor(pipeline: TextPipeline) {
    this.#pipeline = pipeline;
  }

  /** The tokens of a text with their offsets in UTF-16 units. */
  encode(source: string, options: SpecialTextOptions): Raw {
    const text = toWellFormed(source);
    const raw: Raw = { ids: [], tokens: [], offsets: [] };
    const policy = createSpecialPolicy(options);
    const { finder } = this.#pipeline;
    if (finder === null) {
      this.#addSegment(alignSource(text, 0), raw, policy);
      return raw;
    }
    finder.cut(text, policy, (start, end, token) => {
      if (token !== null) addToken(raw, token.id, text.slice(start, end), start, end);
      else this.#addSegment(alignSource(text.slice(start, end), start), raw, policy);
    });
    return raw;
  }

  #addSegment(source: AlignedText, raw: Raw, policy: SpecialTokenPolicy | null): void {
    const { normalizer, normalizedFinder } = this.#pipeline;
    const aligned = normalizer === null ? source : normalizer.align(source);
    if (normalizedFinder === null) {
      this.#addPiece(aligned, 0, raw);
      return;
    }
    normalizedFinder.cut(aligned.text, policy, (start, end, token) => {
      const part = sliceAligned(aligned, start, end);
      if (token === null) this.#addPiece(part, 0, raw);
      else addToken(raw, token.id, part.text, part.starts[0]!, part.ends.at(-1)!);
    });
  }

  #addPiece(piece: AlignedText, firstStep: number, raw: Raw): void {
    const { steps } = this.#pipeline;
    let aligned = piece;
    for (let i = firstStep; i < steps.length; i++) {
      const step = steps[i]!;
      if (aligned.text === "") return;
      if (step.kind === "rewrite") {
        aligned = step.align(aligned, aligned.starts[0] === 0);
      } else {
        const whole = aligned;
        step.split(whole.text, (start, end) =>
          this.#addPiece(sliceAligned(whole, start, end), i + 1, raw),
        );
        return;
      }
    }
    if (aligned.text !== "") this.#addWord(aligned, raw);
  }

  #addWord(word: AlignedText, raw: Raw): void {
    const sink = this.#sink;
    const { model, cache } = this.#pipeline;
    sink.length = 0;
    cache.load(word.text);
    cache.appendTokens(0, word.text.length, sink);
    const places = new BytePlaces(word.text);
    for (let i = 0; i < sink.length; i++) {
      const id = sink.ids[i]!;
      const first = places.unitOf(sink.starts[i]!);
      const last = places.unitOf(Math.max(sink.starts[i]!, sink.ends[i]! - 1));
      const token =
        model.unknownShowsText && id === model.unknownId
          ? word.text.slice(first, last + characterUnits(word.text, last))
          : (model.vocabulary.tokens[id] ?? "");
      addToken(raw, id, token, word.starts[first] ?? 0, word.ends[last] ?? 0);
    }
  }
}

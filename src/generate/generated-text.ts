/** The text of a generation as it grows: streaming decoder, stop strings, end tokens. */
import type { LoadedModel } from "../model/index.ts";
import type { EmittedToken } from "./decoding.ts";
import { createStopText, type StopText, type StopTextResult } from "./sampling/stop-text.ts";
import type { FinishReason, GeneratedToken } from "./types.ts";

export interface GeneratedTextOptions {
  readonly promptIds: readonly number[];
  readonly stop: readonly string[];
  /** Tokens that end the text and are no part of it. */
  readonly ends: ReadonlySet<number>;
  /** Stop strings do not end the text before this many tokens. */
  readonly minTokens: number;
  /** Text of the prompt's last token that belongs to the generated text. */
  readonly begunText: string;
}

/** Prompt tokens that the streaming decoder reads before the text. */
const contextTokens = 8;

/** Collects the tokens and the text of one generation. */
export class GeneratedText {
  readonly ids: number[] = [];
  text = "";
  finishReason: FinishReason = "length";
  /** The end token that ended the text. */
  endToken: EmittedToken | undefined;
  /** True once an end token or a stop string came. */
  isFinished = false;
  readonly #options: GeneratedTextOptions;
  readonly #tokenizer: LoadedModel["tokenizer"];
  readonly #decoder: ReturnType<LoadedModel["tokenizer"]["streamDecoder"]>;
  readonly #stopText: StopText;
  #hitStopString = false;
  /** What waits to go out with the first token, or at the end. */
  #begun: string;

  constructor(tokenizer: LoadedModel["tokenizer"], options: GeneratedTextOptions) {
    this.#options = options;
    this.#tokenizer = tokenizer;
    this.#decoder = tokenizer.streamDecoder();
    this.#stopText = createStopText(options.stop);
    // Some decoders drop the space before a text's first word. The prompt's end tells them that this text is
    // no beginning, and completes a character that the prompt left open.
    for (const id of options.promptIds.slice(-contextTokens)) this.#decoder.push(id);
    const begun = this.#stopText.push(options.begunText, this.#mayStop);
    this.#begun = begun.text;
    if (begun.stopped) {
      this.#finish();
      this.#hitStopString = true;
    }
  }

  /** Takes the tokens of one forward pass, up to the one that ends the text. */
  push(emitted: readonly EmittedToken[]): GeneratedToken[] {
    const tokens: GeneratedToken[] = [];
    for (const token of emitted) {
      if (this.#options.ends.has(token.id)) {
        this.#finish();
        this.endToken = token;
        break;
      }
      this.ids.push(token.id);
      const piece = this.#pushText(token.id);
      const text = this.#takeBegun() + piece.text;
      this.text += text;
      tokens.push({ ...token, text });
      if (piece.stopped) {
        this.#finish();
        this.#hitStopString = true;
        break;
      }
    }
    return tokens;
  }

  /** Ends the text. @returns withheld text that belongs to no token */
  end(): string {
    let tail = this.#takeBegun();
    if (!this.#hitStopString) {
      const rest = this.#stopText.push(this.#decoder.end(), this.#mayStop);
      if (rest.stopped) this.#finish();
      tail += rest.stopped ? rest.text : rest.text + this.#stopText.flush();
    }
    this.text += tail;
    return tail;
  }

  #takeBegun(): string {
    const begun = this.#begun;
    this.#begun = "";
    return begun;
  }

  get #mayStop(): boolean {
    return this.ids.length >= this.#options.minTokens;
  }

  #pushText(id: number): StopTextResult {
    const piece = this.#stopText.push(this.#decoder.push(id), this.#mayStop);
    if (piece.stopped || this.#options.stop.length === 0) return piece;
    // The decoder leaves special tokens out; stop strings may name them.
    const spelling = this.#tokenizer.isSpecial(id) ? this.#tokenizer.idToToken(id) : undefined;
    if (spelling === undefined) return piece;
    const hidden = this.#stopText.pushHidden(spelling, this.#mayStop);
    return { text: piece.text + hidden.text, stopped: hidden.stopped };
  }

  #finish(): void {
    this.finishReason = "stop";
    this.isFinished = true;
  }
}

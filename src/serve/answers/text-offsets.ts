/**
 * Where tokens begin in a text, in code points.
 */
import type { StreamDecoder, Tokenizer } from "../../tokenizer/index.ts";
import type { DescribeToken } from "../../tokenizer/token-text.ts";

/** Tokens of the prompt that a decoder reads first, as `generate` does. */
const contextTokens = 8;

/** Length of a text in code points. */
export function countCodePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

export interface TextOffsetsOptions {
  readonly tokenizer: Tokenizer;
  readonly describeToken: DescribeToken;
  /** Code points before the first token. Default 0. */
  readonly start?: number;
  /** Tokens before the first one. Default: none. */
  readonly context?: Int32Array;
}

/**
 * Follows a text token by token. Tokens that share a character all begin where it does; a special
 * token, which the text leaves out, has no length.
 */
export class TextOffsets {
  readonly #decoder: StreamDecoder;
  readonly #tokenizer: Tokenizer;
  readonly #describeToken: DescribeToken;
  #length: number;

  constructor({ tokenizer, describeToken, start = 0, context }: TextOffsetsOptions) {
    this.#tokenizer = tokenizer;
    this.#describeToken = describeToken;
    this.#length = start;
    this.#decoder = tokenizer.streamDecoder();
    for (const id of context?.subarray(-contextTokens) ?? []) this.#decoder.push(id);
  }

  /** Takes the next token and says where its text begins. */
  next(id: number): number {
    const before = this.#length;
    this.#length += countCodePoints(this.#decoder.push(id));
    if (this.#tokenizer.isSpecial(id)) return before;
    const { text, isWhole } = this.#describeToken(id);
    // What came out with this token may begin with text that earlier tokens left open.
    return isWhole ? Math.max(before, this.#length - countCodePoints(text)) : before;
  }
}

/** Where the tokens of a prompt begin in its text. */
export function offsetsOfPrompt(
  prompt: { readonly ids: Int32Array; readonly source: string | undefined },
  options: Pick<TextOffsetsOptions, "tokenizer" | "describeToken"> & {
    readonly addSpecialTokens: boolean;
  },
): number[] {
  const { tokenizer, addSpecialTokens } = options;
  if (prompt.source === undefined) {
    const offsets = new TextOffsets(options);
    return Array.from(prompt.ids, (id) => offsets.next(id));
  }
  const { offsets, specialTokensMask } = tokenizer.encode(prompt.source, {
    addSpecialTokens,
    applyLimits: false,
    offsetUnit: "codepoint",
  });
  let end = 0;
  return offsets.map(([from, to], index) => {
    if (specialTokensMask[index] === 1) return end;
    end = to;
    return from;
  });
}

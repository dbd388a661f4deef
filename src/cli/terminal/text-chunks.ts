/** Shows a text with visible token boundaries. */
import type { Encoding } from "../../tokenizer/index.ts";
import type { Style } from "./style.ts";

/**
 * The text with its tokens in alternating colours, or separated by `|` without colours. Text outside all
 * tokens (spaces that the tokenizer drops) is kept. Tokens without text (added by the template, or
 * further bytes of one character) are shown by their name.
 *
 * The offsets of `encoding` count UTF-16 code units.
 */
export function showPieces(
  text: string,
  encoding: Pick<Encoding, "tokens" | "offsets">,
  style: Style,
): string {
  let shown = "";
  let at = 0;
  let count = 0;
  const add = (piece: string): void => {
    if (style.enabled)
      shown += piece
        .split("\n")
        .map((part) => part && style.stripe(part, count))
        .join("\n");
    else shown += count === 0 ? piece : `|${piece}`;
    count++;
  };
  for (const [index, [start, end]] of encoding.offsets.entries()) {
    if (start < at || end === start) {
      add(`<${encoding.tokens[index]!.replace(/^<|>$/g, "")}>`);
      continue;
    }
    shown += text.slice(at, start);
    add(text.slice(start, end));
    at = end;
  }
  return shown + text.slice(at);
}

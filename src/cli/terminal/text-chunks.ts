/** Shows a text with its tokens set apart. */
import type { Encoding } from "../../tokenizer/index.ts";
import type { Style } from "./style.ts";

/**
 * The text cut at its tokens: in alternating colours, or with `|` between them where there are none.
 * Text that belongs to no token (spaces that the tokenizer drops) stays between them; tokens that have
 * no text of their own (from the template, or further parts of one character) show their name.
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

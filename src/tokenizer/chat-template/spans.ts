/** Where the parts that `generation` blocks wrote stand in the text that is printed. */
import type { Output, SpannedText, TextSpan } from "./frame.ts";

/**
 * Notes the spans of a printed value that is made of earlier texts, e.g. of a macro's. `spanned` are
 * the texts that have such parts, `recent` the index of the first one that this expression made.
 * Macro results are strings, which carry no spans, so that they are looked for in the value.
 */
export function placeSpans(
  output: Output,
  printed: string,
  spanned: readonly SpannedText[],
  recent: number,
): void {
  const start = output.text.length;
  const whole = spanned.findLast((candidate) => candidate.text === printed);
  if (whole !== undefined) {
    addSpans(output, whole.spans, start);
    return;
  }
  let at = 0;
  for (const { text, spans } of spanned.slice(recent)) {
    const found = text === "" ? -1 : printed.indexOf(text, at);
    if (found >= 0) {
      addSpans(output, spans, start + found);
      at = found + text.length;
      continue;
    }
    // A filter such as `trim` has changed the text around the parts; they are looked for themselves.
    for (const span of spans) {
      const part = text.slice(span.start, span.end);
      const place = part === "" ? -1 : printed.indexOf(part, at);
      if (place < 0) continue;
      output.spans.push({ start: start + place, end: start + place + part.length });
      at = place + part.length;
    }
  }
}

/** Adds spans of a part to those of the whole. */
export function addSpans(output: Output, spans: readonly TextSpan[], offset: number): void {
  for (const { start, end } of spans)
    output.spans.push({ start: start + offset, end: end + offset });
}

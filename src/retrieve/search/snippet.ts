/** The part of a text that shows best why it was found. */
import type { TokenMatch } from "../types.ts";

/** Options of `makeSnippet`. */
export interface SnippetOptions {
  /** UTF-16 units at most, matches that are longer apart. Default 240. */
  width?: number;
}

/** A part of a text with the matches in it. */
export interface Snippet {
  /** Where the part stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Ranges in `text` of this snippet, in order, without overlap. */
  readonly highlights: readonly (readonly [start: number, end: number])[];
}

/**
 * Cuts out the window with the highest sum of different matches, moved to ends of words. Without matches it is the
 * text's beginning.
 */
export function makeSnippet(
  text: string,
  matches: readonly TokenMatch[],
  options: SnippetOptions = {},
): Snippet {
  const { width = 240 } = options;
  const found = matches
    .filter((match) => match.span !== undefined && match.span[1] > match.span[0])
    .map(({ span, score, queryToken }) => ({ start: span![0], end: span![1], score, queryToken }))
    .sort((a, b) => a.start - b.start || a.end - b.end);
  const { start, end } = findWindow(text, found, width);
  const highlights: [number, number][] = [];
  for (const match of found) {
    if (match.start < start || match.end > end) continue;
    const last = highlights.at(-1);
    const [from, to] = [match.start - start, match.end - start];
    if (last === undefined || from >= last[1]) highlights.push([from, to]);
    else last[1] = Math.max(last[1], to);
  }
  return { start, end, text: text.slice(start, end), highlights };
}

interface Found {
  readonly start: number;
  readonly end: number;
  readonly score: number;
  readonly queryToken: number;
}

function findWindow(
  text: string,
  found: readonly Found[],
  width: number,
): { start: number; end: number } {
  let best = { score: 0, first: 0, last: 0 };
  for (const [at, { start }] of found.entries()) {
    const seen = new Set<number>();
    let score = 0;
    let last = start;
    for (const match of found.slice(at)) {
      if (match.end > start + width) break;
      // A second occurrence of the same term shows little more.
      score += seen.has(match.queryToken) ? match.score * 0.1 : match.score;
      seen.add(match.queryToken);
      last = match.end;
    }
    if (score > best.score) best = { score, first: start, last };
  }
  const spare = Math.max(0, width - (best.last - best.first));
  const start = Math.max(0, Math.min(best.first - Math.floor(spare / 3), text.length - width));
  const end = Math.min(text.length, Math.max(best.last, start + width));
  return moveToWords(text, { start, end }, best.first, best.last);
}

/** Moves both ends inwards to white space, where that cuts nothing that must be shown. */
function moveToWords(
  text: string,
  { start, end }: { start: number; end: number },
  first: number,
  last: number,
): { start: number; end: number } {
  if (start > 0) {
    const space = /\s/.exec(text.slice(start, first));
    if (space !== null) start += space.index + 1;
  }
  if (end < text.length) {
    const cut = text.slice(Math.max(last, start), end).search(/\s\S*$/);
    if (cut > 0) end = Math.max(last, start) + cut;
  }
  // Never between the halves of a character.
  if (/[\udc00-\udfff]/.test(text[start] ?? "")) start++;
  if (/[\udc00-\udfff]/.test(text[end] ?? "")) end--;
  return { start, end };
}

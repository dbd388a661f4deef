/**
 * From pairs of words to pairs of tokens: the evidence for each target token, and what tokens without
 * any borrow from their neighbours in spelling.
 */
import { decompose, formOfText, type TokenForms } from "../token-forms.ts";
import type { WordLink } from "./align-words.ts";
import type { WordList } from "./word-units.ts";

/** Evidence that a target token means a source token, by target id and source id. */
export type TokenEvidence = Map<number, Map<number, number>>;

/** Adds evidence. */
function support(evidence: TokenEvidence, target: number, source: number, amount: number): void {
  let shares = evidence.get(target);
  if (!shares) {
    shares = new Map();
    evidence.set(target, shares);
  }
  shares.set(source, (shares.get(source) ?? 0) + amount);
}

export interface MapWordsOptions {
  /** Word pairs with a smaller expected count are left out. Default 10; 2 for a few thousand sentences. */
  minCount?: number;
}

/**
 * Evidence from aligned words. A pair of whole tokens counts as it is. Otherwise one half of the count
 * goes to all pairs of pieces, the other to the pairs that meet when both words are stretched to one
 * length: compounds keep the meaning of their parts, and reordered ones are not lost.
 */
export function mapWordLinks(
  links: readonly WordLink[],
  source: WordList,
  target: WordList,
  options: MapWordsOptions = {},
): TokenEvidence {
  const { minCount = 10 } = options;
  const evidence: TokenEvidence = new Map();
  for (const link of links) {
    if (link.count < minCount) continue;
    const count = Math.round(link.count);
    const from = source.words[link.source]!;
    const to = target.words[link.target]!;
    if (from.length === 1 && to.length === 1) {
      support(evidence, to[0]!, from[0]!, count);
      continue;
    }
    const half = Math.max(1, Math.floor(count / 2));
    const each = Math.max(1, Math.floor(half / from.length));
    for (const s of from) for (const t of to) support(evidence, t, s, each);
    const common = greatestCommonDivisor(from.length, to.length);
    const stretched = (from.length * to.length) / common;
    const step = Math.max(1, Math.floor(half / (from.length / common)));
    for (let at = 0; at < stretched; at++) {
      const s = from[Math.floor((at * from.length) / stretched)]!;
      const t = to[Math.floor((at * to.length) / stretched)]!;
      support(evidence, t, s, step);
    }
  }
  return evidence;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * Evidence that needs no text, with weight 1 so that any alignment overrules it: numbers, and strings
 * that both vocabularies hold.
 */
export function addSharedStrings(
  evidence: TokenEvidence,
  source: TokenForms,
  target: TokenForms,
): void {
  const numbers = [
    ...Array.from({ length: 9999 }, (_, number) => String(number)),
    ...Array.from({ length: 99 }, (_, number) => `0${number}`),
  ];
  for (const number of numbers) {
    for (const text of [number, ` ${number}`]) {
      const id = target.ids.get(formOfText(text));
      if (id === undefined) continue;
      const [first] = decompose(source, formOfText(text));
      if (first !== undefined) support(evidence, id, first, 1);
    }
  }
  for (const [form, id] of target.ids) {
    const same = source.ids.get(form);
    if (same !== undefined) support(evidence, id, same, 1);
  }
}

/**
 * Gives target tokens without evidence that of tokens spelt like them: those that begin with the token,
 * and those that lie within it, longest first, none inside another. Each contributes its distribution
 * over source tokens, scaled to 1,000; source tokens that begin a word count twice.
 */
export function smoothEvidence(
  evidence: TokenEvidence,
  source: TokenForms,
  target: TokenForms,
): TokenEvidence {
  const mapped = new Map<string, number>();
  for (const id of evidence.keys()) {
    const form = target.forms[id];
    if (form !== undefined && !mapped.has(form)) mapped.set(form, id);
  }
  const sorted = [...mapped.keys()].sort();
  const smoothed: TokenEvidence = new Map(evidence);
  for (const [id, form] of target.forms.entries()) {
    if (form === undefined || evidence.has(id)) continue;
    for (const neighbour of [...startingWith(sorted, form), ...containedIn(mapped, form)]) {
      const shares = evidence.get(mapped.get(neighbour)!)!;
      let total = 0;
      for (const share of shares.values()) total += share;
      for (const [s, share] of shares) {
        const scale = source.forms[s]?.startsWith(wordStart) ? 2000 : 1000;
        support(smoothed, id, s, Math.max(1, Math.floor((scale * share) / total)));
      }
    }
  }
  return smoothed;
}

const wordStart: string = formOfText(" ");

/** Strings of a sorted list that begin with `prefix`. */
export function startingWith(sorted: readonly string[], prefix: string): string[] {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < prefix) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < sorted.length && sorted[end]!.startsWith(prefix)) end++;
  return sorted.slice(low, end);
}

/** Known strings within `form`, in order, the longest chosen first and none inside a chosen one. */
export function containedIn(known: ReadonlyMap<string, unknown>, form: string): string[] {
  const chosen: { start: number; end: number }[] = [];
  for (let length = form.length - 1; length > 0; length--) {
    for (let start = 0; start + length <= form.length; start++) {
      const end = start + length;
      if (chosen.some((other) => other.start <= start && end <= other.end)) continue;
      if (known.has(form.slice(start, end))) chosen.push({ start, end });
    }
  }
  return chosen
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .map(({ start, end }) => form.slice(start, end));
}

/** Full-text search over the systems: BM25, with the places of the query's words for highlighting. */
import {
  type Analyzer,
  analyze,
  type Bm25Index,
  createAnalyzer,
  createBm25Index,
} from "jeton/lexical";
import type { CatalogueEntry, SearchText } from "../data.ts";

/** A part of a text; `hit` where a word of the query stands. */
export interface Piece {
  readonly text: string;
  readonly hit: boolean;
}

/** An index of the systems. */
export interface SystemSearch {
  /** Slugs, best first. */
  find(query: string): string[];
  /** A text cut where words of the query begin and end. */
  highlight(text: string, query: string): Piece[];
  /** A stretch of a system's README around the first word of the query; undefined where none is in it. */
  excerpt(slug: string, query: string): string | undefined;
}

/** Words that complete the last one while it is being typed. */
const maxCompletions = 12;
/** Characters of an excerpt before and after the found word. */
const reach = 90;

/** Indexes names, titles, sentences, claims and READMEs. */
export function createSystemSearch(
  entries: readonly CatalogueEntry[],
  texts: readonly SearchText[],
): SystemSearch {
  const analyzer = createAnalyzer({ stopWords: "english", stemmer: "english" });
  const bodies = new Map(texts.map(({ slug, text }) => [slug, text]));
  const index: Bm25Index = createBm25Index({ analyzer, ties: "position" });
  const vocabulary = new Set<string>();
  for (const entry of entries) {
    const { slug, name, paper, sentence, area } = entry;
    // What names a system counts more than what its README mentions.
    const title = `${name} ${slug} ${paper} ${area} ${sentence}`;
    const text = `${title}\n${title}\n${title}\n${bodies.get(slug) ?? ""}`;
    index.add(slug, text);
    for (const { term } of analyze(analyzer, text)) vocabulary.add(term);
  }
  const words = [...vocabulary].sort();
  const termsOf = (query: string): Set<string> => {
    const terms = analyze(analyzer, query).map(({ term }) => term);
    const last = /[\p{L}\p{N}]$/u.test(query) ? terms.at(-1) : undefined;
    const completions =
      last === undefined || last.length < 2
        ? []
        : words.filter((word) => word.startsWith(last)).slice(0, maxCompletions);
    return new Set([...terms, ...completions]);
  };
  return {
    find(query) {
      const terms = termsOf(query);
      if (terms.size === 0) return [];
      return index.search([...terms].join(" "), { k: entries.length }).map(({ id }) => id);
    },
    highlight: (text, query) => markTerms(analyzer, text, termsOf(query)),
    excerpt(slug, query) {
      const text = bodies.get(slug) ?? "";
      const terms = termsOf(query);
      const found = analyze(analyzer, text).find(({ term }) => terms.has(term));
      if (!found) return undefined;
      const start = Math.max(0, text.lastIndexOf(" ", found.start - reach) + 1);
      const end = text.indexOf(" ", found.end + reach);
      const part = text.slice(start, end < 0 ? undefined : end).replace(/\s+/g, " ");
      return `${start > 0 ? "… " : ""}${part}${end < 0 ? "" : " …"}`;
    },
  };
}

function markTerms(analyzer: Analyzer, text: string, terms: ReadonlySet<string>): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { term, start, end } of analyze(analyzer, text)) {
    if (!terms.has(term) || start < from) continue;
    if (start > from) pieces.push({ text: text.slice(from, start), hit: false });
    pieces.push({ text: text.slice(start, end), hit: true });
    from = end;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), hit: false });
  return pieces;
}

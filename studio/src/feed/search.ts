/** Full-text search over the systems: BM25, with the places of the query's words for highlighting. */
import { nextTask } from "jeton/core";
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
/** Characters that words of one root begin with, and how many may follow: shorter, shorten. */
const root = { least: 6, most: 2 } as const;
/** What names a system counts more than what its README mentions. */
const titleWeight = 3;
/** What is not built cannot be tried, and comes behind what fits about as well. */
const unbuiltShare = 0.8;
/** Characters of an excerpt before and after the found word. */
const reach = 90;

/** Milliseconds for which texts are indexed before what was typed meanwhile is shown. */
const share = 12;

/**
 * Indexes names, titles, sentences, claims and READMEs, a few at a time: the page answers to keys meanwhile.
 *
 * @param signal ends the work; the search is then rejected with its reason
 */
export async function createSystemSearch(
  entries: readonly CatalogueEntry[],
  texts: readonly SearchText[],
  signal: AbortSignal,
): Promise<SystemSearch> {
  const analyzer = createAnalyzer({ stopWords: "english", stemmer: "english" });
  const bodies = new Map(texts.map(({ slug, text }) => [slug, text]));
  const names: Bm25Index = createBm25Index({ analyzer, ties: "position" });
  const readmes: Bm25Index = createBm25Index({ analyzer, ties: "position" });
  const vocabulary = new Set<string>();
  let began = performance.now();
  const pause = async (): Promise<void> => {
    await nextTask();
    signal.throwIfAborted();
    began = performance.now();
  };
  for (const entry of entries) {
    if (performance.now() - began > share) await pause();
    const { slug, name, paper, sentence, area } = entry;
    const title = `${name} ${slug} ${paper} ${sentence}`;
    const body = `${area}\n${bodies.get(slug) ?? ""}`;
    names.add(slug, title);
    readmes.add(slug, body);
    for (const { term } of analyze(analyzer, `${title}\n${body}`)) vocabulary.add(term);
  }
  // What is found with it is drawn at once, as a task of its own.
  await pause();
  const words = [...vocabulary].sort();
  /** For each word of a query the terms that stand for it. */
  const groupsOf = (query: string): string[][] => {
    const terms = [...new Set(analyze(analyzer, query).map(({ term }) => term))];
    const last = /[\p{L}\p{N}]$/u.test(query) ? terms.at(-1) : undefined;
    return terms.map((term) => {
      const completions =
        term !== last || term.length < 2
          ? []
          : words.filter((word) => word.startsWith(term)).slice(0, maxCompletions);
      return [
        ...new Set([term, ...completions, ...words.filter((word) => isOfOneRoot(term, word))]),
      ];
    });
  };
  const termsOf = (query: string): Set<string> => new Set(groupsOf(query).flat());
  const built = new Set(entries.filter((entry) => entry.built).map(({ slug }) => slug));
  return {
    find(query) {
      const groups = groupsOf(query);
      const found = new Map<string, { score: number; groups: number }>();
      for (const group of groups) {
        const scores = scoreTerms(group, [
          [names, titleWeight],
          [readmes, 1],
        ]);
        for (const [slug, score] of scores) {
          const before = found.get(slug) ?? { score: 0, groups: 0 };
          found.set(slug, { score: before.score + score, groups: before.groups + 1 });
        }
      }
      const rank = ([slug, hit]: [string, { score: number; groups: number }]): number =>
        hit.score * (hit.groups / groups.length) * (built.has(slug) ? 1 : unbuiltShare);
      return [...found].sort((a, b) => rank(b) - rank(a)).map(([slug]) => slug);
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

/** Scores of the texts that hold one of the terms, over several indexes with their weights. */
function scoreTerms(
  terms: readonly string[],
  indexes: readonly (readonly [Bm25Index, weight: number])[],
): Map<string, number> {
  const scores = new Map<string, number>();
  for (const [index, weight] of indexes) {
    for (const { id, score } of index.search(terms.join(" "), { k: index.size })) {
      scores.set(id, (scores.get(id) ?? 0) + weight * score);
    }
  }
  return scores;
}

/** Whether two words differ in their ends alone. */
function isOfOneRoot(a: string, b: string): boolean {
  let common = 0;
  while (common < a.length && a[common] === b[common]) common++;
  return common >= root.least && a.length - common <= root.most && b.length - common <= root.most;
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

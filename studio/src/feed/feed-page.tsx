/** The feed: every system, the last recorded first. */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import {
  type CatalogueEntry,
  fetchCatalogue,
  fetchSearchTexts,
  type SearchText,
  useLoaded,
} from "../data.ts";
import { Failure, Waiting } from "../parts/states.tsx";
import { replaceRoute, writeRoute } from "../route.ts";
import { FilterBar } from "./filter-bar.tsx";
import { type Filters, passes, readFilters } from "./filters.ts";
import { createSystemSearch, type SystemSearch } from "./search.ts";
import { SystemCard } from "./system-card.tsx";
import { useCardKeys } from "./use-card-keys.ts";

export function FeedPage({ query }: { readonly query: URLSearchParams }): JSX.Element {
  const catalogue = useLoaded(fetchCatalogue, "catalogue");
  useEffect(() => {
    document.title = "jeton: published systems, measured";
  }, []);
  if (catalogue.state === "waiting") return <Waiting what="the systems" />;
  if (catalogue.state === "failed") return <Failure message={catalogue.message} />;
  return <Feed entries={catalogue.value} filters={readFilters(query)} />;
}

function Feed({
  entries,
  filters,
}: {
  readonly entries: readonly CatalogueEntry[];
  readonly filters: Filters;
}): JSX.Element {
  const search = useSearch(entries, filters.text !== "");
  const list = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useCardKeys(list, field);
  const shown = useMemo(() => choose(entries, filters, search), [entries, filters, search]);
  const mark = (text: string): { text: string; hit: boolean }[] =>
    filters.text === "" || !search ? [{ text, hit: false }] : search.highlight(text, filters.text);
  const change = (next: Partial<Record<keyof Filters, string | undefined>>): void => {
    const { text, area, verdict } = { ...filters, ...next };
    replaceRoute(writeRoute([], { q: text, area, verdict }));
  };
  const built = entries.filter((entry) => entry.built).length;
  const recorded = entries.filter((entry) => entry.record).length;
  return (
    <div class="feed">
      <div class="intro">
        <h1>Published systems about tokens, measured</h1>
        <p>
          {entries.length} papers on how language models treat tokens. {built} are built into one
          library, {recorded} have a recorded measurement of their paper's claims: reproduced or
          not.
        </p>
      </div>
      <FilterBar entries={entries} filters={filters} onChange={change} field={field} />
      <p class="count" role="status">
        {shown.length === entries.length
          ? `${shown.length} systems`
          : `${shown.length} of ${entries.length} systems`}
      </p>
      <div class="cards" ref={list}>
        {shown.map((entry) => (
          <SystemCard
            key={entry.slug}
            entry={entry}
            mark={mark}
            excerpt={filters.text === "" ? undefined : search?.excerpt(entry.slug, filters.text)}
          />
        ))}
        {shown.length === 0 && (
          <p class="nothing">
            No system fits. <a href="#/">Show all</a>
          </p>
        )}
      </div>
    </div>
  );
}

/** Matching systems: in the order of the search where there is one. */
function choose(
  entries: readonly CatalogueEntry[],
  filters: Filters,
  search: SystemSearch | undefined,
): readonly CatalogueEntry[] {
  const passing = entries.filter((entry) => passes(entry, filters));
  if (filters.text.trim() === "" || !search) return passing;
  const bySlug = new Map(passing.map((entry) => [entry.slug, entry]));
  return search.find(filters.text).flatMap((slug) => bySlug.get(slug) ?? []);
}

/** The index, with the READMEs once they are there: asked for at the first query. */
function useSearch(
  entries: readonly CatalogueEntry[],
  isWanted: boolean,
): SystemSearch | undefined {
  const [texts, setTexts] = useState<readonly SearchText[]>([]);
  useEffect(() => {
    if (!isWanted || texts.length > 0) return;
    // Where they cannot be had, titles and sentences are searched.
    fetchSearchTexts().then(setTexts, () => undefined);
  }, [isWanted, texts]);
  const [search, setSearch] = useState<SystemSearch>();
  useEffect(() => {
    if (!isWanted) return;
    const controller = new AbortController();
    const { signal } = controller;
    createSystemSearch(entries, texts, signal).then(setSearch, (error: unknown) => {
      // One that was ended has a successor.
      if (!signal.aborted) throw error;
    });
    return () => controller.abort();
  }, [entries, texts, isWanted]);
  return search;
}

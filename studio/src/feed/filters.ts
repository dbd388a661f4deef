/** Which systems the feed shows. */
import type { CatalogueEntry } from "../data.ts";

/** Filters by what was measured. */
export const verdictFilters = {
  recorded: "recorded",
  reproduced: "reproduced, some partly",
  mixed: "some not reproduced",
  unrecorded: "built, not recorded",
  planned: "not built yet",
} as const;

export type VerdictFilter = keyof typeof verdictFilters;

/** What the feed is narrowed to. */
export interface Filters {
  readonly area?: string;
  readonly verdict?: VerdictFilter;
  readonly text: string;
}

/** Reads filters from the address. */
export function readFilters(query: URLSearchParams): Filters {
  const area = query.get("area");
  const verdict = query.get("verdict");
  return {
    text: query.get("q") ?? "",
    ...(area && { area }),
    ...(verdict && verdict in verdictFilters && { verdict: verdict as VerdictFilter }),
  };
}

/** Whether a system passes area and verdict. */
export function passes(entry: CatalogueEntry, { area, verdict }: Filters): boolean {
  if (area !== undefined && entry.area !== area) return false;
  const verdicts = entry.record?.verdicts;
  if (verdict === undefined) return true;
  switch (verdict) {
    case "recorded":
      return verdicts !== undefined;
    case "reproduced":
      return verdicts !== undefined && verdicts.notReproduced === 0;
    case "mixed":
      return verdicts !== undefined && verdicts.notReproduced > 0;
    case "unrecorded":
      return entry.built && verdicts === undefined;
    default:
      return !entry.built;
  }
}

/** All filters by name. */
import type { Filter } from "./filter.ts";
import { markupFilters } from "./markup-filters.ts";
import { selectionFilters } from "./selection-filters.ts";
import { sequenceFilters } from "./sequence-filters.ts";
import { textFilters } from "./text-filters.ts";
import { valueFilters } from "./value-filters.ts";

export const filters: ReadonlyMap<string, Filter> = new Map([
  ...Object.entries(textFilters),
  ...Object.entries(sequenceFilters),
  ...Object.entries(selectionFilters),
  ...Object.entries(valueFilters),
  ...Object.entries(markupFilters),
]);

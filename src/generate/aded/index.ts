/**
 * ADED: drafts from an adaptive table of three-token statistics.
 */
export { type Adaptation, type AdedOptions, createAdedDrafter } from "./aded-drafter.ts";
export {
  DraftSearch,
  type DraftSearchOptions,
  type SearchedNode,
  type SearchedPath,
  selectionValue,
} from "./draft-search.ts";
export {
  countTrigrams,
  fillTable,
  type TrigramCounts,
  TrigramTable,
  type TrigramTableOptions,
} from "./trigram-table.ts";

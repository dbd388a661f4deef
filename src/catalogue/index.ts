/**
 * The published systems with their recorded results, as pages, feeds and a digest. For Node: it reads the
 * records and READMEs of the package.
 *
 * @module catalogue
 */
export { type AtomOptions, writeAtomFeed } from "./atom-feed.ts";
export { type Citation, readCitation, writeBibtex } from "./citation.ts";
export { type DigestOptions, writeDigest } from "./digest.ts";
export { type FeedEntry, feedEntries } from "./feed-entries.ts";
export { writeJsonFeed } from "./json-feed.ts";
export {
  type CatalogueEntry,
  type CataloguePage,
  entryOf,
  type RecordSummary,
  readCatalogue,
  type Verdicts,
} from "./read-catalogue.ts";
export { type ReadmeSection, readmeSections } from "./readme-sections.ts";
export { plotFile, type RecordedClaim, readRecord, type SystemRecord } from "./records.ts";

/**
 * Qtok: what tokenizers' vocabularies are made of, and what they make of text.
 *
 * @module evaluate/qtok
 */
export {
  type CanonicalToken,
  type ClassifyOptions,
  classifyVocabulary,
  type Spelling,
  type TokenCategory,
  tokenCategories,
} from "./classify-tokens.ts";
export type { LanguageText, TextMeasures } from "./measure-text.ts";
export {
  type CategoryCounts,
  type InspectVocabulariesOptions,
  inspectVocabularies,
  type NamedTokenizer,
  type QtokReport,
  type VocabularyReport,
} from "./qtok.ts";
export { formatReport, renderReport, writeCsv } from "./write-report.ts";

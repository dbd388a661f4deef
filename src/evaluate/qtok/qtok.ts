/**
 * Qtok (Chelombitko et al., 2024): what a tokenizer's vocabulary is made of, before any model is
 * trained on it, and, beyond the paper, what the tokenizer makes of text in several languages.
 */
import { JetonError } from "../../core/error.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { alphabets } from "./alphabets.ts";
import {
  type CanonicalToken,
  type ClassifyOptions,
  classifyVocabulary,
  findSpelling,
  type Spelling,
  type TokenCategory,
  tokenCategories,
} from "./classify-tokens.ts";
import {
  type LanguageText,
  measureText,
  shareLanguages,
  type TextMeasures,
} from "./measure-text.ts";

/** A tokenizer under its name. */
export interface NamedTokenizer {
  readonly name: string;
  readonly tokenizer: Tokenizer;
}

/** Options of `inspectVocabularies`. */
export interface InspectVocabulariesOptions extends ClassifyOptions {
  /** Texts to measure fertility, parity and the rest on. Default none. */
  texts?: readonly LanguageText[];
  /** The language that parity is relative to. Default English, else the first. */
  reference?: string;
  /** Words that a general vocabulary should hold, with their leading spaces. Default none. */
  coreTokens?: readonly string[];
}

/** Number of tokens by category. */
export type CategoryCounts = Readonly<Record<TokenCategory, number>>;

/** What one vocabulary is made of. */
export interface VocabularyReport {
  readonly name: string;
  readonly kind: Tokenizer["kind"];
  readonly spelling: Spelling;
  /** Tokens; ids that nothing stands at do not count. */
  readonly size: number;
  /** Tokens whose canonical spelling another token has as well. */
  readonly repeated: number;
  readonly categories: CategoryCounts;
  /** Tokens of letters by script, most first. */
  readonly scripts: Readonly<Record<string, number>>;
  /** Tokens that begin with a space. */
  readonly spaced: number;
  /** How many of the core tokens are there; undefined without a list of them. */
  readonly core: { readonly present: number; readonly total: number } | undefined;
  /** Share of each language's letters that are tokens of their own, by language. */
  readonly completeness: Readonly<Record<string, number>>;
  /** Shares of the languages among the tokens of letters; undefined without texts. */
  readonly languages: ReturnType<typeof shareLanguages> | undefined;
  /** By language, in the order of the texts. */
  readonly text: readonly TextMeasures[];
}

/** The report on a set of tokenizers. */
export interface QtokReport {
  readonly vocabularies: readonly VocabularyReport[];
  /** All vocabularies together, each spelling once. */
  readonly union: { readonly size: number; readonly categories: CategoryCounts };
  /** Jaccard similarity of the vocabularies i and j. */
  readonly similarity: readonly (readonly number[])[];
  /** Groups of tokenizers that are the same but for a twentieth, by name. */
  readonly families: readonly (readonly string[])[];
}

/** Above this similarity two tokenizers count as one, as in the paper. */
const sameTokenizer = 0.95;

/**
 * Reports on a set of tokenizers.
 *
 * @throws JetonError `qtok-tokenizers` for no tokenizer or two of one name, `qtok-text` for a language
 *   without a sentence, or parallel texts of different lengths.
 *
 * @example
 * const tokenizer = await loadTokenizer("path/to/gpt2");
 * const report = inspectVocabularies([{ name: "gpt2", tokenizer }]);
 * report.vocabularies[0]?.categories["spaced word"]; // share of all tokens
 */
export function inspectVocabularies(
  tokenizers: readonly NamedTokenizer[],
  options: InspectVocabulariesOptions = {},
): QtokReport {
  const { texts = [], reference, coreTokens } = options;
  if (
    tokenizers.length === 0 ||
    new Set(tokenizers.map(({ name }) => name)).size < tokenizers.length
  ) {
    throw new JetonError("the report needs tokenizers of different names", {
      code: "qtok-tokenizers",
      details: { found: tokenizers.map(({ name }) => name) },
    });
  }
  checkTexts(texts);
  const classified = tokenizers.map(({ tokenizer }) => classifyVocabulary(tokenizer, options));
  const spellings = classified.map((tokens) => new Map(tokens.map((token) => [token.text, token])));
  const union = new Map<string, CanonicalToken>();
  for (const tokens of spellings) for (const [text, token] of tokens) union.set(text, token);
  const similarity = spellings.map((a) => spellings.map((b) => jaccard(a, b)));
  return {
    vocabularies: tokenizers.map(({ name, tokenizer }, i): VocabularyReport => {
      const tokens = classified[i]!;
      const texted = spellings[i]!;
      return {
        name,
        kind: tokenizer.kind,
        spelling: findSpelling(tokenizer),
        size: tokens.length,
        repeated: tokens.length - texted.size,
        categories: countCategories(tokens),
        scripts: countScripts(tokens),
        spaced: tokens.filter(({ text }) => text.length > 1 && text.startsWith(" ")).length,
        core: coreTokens && {
          present: coreTokens.filter((token) => texted.has(token)).length,
          total: coreTokens.length,
        },
        completeness: measureCompleteness(texted),
        languages: texts.length > 0 ? shareLanguages(tokens, texts) : undefined,
        text: measureText(tokenizer, tokens, texts, reference),
      };
    }),
    union: { size: union.size, categories: countCategories(union.values()) },
    similarity,
    families: groupSimilar(similarity).map((group) => group.map((i) => tokenizers[i]!.name)),
  };
}

function checkTexts(texts: readonly LanguageText[]): void {
  for (const { language, sentences } of texts) {
    if (sentences.length === 0 || sentences.length !== texts[0]!.sentences.length) {
      throw new JetonError(
        `the text of ${language} has ${sentences.length} sentences, expected as many as every other and at least one`,
        { code: "qtok-text", details: { language, found: sentences.length } },
      );
    }
  }
}

function countCategories(tokens: Iterable<CanonicalToken>): CategoryCounts {
  const counts = Object.fromEntries(tokenCategories.map((category) => [category, 0])) as Record<
    TokenCategory,
    number
  >;
  for (const { category } of tokens) counts[category]++;
  return counts;
}

function countScripts(tokens: readonly CanonicalToken[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { script } of tokens) {
    if (script !== undefined) counts.set(script, (counts.get(script) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
}

function measureCompleteness(texted: ReadonlyMap<string, CanonicalToken>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(alphabets).map(([language, alphabet]) => {
      const letters = [...alphabet];
      const present = letters.filter(
        (letter) => isWhole(texted.get(letter)) || texted.has(` ${letter}`),
      );
      return [language, present.length / letters.length];
    }),
  );
}

/** A byte above ASCII looks like the Latin-1 letter of its number, but is none. */
function isWhole(token: CanonicalToken | undefined): boolean {
  return token !== undefined && !(token.category === "byte" && token.text > "~");
}

function jaccard(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): number {
  let both = 0;
  for (const text of a.keys()) if (b.has(text)) both++;
  return both / (a.size + b.size - both);
}

/** Average-linkage clustering, cut where two clusters are no longer the same tokenizer. */
function groupSimilar(similarity: readonly (readonly number[])[]): number[][] {
  const groups = similarity.map((_, i) => [i]);
  for (;;) {
    let best = sameTokenizer;
    let pair: [number, number] | undefined;
    for (let i = 0; i < groups.length; i++) {
      for (let j = 0; j < i; j++) {
        let sum = 0;
        for (const a of groups[i]!) for (const b of groups[j]!) sum += similarity[a]![b]!;
        const mean = sum / (groups[i]!.length * groups[j]!.length);
        if (mean > best) {
          best = mean;
          pair = [j, i];
        }
      }
    }
    if (pair === undefined) return groups;
    groups[pair[0]]!.push(...groups.splice(pair[1], 1)[0]!);
  }
}

/**
 * How text becomes terms: which runs of characters are words, and which terms a word stands for. An
 * analyzer says what it does as plain data, so that an index file can name the one it was made with.
 */
import { JetonError } from "../../core/index.ts";
import {
  type CharacterClasses,
  createAsciiClasses,
  createUnicodeClasses,
  scanWords,
  toUnits,
} from "./character-classes.ts";
import { stemEnglish } from "./english-stemmer.ts";
import { splitIdentifier } from "./split-identifier.ts";
import { englishStopWords } from "./stop-words.ts";

/** Options of `createAnalyzer`; plain data. */
export interface AnalyzerOptions {
  /**
   * What a word is. `"unicode"` (default): letters, digits and marks of all scripts; of scripts without
   * spaces (Chinese, Japanese, Thai, …) two neighbouring characters at a time. `"ascii"`: runs of a to z,
   * A to Z, 0 to 9. `"code"`: those runs with `_` and `$`, which give the whole identifier and its parts
   * (`parseHTMLPage` gives `parsehtmlpage`, `parse`, `html`, `page`).
   */
  words?: "unicode" | "ascii" | "code";
  /** Whether letters become lower case. Default true. */
  lowercase?: boolean;
  /** Words that give no term, compared after lower-casing: a list, or `"english"`. Default none. */
  stopWords?: "english" | readonly string[];
  /** `"english"`: Porter's algorithm of 1980. Default none. */
  stemmer?: "english";
}

/** A term of a text and where it stands. */
export interface TextTerm {
  readonly term: string;
  /** First UTF-16 unit of the word. */
  readonly start: number;
  /** The unit after the word. */
  readonly end: number;
}

/** Text to terms. */
export interface Analyzer {
  /** What it was made of, as plain data. */
  readonly options: Readonly<AnalyzerOptions>;
  /**
   * Calls `visit` with the range of each word of a text, given as its UTF-16 units, and with the word's hash where it is
   * known: that of `hashUnits` and no other.
   */
  scan(units: Uint16Array, visit: (start: number, end: number, hash?: number) => void): void;
  /** The terms of a word that `scan` found: none for a stop word, several for an identifier. */
  termsOf(word: string): readonly string[];
}

/**
 * Makes an analyzer.
 *
 * @throws JetonError `analyzer-option-invalid` for an option that is none or has no such value
 *
 * @example
 * const analyzer = createAnalyzer({ stopWords: "english", stemmer: "english" });
 * analyze(analyzer, "The cats sat").map(({ term }) => term); // ["cat", "sat"]
 */
export function createAnalyzer(options: AnalyzerOptions = {}): Analyzer {
  checkOptions(options);
  const { words = "unicode", lowercase = true, stopWords = [], stemmer } = options;
  const classes = classesFor(words);
  const stopped = new Set(stopWords === "english" ? englishStopWords : stopWords);
  const split = words === "code" ? splitIdentifier : (word: string) => [word];
  return {
    options: { ...options },
    scan: (units, visit) => scanWords(units, classes, visit),
    termsOf(word) {
      const terms: string[] = [];
      for (const part of split(word)) {
        const term = lowercase ? part.toLowerCase() : part;
        if (!stopped.has(term)) terms.push(stemmer === undefined ? term : stemEnglish(term));
      }
      return terms;
    },
  };
}

/** The terms of a text with their places, in the order of the text. */
export function analyze(analyzer: Analyzer, text: string): TextTerm[] {
  const found: TextTerm[] = [];
  analyzer.scan(toUnits(text), (start, end) => {
    for (const term of analyzer.termsOf(text.slice(start, end))) found.push({ term, start, end });
  });
  return found;
}

function classesFor(words: NonNullable<AnalyzerOptions["words"]>): CharacterClasses {
  switch (words) {
    case "ascii":
      return createAsciiClasses();
    case "code":
      return createAsciiClasses("_$");
    case "unicode":
      return createUnicodeClasses();
  }
}

const choices: Readonly<Record<string, readonly unknown[]>> = {
  words: ["unicode", "ascii", "code", undefined],
  lowercase: [true, false, undefined],
  stemmer: ["english", undefined],
};

function checkOptions(options: AnalyzerOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const isList = Array.isArray(value) && value.every((word) => typeof word === "string");
    const isValid =
      name === "stopWords"
        ? value === undefined || value === "english" || isList
        : choices[name]?.includes(value);
    if (isValid) continue;
    const expected =
      name === "stopWords"
        ? '"english" or a list of words'
        : (choices[name]?.filter((choice) => choice !== undefined).join(", ") ?? "no such option");
    throw new JetonError(`analyzer option ${name}: ${JSON.stringify(value)}; ${expected}`, {
      code: "analyzer-option-invalid",
      details: { option: name, found: value, expected },
    });
  }
}

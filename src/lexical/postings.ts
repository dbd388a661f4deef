/** Which documents hold a term, and how often: built once, then read without being changed. */
import type { Analyzer } from "./analysis/analyzer.ts";
import { toUnits } from "./analysis/character-classes.ts";
import { grow, TermTable } from "./term-table.ts";

/** The documents that hold a term. */
export interface PostingList {
  /** Places of the documents, ascending. */
  readonly documents: Uint32Array;
  /** Occurrences in each. */
  readonly frequencies: Uint32Array;
}

/** The postings of a set of documents. */
export interface Postings {
  /** Number of terms of each document, by its place. */
  readonly lengths: Uint32Array;
  /** The documents that hold a term; undefined if there is none. */
  find(term: string): PostingList | undefined;
}

/** The arrays of postings, as they are kept in files: term t has the places `offsets[t]` to `offsets[t + 1]`. */
export interface PostingArrays {
  readonly terms: readonly string[];
  readonly offsets: Uint32Array;
  readonly documents: Uint32Array;
  readonly frequencies: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Takes documents one by one; gives their postings at any time. */
export class PostingsBuilder {
  readonly #analyzer: Analyzer;
  /** Words as they are written; their terms are found once. */
  readonly #words: TermTable = new TermTable();
  /** Number of a word's term plus one; 0 where it is not known yet, -1 where it has none or several. */
  #termOfWord: Int32Array = new Int32Array(512);
  readonly #termsOfWord: Map<number, readonly number[]> = new Map();
  readonly #terms: TermTable = new TermTable();
  #termUnits: Uint16Array = new Uint16Array(64);
  #counts: Uint32Array = new Uint32Array(512);
  #touched: Uint32Array = new Uint32Array(512);
  #touchedCount = 0;
  #length = 0;
  /** Term and frequency of each posting, document by document. */
  #logTerms: Uint32Array = new Uint32Array(4096);
  #logFrequencies: Uint32Array = new Uint32Array(4096);
  #logSize = 0;
  #lengths: Uint32Array = new Uint32Array(256);
  #ends: Uint32Array = new Uint32Array(256);
  #documents = 0;
  #postings: IndexedPostings | undefined;
  /** The document that is being added. */
  #units: Uint16Array = new Uint16Array(0);
  /** Counts a word of it: one function for all documents, of which most may be short. */
  readonly #visit = (start: number, end: number, hash?: number): void => {
    const word = this.#words.intern(this.#units, start, end, hash);
    let term = word < this.#termOfWord.length ? this.#termOfWord[word]! : 0;
    if (term === 0) term = this.#learn(word);
    if (term > 0) this.#count(term - 1);
    else for (const one of this.#termsOfWord.get(word)!) this.#count(one);
  };

  constructor(analyzer: Analyzer) {
    this.#analyzer = analyzer;
  }

  /** Number of documents. */
  get size(): number {
    return this.#documents;
  }

  /** Adds a document, at the next place. */
  add(text: string): void {
    this.#length = 0;
    this.#units = toUnits(text);
    this.#analyzer.scan(this.#units, this.#visit);
    this.#flush();
    this.#postings = undefined;
  }

  /** Finds the terms of a word that is seen for the first time; they are nearly always one. */
  #learn(word: number): number {
    const terms = this.#analyzer.termsOf(this.#words.word(word)).map((term) => {
      // Not the shared memory of `toUnits`, which holds the document.
      while (term.length > this.#termUnits.length) this.#termUnits = grow(this.#termUnits);
      const units = this.#termUnits;
      for (let at = 0; at < term.length; at++) units[at] = term.charCodeAt(at);
      return this.#terms.intern(units, 0, term.length);
    });
    while (this.#words.size > this.#termOfWord.length) this.#termOfWord = grow(this.#termOfWord);
    while (this.#terms.size > this.#counts.length) {
      this.#counts = grow(this.#counts);
      this.#touched = grow(this.#touched);
    }
    const known = terms.length === 1 ? terms[0]! + 1 : -1;
    if (known < 0) this.#termsOfWord.set(word, terms);
    this.#termOfWord[word] = known;
    return known;
  }

  #count(term: number): void {
    this.#length++;
    if (this.#counts[term]!++ === 0) this.#touched[this.#touchedCount++] = term;
  }

  #flush(): void {
    while (this.#logSize + this.#touchedCount > this.#logTerms.length) {
      this.#logTerms = grow(this.#logTerms);
      this.#logFrequencies = grow(this.#logFrequencies);
    }
    let at = this.#logSize;
    for (let i = 0; i < this.#touchedCount; i++) {
      const term = this.#touched[i]!;
      this.#logTerms[at] = term;
      this.#logFrequencies[at++] = this.#counts[term]!;
      this.#counts[term] = 0;
    }
    this.#logSize = at;
    this.#touchedCount = 0;
    if (this.#documents === this.#lengths.length) {
      this.#lengths = grow(this.#lengths);
      this.#ends = grow(this.#ends);
    }
    this.#lengths[this.#documents] = this.#length;
    this.#ends[this.#documents++] = at;
  }

  /** The postings of all documents so far. */
  build(): IndexedPostings {
    if (this.#postings !== undefined) return this.#postings;
    const terms = this.#terms.size;
    const offsets = new Uint32Array(terms + 1);
    for (let i = 0; i < this.#logSize; i++) offsets[this.#logTerms[i]! + 1]!++;
    for (let term = 0; term < terms; term++) offsets[term + 1]! += offsets[term]!;
    const next = offsets.slice();
    const documents = new Uint32Array(this.#logSize);
    const frequencies = new Uint32Array(this.#logSize);
    let at = 0;
    for (let document = 0; document < this.#documents; document++) {
      const end = this.#ends[document]!;
      for (; at < end; at++) {
        const place = next[this.#logTerms[at]!]!++;
        documents[place] = document;
        frequencies[place] = this.#logFrequencies[at]!;
      }
    }
    const lengths = this.#lengths.slice(0, this.#documents);
    this.#postings = new IndexedPostings(
      { terms: this.#terms.words(), offsets, documents, frequencies, lengths },
      (term) => this.#terms.find(term),
    );
    return this.#postings;
  }
}

/** Postings over their arrays. */
export class IndexedPostings implements Postings {
  readonly arrays: PostingArrays;
  readonly #findTerm: (term: string) => number;

  /** @param findTerm the number of a term, or -1 */
  constructor(arrays: PostingArrays, findTerm: (term: string) => number) {
    this.arrays = arrays;
    this.#findTerm = findTerm;
  }

  get lengths(): Uint32Array {
    return this.arrays.lengths;
  }

  find(term: string): PostingList | undefined {
    const id = this.#findTerm(term);
    const { offsets, documents, frequencies } = this.arrays;
    // The builder may have learnt the term after these postings were built.
    if (id < 0 || id + 1 >= offsets.length) return undefined;
    const [start, end] = [offsets[id]!, offsets[id + 1]!];
    if (start === end) return undefined;
    return {
      documents: documents.subarray(start, end),
      frequencies: frequencies.subarray(start, end),
    };
  }
}

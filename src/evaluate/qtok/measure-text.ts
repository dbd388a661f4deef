/** Qtok's second part: what a tokenizer makes of text in several languages. */
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { CanonicalToken } from "./classify-tokens.ts";

/** Text of one language. For parity, sentence i must mean the same in every language. */
export interface LanguageText {
  /** ISO 639-1 code, e.g. `"de"`, or any name. */
  readonly language: string;
  readonly sentences: readonly string[];
}

/** What a tokenizer makes of the text of one language. */
export interface TextMeasures {
  readonly language: string;
  readonly sentences: number;
  readonly words: number;
  readonly tokens: number;
  readonly bytes: number;
  /** Tokens per word, punctuation included. Words as Unicode segments them, so that every script has some. */
  readonly fertility: number;
  readonly bytesPerToken: number;
  /** Share of words that take more than one token. */
  readonly continuedWords: number;
  /** Tokens in multiples of what the same sentences take in the reference language. */
  readonly parity: number;
  /** Share of tokens that are no text on their own: bytes, parts of characters, the unknown token. */
  readonly fragments: number;
  /** Share of sentences that decoding gives back exactly. */
  readonly restored: number;
}

/**
 * Measures each language. `reference`: the language that parity is relative to; default English where
 * there is a text of it, else the first.
 */
export function measureText(
  tokenizer: Tokenizer,
  tokens: readonly CanonicalToken[],
  texts: readonly LanguageText[],
  reference?: string,
): TextMeasures[] {
  const fragmentIds = new Set(
    tokens
      .filter(({ category }) => category === "byte" || category === "broken character")
      .map(({ id }) => id),
  );
  if (tokenizer.unkTokenId !== undefined) fragmentIds.add(tokenizer.unkTokenId);
  // A byte that is a printable ASCII character is text like any other.
  for (const { id, text, category } of tokens) {
    if (category === "byte" && text >= "!" && text <= "~") fragmentIds.delete(id);
  }
  const counted = texts.map((text) => ({
    language: text.language,
    sentences: text.sentences.length,
    ...countLanguage(tokenizer, fragmentIds, text),
  }));
  const base = counted.find(({ language }) => language === (reference ?? "en")) ?? counted[0];
  return counted.map(({ continued, broken, exact, ...rest }) => ({
    ...rest,
    fertility: rest.tokens / rest.words,
    bytesPerToken: rest.bytes / rest.tokens,
    continuedWords: continued / rest.words,
    parity: rest.tokens / base!.tokens,
    fragments: broken / rest.tokens,
    restored: exact / rest.sentences,
  }));
}

function countLanguage(
  tokenizer: Tokenizer,
  fragmentIds: ReadonlySet<number>,
  { language, sentences }: LanguageText,
) {
  const segmenter = createSegmenter(language);
  const encoder = new TextEncoder();
  const sum = { words: 0, tokens: 0, bytes: 0, continued: 0, broken: 0, exact: 0 };
  for (const sentence of sentences) {
    const options = {
      addSpecialTokens: false,
      applyLimits: false,
      allowedSpecial: "none",
    } as const;
    const { ids, offsets } = tokenizer.encode(sentence, options);
    sum.tokens += ids.length;
    sum.bytes += encoder.encode(sentence).length;
    for (const id of ids) if (fragmentIds.has(id)) sum.broken++;
    if (tokenizer.decode(ids, { skipSpecialTokens: false }).trim() === sentence.trim()) sum.exact++;
    let at = 0;
    for (const { segment, index, isWordLike } of segmenter.segment(sentence)) {
      if (isWordLike !== true) continue;
      sum.words++;
      const end = index + segment.length;
      while (at < offsets.length && offsets[at]![1] <= index) at++;
      let pieces = 0;
      for (let i = at; i < offsets.length && offsets[i]![0] < end; i++) {
        const [start, stop] = offsets[i]!;
        // Tokens that are only the space before the word are no part of it.
        if (stop > Math.max(start, index)) pieces++;
      }
      if (pieces > 1) sum.continued++;
    }
  }
  return sum;
}

function createSegmenter(language: string): Intl.Segmenter {
  const isCode = /^[a-z]{2,3}(-[A-Za-z]+)?$/.test(language);
  return new Intl.Segmenter(isCode ? language : undefined, { granularity: "word" });
}

/**
 * To which languages the tokens of letters belong, judged by the words of their texts: a token that
 * begins words where it begins one, an inner piece where it is part of one. A token of k languages
 * counts 1/k for each.
 */
export function shareLanguages(
  tokens: readonly CanonicalToken[],
  texts: readonly LanguageText[],
): { readonly shares: Readonly<Record<string, number>>; readonly unseen: number } {
  const letters = tokens.filter(
    ({ text, category }) =>
      (category === "spaced word" && text.length > 2) || category === "inner piece",
  );
  const found = new Map<string, Set<string>>();
  for (const { text } of letters) found.set(text, new Set());
  const longest = letters.reduce((most, { text }) => Math.max(most, text.length), 0);
  for (const { language, sentences } of texts) {
    const words = new Set(sentences.flatMap((sentence) => sentence.match(/[\p{L}\p{M}]+/gu) ?? []));
    for (const word of words) {
      for (let start = 0; start < word.length; start++) {
        const most = Math.min(word.length, start + longest);
        for (let end = start + 1; end <= most; end++) {
          const piece = word.slice(start, end);
          found.get(piece)?.add(language);
          if (start === 0) found.get(` ${piece}`)?.add(language);
        }
      }
    }
  }
  const sums: Record<string, number> = Object.fromEntries(
    texts.map(({ language }) => [language, 0]),
  );
  let seen = 0;
  for (const languages of found.values()) {
    if (languages.size === 0) continue;
    seen++;
    for (const language of languages) sums[language]! += 1 / languages.size;
  }
  const shares = Object.entries(sums).map(([language, sum]) => [
    language,
    seen > 0 ? sum / seen : 0,
  ]);
  return { shares: Object.fromEntries(shares), unseen: found.size - seen };
}

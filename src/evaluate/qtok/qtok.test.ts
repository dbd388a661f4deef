import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { specialToken } from "../../tokenizer/formats/tokenizer-file.ts";
import { createTokenizer, loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { alphabets } from "./alphabets.ts";
import { classify, classifyVocabulary, tokenCategories } from "./classify-tokens.ts";
import { measureText, shareLanguages } from "./measure-text.ts";
import { commonScript, nameWordOf } from "./name-words.ts";
import { inspectVocabularies } from "./qtok.ts";
import { formatReport, renderReport, writeCsv } from "./write-report.ts";

const numbered = (tokens: readonly string[]): Record<string, number> =>
  Object.fromEntries(tokens.map((token, id) => [token, id]));

/** A byte-level vocabulary of seventeen tokens, each with its category written beside it. */
const byteLevel = {
  "<|end|>": "control",
  Ġ: "byte",
  Ċ: "byte",
  a: "byte",
  Ð: "byte",
  the: "inner piece",
  Ġthe: "spaced word",
  "Ã©": "character",
  Ġ7: "spaced other",
  "){": "inner other",
  "Ð¼Ð°": "inner piece",
  "ĠÐ¼": "spaced word",
  âĤ: "broken character",
  "âĤ¬": "other character",
  ĊĊ: "inner nameless",
  Ġaâ: "broken character",
  "æĹ¥": "character",
} as const;

function createByteLevel(): Tokenizer {
  const tokens = Object.keys(byteLevel);
  return createTokenizer({
    model: { type: "BPE", vocab: numbered(tokens), merges: [] },
    added_tokens: [specialToken(0, "<|end|>")],
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    decoder: { type: "ByteLevel" },
  });
}

/** A vocabulary of characters with byte fallback, as Llama's. */
function createMetaspace(): Tokenizer {
  const tokens = ["<unk>", "<0x0A>", "<0xC3>", "▁", "a", "é", "▁a", "▁la", "la", "▁▁", "1", "▁x"];
  return createTokenizer({
    model: {
      type: "BPE",
      unk_token: "<unk>",
      vocab: numbered(tokens),
      merges: [],
    },
    added_tokens: [specialToken(0, "<unk>")],
  });
}

/** Whole words only. */
function createWords(words: readonly string[]): Tokenizer {
  return createTokenizer({
    model: { type: "WordLevel", vocab: numbered(["[UNK]", ...words]), unk_token: "[UNK]" },
    added_tokens: [specialToken(0, "[UNK]")],
    pre_tokenizer: { type: "Whitespace" },
  });
}

describe("classification", () => {
  test("every token of a small byte-level vocabulary, by hand", () => {
    const tokens = classifyVocabulary(createByteLevel());
    const found = tokens.map(({ id, category }) => [Object.keys(byteLevel)[id], category]);
    expect(Object.fromEntries(found)).toEqual(byteLevel);
    const scripts = tokens.filter(({ script }) => script !== undefined);
    expect(scripts.map(({ text, script }) => [text, script])).toEqual([
      ["the", "LATIN"],
      [" the", "LATIN"],
      ["é", "LATIN"],
      ["ма", "CYRILLIC"],
      [" м", "CYRILLIC"],
      ["日", "CJK"],
    ]);
    expect(tokens.find(({ category }) => category === "broken character")!.text).toBe("<0yE282>");
  });

  test("every token of a small vocabulary of characters, by hand, and as the paper counts", () => {
    const count = (asPublished: boolean) =>
      classifyVocabulary(createMetaspace(), { asPublished }).map(({ text, category }) => [
        text,
        category,
      ]);
    const common = [
      ["<unk>", "control"],
      ["\u010a", "byte"],
      ["\u00c3", "byte"],
      ["\u2581", "other character"],
    ];
    const rest = [
      [" a", "spaced word"],
      [" la", "spaced word"],
      ["la", "inner piece"],
      [" \u2581", "spaced other"],
    ];
    expect(count(false)).toEqual([
      ...common,
      ["a", "character"],
      ["é", "character"],
      ...rest,
      ["1", "other character"],
      [" x", "spaced word"],
    ]);
    expect(count(true)).toEqual([
      ...common,
      ["0X61", "inner other"],
      ["0XE9", "inner other"],
      ...rest,
      ["0X31", "inner other"],
      [" x", "spaced word"],
    ]);
  });

  test("markup is no control token, what stands in brackets is", () => {
    const categoryOf = (text: string) => classify(text).category;
    expect(["<s>", "</s>", "[CLS]", "<|im_start|>"].map(categoryOf)).toEqual(
      new Array(4).fill("control"),
    );
    expect(["<p>", "</p>", "<br/>", "<x", "[1"].map(categoryOf)).toEqual(
      new Array(5).fill("inner other"),
    );
    expect(categoryOf("a\u0000")).toBe("inner nameless");
    expect(categoryOf(" \u0000")).toBe("spaced nameless");
    expect(categoryOf("\u0000")).toBe("nameless character");
  });

  test("every text has exactly one category, and letters a script of which all are", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary" }), (text) => {
        const { category, script } = classify(text);
        expect(tokenCategories).toContain(category);
        expect(script !== undefined).toBe(
          ["character", "spaced word", "inner piece"].includes(category),
        );
        if (script !== undefined) expect(commonScript(text.trimStart())).toBe(script);
      }),
    );
  });

  test("names begin with the words that Unicode gives them", () => {
    const words = [..."aяא日한あｱ1.\u0301é\u0000\ud7ff"].map((c) => nameWordOf(c.codePointAt(0)!));
    expect(words).toEqual([
      ...["LATIN", "CYRILLIC", "HEBREW", "CJK", "HANGUL", "HIRAGANA", "HALFWIDTH"],
      ...["other", "other", "other", "LATIN", undefined, undefined],
    ]);
  });
});

describe("the report", () => {
  const words = createWords(["the", "dog", "dogs", "der", "Hund"]);
  const texts = [
    { language: "en", sentences: ["the dog", "dogs dogs dogs"] },
    { language: "de", sentences: ["der Hund", "der Hund bellt laut"] },
  ];

  test("counts add up, do not depend on other tokenizers, and similarity is symmetric", () => {
    const tokenizers = [
      { name: "bytes", tokenizer: createByteLevel() },
      { name: "characters", tokenizer: createMetaspace() },
      { name: "words", tokenizer: words },
      { name: "again", tokenizer: createWords(["the", "dog", "dogs", "der", "Hund"]) },
    ];
    const report = inspectVocabularies(tokenizers, { coreTokens: [" the", " la", " missing"] });
    for (const [i, vocabulary] of report.vocabularies.entries()) {
      const sum = Object.values(vocabulary.categories).reduce((total, count) => total + count, 0);
      expect(sum).toBe(vocabulary.size);
      expect(inspectVocabularies([tokenizers[i]!]).vocabularies[0]!.categories).toEqual(
        vocabulary.categories,
      );
      expect(report.similarity[i]![i]).toBe(1);
      for (const [j, row] of report.similarity.entries())
        expect(row[i]).toBe(report.similarity[i]![j]);
    }
    expect(report.vocabularies.map(({ size }) => size)).toEqual([17, 12, 6, 6]);
    expect(report.vocabularies.map(({ core }) => core!.present)).toEqual([1, 1, 0, 0]);
    expect(report.families).toEqual([["bytes"], ["characters"], ["words", "again"]]);
    const union = Object.values(report.union.categories).reduce((sum, count) => sum + count, 0);
    expect(union).toBe(report.union.size);
  });

  test("letters that are tokens of their own make an alphabet complete", () => {
    const { completeness } = inspectVocabularies([
      { name: "abc", tokenizer: createWords([..."abc"]) },
    ]).vocabularies[0]!;
    expect(completeness["en"]).toBeCloseTo(3 / 26);
    expect(completeness["ru"]).toBe(0);
    for (const letters of Object.values(alphabets)) {
      expect(new Set(letters).size).toBe([...letters].length);
    }
  });

  test("text is measured word by word", () => {
    const measured = measureText(words, classifyVocabulary(words), texts);
    const [en, de] = measured;
    expect(en).toMatchObject({ words: 5, tokens: 5, fertility: 1, parity: 1, continuedWords: 0 });
    expect(en).toMatchObject({ fragments: 0, bytes: 21, restored: 1 });
    // Two of the six words are unknown.
    expect(de).toMatchObject({
      words: 6,
      tokens: 6,
      parity: 6 / 5,
      fragments: 2 / 6,
      restored: 0.5,
    });
    const pieces = createTokenizer({
      model: { type: "BPE", vocab: numbered([..."adeghost"]), merges: [] },
    });
    const cut = measureText(pieces, classifyVocabulary(pieces), [texts[0]!])[0]!;
    expect(cut.continuedWords).toBe(1);
    expect(cut.tokens).toBe(18);
  });

  test("a token of several languages counts for each a part of it", () => {
    const tokenizer = createTokenizer({
      model: {
        type: "BPE",
        vocab: numbered(["▁", "▁der", "▁dog", "og", "un", "▁xyz", "d"]),
        merges: [],
      },
    });
    const { shares, unseen } = shareLanguages(classifyVocabulary(tokenizer), texts);
    expect(shares).toEqual({ en: 0.5, de: 0.5 });
    expect(unseen).toBe(1);
  });

  test("tables, CSV and the page hold the numbers for any names", () => {
    const names = ['a,"b"', "<svg>"];
    const report = inspectVocabularies(
      [
        { name: names[0]!, tokenizer: words },
        { name: names[1]!, tokenizer: createByteLevel() },
      ],
      { texts },
    );
    const csv = writeCsv(report);
    expect(csv).toContain('"a,""b""",size,,6\n');
    expect(csv).toContain("<svg>,category,broken character,2\n");
    expect(csv).toContain('"a,""b""",fertility,de,1\n');
    expect(formatReport(report)).toMatch(/^broken character +0\.00 +11\.76 +\d/m);
    const page = renderReport(report);
    expect(page).toContain("&lt;svg&gt;");
    expect(page.match(/<svg/g)).toHaveLength(1);
    // Every table of the report is on the page, each with a cell for each vocabulary and key.
    const [first] = report.vocabularies;
    for (const key of Object.keys(first!.completeness)) {
      expect(page).toContain(`&lt;svg&gt;, ${key}: `);
      expect(page).toContain(`a,"b", ${key}: `);
    }
    expect(page).toContain("&lt;svg&gt;, latin: ");
    for (const title of [
      "Words that are cut",
      "Tokens for each word",
      "Tokens of words by",
      "same sentences",
    ])
      expect(page).toContain(title);
    expect(page).not.toContain("NaN");
    expect(renderReport(inspectVocabularies([{ name: "a", tokenizer: words }]))).not.toContain(
      "cut",
    );
  });

  test("what cannot be compared is refused", () => {
    const one = { name: "one", tokenizer: words };
    const refusal = (code: string) => expect.objectContaining({ code });
    expect(() => inspectVocabularies([])).toThrowError(refusal("qtok-tokenizers"));
    expect(() => inspectVocabularies([one, one])).toThrowError(refusal("qtok-tokenizers"));
    const uneven = [texts[0]!, { language: "de", sentences: ["der"] }];
    expect(() => inspectVocabularies([one], { texts: uneven })).toThrowError(refusal("qtok-text"));
  });
});

const data = process.env["JETON_DATA"];
if (data === undefined) console.log("published vocabularies skipped: JETON_DATA is not set");

describe.skipIf(data === undefined)("published vocabularies", () => {
  // Counted by an independent program; the first number of Llama 2 and Mistral is without added tokens.
  const published: Record<string, string> = {
    "falcon-180b": "7 170 1194 39831 20581 58 53 2039 946 19 20 106",
    "yi-34b": "195 256 4204 23899 33550 107 344 1412 0 13 3 9",
    "llama-2": "5 256 1629 16054 12375 257 349 1039 0 13 5 18",
    "mistral-v0.2": "6 256 2710 15425 11870 290 325 1001 0 67 11 39",
  };

  test.each(Object.entries(published))(
    "%s: the published counts, all twelve",
    async (name, counts) => {
      const tokenizer = await loadTokenizer(join(data!, "tokenizers", name));
      const tokens = classifyVocabulary(tokenizer, { asPublished: true });
      const found = tokenCategories.map(
        (category) => tokens.filter((token) => token.category === category).length,
      );
      expect(found.join(" ")).toBe(counts);
    },
  );

  test("core tokens are read with their spaces", () => {
    const core = JSON.parse(
      readFileSync(join(data!, "tokenizers", "qtok-core-tokens.json"), "utf8"),
    ) as string[];
    expect(core.every((token) => token.startsWith(" "))).toBe(true);
    expect(core.length).toBe(12_724);
  });
});

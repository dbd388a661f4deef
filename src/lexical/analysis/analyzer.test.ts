import fc from "fast-check";
import { describe, expect, test } from "vitest";
import "../../testing/code-matchers.ts";
import { type AnalyzerOptions, analyze, createAnalyzer } from "./analyzer.ts";
import { stemEnglish } from "./english-stemmer.ts";
import { hashUnits } from "./hash-units.ts";

const isWord = /^[\p{L}\p{N}\p{M}]+$/u;
const letter = /[\p{L}\p{N}\p{M}]/gu;

const termsOf = (text: string, options?: AnalyzerOptions) =>
  analyze(createAnalyzer(options), text).map(({ term }) => term);

describe("analyzers", () => {
  test("words of ASCII: what the BM25 oracle counts", () => {
    expect(termsOf("Don't use β-cell_2 (x86-64)", { words: "ascii" })).toEqual(
      "don t use cell 2 x86 64".split(" "),
    );
  });

  test("words of all scripts; pairs where a script has no spaces", () => {
    expect(termsOf("L'été, β-Zellen: naïve Straße №5")).toEqual([
      "l",
      "été",
      "β",
      "zellen",
      "naïve",
      "straße",
      "5",
    ]);
    expect(termsOf("東京都 は東, ｱ 𠀀𠀁x")).toEqual(["東京", "京都", "は東", "ｱ", "𠀀𠀁", "x"]);
    expect(termsOf("हिन्दी한국어")).toEqual(["हिन्दी한국어"]);
  });

  test("identifiers give themselves and their parts", () => {
    expect(termsOf("parseHTMLPage_2(max_len, $x, __)", { words: "code" })).toEqual([
      ...["parsehtmlpage2", "parse", "html", "page", "2"],
      ...["maxlen", "max", "len", "x"],
    ]);
    expect(termsOf("getURL", { words: "code", lowercase: false })).toEqual([
      "getURL",
      "get",
      "URL",
    ]);
  });

  test("stop words go, stems stay", () => {
    const options = { stopWords: "english", stemmer: "english" } as const;
    expect(termsOf("The cats are sitting on it", options)).toEqual(["cat", "sit"]);
    expect(termsOf("Die Katze", { stopWords: ["die"] })).toEqual(["katze"]);
  });

  test("places slice to the words, in order, for any text", () => {
    const analyzer = createAnalyzer();
    expect(analyze(analyzer, "a 𠀀 bc")).toEqual([
      { term: "a", start: 0, end: 1 },
      { term: "𠀀", start: 2, end: 4 },
      { term: "bc", start: 5, end: 7 },
    ]);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        const found = analyze(analyzer, text);
        expect(found.map(({ term }) => term)).toEqual(
          found.map(({ start, end }) => text.slice(start, end).toLowerCase()),
        );
        expect(found.every(({ start }, i) => i === 0 || found[i - 1]!.start < start)).toBe(true);
        expect(found.every(({ start, end }) => isWord.test(text.slice(start, end)))).toBe(true);
        // No letter is lost.
        const covers = (at: number) => found.some(({ start, end }) => start <= at && at < end);
        const letters = [...text.matchAll(letter)].map(({ index }) => index);
        expect(letters.every(covers)).toBe(true);
      }),
    );
  });

  test("options that are none are rejected", () => {
    const make = (options: object) => () => createAnalyzer(options as AnalyzerOptions);
    expect(make({ words: "bytes" })).toThrowCode("analyzer-option-invalid");
    expect(make({ stopWords: "german" })).toThrowCode("analyzer-option-invalid");
    expect(make({ stopWords: [1] })).toThrowCode("analyzer-option-invalid");
    expect(make({ stem: "english" })).toThrowCode("analyzer-option-invalid");
  });
});

describe("Porter's stemmer", () => {
  test("the examples of his paper", () => {
    const pairs =
      "caresses caress ponies poni ties ti cats cat feed feed agreed agre plastered plaster bled bled " +
      "motoring motor sing sing conflated conflat troubled troubl sized size hopping hop tanned tan " +
      "falling fall hissing hiss fizzed fizz failing fail filing file happy happi sky sky " +
      "relational relat conditional condit rational ration valenci valenc hesitanci hesit " +
      "digitizer digit radicalli radic differentli differ vileli vile analogousli analog " +
      "vietnamization vietnam predication predic operator oper feudalism feudal decisiveness decis " +
      "hopefulness hope callousness callous formaliti formal sensitiviti sensit sensibiliti sensibl " +
      "triplicate triplic formative form formalize formal electriciti electr electrical electr " +
      "hopeful hope goodness good revival reviv allowance allow inference infer airliner airlin " +
      "gyroscopic gyroscop adjustable adjust defensible defens irritant irrit replacement replac " +
      "adjustment adjust dependent depend adoption adopt homologou homolog communism commun " +
      "activate activ angulariti angular homologous homolog effective effect bowdlerize bowdler " +
      "probate probat rate rate cease ceas controll control roll roll";
    const words = pairs.split(" ");
    for (let i = 0; i < words.length; i += 2) {
      expect([words[i], stemEnglish(words[i]!)]).toEqual([words[i], words[i + 1]]);
    }
    expect(["is", "Über", "x9s", "yes"].map(stemEnglish)).toEqual(["is", "Über", "x9s", "ye"]);
  });
});

test("a scan gives the hash of each word, of every script", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constant("Ärger 東京都 a1 \u{1d400}b x"),
  );
  for (const words of ["unicode", "ascii", "code"] as const) {
    const analyzer = createAnalyzer({ words });
    fc.assert(
      fc.property(texts, (text) => {
        const units = Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
        analyzer.scan(units, (start, end, hash) => {
          expect(hash).toBe(hashUnits(units, start, end));
        });
      }),
    );
  }
});

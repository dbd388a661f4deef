import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import { createTokenizer } from "../../tokenizer/index.ts";
import "../../testing/code-matchers.ts";
import { createCharacterChunker, createSentenceChunker } from "./chunkers/fixed.ts";
import { createRecursiveChunker } from "./chunkers/recursive.ts";
import { createBreakpointChunker, createClusterChunker } from "./chunkers/semantic.ts";
import { evaluateChunking } from "./evaluate-chunking.ts";
import { characterPositions, tokenPositions } from "./positions.ts";
import { type CorpusRange, precisionOmega, scoreRanges } from "./rag-token-metrics.ts";
import { parseCsv, readSpanQuestions } from "./read-questions.ts";

const createWordTokenizer = (words: readonly string[]) =>
  createTokenizer({
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(["[UNK]", ...words].map((word, id) => [word, id])),
      unk_token: "[UNK]",
    },
    pre_tokenizer: { type: "Whitespace" },
  });

const range = (start: number, end: number, corpus = "a"): CorpusRange => ({ corpus, start, end });

describe("scores by hand", () => {
  test("two references of 10 positions each, chunks of 20 with 5 in common", () => {
    const references = [range(10, 20), range(40, 50)];
    const retrieved = [range(0, 15), range(30, 50)];
    expect(scoreRanges(references, retrieved)).toEqual({
      recall: 15 / 20,
      precision: 15 / 35,
      iou: 15 / (35 + 5),
      iouSet: 15 / 40,
    });
  });

  test("overlapping chunks are charged twice, chunks of other corpora too", () => {
    const scores = scoreRanges([range(0, 10)], [range(0, 10), range(0, 10), range(0, 20, "b")]);
    expect(scores).toEqual({ recall: 1, precision: 10 / 40, iou: 10 / 40, iouSet: 10 / 30 });
  });

  test("nothing retrieved is no error, nothing needed is", () => {
    const none = { recall: 0, precision: 0, iou: 0, iouSet: 0 };
    expect(scoreRanges([range(0, 5)], [])).toEqual(none);
    expect(scoreRanges([range(0, 5)], [range(0, 5, "b")])).toEqual(none);
    expect(() => scoreRanges([], [])).toThrowCode("rag-references-empty");
    expect(() => scoreRanges([range(3, 3)], [])).toThrowCode("rag-references-empty");
    for (const wrong of [range(5, 2), range(-1, 2), range(0, Number.NaN), range(0, 1.5)]) {
      expect(() => scoreRanges([range(0, 5), wrong], [])).toThrowCode("rag-ranges-invalid");
      expect(() => scoreRanges([range(0, 5)], [wrong])).toThrowCode("rag-ranges-invalid");
      expect(() => precisionOmega([range(0, 5)], [wrong])).toThrowCode("rag-ranges-invalid");
    }
    expect(() => scoreRanges([range(0, 1), range(0, 1, "b")], [])).toThrowCode(
      "rag-references-corpora",
    );
  });

  test("P_Ω takes every chunk that shares a position; one that only touches is left out", () => {
    const chunks = [range(0, 10), range(10, 20), range(20, 30), range(10, 20, "b")];
    expect(precisionOmega([range(10, 15)], chunks)).toBe(5 / 10);
    expect(precisionOmega([range(8, 12)], chunks)).toBe(4 / 20);
    expect(precisionOmega([range(10, 20)], chunks)).toBe(1);
    // Positions 30 to 35 are in no chunk.
    expect(precisionOmega([range(25, 35)], chunks)).toBe(5 / (10 + 5));
  });

  test("a copy elsewhere counts only where it is credited, each position once", () => {
    const references = [range(0, 10)];
    const retrieved = [range(100, 106), range(0, 3)];
    const copies = [[range(102, 112), range(50, 60, "b")]];
    expect(scoreRanges(references, retrieved).recall).toBe(0.3);
    // Of the copy, its first four positions; the reference's own first three are among them.
    expect(scoreRanges(references, retrieved, { copies })).toMatchObject({
      recall: 0.4,
      precision: 4 / 9,
    });
  });
});

describe("invariants", () => {
  const ranges = fc.array(
    fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 20 }), fc.constantFrom("a", "a", "b")),
    { maxLength: 8 },
  );
  const toRanges = (list: [number, number, string][]) =>
    list.map(([start, length, corpus]) => range(start, start + length, corpus));

  test("equal to counting position by position", () => {
    fc.assert(
      fc.property(ranges, ranges, (needed, found) => {
        const references = toRanges(needed).map((one) => ({ ...one, corpus: "a" }));
        fc.pre(references.length > 0);
        const retrieved = toRanges(found);
        const holds = (list: readonly CorpusRange[], corpus: string, at: number) =>
          list.some((one) => one.corpus === corpus && one.start <= at && at < one.end);
        const count = (test: (at: number) => boolean) =>
          Array.from({ length: 90 }, (_, at) => at).filter((at) => test(at)).length;
        const all = count((at) => holds(references, "a", at));
        const common = count((at) => holds(references, "a", at) && holds(retrieved, "a", at));
        const union =
          count((at) => holds(references, "a", at) || holds(retrieved, "a", at)) +
          count((at) => holds(retrieved, "b", at));
        const charged = retrieved.reduce((sum, one) => sum + one.end - one.start, 0);
        expect(scoreRanges(references, retrieved)).toEqual({
          recall: common / all,
          precision: charged === 0 ? 0 : common / charged,
          iou: common / (charged + all - common),
          iouSet: common / union,
        });
      }),
    );
  });

  test("bounds, order of the chunks, and a repeated chunk", () => {
    fc.assert(
      fc.property(ranges, ranges, (needed, found) => {
        const references = toRanges(needed).map((one) => ({ ...one, corpus: "a" }));
        fc.pre(references.length > 0 && found.length > 0);
        const retrieved = toRanges(found);
        const scores = scoreRanges(references, retrieved);
        expect(scores.iou).toBeLessThanOrEqual(scores.precision + 1e-12);
        expect(scores.iou).toBeLessThanOrEqual(scores.recall + 1e-12);
        expect(scores.precision).toBeLessThanOrEqual(1);
        expect(scoreRanges(references, retrieved.toReversed())).toEqual(scores);
        const repeated = scoreRanges(references, [...retrieved, retrieved[0]!]);
        expect(repeated.recall).toBe(scores.recall);
        expect(repeated.iouSet).toBe(scores.iouSet);
        if (scores.precision > 0) expect(repeated.precision).toBeLessThan(scores.precision);
        expect(precisionOmega(references, references)).toBe(1);
      }),
    );
  });
});

describe("positions", () => {
  test("characters are code points; tokens are those that a range shares something with", () => {
    const characters = characterPositions("a😀b");
    expect(characters.length).toBe(3);
    expect(characters.toPositions({ start: 1, end: 3 })).toEqual({ start: 1, end: 2 });
    expect(characters.toPositions({ start: 3, end: 4 })).toEqual({ start: 2, end: 3 });
    expect(characterPositions("abc").toPositions({ start: 1, end: 2 })).toEqual({
      start: 1,
      end: 2,
    });
    const tokens = tokenPositions("one two three", createWordTokenizer(["one", "two", "three"]));
    expect(tokens.length).toBe(3);
    expect(tokens.toPositions({ start: 0, end: 3 })).toEqual({ start: 0, end: 1 });
    expect(tokens.toPositions({ start: 2, end: 5 })).toEqual({ start: 0, end: 2 });
    expect(tokens.toPositions({ start: 4, end: 13 })).toEqual({ start: 1, end: 3 });
  });
});

describe("questions", () => {
  const corpora = new Map([["x", "😀 first. second."]]);
  const row = (references: object[], corpus = "x") =>
    `question,references,corpus_id\n"what, ""now""?","${JSON.stringify(references).replaceAll('"', '""')}",${corpus}\n`;
  const reference = { content: "first.", start_index: 2, end_index: 8 };

  test("code points become UTF-16 units", () => {
    expect(readSpanQuestions(row([reference]), corpora)).toEqual([
      {
        question: 'what, "now"?',
        corpus: "x",
        references: [{ corpus: "x", start: 3, end: 9, content: "first." }],
      },
    ]);
    expect(parseCsv('a,"b\nc"\r\n,\n')).toEqual([
      ["a", "b\nc"],
      ["", ""],
    ]);
  });

  test("what does not fit is rejected", () => {
    const code = "span-questions-invalid";
    const read = (csv: string) => () => readSpanQuestions(csv, corpora);
    expect(read(row([{ ...reference, start_index: 3 }]))).toThrowCode(code);
    expect(read(row([{ content: "first." }]))).toThrowCode(code);
    // Beyond the end, where a slice to -1 would have this content.
    const cut = { content: "😀 first. second", start_index: 0, end_index: 99 };
    expect(read(row([cut]))).toThrowCode(code);
    expect(read(row([{ content: "", start_index: 99, end_index: 99 }]))).toThrowCode(code);
    expect(read(row([reference], "y"))).toThrowCode(code);
    expect(read("question,corpus_id\na,x\n")).toThrowCode(code);
    expect(read('question,references,corpus_id\na,"[,x\n')).toThrowCode(code);
    expect(read("question,references,corpus_id\na,{},x\n")).toThrowCode(code);
  });
});

describe("the loop", () => {
  const text = "Cats purr. Dogs bark at night. Birds sing. Fish are silent.";
  const corpora = new Map([["x", text]]);
  const content = "Dogs bark at night.";
  const start = text.indexOf(content);
  const references = [{ corpus: "x", start, end: start + content.length, content }];
  const questions = [{ question: "When do dogs bark?", corpus: "x", references }];

  test("one sentence a chunk, one chunk: the sentence and the space after it", async () => {
    const chunker = createSentenceChunker({ size: 1 });
    const found = await evaluateChunking({ corpora, questions, chunker, k: 1 });
    expect(found).toMatchObject({ chunks: 4, chunker: "1 sentence", retriever: "BM25" });
    const precision = 19 / 20;
    expect(found.questions).toEqual([
      { recall: 1, precision, iou: precision, iouSet: precision, precisionOmega: precision },
    ]);
    const auto = await evaluateChunking({ corpora, questions, chunker, k: "auto" });
    expect(auto.questions).toEqual(found.questions);
  });

  test("tokens instead of characters; a retriever of one's own", async () => {
    const words = text.match(/\w+|\./g)!;
    const tokenizer = createWordTokenizer([...new Set(words)]);
    const { summary } = await evaluateChunking({
      corpora,
      questions,
      chunker: createSentenceChunker({ size: 2 }),
      retriever: { name: "first", index: () => () => [0] },
      positions: (one) => tokenPositions(one, tokenizer),
    });
    // "Cats purr . Dogs bark at night ." are 8 tokens, 5 of them needed.
    expect(summary.precision.mean).toBe(5 / 8);
    expect(summary.recall.mean).toBe(1);
  });

  test("options and chunks are checked", async () => {
    const chunker = createSentenceChunker({ size: 1 });
    const evaluate = (options: object) => () =>
      evaluateChunking({ corpora, questions, chunker, ...options });
    await expect(evaluate({ k: 0 })).toRejectWithCode("chunking-option-invalid");
    await expect(evaluate({ corpora: new Map() })).toRejectWithCode("span-questions-invalid");
    const outside = { name: "own", chunk: () => [{ start: 0, end: 1e6 }] };
    await expect(evaluate({ chunker: outside })).toRejectWithCode("chunks-invalid");
    const backwards = { name: "own", chunk: () => [range(5, 9), range(0, 4)] };
    await expect(evaluate({ chunker: backwards })).toRejectWithCode("chunks-invalid");
    await expect(evaluate({ topK: 4 })).toRejectWithCode("chunking-option-invalid");
    for (const places of [[4], [-1], [0.5], [0, 1, 2]]) {
      const retriever = { name: "own", index: () => () => places };
      await expect(evaluate({ retriever, k: 2 })).toRejectWithCode("chunk-places-invalid");
    }
    for (const [from, to] of [
      [5, 700],
      [5, 5],
      [-3, 2],
    ]) {
      const beyond = [{ question: "?", corpus: "x", references: [{ ...range(from!, to!, "x") }] }];
      await expect(evaluate({ questions: beyond })).toRejectWithCode("span-questions-invalid");
    }
  });

  test("a reference in a part that no chunk holds: nothing is retrieved, and every score is 0", async () => {
    const chunker = { name: "start", chunk: () => [{ start: 0, end: 5 }] };
    const found = await evaluateChunking({ corpora, questions, chunker, k: "auto" });
    expect(found.questions).toEqual([
      { recall: 0, precision: 0, iou: 0, iouSet: 0, precisionOmega: 0 },
    ]);
  });
});

describe("chunkers", () => {
  const cut = async (chunker: { chunk(text: string): unknown }, text: string) =>
    ((await chunker.chunk(text)) as { start: number; end: number }[]).map(({ start, end }) =>
      text.slice(start, end),
    );

  test("an empty separator stands for characters, never for half of one", async () => {
    const text = "ab😀😀 long words";
    const separators = [" ", ""];
    const expected = ["ab", "😀", "😀 ", "lon", "g ", "wor", "ds"];
    expect(await cut(createRecursiveChunker({ size: 3, separators }), text)).toEqual(expected);
    const plain = createRecursiveChunker({ size: 3, separators: [" "] });
    expect(await cut(plain, text)).toEqual(expected);
  });

  test("options are checked", async () => {
    const code = "chunker-option-invalid";
    const embed = (texts: readonly string[]) => texts.map(() => Float32Array.of(1, 0));
    for (const create of [
      () => createCharacterChunker({ size: 4, overlap: 2 } as { size: number }),
      () => createSentenceChunker({ size: 4, overlap: 2 } as { size: number }),
      () => createRecursiveChunker({ size: 4, overlap: 2 } as { size: number }),
      () => createRecursiveChunker({ size: 4, separators: " " as unknown as string[] }),
      () => createRecursiveChunker({ size: 4, lengthOf: 5 as never }),
      () => createClusterChunker({ size: 4 } as never),
      () => createBreakpointChunker({ size: 4, embed, overlap: 1 } as never),
    ]) {
      expect(create).toThrowCode(code);
    }
    for (const create of [createClusterChunker, createBreakpointChunker]) {
      const few = () => [Float32Array.of(1, 0)];
      const uneven = (texts: readonly string[]) => texts.map((_, i) => new Float32Array(i + 1));
      for (const wrong of [few, uneven]) {
        const chunker = create({ size: 4, pieceSize: 2, embed: wrong });
        await expect(async () => chunker.chunk("ab cd ef")).toRejectWithCode(
          "chunker-vectors-invalid",
        );
      }
    }
  });
});

const data = testData("retrieval/chunking");

describe.skipIf(data.skip)("the published corpora and questions, with BM25 and five chunks", () => {
  const names = ["chatlogs", "finance", "pubmed", "state_of_the_union", "wikitexts"];
  const load = () => {
    const read = (name: string) => readFileSync(join(data.folder, name), "utf8");
    const corpora = new Map(names.map((name) => [name, read(`${name}.md`)]));
    return { corpora, questions: readSpanQuestions(read("questions.csv"), corpora) };
  };

  test("472 questions with 790 references", () => {
    const { questions } = load();
    expect(questions).toHaveLength(472);
    expect(questions.reduce((sum, { references }) => sum + references.length, 0)).toBe(790);
  });

  // Counted by an independent program: chunks, then P_Ω, recall, precision and IoU to four digits.
  test.each([
    [createCharacterChunker({ size: 200 }), 7223, ".4999 .4948 .1146 .1021"],
    [createCharacterChunker({ size: 400 }), 3612, ".3570 .7045 .0871 .0843"],
    [createCharacterChunker({ size: 800 }), 1807, ".2320 .8414 .0552 .0547"],
    [createCharacterChunker({ size: 1200 }), 1206, ".1756 .8860 .0397 .0396"],
    [createCharacterChunker({ size: 800, step: 400 }), 3607, ".1634 .8574 .0560 .0555 .0719"],
    [createSentenceChunker({ size: 1 }), 12787, ".9325 .5327 .1850 .1647"],
    [createSentenceChunker({ size: 5 }), 2559, ".3291 .7613 .0676 .0669"],
    [createSentenceChunker({ size: 20 }), 641, ".1069 .9362 .0220 .0220"],
  ])("%o", async (chunker, chunks, expected) => {
    const found = await evaluateChunking({ ...load(), chunker });
    expect(found.chunks).toBe(chunks);
    const { precisionOmega, recall, precision, iou, iouSet } = found.summary;
    const values = [precisionOmega, recall, precision, iou, iouSet].map(({ mean }) =>
      mean.toFixed(4).slice(1),
    );
    expect(values.slice(0, expected.split(" ").length).join(" ")).toBe(expected);
    if (chunker.name === "400 characters") {
      expect(precisionOmega.deviation.toFixed(4)).toBe("0.1583");
    }
  });
});

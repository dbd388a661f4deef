/** Tools about finding: chunks, code, needles, and attention in a ring. Each calls the library. */
import { attend, attendInRing } from "jeton/context";
import { createRandom } from "jeton/core";
import {
  createBm25Ranker,
  createCharacterChunker,
  createRecursiveChunker,
  createSentenceChunker,
  createTfIdfRanker,
  createTrigramRanker,
  evaluateChunking,
  makeNeedleItem,
  scoreAnswer,
} from "jeton/evaluate";
import { analyze, createAnalyzer } from "jeton/lexical";
import type { Tool } from "./tokenizer-tools.ts";

/** Scores chunkers by the stretch of the text that answers a question. */
export const evaluateChunks: Tool<"evaluateChunks"> = async ({ text, question, answer, k }) => {
  const start = text.indexOf(answer);
  if (answer.trim() === "" || start < 0) {
    throw new Error("The answer must stand in the text, word for word.");
  }
  const reference = { corpus: "text", start, end: start + answer.length, content: answer };
  const chunkers = [
    createSentenceChunker({ size: 1 }),
    createSentenceChunker({ size: 3 }),
    createCharacterChunker({ size: 200 }),
    createRecursiveChunker({ size: 200 }),
    createSentenceChunker({ size: 8 }),
  ];
  return Promise.all(
    chunkers.map(async (chunker) => {
      const { chunks, questions } = await evaluateChunking({
        corpora: new Map([["text", text]]),
        questions: [{ question, corpus: "text", references: [reference] }],
        chunker,
        k,
      });
      const { recall, precision, iou, precisionOmega } = questions[0]!;
      return { chunker: chunker.name, chunks, recall, precision, iou, precisionOmega };
    }),
  );
};

/** Ranks snippets of code for a query in words. */
export const rankCode: Tool<"rankCode"> = async ({ query, snippets }) => {
  const documents = snippets
    .split(/^-{3,}\s*$/m)
    .map((text, at) => ({ id: String(at), text: text.trim() }))
    .filter(({ text }) => text !== "");
  const code = createAnalyzer({ words: "code" });
  const plain = createAnalyzer({});
  const rankers = [
    [createBm25Ranker("BM25, identifiers split", { analyzer: code }), code],
    [createBm25Ranker("BM25", { analyzer: plain }), plain],
    [createTfIdfRanker(), plain],
    [createTrigramRanker(), undefined],
  ] as const;
  return Promise.all(
    rankers.map(async ([ranker, analyzer]) => {
      const rank = await ranker.index(documents);
      const found = await rank({ id: "query", text: query }, documents.length);
      return {
        ranker: ranker.name,
        found: found.map(({ id, score }) => ({ snippet: Number(id), score })),
        terms: analyzer ? analyze(analyzer, query).map(({ term }) => term) : [],
      };
    }),
  );
};

const codeLength = 4;

/** A haystack that fits the bundled model, with its question. */
export const makeNeedle: Tool<"makeNeedle"> = ({ pairs, depth, seed }) => {
  const options = { seed, codeLength, wording: "table" } as const;
  const { haystack, question, keys, values } = makeNeedleItem(
    { task: "single", pairs, depth },
    options,
  );
  return { prompt: `${haystack}\n${question}`, keys, values };
};

/** Scores what a model answered. */
export const scoreNeedle: Tool<"scoreNeedle"> = ({ answer, keys, values }) => ({
  accuracy: scoreAnswer(answer, { keys, values, settings: { task: "single" } }, codeLength)
    .accuracy,
});

/** Attention over random rows, in a ring of ranks and in one place. */
export const ringAttention: Tool<"attendInRing"> = async ({ ranks, tokens, causal }) => {
  const shape = { heads: 2, kvHeads: 2, headDim: 8 };
  const random = createRandom(1, "ring");
  const draw = (): Float64Array =>
    Float64Array.from(
      { length: tokens * shape.heads * shape.headDim },
      () => random.uniform() - 0.5,
    );
  const [queries, keys, values] = [draw(), draw(), draw()];
  const messages: { from: number; to: number; bytes: number }[] = [];
  const { output, traffic } = await attendInRing(
    { ...shape, queries, keys, values },
    {
      ranks,
      causal,
      onMessage({ from, to, arrays }, deliver) {
        messages.push({
          from,
          to,
          bytes: arrays.reduce((sum, { byteLength }) => sum + byteLength, 0),
        });
        deliver();
      },
    },
  );
  const whole = attend(queries, keys, values, shape, causal);
  let difference = 0;
  for (const [at, value] of whole.output.entries()) {
    difference = Math.max(difference, Math.abs(value - output[at]!));
  }
  return { difference, messages, traffic: [...traffic] };
};

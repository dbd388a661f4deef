/**
 * Measures what the paper says of chunk sizes, with BM25 in the place of its embedding models, and what the
 * chunker's own measure is worth.
 */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import {
  constantOf,
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  rankCorrelation,
  statisticOf,
} from "../../reproduce/index.ts";
import type { Chunker } from "./chunkers/chunker.ts";
import { createCharacterChunker, createSentenceChunker } from "./chunkers/fixed.ts";
import { createRecursiveChunker } from "./chunkers/recursive.ts";
import { createClusterChunker } from "./chunkers/semantic.ts";
import {
  type Chunk,
  type ChunkingEvaluation,
  type ChunkingScores,
  type ChunkRetriever,
  cutCorpora,
  evaluateChunking,
} from "./evaluate-chunking.ts";
import { type CorpusRange, precisionOmega } from "./rag-token-metrics.ts";
import { readSpanQuestions, type SpanQuestion } from "./read-questions.ts";
import { loadWordVectors } from "./reproduction-vectors.ts";

const size = { units: "questions", direction: "higher" } as const;
const random = "five chunks of the same chunker drawn at random";
const data = "472 questions over five corpora, five chunks retrieved by BM25";

const claims = [
  {
    ...size,
    id: "smaller-chunks-raise-iou",
    text: `IoU with chunks of 5 sentences, in multiples of that with 20 (${data})`,
    paper: {
      value: 2.85,
      unit: "times",
      compares: "effect",
      setting: "PubMed, BGE-M3, questions of DeepSeek-R1: 0.0630 and 0.0221",
    },
    unit: "IoU",
    control: random,
    effect: "ratio",
    reproduced: 2,
    partly: 1.2,
    quick: { reproduced: 1.5, partly: 1.1 },
  },
  {
    ...size,
    id: "smaller-chunks-raise-precision",
    text: `Precision with chunks of 5 sentences, in multiples of that with 20 (${data})`,
    paper: { value: 2.91, unit: "times", compares: "effect", setting: "PubMed, 0.0647 and 0.0222" },
    unit: "precision",
    control: random,
    effect: "ratio",
    reproduced: 2,
    partly: 1.2,
    quick: { reproduced: 1.5, partly: 1.1 },
  },
  {
    ...size,
    id: "larger-chunks-raise-recall",
    text: `Recall with chunks of 20 sentences less that with 5 (${data})`,
    paper: {
      value: 0.085,
      unit: "recall",
      compares: "effect",
      setting: "PubMed, 0.8073 and 0.7224",
    },
    unit: "recall",
    control: random,
    effect: "difference",
    reproduced: 0.05,
    partly: 0.01,
    quick: { reproduced: 0.03, partly: 0.005 },
  },
  {
    ...size,
    id: "smaller-chunks-raise-omega",
    text: "Precision-Omega of chunks of 5 sentences, in multiples of that of 20: of the chunker alone",
    paper: { value: 2.7, unit: "times", compares: "effect", setting: "PubMed, 0.2817 and 0.1044" },
    unit: "P_Omega",
    control: "windows of characters as long as 20 sentences are on average",
    effect: "ratio",
    reproduced: 2,
    partly: 1.2,
    quick: { reproduced: 1.5, partly: 1.1 },
  },
  {
    ...size,
    id: "omega-predicts-iou",
    text: `Ours: rank correlation of Precision-Omega with IoU over nine chunkers (${data})`,
    paper: { words: "P_Omega characterises the chunker; no correlation is given" },
    unit: "Spearman's rho",
    control: "the IoU of the next chunker",
    effect: "value",
    noEffect: 0,
    reproduced: 0.8,
    partly: 0.4,
    quick: { reproduced: 0.6, partly: 0.2 },
  },
  {
    ...size,
    id: "offsets-by-search-mislead",
    text: "Ours: how far Precision-Omega of one-sentence chunks is off where offsets are found by the first match of the chunk's text, as in the original program, mean over questions",
    paper: { words: "the original program finds chunks by their text" },
    unit: "P_Omega",
    control: "offsets that come from the chunker",
    effect: "value",
    noEffect: 0,
    reproduced: 0.02,
    partly: 0.005,
    quick: { reproduced: 0.01, partly: 0.002 },
  },
  {
    ...size,
    id: "semantic-chunks-raise-recall",
    text: `Recall of cluster-semantic chunks up to 1,600 characters with GloVe vectors, less that of as many recursive ones (${data})`,
    paper: {
      words:
        "Chroma's report: 0.897 for 400 tokens with its own embedding model; the paper cuts by sentences alone",
    },
    unit: "recall",
    control: "the same pieces with the vectors of other pieces",
    effect: "difference",
    reproduced: 0.02,
    partly: 0.002,
    quick: { reproduced: 0.02, partly: 0.002 },
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

interface Inputs {
  readonly corpora: ReadonlyMap<string, string>;
  readonly questions: readonly SpanQuestion[];
}

export const reproduction: Reproduction = defineReproduction({
  system: "rag-token-metrics",
  module: import.meta.url,
  claims,
  async run(context) {
    const inputs = await loadInputs(context);
    const evaluate = async (chunker: Chunker, retriever?: ChunkRetriever) => {
      context.progress(chunker.name);
      return evaluateChunking({ ...inputs, chunker, ...(retriever && { retriever }) });
    };
    const [small, large] = [
      createSentenceChunker({ size: 5 }),
      createSentenceChunker({ size: 20 }),
    ];
    const five = await evaluate(small);
    const twenty = await evaluate(large);
    const draw = sampleAtRandom(context.seed);
    const [randomFive, randomTwenty] = [await evaluate(small, draw), await evaluate(large, draw)];
    const details = { five: five.summary, twenty: twenty.summary };
    context.report("smaller-chunks-raise-iou", {
      measured: sampleOf(five, "iou"),
      baseline: sampleOf(twenty, "iou"),
      baselineName: "20 sentences",
      control: sampleOf(randomFive, "iou"),
      details: { ...details, byCorpus: byCorpus(five, twenty) },
    });
    context.report("smaller-chunks-raise-precision", {
      measured: sampleOf(five, "precision"),
      baseline: sampleOf(twenty, "precision"),
      baselineName: "20 sentences",
      control: sampleOf(randomFive, "precision"),
    });
    context.report("larger-chunks-raise-recall", {
      measured: sampleOf(twenty, "recall"),
      baseline: sampleOf(five, "recall"),
      baselineName: "5 sentences",
      control: sampleOf(randomTwenty, "recall"),
    });
    const length = Math.round(totalLength(inputs) / twenty.chunks);
    const windows = await evaluate(createCharacterChunker({ size: length }));
    context.report("smaller-chunks-raise-omega", {
      measured: sampleOf(five, "precisionOmega"),
      baseline: sampleOf(twenty, "precisionOmega"),
      baselineName: "20 sentences",
      control: sampleOf(windows, "precisionOmega"),
      details: { windowCharacters: length },
    });
    const all = [five, twenty, windows, ...(await evaluateOthers(evaluate))];
    reportCorrelation(context, all);
    await reportOffsets(context, inputs);
    await context.part(() => reportSemantic(context, inputs, evaluate));
    return {
      title: "Chunkers: the measure of the chunker alone, and what five retrieved chunks give",
      panels: [
        {
          title: "Precision-Omega and IoU",
          kind: "scatter",
          x: { title: "Precision-Omega" },
          y: { title: "IoU of five chunks, BM25" },
          series: all.map(({ chunker, summary }) => ({
            name: chunker,
            points: [{ x: summary.precisionOmega.mean, y: summary.iou.mean }],
          })),
        },
      ],
    };
  },
});

async function loadInputs(context: Context): Promise<Inputs> {
  const names = ["chatlogs", "finance", "pubmed", "state_of_the_union", "wikitexts"];
  const corpora = new Map<string, string>();
  for (const name of names) {
    const path = await context.data(`retrieval/chunking/${name}.md`);
    corpora.set(name, await readFile(path, "utf8"));
  }
  const csv = await readFile(await context.data("retrieval/chunking/questions.csv"), "utf8");
  const questions = readSpanQuestions(csv, corpora);
  return {
    corpora,
    questions: context.quick ? questions.filter((_, i) => i % 6 === 0) : questions,
  };
}

function totalLength({ corpora }: Inputs): number {
  return [...corpora.values()].reduce((sum, text) => sum + text.length, 0);
}

function sampleOf(evaluation: ChunkingEvaluation, name: keyof ChunkingScores) {
  return meanOf(evaluation.questions.map((scores) => scores[name]));
}

function byCorpus(five: ChunkingEvaluation, twenty: ChunkingEvaluation) {
  const means = (evaluation: ChunkingEvaluation, corpus: string) =>
    Object.fromEntries(
      Object.entries(evaluation.corpora.get(corpus)!).map(([name, { mean }]) => [
        name,
        round(mean),
      ]),
    );
  return Object.fromEntries(
    [...five.corpora.keys()].map((corpus) => [
      corpus,
      { five: means(five, corpus), twenty: means(twenty, corpus) },
    ]),
  );
}

function sampleAtRandom(seed: number): ChunkRetriever {
  return {
    name: "random",
    index: (chunks) => (question, k) => {
      const draw = createRandom(seed, "chunks", question);
      return Array.from({ length: k }, () => draw.integer(chunks.length));
    },
  };
}

type Evaluate = (chunker: Chunker, retriever?: ChunkRetriever) => Promise<ChunkingEvaluation>;

async function evaluateOthers(evaluate: Evaluate): Promise<ChunkingEvaluation[]> {
  const found: ChunkingEvaluation[] = [];
  for (const chunker of [
    createSentenceChunker({ size: 1 }),
    createSentenceChunker({ size: 10 }),
    createCharacterChunker({ size: 200 }),
    createCharacterChunker({ size: 400 }),
    createCharacterChunker({ size: 800, step: 400 }),
    createRecursiveChunker({ size: 400 }),
  ]) {
    found.push(await evaluate(chunker));
  }
  return found;
}

function reportCorrelation(context: Context, all: readonly ChunkingEvaluation[]): void {
  const { length } = all[0]!.questions;
  const correlate = (shift: number) =>
    statisticOf(
      Array.from({ length }, (_, question) => question),
      (questions) => {
        const meanBy = (name: keyof ChunkingScores) =>
          all.map(({ questions: scores }) =>
            questions.reduce((sum, question) => sum + scores[question]![name], 0),
          );
        const iou = meanBy("iou");
        return rankCorrelation(
          meanBy("precisionOmega"),
          iou.map((_, i) => iou[(i + shift) % iou.length]!),
        );
      },
    );
  context.report("omega-predicts-iou", {
    measured: correlate(0),
    control: correlate(1),
    details: {
      chunkers: all.map(({ chunker, chunks, summary }) => ({
        chunker,
        chunks,
        precisionOmega: round(summary.precisionOmega.mean),
        recall: round(summary.recall.mean),
        precision: round(summary.precision.mean),
        iou: round(summary.iou.mean),
      })),
    },
  });
}

/** What the original program does: a chunk is where its text first occurs. */
async function reportOffsets(context: Context, { corpora, questions }: Inputs): Promise<void> {
  context.progress("offsets by search");
  const chunks = await cutCorpora(corpora, createSentenceChunker({ size: 1 }));
  const found = chunks.map(({ corpus, text }: Chunk): CorpusRange => {
    const start = corpora.get(corpus)!.indexOf(text);
    return { corpus, start, end: start + text.length };
  });
  const distances = questions.map(({ references }) =>
    Math.abs(precisionOmega(references, found) - precisionOmega(references, chunks)),
  );
  const wrong = found.filter(({ start }, i) => start !== chunks[i]!.start).length;
  context.report("offsets-by-search-mislead", {
    measured: meanOf(distances),
    control: constantOf(0, distances.length),
    details: { chunks: chunks.length, mislocated: wrong },
  });
}

async function reportSemantic(context: Context, inputs: Inputs, evaluate: Evaluate): Promise<void> {
  const vectors = await loadWordVectors(await context.data("models/glove-100d-12k"));
  const shuffled = (texts: readonly string[]): Float32Array[] => {
    const draw = createRandom(context.seed, "shuffled vectors");
    return draw.shuffle(texts.map((text) => vectors.embed(text)));
  };
  const limits = { size: 1600, pieceSize: 200 };
  const cluster = createClusterChunker({
    ...limits,
    embed: (texts) => texts.map((text) => vectors.embed(text)),
  });
  const semantic = await evaluate(cluster);
  const recursive = await evaluate(await matchChunks(inputs.corpora, semantic.chunks));
  const control = await evaluate(createClusterChunker({ ...limits, embed: shuffled }));
  const describe = ({ chunks, summary }: ChunkingEvaluation) => ({
    chunks,
    meanCharacters: Math.round(totalLength(inputs) / chunks),
    recall: round(summary.recall.mean),
    iou: round(summary.iou.mean),
    precisionOmega: round(summary.precisionOmega.mean),
  });
  context.report("semantic-chunks-raise-recall", {
    measured: sampleOf(semantic, "recall"),
    baseline: sampleOf(recursive, "recall"),
    baselineName: "recursive",
    control: sampleOf(control, "recall"),
    details: {
      semantic: describe(semantic),
      recursive: describe(recursive),
      shuffled: describe(control),
    },
  });
}

/** The recursive chunker that cuts the corpora into about so many chunks, found by bisection. */
async function matchChunks(corpora: Inputs["corpora"], chunks: number): Promise<Chunker> {
  let [low, high] = [50, 3200];
  while (low < high) {
    const middle = (low + high) >> 1;
    const found = await cutCorpora(corpora, createRecursiveChunker({ size: middle }));
    if (found.length > chunks) low = middle + 1;
    else high = middle;
  }
  return createRecursiveChunker({ size: low });
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

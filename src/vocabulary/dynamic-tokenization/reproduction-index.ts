/** How well and how fast an index finds the next token in a vocabulary of a million. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { LoadedModel } from "../../model/index.ts";
import { gibbonParagraphs, heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import {
  meanOf,
  type Panel,
  type ReproductionContext,
  type Sample,
  statisticOf,
} from "../../reproduce/index.ts";
import { compile, float32, matmul, topK, trace } from "../../tensor/index.ts";
import type { Hypernetwork } from "../hypernetwork.ts";
import { type DirectionIndex, searchExactly } from "./direction-index.ts";
import { type DynamicModel, openDynamicModel } from "./dynamic-model.ts";
import { growVocabulary, type LargeVocabulary, makeLargeVocabulary } from "./large-vocabulary.ts";
import type { DynamicToken } from "./merge-batch.ts";
import { readKnownText } from "./reproduction-hypernetwork.ts";
import { words } from "./reproduction-lengths.ts";

type Context = ReproductionContext<"index-recall" | "index-speed">;

export function indexPanel(uses: readonly IndexUse[]): Panel {
  const line = (name: string, read: (use: IndexUse) => number) => ({
    name,
    points: uses.map((use) => ({ x: use.rows, y: read(use) })),
  });
  return {
    title: "an index of a large vocabulary",
    kind: "line",
    x: { title: "rows looked at, percent" },
    y: { title: "found, percent" },
    series: [line("the best", ({ best }) => best), line("the best 20", ({ found }) => found)],
  };
}

/** Most tokens of the large vocabulary. */
const largeSize = 1_000_000;
/** Queries of each held-out chapter. */
const queriesOfChapter = 64;
/** Tokens that are asked for. */
const shortlist = 20;
/** Shares of the groups that are looked into; the claims are about `usualShare`. */
const probedShares = [0.005, 0.01, 0.02, 0.05, 0.2] as const;
const usualShare = 0.02;

/** What an index finds and costs with some share of its groups. */
export interface IndexUse {
  /** In percent. */
  readonly groups: number;
  /** In percent of all rows, those that every search looks at included. */
  readonly rows: number;
  /** Percent of the queries whose best token is found. */
  readonly best: number;
  /** Percent of the best tokens that are found, as many as are asked for. */
  readonly found: number;
  /** Median over the queries. */
  readonly milliseconds: number;
}

/** How well and how fast an index finds what the whole product finds. */
export async function measureIndex(
  context: Context,
  model: LoadedModel,
  hypernetwork: Hypernetwork,
): Promise<IndexUse[]> {
  const { seed, signal } = context;
  await using dynamic = await openDynamicModel(model, { hypernetwork });
  const { source } = dynamic;
  context.progress("growing the vocabulary");
  const grown = growVocabulary(source.vocabulary, await readTexts(context), {
    ...{ size: largeSize, boundary: words, signal },
    onProgress: (tokens) => context.progress("growing the vocabulary", tokens, largeSize),
  });
  context.progress(`predicting and indexing rows of ${grown.length} tokens`);
  const began = performance.now();
  const vocabulary = await makeLargeVocabulary(source, grown, { hypernetwork, seed, signal });
  const buildSeconds = (performance.now() - began) / 1000;
  const queries = await readQueries(context, dynamic, vocabulary);
  const parts = { source, vocabulary, queries, buildSeconds };
  return context.timed(() => searchBoth(context, parts));
}

/** Searches all rows and the index, and reports what the index finds and how fast. */
async function searchBoth(
  context: Context,
  {
    source,
    vocabulary,
    queries,
    buildSeconds,
  }: {
    readonly source: DynamicModel["source"];
    readonly vocabulary: LargeVocabulary;
    readonly queries: readonly Float32Array[];
    readonly buildSeconds: number;
  },
): Promise<IndexUse[]> {
  const { hiddenSize } = source.config;
  const { index, forms, tables } = vocabulary;
  const rows = tables.head ?? tables.embedding;
  const { exact, times } = await searchAllRows(context, rows, queries);
  const total = rows.length / hiddenSize;
  const { uses, usual } = await searchIndex(context, index, { queries, exact, total });

  // Where the best token is one of the source, the index has nothing to find.
  const known = (id: number): boolean =>
    source.vocabulary.ids.has(forms[id]!) || id >= forms.length;
  const wanted = [...exact.keys()].filter((place) => !known(exact[place]![0]!));
  const foundBy = (shift: number): Sample =>
    meanOf(
      wanted.map((place, at) => {
        const other = wanted[(at + shift) % wanted.length]!;
        return usual.answers[place]!.includes(exact[other]![0]!) ? 100 : 0;
      }),
    );
  context.report("index-recall", {
    measured: foundBy(0),
    control: foundBy(1),
    details: { tokens: total, queries: queries.length, groups: index.partitions, uses },
  });
  const milliseconds = { engine: median(times.engine), loop: median(times.loop) };
  const fastest = milliseconds.engine < milliseconds.loop ? times.engine : times.loop;
  const medianOf = (list: readonly number[]): Sample => statisticOf(list, median);
  if (context.speed) {
    context.report("index-speed", {
      measured: medianOf(usual.milliseconds),
      baseline: medianOf(fastest),
      baselineName: "all rows",
      control: medianOf(times.loop),
      details: {
        "all rows, milliseconds": milliseconds,
        index: median(usual.milliseconds),
        buildSeconds,
      },
    });
  }
  return uses;
}

/** Texts that the vocabulary grows over: all but held-out chapters. */
async function readTexts(context: Context): Promise<string[]> {
  const texts = await readKnownText(context, Number.POSITIVE_INFINITY);
  texts.push(await readFile(await context.data("text/tinyshakespeare.txt"), "utf8"));
  for (const language of ["en", "de", "fr"]) {
    const packed = await readFile(await context.data(`text/multi30k/train.${language}.gz`));
    texts.push(gunzipSync(packed).toString("utf8"));
  }
  for (const name of ["Basque", "Latvian", "Swahili", "Ukrainian", "Zulu"]) {
    const xml = await readFile(await context.data(`text/bible/${name}-NT.xml`), "utf8");
    texts.push(xml.replace(/<[^>]*>/g, ""));
  }
  return texts;
}

/** Hidden states after beginnings of sentences that the model has not seen, read in the longest tokens. */
async function readQueries(
  context: Context,
  dynamic: DynamicModel,
  vocabulary: LargeVocabulary,
): Promise<Float32Array[]> {
  const gibbon = await context.data("text/gibbon");
  const { tokenizer } = dynamic.source.vocabulary;
  const begin = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  const sequences: DynamicToken[][] = [];
  for (const chapter of heldOutChapters) {
    const text = gibbonParagraphs(await readFile(join(gibbon, `${chapter}.txt`), "utf8")).join(" ");
    for (let part = 0; part < queriesOfChapter; part++) {
      const from = text.indexOf(" ", 2000 + 300 * part) + 1;
      const to = text.indexOf(" ", from + 200);
      const forms = vocabulary.encode(text.slice(from, to));
      sequences.push(begin === undefined ? forms : [begin, ...forms]);
    }
  }
  return dynamic.lastHidden(sequences);
}

/** The best rows of each query by products with all of them, and the milliseconds of two ways to get them. */
async function searchAllRows(
  context: Context,
  rows: Float32Array,
  queries: readonly Float32Array[],
): Promise<{ exact: Int32Array[]; times: Record<"engine" | "loop", number[]> }> {
  const hiddenSize = queries[0]!.length;
  const product = await openProduct(rows, hiddenSize, shortlist);
  const exact: Int32Array[] = [];
  const times: Record<"engine" | "loop", number[]> = { engine: [], loop: [] };
  try {
    for (const [place, query] of queries.entries()) {
      context.signal.throwIfAborted();
      context.progress("searching all rows", place + 1, queries.length);
      times.engine.push(await timed(() => product.search(query)));
      times.loop.push(
        await timed(() => exact.push(searchExactly(rows, hiddenSize, query, shortlist).ids)),
      );
    }
  } finally {
    await product.release();
  }
  return { exact, times };
}

/** What the index finds with each share of its groups, and its answers with the usual one. */
async function searchIndex(
  context: Context,
  index: DirectionIndex,
  asked: {
    readonly queries: readonly Float32Array[];
    readonly exact: readonly Int32Array[];
    /** Rows of the index. */
    readonly total: number;
  },
): Promise<{ uses: IndexUse[]; usual: { answers: Int32Array[]; milliseconds: number[] } }> {
  const { queries, exact, total } = asked;
  const uses: IndexUse[] = [];
  const usual: { answers: Int32Array[]; milliseconds: number[] } = {
    answers: [],
    milliseconds: [],
  };
  for (const share of probedShares) {
    context.progress(`searching ${100 * share} % of the groups`);
    const probes = Math.ceil(share * index.partitions);
    const milliseconds: number[] = [];
    let [best, shared, scanned] = [0, 0, 0];
    for (const [place, query] of queries.entries()) {
      milliseconds.push(
        await timed(() => {
          const found = index.search(query, shortlist, { probes });
          if (share === usualShare) usual.answers.push(found.ids);
          if (found.ids.includes(exact[place]![0]!)) best++;
          shared += exact[place]!.filter((id) => found.ids.includes(id)).length;
          scanned += found.scanned;
        }),
      );
    }
    const percent = (count: number, of: number): number => (100 * count) / (queries.length * of);
    if (share === usualShare) usual.milliseconds.push(...milliseconds);
    uses.push({
      groups: 100 * share,
      rows: percent(scanned, total),
      best: percent(best, 1),
      found: percent(shared, shortlist),
      milliseconds: median(milliseconds),
    });
  }
  return { uses, usual };
}

async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[list.length >> 1]!;
}

/** The best rows by a product of the engine with all of them, on one thread. */
async function openProduct(rows: Float32Array, width: number, count: number) {
  const types = { rows: float32(["rows", width]), query: float32([1, width]) };
  const graph = trace(types, ({ rows: all, query }) => ({
    ids: topK(matmul(query, all, { transposeB: true }), count).indices,
  }));
  // Inline: the rows would be copied into a worker.
  const program = await compile(graph, { threads: 1, inline: true, spinning: false });
  const shape = [rows.length / width, width];
  return {
    search: (query: Float32Array) =>
      program.run({ rows: { data: rows, shape }, query: { data: query, shape: [1, width] } }),
    release: () => program.release(),
  };
}

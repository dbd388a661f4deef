import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import "../../testing/code-matchers.ts";
import {
  createBm25Ranker,
  createRandomRanker,
  createTfIdfRanker,
  createTrigramRanker,
  createVectorRanker,
  type Ranker,
} from "../ranking/rankers.ts";
import { averageNdcg, evaluateSet } from "./coir.ts";
import { readCoirSet } from "./read-set.ts";
import {
  makeConcodeSet,
  makeContinuationSet,
  makeCosqaSet,
  removeDocstring,
} from "./reproduction-sets.ts";
import { type CoirSet, coirTasks } from "./tasks.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-coir-"));
afterAll(() => rmSync(root, { recursive: true }));

const set: CoirSet = {
  name: "tiny",
  documents: [
    { id: "a", text: "def read_file(path): return open(path).read()", title: "reader" },
    { id: "b", text: "def sortList(items): return sorted(items)" },
    { id: "c", text: "def sortList(items): return sorted(items)" },
    { id: "q2", text: "how to sort a list" },
  ],
  queries: [
    { id: "q1", text: "read a file" },
    { id: "q2", text: "how to sort a list" },
  ],
  judgments: new Map([
    ["q1", new Map([["a", 1]])],
    ["q2", new Map([["b", 1]])],
  ]),
};

const fixed = (ids: readonly string[]): Ranker => ({
  name: "fixed",
  index: () => () => ids.map((id, at) => ({ id, score: -at })),
});

describe("the protocol by hand", () => {
  test("the query itself is left out; equal texts are apart unless merged", async () => {
    const found = await evaluateSet(set, fixed(["q2", "c", "b", "a"]));
    // q1: a is fourth; q2: after c, b is second.
    expect(found.ndcg).toBeCloseTo((1 / Math.log2(5) + 1 / Math.log2(3)) / 2, 12);
    expect(found).toMatchObject({ set: "tiny", ranker: "fixed", queries: 2, documents: 4 });
    expect(found.means["mrr@10"]).toBeCloseTo((1 / 4 + 1 / 2) / 2, 12);
    const merged = await evaluateSet(set, fixed(["q2", "b", "a"]), { mergeDuplicates: true });
    expect(merged.documents).toBe(3);
    expect(merged.ndcg).toBeCloseTo((1 / Math.log2(4) + 1) / 2, 12);
  });

  test("titles count only where they are asked for; the depth cuts", async () => {
    const query = { ...set, queries: [{ id: "q1", text: "reader" }] };
    const ranker = createBm25Ranker("BM25");
    expect((await evaluateSet(query, ranker)).ndcg).toBe(0);
    expect((await evaluateSet(query, ranker, { useTitle: true })).ndcg).toBe(0.5);
    const cut = await evaluateSet(set, fixed(["c", "b", "a"]), { depth: 1 });
    expect(cut.means["recall@100"]).toBe(0);
  });

  test("a ranking of unknown or repeated documents is rejected; no number ranks last", async () => {
    await expect(evaluateSet(set, fixed(["x"]))).toRejectWithCode("coir-ranking-invalid");
    await expect(evaluateSet(set, fixed(["a", "a"]))).toRejectWithCode("coir-ranking-invalid");
    const vectors = createVectorRanker("vectors", (texts, role) =>
      texts.map((text) => {
        if (role === "query") return Float32Array.of(1, 0);
        return text.includes("read") ? Float32Array.of(3, 4) : Float32Array.of(Number.NaN, 1);
      }),
    );
    const { evaluation } = await evaluateSet(set, vectors);
    expect(evaluation.queries.get("q1")!.order[0]).toBe("a");
    expect(() => averageNdcg([])).toThrowCode("coir-sets-none");
  });

  test("every ranker finds the function, random ones by chance", async () => {
    const split = createBm25Ranker("split", { analyzer: { words: "code" } });
    for (const ranker of [split, createTfIdfRanker(), createTrigramRanker()]) {
      const { evaluation } = await evaluateSet(set, ranker, { mergeDuplicates: true });
      expect(evaluation.queries.get("q1")!.order[0], ranker.name).toBe("a");
      expect(evaluation.queries.get("q2")!.order[0], ranker.name).toBe("b");
    }
    const one = await evaluateSet(set, createRandomRanker(1));
    const { seconds: _, ...again } = {
      seconds: 0,
      ...(await evaluateSet(set, createRandomRanker(1))),
    };
    expect(again.evaluation).toEqual(one.evaluation);
  });

  test("ten tasks in four groups", () => {
    expect(coirTasks).toHaveLength(10);
    expect(new Set(coirTasks.map(({ group }) => group)).size).toBe(4);
    expect(coirTasks.filter(({ parts }) => parts.length === 6)).toHaveLength(2);
  });
});

describe("files", () => {
  const corpus = '{"_id": "d1", "title": "T", "text": "one"}\n{"_id": 2, "text": "two"}\n';
  const queries = '{"_id": "q1", "text": "first"}\n{"_id": "q2", "text": "second"}\n';
  const write = (folder: string, files: Record<string, string | Uint8Array>) => {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(root, folder, name, ".."), { recursive: true });
      writeFileSync(join(root, folder, name), content);
    }
    return join(root, folder);
  };
  const expected = {
    documents: [
      { id: "d1", text: "one", title: "T" },
      { id: "2", text: "two" },
    ],
    queries: [{ id: "q1", text: "first" }],
    judgments: new Map([["q1", new Map([["2", 1]])]]),
  };

  test("BEIR's and MTEB's layouts hold the same set", async () => {
    const beir = write("beir", {
      "corpus.jsonl.gz": gzipSync(corpus),
      "queries.jsonl": queries,
      "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\t2\t1\n",
    });
    expect(await readCoirSet(beir)).toEqual({ name: "beir", ...expected });
    const mteb = write("mteb", {
      "cosqa-queries-corpus/corpus.jsonl": corpus,
      "cosqa-queries-corpus/queries.jsonl": queries,
      "cosqa-qrels/test.jsonl": '{"query_id": "q1", "corpus_id": 2, "score": 1}\n',
    });
    expect(await readCoirSet(mteb, { name: "cosqa" })).toEqual({ name: "cosqa", ...expected });
  });

  test.each([
    ["without a heading", "q1\t2\t1\n"],
    ["as trec_eval has it", "q1\t0\t2\t1\r\n"],
    ["its columns in another order", "corpus-id\tscore\tquery-id\n2\t1\tq1\n"],
    ["behind a byte order mark", "\ufeffquery-id\tcorpus-id\tscore\nq1\t2\t1"],
  ])("a table of judgments: %s", async (name, table) => {
    const ids = corpus.replaceAll("_id", "id");
    const files = { "corpus.jsonl": ids, "queries.jsonl": queries, "qrels/test.tsv": table };
    expect(await readCoirSet(write(name, files), { name: "beir" })).toEqual({
      name: "beir",
      ...expected,
    });
  });

  test("what does not fit is named", async () => {
    const make = (name: string, files: Record<string, string>) =>
      readCoirSet(
        write(name, {
          "corpus.jsonl": corpus,
          "queries.jsonl": queries,
          "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\t2\t1\n",
          ...files,
        }),
      );
    const code = "coir-set-invalid";
    await expect(make("x1", { "corpus.jsonl": "{" })).toRejectWithCode(code);
    await expect(make("x2", { "corpus.jsonl": '{"_id": "a"}' })).toRejectWithCode(code);
    await expect(make("x3", { "corpus.jsonl": corpus + corpus })).toRejectWithCode(code);
    await expect(make("x4", { "qrels/test.tsv": "q1 2 1" })).toRejectWithCode(code);
    for (const table of ["q1\t2\t", "q1\t2\tone", "query-id\tcorpus-id\tscore\nq1\t2\t\n"]) {
      await expect(make("x7", { "qrels/test.tsv": table })).toRejectWithCode(code);
    }
    const unknown = "query-id\tcorpus-id\tscore\nq1\tx\t1\n";
    await expect(make("x5", { "qrels/test.tsv": unknown })).toRejectWithCode(code);
    await expect(readCoirSet(write("x6", { "corpus.jsonl": corpus }))).toRejectWithCode(code);
    await expect(readCoirSet(join(root, "none"))).toRejectWithCode("file-not-found");
  });
});

const cosqa = testData("code/cosqa-dev.json");

describe.skipIf(cosqa.skip)("small sets from CoSQA", () => {
  const json = cosqa.skip === undefined ? readFileSync(cosqa.folder, "utf8") : "";
  const ranker = createBm25Ranker("BM25", { analyzer: { words: "code" } });

  test("313 queries, 552 functions; BM25 finds fewer without docstrings", async () => {
    const whole = await evaluateSet(makeCosqaSet(json), ranker);
    expect([whole.queries, whole.documents]).toEqual([313, 552]);
    const bare = await evaluateSet(makeCosqaSet(json, { withDocstrings: false }), ranker);
    expect(whole.ndcg).toBeGreaterThan(bare.ndcg + 0.1);
    const copies = await evaluateSet(makeCosqaSet(json, { keepCopies: true }), ranker);
    expect(copies.documents).toBe(604);
  });

  test("parts of functions join to them", () => {
    const { queries, documents } = makeContinuationSet(json, 0);
    const functions = new Set((JSON.parse(json) as { code: string }[]).map(({ code }) => code));
    for (const [i, { text }] of queries.entries()) {
      expect(functions.has(`${text}\n${documents[i]!.text}`)).toBe(true);
    }
    expect(removeDocstring('def a():\n    """Doc."""\n    return 1')).toBe(
      "def a():\n    \n    return 1",
    );
    expect(makeConcodeSet('{"nl": "a concode_field_sep b", "code": "c"}\n', 5).queries).toEqual([
      { id: "q-0", text: "a   b" },
    ]);
  });
});

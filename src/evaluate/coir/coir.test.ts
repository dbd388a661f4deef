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

  test("a merged document whose first copy has the query's id is still found", async () => {
    const own: CoirSet = {
      name: "own",
      documents: ["q", "copy", "other"].map((id) => ({ id, text: id === "other" ? "b" : "a" })),
      queries: [{ id: "q", text: "a" }],
      judgments: new Map([["q", new Map([["copy", 1]])]]),
    };
    const merged = await evaluateSet(own, fixed(["copy", "other"]), { mergeDuplicates: true });
    expect([merged.documents, merged.ndcg]).toEqual([2, 1]);
  });

  test.each([{ depth: 0 }, { depth: 1.5 }, { useTitle: "yes" }, { mergeDuplicate: true }, null])(
    "options that do not fit: %j",
    async (options) => {
      const code = "coir-option-invalid";
      await expect(evaluateSet(set, fixed([]), options as object)).toRejectWithCode(code);
    },
  );

  test("vectors must be as many as texts, and as long as each other", async () => {
    const code = "ranking-vectors-invalid";
    const rank = (documents: number, query: number, length: number) =>
      evaluateSet(
        set,
        createVectorRanker("vectors", (texts, role) =>
          role === "query"
            ? Array.from({ length: query }, () => Float32Array.from({ length }, () => 1))
            : Array.from({ length: texts.length + documents }, () => Float32Array.of(1, 2)),
        ),
      );
    await expect(rank(0, 1, 3)).toRejectWithCode(code);
    await expect(rank(-1, 1, 2)).toRejectWithCode(code);
    await expect(rank(0, 0, 2)).toRejectWithCode(code);
    expect((await rank(0, 1, 2)).queries).toBe(2);
  });

  test("a document of very many different trigrams is ranked", async () => {
    const letters = Array.from({ length: 300_000 }, (_, at) => String.fromCodePoint(0x4e00 + at));
    const documents = [...set.documents, { id: "long", text: letters.join("") }];
    const found = await evaluateSet({ ...set, documents }, createTrigramRanker());
    expect(found.documents).toBe(5);
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

  const layout = {
    "corpus.jsonl": corpus,
    "queries.jsonl": queries,
    "qrels/dev.jsonl": '{"query_id": "q1", "corpus_id": "2", "score": 1}\n',
  };
  const heading = "query-id\tcorpus-id\tscore\n";

  test.each([
    ["an unknown query", "qrels/dev.tsv", `${heading}q1\t2\t1\nq9\t2\t1\n`, 3],
    ["an unknown document", "qrels/dev.tsv", "q1\t2\t1\nq2\t9\t0\n", 2],
    ["a judgment twice", "qrels/dev.tsv", "q1\t2\t1\nq1\t2\t0\n", 2],
    ["a level as hexadecimal", "qrels/dev.tsv", "q1\t2\t0x1\n", 1],
    ["a level of spaces", "qrels/dev.tsv", "q1\t2\t \n", 1],
    ["a cell too many", "qrels/dev.tsv", `${heading}q1\t2\t1\tx\n`, 2],
    [
      "a level that is true",
      "qrels/dev.jsonl",
      layout["qrels/dev.jsonl"].replace("1}", "true}"),
      1,
    ],
    [
      "a level that is null",
      "qrels/dev.jsonl",
      layout["qrels/dev.jsonl"].replace("1}", "null}"),
      1,
    ],
    ["an id of 20 digits", "corpus.jsonl", `${corpus}{"_id": 12345678901234567890, "text": ""}`, 3],
    [
      "a title that is a number",
      "corpus.jsonl",
      `${corpus}\n{"_id": "d3", "text": "", "title": 5}`,
      4,
    ],
    ["a list", "queries.jsonl", `${queries}[1]\n`, 3],
  ])("%s is refused with file and line", async (name, file, content, line) => {
    const folder = write(`line-${name}`, { ...layout, [file]: content });
    await expect(readCoirSet(folder, { split: "dev" })).toRejectWithCode("coir-set-invalid", {
      path: join(folder, file),
      line,
    });
  });

  test("levels of 0 and below, empty texts, a title of null", async () => {
    const folder = write("levels", {
      "corpus.jsonl": '{"_id": "d", "text": "", "title": null}\n{"_id": 0, "text": "x"}\r\n',
      "queries.jsonl": '{"_id": 7, "text": ""}\n',
      "qrels/test.tsv": "7\td\t-1\n7\t0\t0\n",
    });
    expect(await readCoirSet(folder)).toEqual({
      name: "levels",
      documents: [
        { id: "d", text: "" },
        { id: "0", text: "x" },
      ],
      queries: [{ id: "7", text: "" }],
      judgments: new Map([
        [
          "7",
          new Map([
            ["d", -1],
            ["0", 0],
          ]),
        ],
      ]),
    });
  });

  test("of several sets in a folder the named one is read, with its own judgments", async () => {
    const one = (name: string, answer: string) => ({
      [`${name}-queries-corpus/corpus.jsonl`]: corpus,
      [`${name}-queries-corpus/queries.jsonl`]: queries,
      [`${name}-qrels/test.tsv`]: `q1\t${answer}\t1\n`,
    });
    const folder = write("several", { ...one("apps", "d1"), ...one("cosqa", "2") });
    const code = "coir-set-invalid";
    await expect(readCoirSet(folder)).toRejectWithCode(code);
    const read = async (name: string) => (await readCoirSet(folder, { name })).judgments.get("q1");
    expect(await read("apps")).toEqual(new Map([["d1", 1]]));
    expect(await read("cosqa")).toEqual(new Map([["2", 1]]));
    const apps = Object.entries(one("apps", "d1")).filter(([file]) => !file.includes("qrels"));
    const mixed = { ...Object.fromEntries(apps), "cosqa-qrels/test.tsv": "q1\t2\t1\n" };
    await expect(readCoirSet(write("mixed", mixed))).toRejectWithCode(code);
    await expect(readCoirSet(write("both", { ...one("a", "2"), ...layout }))).toRejectWithCode(
      code,
    );
  });

  test("files that cannot be read, and options, have errors of their own", async () => {
    const read = (files: Record<string, string | Uint8Array>) => {
      const { "corpus.jsonl": _, ...rest } = layout;
      return readCoirSet(write(`file-${Object.keys(files)[0]}`, { ...rest, ...files }), {
        split: "dev",
      });
    };
    const latin = Buffer.from('{"_id": "d", "text": "\xe9"}', "latin1");
    await expect(read({ "corpus.jsonl": latin })).toRejectWithCode("file-not-utf8");
    const damaged = gzipSync(corpus).subarray(0, 30);
    await expect(read({ "corpus.jsonl.gz": damaged })).toRejectWithCode("file-failed");
    for (const options of [
      { split: "" },
      { split: 5 },
      { splits: "dev" },
      { name: 1 },
    ] as object[]) {
      await expect(readCoirSet(root, options)).toRejectWithCode("coir-option-invalid");
    }
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

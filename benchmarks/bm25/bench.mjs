/**
 * BM25 beside MiniSearch, Orama and lunr: indexing a corpus, and searching it for the best ten.
 *
 *     npm ci --prefix benchmarks/bm25
 *     npm run bench -- bm25 [--corpora scifact,names] [--runs 5] [--queries 300]
 *                           [--peers MiniSearch,Orama,lunr] [--json]
 *
 * Every side gets the same words from the same function where it takes one (runs of a to z and 0 to 9 in
 * lower case), no stop words, no stemming, whole words only, any of the query's words. Sides take turns;
 * each run makes a fresh index. lunr's formula is that of Lucene, rounded to thousandths for each term:
 * where it ranks documents otherwise than jeton beyond that rounding, a line says so. MiniSearch counts
 * the different words of a document as its length, and Orama divides occurrences by the length first:
 * their formulas are others. JETON_DATA must name the data folder.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { importJeton } from "../import-jeton.mjs";
import { describeMachine, formatTable, makeRow } from "../report.mjs";

export const description = "BM25: indexing and searching beside MiniSearch, Orama and lunr";

const require = createRequire(import.meta.url);

const toWords = (text) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

function readCorpora(data) {
  const lines = (path) => {
    const bytes = readFileSync(join(data, path));
    const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    return text.trimEnd().split("\n");
  };
  return {
    scifact: () => ({
      documents: lines("retrieval/scifact/corpus.jsonl.gz").map((line) => {
        const { _id, title, text } = JSON.parse(line);
        return { id: _id, text: `${title} ${text}` };
      }),
      queries: lines("retrieval/scifact/queries-test.jsonl").map((line) => JSON.parse(line).text),
    }),
    names: () => {
      const names = lines("matching/ror/registry-names.tsv.gz").map((line) =>
        line.split("\t").at(-1),
      );
      return {
        documents: names.map((text, i) => ({ id: String(i), text })),
        // lunr answers a query without words with every document.
        queries: names.filter((name, i) => i % 377 === 0 && toWords(name).length > 0),
      };
    },
  };
}

async function listSides() {
  const { createBm25Index } = await importJeton("lexical");
  const { default: MiniSearch } = await import("minisearch");
  const orama = await import("@orama/orama");
  const lunr = require("lunr");
  return [
    {
      name: "jeton",
      build(documents) {
        const index = createBm25Index({ analyzer: { words: "ascii" } });
        for (const { id, text } of documents) index.add(id, text);
        index.search("x"); // postings are put in order at the first search
        return (query) => index.search(query, { k: 10 });
      },
    },
    {
      name: "MiniSearch",
      build(documents) {
        const index = new MiniSearch({
          fields: ["text"],
          tokenize: toWords,
          processTerm: (term) => term,
        });
        index.addAll(documents);
        return (query) => index.search(query).slice(0, 10);
      },
    },
    {
      name: "Orama",
      async build(documents) {
        const tokenizer = {
          language: "english",
          normalizationCache: new Map(),
          tokenize: (text) => toWords(text),
        };
        const database = orama.create({ schema: { text: "string" }, components: { tokenizer } });
        await orama.insertMultiple(database, documents, 1000);
        return async (term) =>
          (await orama.search(database, { term, limit: 10, threshold: 1 })).hits;
      },
    },
    {
      name: "lunr",
      build(documents) {
        const tokenize = (value) => toWords(String(value)).map((word) => new lunr.Token(word, {}));
        const index = lunr(function () {
          this.tokenizer = tokenize;
          this.pipeline.reset();
          this.searchPipeline.reset();
          this.ref("id");
          this.field("text");
          for (const document of documents) this.add(document);
        });
        return (query) =>
          index
            .query((builder) => {
              for (const word of toWords(query)) builder.term(word, {});
            })
            .slice(0, 10)
            .map(({ ref, score }) => ({ id: ref, score }));
      },
    },
  ];
}

/** Whether lunr's ranking is jeton's, but for the rounding of each term's part. */
function countDisagreements(queries, ours, peers) {
  let count = 0;
  for (const [at, query] of queries.entries()) {
    const rank = new Map(ours[at].map(({ id }, place) => [id, place]));
    // Factor k1 + 1, which lunr keeps; half a thousandth for each term on both sides.
    const tolerance = (2 * 0.0005 * toWords(query).length) / 2.2;
    for (const [place, { id }] of peers[at].entries()) {
      const own = rank.get(id);
      const found = own === undefined ? ours[at].at(-1) : ours[at][own];
      if (Math.abs(found.score - ours[at][place].score) > tolerance) count++;
    }
  }
  return count;
}

/** Measures; returns the rows, and prints them unless `json` asks for silence. */
export async function run({ json = false, args = [] } = {}) {
  const { values } = parseArgs({
    args,
    options: {
      corpora: { type: "string", default: "scifact,names" },
      runs: { type: "string", default: "5" },
      queries: { type: "string", default: "300" },
      peers: { type: "string", default: "MiniSearch,Orama,lunr" },
    },
  });
  const data = process.env.JETON_DATA;
  if (data === undefined) throw new Error("JETON_DATA must name the data folder");
  if (!json) console.log(describeMachine());
  const wanted = ["jeton", ...values.peers.split(",")];
  const sides = (await listSides()).filter(({ name }) => wanted.includes(name));
  const rows = [];
  for (const name of values.corpora.split(",")) {
    const { documents, queries: all } = readCorpora(data)[name]();
    const queries = all.slice(0, Number(values.queries));
    const rates = new Map(sides.map((side) => [side.name, { index: [], search: [] }]));
    const found = new Map();
    for (let run = 0; run < Number(values.runs); run++) {
      for (const side of run % 2 === 0 ? sides : [...sides].reverse()) {
        const rate = rates.get(side.name);
        const started = performance.now();
        const search = await side.build(documents);
        const built = performance.now();
        const hits = [];
        for (const query of queries) hits.push(await search(query));
        rate.index.push((documents.length / (built - started)) * 1000);
        rate.search.push((queries.length / (performance.now() - built)) * 1000);
        found.set(side.name, hits);
      }
    }
    const own = rates.get("jeton");
    for (const [peerName, rate] of rates) {
      if (peerName === "jeton") continue;
      const add = (what, unit) =>
        rows.push(
          makeRow({
            name: `${name}: ${what}`,
            ours: own[what],
            peer: rate[what],
            peerName,
            unit,
          }),
        );
      add("index", "documents/s");
      add("search", "queries/s");
    }
    if (!found.has("lunr")) continue;
    const differ = countDisagreements(queries, found.get("jeton"), found.get("lunr"));
    console.error(`${name}: ${differ} places of lunr's rankings differ beyond its rounding`);
  }
  if (!json) console.log(formatTable(rows));
  return rows;
}

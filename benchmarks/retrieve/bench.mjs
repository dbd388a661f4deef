/**
 * Search by token vectors beside an exact scan by our own engine and beside LanceDB's multivectors.
 *
 *     npm run build
 *     npm ci --prefix benchmarks/retrieve                  # LanceDB; not needed with --peers scan
 *     npm run bench -- retrieve [--tokens 1000000] [--queries 60] [--runs 3] [--threads 2] [--peers scan,LanceDB] [--json]
 *
 * Vectors are those of the bundled encoder over SciFact's abstracts and Chroma's texts (128 numbers a token), queries have
 * 32 tokens. Both indexes are tuned on the first third of the queries, to the quickest setting that finds 95 % of the exact
 * scan's ten best documents, and measured on the others, in turns. JETON_DATA must name the data folder; what was embedded,
 * indexed and tuned is kept in the temporary folder, so that `--runs 0` prepares a measurement.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { importJeton } from "../import-jeton.mjs";
import { describeMachine, formatTable, makeRow, median } from "../report.mjs";
import { openExactScan } from "./exact-scan.mjs";
import { dim, readTokenCorpus } from "./token-corpus.mjs";

export const description =
  "search by token vectors, beside an exact scan and LanceDB's multivectors";

const depth = 10;
/** What tuning asks for: other queries are measured, and 0.95 is wanted of them. */
const wantedRecall = 0.98;

/** The ten best documents of each query. */
function bestOf(scores) {
  return Array.from(scores.keys())
    .sort((a, b) => scores[b] - scores[a])
    .slice(0, depth)
    .map(String);
}

const recallOf = (found, truth) => found.filter((id) => truth.includes(id)).length / truth.length;

function bytesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? bytesBelow(path) : statSync(path).size);
  }, 0);
}

/** Records of the corpus, some at a time. */
function* recordsOf({ offsets, vectors, spans, texts }, size) {
  for (let from = 0; from < texts.length; from += size) {
    yield texts.slice(from, from + size).map((text, i) => {
      const [first, end] = [offsets[from + i], offsets[from + i + 1]];
      return {
        id: String(from + i),
        text,
        tokens: {
          dim,
          vectors: vectors.slice(first * dim, end * dim),
          spans: spans.slice(2 * first, 2 * end),
        },
      };
    });
  }
}

async function openOurs(corpus, { log, threads }) {
  const { openIndex } = await importJeton("retrieve");
  const folder = join(corpus.folder, "index");
  let seconds;
  if (!existsSync(join(folder, "done"))) {
    const started = performance.now();
    const index = await openIndex(folder);
    let done = 0;
    for (const records of recordsOf(corpus, 256)) {
      await index.put(records);
      done += records.length;
      log(`indexing: ${done} of ${corpus.texts.length} documents`);
    }
    await index.merge();
    await index.close();
    seconds = (performance.now() - started) / 1000;
    writeFileSync(join(folder, "done"), "");
  }
  const index = await openIndex(folder, { readOnly: true, threads });
  const settings = [];
  for (const probes of [16, 32, 64, 128]) {
    for (const refine of [20, 40, 60, 70, 80, 100, 200]) {
      settings.push({ scoring: "refined", probes, candidates: 1000, refine });
    }
  }
  return {
    name: "jeton",
    seconds,
    bytes: bytesBelow(folder),
    settings,
    search: async (vectors, tokenSearch) =>
      (await index.search({ tokens: { dim, vectors }, k: depth, tokenSearch })).map(({ id }) => id),
    close: () => index.close(),
  };
}

async function openLance(corpus, { log }) {
  const lancedb = await import("@lancedb/lancedb");
  const arrow = await import("apache-arrow");
  const { openLanceStore } = await importJeton("retrieve");
  const folder = join(corpus.folder, "lance");
  const isDone = existsSync(join(folder, "done"));
  const options = { tokens: dim, packages: { lancedb, arrow } };
  const store = await openLanceStore(folder, options);
  let seconds;
  if (!isDone) {
    const started = performance.now();
    let done = 0;
    for (const records of recordsOf(corpus, 512)) {
      await store.put(records);
      done += records.length;
      log(`LanceDB: ${done} of ${corpus.texts.length} documents`);
    }
    log("LanceDB: indexing");
    await store.indexTokens({ subVectors: 32 });
    seconds = (performance.now() - started) / 1000;
    writeFileSync(join(folder, "done"), "");
  }
  // The table itself: what our store reads of each hit beyond its id is not measured.
  const connection = await lancedb.connect(folder);
  const table = await connection.openTable("records");
  const settings = [];
  for (const probes of [5, 20, 50, 100]) {
    for (const refine of [1, 5, 20, 50]) settings.push({ probes, refine });
  }
  return {
    name: "LanceDB",
    seconds,
    bytes: bytesBelow(folder),
    settings,
    async search(vectors, { probes, refine }) {
      const rows = Array.from({ length: vectors.length / dim }, (_, at) =>
        vectors.slice(at * dim, (at + 1) * dim),
      );
      const found = await table
        .vectorSearch(rows)
        .column("tokens")
        .distanceType("cosine")
        .nprobes(probes)
        .refineFactor(refine)
        .select(["id", "_distance"])
        .limit(depth)
        .toArray();
      return found.map(({ id }) => id);
    },
    async close() {
      table.close();
      await store.close();
    },
  };
}

async function timeOf(run) {
  const started = performance.now();
  const found = await run();
  return { ms: performance.now() - started, found };
}

/** The setting that `tune` found, by an earlier run where there was one. */
async function tunedSetting(side, { folder, queries, truths, log }) {
  const path = join(folder, `tuned-${side.name}-${queries.length}-${wantedRecall}.json`);
  if (!existsSync(path)) {
    writeFileSync(path, JSON.stringify(await tune(side, queries, truths, log)));
  }
  return JSON.parse(readFileSync(path, "utf8"));
}

/** The quickest setting that finds enough on some queries; the one that finds most where none does. */
async function tune(side, queries, truths, log) {
  let best;
  for (const setting of side.settings) {
    const times = [];
    let recall = 0;
    for (const [at, query] of queries.entries()) {
      const { ms, found } = await timeOf(() => side.search(query, setting));
      times.push(ms);
      recall += recallOf(found, truths[at]) / queries.length;
    }
    const one = { setting, recall, ms: median(times) };
    const isEnough = recall >= wantedRecall;
    const wasEnough = best !== undefined && best.recall >= wantedRecall;
    const isBetter = wasEnough
      ? isEnough && one.ms < best.ms
      : isEnough || one.recall > (best?.recall ?? -1);
    if (isBetter) best = one;
    log(
      `${side.name}: ${JSON.stringify(setting)} recall ${recall.toFixed(3)}, ${one.ms.toFixed(1)} ms`,
    );
  }
  return best.setting;
}

/** Measures; returns the rows, and prints them unless `json` asks for silence. */
export async function run({ json = false, args = [] } = {}) {
  const { values } = parseArgs({
    args,
    options: {
      tokens: { type: "string", default: "1000000" },
      queries: { type: "string", default: "60" },
      runs: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      peers: { type: "string", default: "scan,LanceDB" },
    },
  });
  const data = process.env.JETON_DATA;
  if (data === undefined) throw new Error("JETON_DATA must name the data folder");
  const log = (line) => process.stderr.write(`${line}\n`);
  if (!json) console.log(describeMachine());
  const [tokens, count] = [Number(values.tokens), Number(values.queries)];
  const corpus = await readTokenCorpus({ data, tokens, queries: count, log });
  const scan = await openExactScan({ ...corpus, threads: Number(values.threads) });
  const truths = [];
  for (const query of corpus.queries) truths.push(bestOf(await scan.scan(query)));
  const options = { log, threads: Number(values.threads) };
  const sides = [await openOurs(corpus, options)];
  if (values.peers.split(",").includes("LanceDB")) sides.push(await openLance(corpus, options));
  const tuned = Math.ceil(corpus.queries.length / 3);
  for (const side of sides) {
    const queries = corpus.queries.slice(0, tuned);
    side.setting = await tunedSetting(side, { folder: corpus.folder, queries, truths, log });
    log(`${side.name}: ${JSON.stringify(side.setting)}`);
  }
  if (Number(values.runs) === 0) {
    await scan.close();
    for (const side of sides) await side.close();
    return [];
  }
  const times = new Map([["scan", []], ...sides.map(({ name }) => [name, []])]);
  const recalls = new Map(sides.map(({ name }) => [name, []]));
  for (let turn = 0; turn < Number(values.runs); turn++) {
    for (let at = tuned; at < corpus.queries.length; at++) {
      const query = corpus.queries[at];
      const order = turn % 2 === 0 ? sides : [...sides].reverse();
      if (turn % 2 === 0) times.get("scan").push((await timeOf(() => scan.scan(query))).ms);
      for (const side of order) {
        const { ms, found } = await timeOf(() => side.search(query, side.setting));
        times.get(side.name).push(ms);
        recalls.get(side.name).push(recallOf(found, truths[at]));
      }
      if (turn % 2 === 1) times.get("scan").push((await timeOf(() => scan.scan(query))).ms);
    }
  }
  const total = corpus.offsets.at(-1);
  const what = `${total} token vectors of ${corpus.texts.length} texts, query of 32 tokens`;
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const recall = (name) => mean(recalls.get(name)).toFixed(3);
  const [ours, ...others] = sides;
  const rows = [
    makeRow({
      name: `${what}, recall@10 ${recall("jeton")} beside 1`,
      ours: times.get("jeton"),
      peer: times.get("scan"),
      peerName: "exact scan",
      unit: "ms",
      lowerIsBetter: true,
    }),
    ...others.map(({ name }) =>
      makeRow({
        name: `${what}, recall@10 ${recall("jeton")} beside ${recall(name)}`,
        ours: times.get("jeton"),
        peer: times.get(name),
        peerName: name,
        unit: "ms",
        lowerIsBetter: true,
      }),
    ),
    ...others.map((side) =>
      makeRow({
        name: "size on disk, texts included",
        ours: [ours.bytes / total],
        peer: [side.bytes / total],
        peerName: side.name,
        unit: "bytes/token",
        lowerIsBetter: true,
      }),
    ),
  ];
  for (const { name, seconds, bytes } of sides) {
    const built = seconds === undefined ? "built before" : `built in ${seconds.toFixed(0)} s`;
    log(`${name}: ${built}, ${(bytes / total).toFixed(1)} bytes a token`);
  }
  if (!json) console.log(formatTable(rows));
  await scan.close();
  for (const side of sides) await side.close();
  return rows;
}

/**
 * Long prompts: full attention, gemfilter and token-select beside each other and beside llama.cpp, on random weights
 * of SmolLM2-135M's shape.
 *
 *     npm run bench -- context [--json] [--tokens 16384] [--generated 64] [--runs 3] [--threads 2]
 *       [--formats int8,int8-channel] [--layer 13] [--k 1024] [--only jeton] [--minutes 20]
 *
 * - whole requests: the prompt and `generated` tokens, with gemfilter beside full attention and beside llama.cpp;
 * - the prompt alone with full attention, beside llama.cpp's Q8_0;
 * - decoding behind the prompt with token-select, without its selection cache and with it: tokens are fed so that
 *   the cache is hit as often as it is by jeton-nano on recall tasks, and the rate that was met is printed;
 * - peak memory of each process.
 *
 * Halves are processes of their own, started one after the other, since several prompts of this length do not fit
 * into the memory of a small machine at once; rounds go through all of them in turn.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeCheckpoint135m } from "../checkpoint-135m.mjs";
import { startHalf } from "../decode/half.mjs";
import { describeMachine, formatTable, makeRow, median } from "../report.mjs";
import { measureHitRate } from "./hit-rate.mjs";

export const description =
  "prompts of 16,384 tokens: gemfilter, token-select, full attention, llama.cpp";

const here = dirname(fileURLToPath(import.meta.url));
const theta = 0.9;

function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      tokens: { type: "string", default: "16384" },
      generated: { type: "string", default: "64" },
      runs: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      formats: { type: "string", default: "int8,int8-channel" },
      layer: { type: "string", default: "13" },
      k: { type: "string", default: "1024" },
      only: { type: "string" },
      minutes: { type: "string", default: "20" },
    },
  });
  const { tokens, generated, runs, threads, layer, k, minutes } = values;
  return {
    ...{ tokens: Number(tokens), generated: Number(generated), runs: Number(runs) },
    ...{ threads: Number(threads), layer: Number(layer), k: Number(k) },
    formats: values.formats.split(","),
    only: values.only,
    deadline: performance.now() + Number(minutes) * 60_000,
  };
}

/** Ids that avoid the special token, the same for every half. */
function promptIds(count, vocabSize) {
  let state = 12345;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return 1 + ((state >>> 8) % (vocabSize - 1));
  });
}

/** Tokens of which a share repeats the one before: the queries of a repeated token stay where they were. */
function replayedIds(count, rate, vocabSize) {
  const fresh = promptIds(count, vocabSize);
  let owed = 0;
  let current = fresh[0];
  return fresh.map((id) => {
    owed += 1 - rate;
    if (owed >= 1) {
      owed -= 1;
      current = id;
    }
    return current;
  });
}

/** What is measured: a name, how its half is started, and what of it is timed. */
function listHalves({ formats, layer, k, only }, checkpoint, threads, capacity) {
  const halves = [];
  for (const format of formats) {
    const own = (name, policy) => ({
      name: `${name}, ${format}`,
      format,
      kind: name,
      script: join(here, "jeton.mjs"),
      options: { folder: checkpoint.folder, format, threads, policy },
    });
    halves.push(own("full attention", "full"), own("gemfilter", `gemfilter:layer=${layer},k=${k}`));
    halves.push(own("token-select", "token-select"));
    halves.push(own("token-select with its cache", `token-select:cache=${theta}`));
  }
  if (only === "jeton") return halves;
  for (const flashAttention of [true, false]) {
    halves.push({
      name: `llama.cpp Q8_0 (${flashAttention ? "flash" : "plain"})`,
      kind: "llama",
      script: join(here, "../decode/llama.mjs"),
      options: { path: checkpoint.gguf["Q8_0"], threads, capacity, flashAttention },
      environment: { UV_THREADPOOL_SIZE: "1" },
    });
  }
  return halves;
}

/** One visit of a half: the prompt, then decoding. */
async function visit(half, { tokens, generated, replayed, ids }) {
  const { call, stop } = await startHalf(half.script, half.options, half.environment);
  try {
    await call("prefill", ids.slice(0, 64));
    const prompt = await call("prefill", ids.slice(1, tokens + 1));
    let decoded;
    if (half.kind === "token-select with its cache") {
      const { value } = await call("run", { ids: replayed, asksHits: true });
      half.hitRate = value;
      decoded = await call("run", { ids: replayed });
    } else decoded = await call("decode", generated);
    const { value } = await call("memory");
    return {
      prompt: prompt.milliseconds,
      decode: decoded.milliseconds,
      peak: value.peak ?? value.resident,
    };
  } finally {
    await stop();
  }
}

/**
 * @param {{ json: boolean, args: string[] }} options
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args }) {
  const options = readOptions(args);
  const { tokens, generated, runs, threads, only, deadline } = options;
  const checkpoint = makeCheckpoint135m({ gguf: only === "jeton" ? [] : ["Q8_0"] });
  console.error(describeMachine());
  const hits = await measureHitRate({ theta, tokens: 4096, prompts: 6, generated: 12 });
  console.error(
    `jeton-nano on recall tasks of 4,096 tokens: the selection cache at ${theta} is hit in ${(100 * hits.rate).toFixed(1)} % of ${hits.steps} choices`,
  );
  const capacity = tokens + 2 * generated + 16;
  const ids = promptIds(tokens + 1, checkpoint.vocabSize);
  const replayed = replayedIds(generated, hits.rate, checkpoint.vocabSize);
  const halves = listHalves(options, checkpoint, threads, capacity);
  const taken = new Map(halves.map((half) => [half, []]));
  for (let round = 0; round < runs; round++) {
    for (let turn = 0; turn < halves.length; turn++) {
      const half = halves[(turn + round) % halves.length];
      if (performance.now() > deadline && taken.get(half).length > 0) continue;
      const measured = await visit(half, { tokens, generated, replayed, ids });
      taken.get(half).push(measured);
      const [prompt, decode] = [measured.prompt, measured.decode].map((ms) =>
        (ms / 1000).toFixed(1),
      );
      console.error(
        `${half.name}: prompt ${prompt} s, ${generated} tokens ${decode} s, peak ${(measured.peak / 1e6).toFixed(0)} MB`,
      );
    }
  }
  const rows = makeRows(halves, taken, options);
  for (const half of halves) {
    if (half.hitRate === undefined) continue;
    console.error(`${half.name}: hit in ${(100 * half.hitRate).toFixed(1)} % of choices`);
  }
  console.error(describeMachine());
  if (!json) console.log(formatTable(rows));
  return rows;
}

function makeRows(halves, taken, { tokens, generated, formats, layer, k }) {
  const find = (kind, format) =>
    halves.find((half) => half.kind === kind && (format === undefined || half.format === format));
  const of = (half, value) => (half ? taken.get(half).map(value) : []);
  const whole = ({ prompt, decode }) => (prompt + decode) / 1000;
  const promptRate = ({ prompt }) => (1000 * tokens) / prompt;
  const decodeRate = ({ decode }) => (1000 * generated) / decode;
  const peers = halves.filter(({ kind }) => kind === "llama");
  /** The peer's better kind of attention for this value. */
  const bestPeer = (value, isLower) =>
    peers.reduce((best, half) => {
      if (!best) return half;
      const [own, other] = [median(of(half, value)), median(of(best, value))];
      return own < other === isLower ? half : best;
    }, undefined);
  const rows = [];
  const compare = (name, half, peer, value, { unit, lowerIsBetter = false }) => {
    const peerName = peer?.name ?? "none";
    rows.push(
      makeRow({
        name,
        ours: of(half, value),
        peer: of(peer, value),
        peerName,
        unit,
        lowerIsBetter,
      }),
    );
  };
  for (const format of formats) {
    const full = find("full attention", format);
    const request = `prompt of ${tokens} and ${generated} tokens, gemfilter (layer ${layer}, k ${k}), ${format}`;
    const seconds = { unit: "s", lowerIsBetter: true };
    const rate = { unit: "tokens/s" };
    compare(request, find("gemfilter", format), full, whole, seconds);
    compare(request, find("gemfilter", format), bestPeer(whole, true), whole, seconds);
    const prompt = `prompt of ${tokens}, full attention, ${format}`;
    compare(prompt, full, bestPeer(promptRate, false), promptRate, rate);
    for (const kind of ["token-select", "token-select with its cache"]) {
      compare(
        `decode at ${tokens}, ${kind}, ${format}`,
        find(kind, format),
        full,
        decodeRate,
        rate,
      );
    }
    const peak = { unit: "MB", lowerIsBetter: true };
    const megabytes = (measured) => measured.peak / 1e6;
    compare(
      `peak memory, full attention, ${format}`,
      full,
      bestPeer(megabytes, true),
      megabytes,
      peak,
    );
    compare(
      `peak memory, gemfilter, ${format}`,
      find("gemfilter", format),
      bestPeer(megabytes, true),
      megabytes,
      peak,
    );
  }
  return rows;
}

/**
 * Decoding and prompt processing beside llama.cpp, on random weights of SmolLM2-135M's shape.
 *
 *     npm run bench -- decode [--json] [--only llama|jeton] [--threads 1,2] [--runs 5]
 *       [--pairs int4:Q4_0,int8:Q8_0,int8-channel:Q8_0+Q4_0] [--contexts 64,1024,4096] [--prefill 512]
 *       [--tokens 32] [--patience 3] [--minutes 12] [--checkpoint folder] [--check]
 *
 * For each pair of weight formats (jeton's, and one or several of llama.cpp) and each number of threads:
 * one process with jeton, two for each format of llama.cpp (with and without flash attention; the better
 * one of a row counts as the peer). The processes take turns, in an order that rotates. A measurement during which other processes took more
 * than a tenth of the machine is repeated, at most `patience` times as often as asked; the least
 * disturbed ones are kept.
 *
 * - prefill: `prefill` new tokens and the choice after them, from an empty cache: tokens per second;
 * - decode: greedy, one token at a time, from a cache of `context` tokens: tokens per second;
 * - memory: resident size of the process after the longest context.
 *
 * `--check` compares the greedy ids of both halves in single precision first.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeCheckpoint135m } from "../checkpoint-135m.mjs";
import { describeMachine, formatTable, makeRow, watchMachine } from "../report.mjs";
import { startHalf } from "./half.mjs";

export const description = "tokens per second of jeton beside llama.cpp: prefill, decoding, memory";

const here = dirname(fileURLToPath(import.meta.url));

/** The share of the machine from which on other processes spoil a measurement. */
const disturbed = 0.1;

/**
 * node-llama-cpp evaluates each token on whichever thread of libuv's pool is free. With one thread in
 * the pool it is always the same one, next to llama.cpp's own helper: measured up to three times as
 * fast with 2 threads, and never slower.
 */
const llamaEnvironment = { UV_THREADPOOL_SIZE: "1" };

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      threads: { type: "string", default: "1,2" },
      runs: { type: "string", default: "5" },
      pairs: { type: "string", default: "int4:Q4_0,int8:Q8_0,int8-channel:Q8_0+Q4_0" },
      contexts: { type: "string", default: "64,1024,4096" },
      prefill: { type: "string", default: "512" },
      tokens: { type: "string", default: "32" },
      patience: { type: "string", default: "3" },
      minutes: { type: "string", default: "12" },
      checkpoint: { type: "string" },
      check: { type: "boolean", default: false },
    },
  });
  const numbers = (text) => text.split(",").map(Number);
  return {
    only: values.only,
    threads: numbers(values.threads),
    runs: Number(values.runs),
    pairs: values.pairs.split(",").map((pair) => {
      const [format, types] = pair.split(":");
      return { format, types: types?.split("+") ?? [] };
    }),
    contexts: numbers(values.contexts),
    prefill: Number(values.prefill),
    tokens: Number(values.tokens),
    patience: Number(values.patience),
    deadline: performance.now() + Number(values.minutes) * 60_000,
    checkpoint: values.checkpoint,
    check: values.check,
  };
}

/** The pairs to measure; when one side runs alone, nothing of it twice. */
function pairsOf({ pairs, only }) {
  if (only !== "llama") return pairs;
  const types = new Set(pairs.flatMap((pair) => pair.types));
  return [...types].map((type) => ({ types: [type] }));
}

/** Ids that avoid the special token, the same for every half. */
function promptIds(count, vocabSize) {
  let state = 12345;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return 1 + ((state >>> 8) % (vocabSize - 1));
  });
}

/**
 * Measures all halves in turns until each has enough undisturbed measurements or patience ends.
 * @param {{ name: string, call: Function }[]} halves
 * @param {{ runs: number, patience: number, deadline: number }} options
 * @param {(half: any) => Promise<{ milliseconds: number, cpuMilliseconds: number }>} measure
 * @returns {Promise<Map<any, { milliseconds: number, foreign: number }[]>>} `runs` for each half
 */
async function measureInTurns(halves, { runs, patience, deadline }, measure) {
  const taken = new Map(halves.map((half) => [half, []]));
  const quiet = (half) => taken.get(half).filter(({ foreign }) => foreign <= disturbed).length;
  for (let round = 0; round < runs * patience; round++) {
    const enough = performance.now() > deadline || halves.every((half) => quiet(half) >= runs);
    if (round >= runs && enough) break;
    for (let turn = 0; turn < halves.length; turn++) {
      const half = halves[(turn + round) % halves.length];
      const machine = watchMachine();
      const { milliseconds, cpuMilliseconds } = await measure(half);
      taken.get(half).push({ milliseconds, foreign: machine.foreignShare(cpuMilliseconds) });
    }
  }
  for (const [half, measurements] of taken) {
    measurements.sort((a, b) => a.foreign - b.foreign);
    taken.set(half, measurements.slice(0, runs));
  }
  return taken;
}

/** "1 thread", "2 threads". */
const countThreads = (threads) => `${threads} thread${threads === 1 ? "" : "s"}`;

/**
 * The rows of one measurement: jeton beside each of llama.cpp's formats, in the attention that did best.
 * @param {(half: any) => number[]} values of each half
 */
function compareHalves(halves, { what, format, threads, unit, lowerIsBetter = false }, values) {
  const own = halves.find(({ side }) => side === "jeton");
  const ours = own === undefined ? [] : values(own);
  const best = new Map();
  for (const peer of halves.filter(({ side }) => side === "llama")) {
    const formats = format === undefined ? peer.type : `${format} beside ${peer.type}`;
    const name = `${what}, ${formats}, ${countThreads(threads)}`;
    const measured = { name, ours, peer: values(peer), peerName: peer.name, unit, lowerIsBetter };
    const row = makeRow(measured);
    const known = best.get(peer.type);
    const isBetter = known === undefined || row.peer > known.peer !== lowerIsBetter;
    if (isBetter) best.set(peer.type, row);
  }
  if (best.size > 0) return [...best.values()];
  const name = `${what}, ${format}, ${countThreads(threads)}`;
  return [makeRow({ name, ours, peer: [], peerName: "none", unit, lowerIsBetter })];
}

/** Best of the kept measurements and the share of the machine that others had meanwhile. */
function noteBest(name, work, taken) {
  const parts = [...taken].map(([half, measurements]) => {
    const best = (work * 1000) / Math.min(...measurements.map(({ milliseconds }) => milliseconds));
    const foreign = measurements.reduce((sum, item) => sum + item.foreign, 0) / measurements.length;
    return `${half.name} ${best.toFixed(1)} (others ${(100 * foreign).toFixed(0)} %)`;
  });
  console.error(`  best, ${name}: ${parts.join("; ")}`);
}

async function startHalves({ format, types }, threads, capacity, checkpoint, only) {
  const halves = [];
  try {
    if (only !== "llama") {
      const options = { folder: checkpoint.folder, format, threads, capacity };
      const half = await startHalf(join(here, "jeton.mjs"), options);
      halves.push({ ...half, side: "jeton", name: `jeton ${format}` });
    }
    for (const type of only === "jeton" ? [] : types) {
      for (const flashAttention of [true, false]) {
        const options = { path: checkpoint.gguf[type], threads, capacity, flashAttention };
        const half = await startHalf(join(here, "llama.mjs"), options, llamaEnvironment);
        const attention = flashAttention ? "flash" : "plain";
        halves.push({ ...half, side: "llama", type, name: `llama.cpp ${type} (${attention})` });
      }
    }
    return halves;
  } catch (error) {
    await Promise.allSettled(halves.map((half) => half.stop()));
    throw error;
  }
}

/** All rows of one pair of formats with one number of threads. */
async function measurePair(pair, threads, options, checkpoint) {
  const { contexts, prefill, tokens, only } = options;
  const capacity = Math.max(prefill, ...contexts) + tokens + 16;
  const ids = promptIds(capacity, checkpoint.vocabSize);
  const halves = await startHalves(pair, threads, capacity, checkpoint, only);
  const rows = [];
  // A run that is cut off has shown what it measured.
  const keep = (measured) => {
    rows.push(...measured);
    for (const { name, ours, peer, unit, ratio } of measured) {
      const [own, other, quotient] = [ours, peer, ratio].map((value) => value?.toFixed(2) ?? "-");
      console.error(`${name}: ${own} against ${other} ${unit}, ratio ${quotient}`);
    }
  };
  try {
    for (const half of halves) {
      await half.call("prefill", ids.slice(0, 64));
      await half.call("decode", 8);
    }
    const compare = (what, work, taken) => {
      noteBest(`${what}, ${countThreads(threads)}`, work, taken);
      const rates = (half) =>
        taken.get(half).map(({ milliseconds }) => (work * 1000) / milliseconds);
      const row = { what, format: pair.format, threads, unit: "tokens/s" };
      keep(compareHalves(halves, row, rates));
    };

    const prefills = await measureInTurns(halves, options, async (half) => {
      await half.call("reset", 0);
      return half.call("prefill", ids.slice(0, prefill));
    });
    compare(`prefill ${prefill} tokens`, prefill, prefills);

    for (const context of contexts) {
      for (const half of halves) {
        await half.call("reset", 0);
        await half.call("prefill", ids.slice(0, context));
        await half.call("decode", 4);
        await half.call("reset", context);
      }
      const decodes = await measureInTurns(halves, options, async (half) => {
        const result = await half.call("decode", tokens);
        await half.call("reset", context);
        return result;
      });
      compare(`decode at ${context}`, tokens, decodes);
    }

    const resident = new Map();
    for (const half of halves) resident.set(half, (await half.call("memory")).value.resident / 1e6);
    const row = { what: "resident memory", format: pair.format, threads, unit: "MB" };
    keep(compareHalves(halves, { ...row, lowerIsBetter: true }, (half) => [resident.get(half)]));
    return rows;
  } finally {
    await Promise.allSettled(halves.map((half) => half.stop()));
  }
}

/** Rates once more, each side with the number of threads that suits it best. */
function bestRows(rows, { threads }) {
  if (threads.length < 2) return [];
  const groups = new Map();
  for (const row of rows) {
    if (row.unit !== "tokens/s") continue;
    const name = row.name.replace(/\d+ threads?$/, "best number of threads");
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups].map(([name, group]) => {
    const ours = group.every((row) => row.ours === null)
      ? null
      : Math.max(...group.map((row) => row.ours));
    const peer = group.reduce((best, row) => (row.peer > best.peer ? row : best));
    return {
      ...peer,
      name,
      ours,
      ratio: ours === null || peer.peer === null ? null : ours / peer.peer,
      runs: Math.min(...group.map((row) => row.runs)),
    };
  });
}

/** Whether both halves choose the same ids in single precision. */
async function checkAgreement(checkpoint) {
  const pair = { format: "f32", types: ["F32"] };
  const halves = await startHalves(pair, 1, 256, checkpoint, undefined);
  try {
    const ids = promptIds(64, checkpoint.vocabSize);
    const chosen = [];
    for (const half of halves) {
      const { value: first } = await half.call("prefill", ids);
      const { value: others } = await half.call("decode", 32);
      chosen.push([first, ...others]);
    }
    const [own, ...peers] = chosen;
    for (const [index, peer] of peers.entries()) {
      const differing = own.findIndex((id, position) => id !== peer[position]);
      const equal = differing < 0 ? own.length : differing;
      console.error(
        `check: ${halves[0].name} and ${halves[index + 1].name} choose the same ${equal} of ${own.length} ids`,
      );
    }
  } finally {
    await Promise.allSettled(halves.map((half) => half.stop()));
  }
}

/**
 * @param {{ json: boolean, args: string[] }} options
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args }) {
  const options = readOptions(args);
  if (options.only !== "llama" && !existsSync(join(here, "jeton.mjs")))
    throw new Error("jeton's half (decode/jeton.mjs) is missing; use --only llama");
  const types = options.pairs.flatMap((pair) => pair.types);
  const checkpoint = makeCheckpoint135m({
    ...(options.checkpoint === undefined ? {} : { folder: options.checkpoint }),
    gguf: [...new Set(options.check ? [...types, "F32"] : types)],
  });
  console.error(describeMachine());
  if (options.check) await checkAgreement(checkpoint);
  const rows = [];
  for (const threads of options.threads)
    for (const pair of pairsOf(options))
      rows.push(...(await measurePair(pair, threads, options, checkpoint)));
  rows.push(...bestRows(rows, options));
  console.error(describeMachine());
  if (!json) console.log(formatTable(rows));
  return rows;
}

/**
 * What drafters bring: tokens per second of every drafter beside plain decoding, by kind of request,
 * tokens for each forward, what guessing itself costs, and the best of them beside llama.cpp with its
 * own predictors.
 *
 *     npm run bench -- drafters [--json] [--models nano,135m] [--formats f32,int4,int8-channel]
 *       [--drafters prompt-lookup,...,auto] [--kinds prose,code,recall,answer] [--minutes 12]
 *       [--tokens 64] [--temperature 0] [--threads 2] [--no-peer]
 *
 * `nano` is the bundled model; `135m` is the same model in SmolLM2-135M's shape, which costs what the
 * larger one costs and writes the same text, so that acceptance means something (`nano-in-135m.mjs`).
 * In every round each drafter answers the same request of each kind, in turns with llama.cpp, and every
 * round has requests of its own: what a drafter has learned from a request never helps it with the same
 * one. Requests of all kinds come mixed, as they do in a server. Rounds go on until a format's share of
 * the minutes is used up, three times as much for the larger model; one round at least. The table of a
 * format is printed when it is done, so that a run that is cut leaves what it has.
 *
 * Rows compare a drafter (`ours`) with plain decoding (`peer`) in the same rounds, then the best of
 * jeton with the best of llama.cpp. Rows in per cent are the time of guessing and learning beside that
 * of the forwards, the draft model's own passes apart.
 */
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { decodingTasks } from "../../dist/generate/measure/reproduction-tasks.js";
import { startHalf } from "../decode/half.mjs";
import { writeGguf } from "../gguf.mjs";
import { makeNanoIn135m } from "../nano-in-135m.mjs";
import { describeMachine, formatTable, makeRow, median } from "../report.mjs";

export const description =
  "tokens per second with each drafter, beside plain decoding and llama.cpp";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const nano = join(root, "models/jeton-nano");
const draft = join(root, "models/jeton-nano-draft");

/** The peer's format that has as many bits. */
const peerTypes = { f32: "F32", int8: "Q8_0", "int8-channel": "Q8_0", int4: "Q4_0" };
/** Shares of the time. */
const weights = { nano: 1, "135m": 3 };
const mostRounds = 40;

const list = (text) => text.split(",").filter(Boolean);

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      models: { type: "string", default: "nano,135m" },
      formats: { type: "string", default: "f32,int4,int8-channel" },
      drafters: {
        type: "string",
        default: "prompt-lookup,token-recycling,lookahead,aded,dyspec,draft-model,auto",
      },
      kinds: { type: "string", default: "prose,code,recall,answer" },
      minutes: { type: "string", default: "12" },
      tokens: { type: "string", default: "64" },
      temperature: { type: "string", default: "0" },
      threads: { type: "string", default: "2" },
      peer: { type: "boolean", default: true },
    },
  });
  return {
    models: list(values.models),
    formats: list(values.formats),
    drafters: ["none", ...list(values.drafters)],
    kinds: list(values.kinds),
    minutes: Number(values.minutes),
    tokens: Number(values.tokens),
    temperature: Number(values.temperature),
    threads: Number(values.threads),
    peer: values.peer && Number(values.temperature) === 0,
  };
}

/** Requests of each kind. */
async function readTasks(kinds, count) {
  const tasks = {};
  for (const kind of kinds) {
    tasks[kind] = (await decodingTasks({ kind, count, seed: 7 })).map(({ prompt }) => prompt);
  }
  return tasks;
}

/** Checkpoints and GGUF files of one model. */
function makeModel(name, types) {
  // llama.cpp wants a draft with a vocabulary of nearly the same size, and the large shape has more rows.
  if (name === "135m")
    return { ...makeNanoIn135m({ gguf: types }), predictors: ["none", "input-lookup"] };
  const folder = join(tmpdir(), "jeton-nano-gguf");
  mkdirSync(folder, { recursive: true });
  const gguf = Object.fromEntries(
    types.map((type) => {
      const path = join(folder, `nano-${type}.gguf`);
      writeGguf(nano, path, { type });
      return [type, path];
    }),
  );
  const draftPath = join(folder, "draft-F32.gguf");
  if (types.length > 0) writeGguf(draft, draftPath, { type: "F32" });
  return { folder: nano, gguf, draftPath, predictors: ["none", "input-lookup", "draft-model"] };
}

/** Lists by two names. */
class Samples {
  #lists = new Map();

  add(first, second, value) {
    const key = JSON.stringify([first, second]);
    this.#lists.set(key, [...this.of(first, second), value]);
  }

  of(first, second) {
    return this.#lists.get(JSON.stringify([first, second])) ?? [];
  }

  median(first, second) {
    const values = this.of(first, second);
    return values.length === 0 ? 0 : median(values);
  }
}

/** Starts llama.cpp once for each of its predictors. */
async function startPeers({ gguf, predictors, draftPath }, format, { threads }) {
  const halves = new Map();
  for (const predictor of predictors) {
    const settings = {
      path: gguf[peerTypes[format]],
      threads,
      capacity: 1000,
      flashAttention: true,
      ...(predictor !== "none" && { predictor, draft: draftPath }),
    };
    const script = join(here, "../decode/llama.mjs");
    halves.set(predictor, await startHalf(script, settings, { UV_THREADPOOL_SIZE: "1" }));
  }
  return halves;
}

/** One model in one format: rates of all drafters and predictors, round by round until `deadline`. */
async function measureFormat(name, model, format, tasks, options, deadline) {
  const { drafters, kinds, tokens, temperature, threads, peer } = options;
  const script = join(here, "jeton.mjs");
  const half = await startHalf(script, { folder: model.folder, draft, format, threads });
  const rates = new Samples();
  const lengths = new Samples();
  const shares = new Samples();
  const peerRates = new Samples();
  const same = { all: 0, equal: 0 };
  let peers = new Map();
  try {
    if (peer) peers = await startPeers(model, format, options);
    // A first request each, outside of all: programs are compiled and costs are learned.
    console.error(`${name} ${format}: warming up`);
    for (const drafter of drafters) {
      for (const kind of kinds) {
        const request = { prompt: tasks[kind].at(-1), drafter, temperature };
        await half.call("run", { ...request, maxTokens: drafter === "auto" ? tokens : tokens / 2 });
      }
    }
    for (let round = 0; round < mostRounds && (round < 1 || Date.now() < deadline); round++) {
      for (const kind of kinds) {
        console.error(`${name} ${format}: round ${round + 1}, ${kind}`);
        const prompt = tasks[kind][round];
        const texts = new Map();
        for (let turn = 0; turn < drafters.length; turn++) {
          const drafter = drafters[(turn + round) % drafters.length];
          const request = { prompt, drafter, maxTokens: tokens, temperature };
          const { value } = await half.call("run", request);
          const { seconds, tokens: made, drafting, passSeconds } = value;
          texts.set(drafter, String(value.ids));
          rates.add(drafter, kind, made / seconds);
          lengths.add(drafter, kind, made / (drafting?.forwardPasses ?? made));
          if (!drafting) continue;
          const own = drafting.draftSeconds - passSeconds;
          shares.add(drafter, "", (100 * own) / drafting.forwardSeconds);
        }
        same.all += texts.size - 1;
        for (const drafter of drafters.slice(1)) {
          if (texts.get(drafter) === texts.get("none")) same.equal++;
        }
        const ids = peers.size > 0 ? (await half.call("encode", prompt)).value : [];
        for (const [predictor, other] of peers) {
          await other.call("reset", 0);
          await other.call("prefill", ids);
          const { milliseconds } = await other.call("decode", tokens - 1);
          peerRates.add(predictor, kind, (1000 * (tokens - 1)) / milliseconds);
        }
      }
    }
    return { rates, lengths, shares, peerRates, same };
  } finally {
    await half.stop();
    for (const other of peers.values()) await other.stop();
  }
}

/** The name of the largest median. */
function bestOf(names, samples, kind) {
  return names.reduce((a, b) => (samples.median(b, kind) > samples.median(a, kind) ? b : a));
}

/** All rows of one model in one format. */
function rowsOf(title, model, format, measured, { drafters, kinds, peer }) {
  const { rates, lengths, shares, peerRates } = measured;
  const rows = [];
  for (const kind of kinds) {
    for (const drafter of drafters.slice(1)) {
      const length = lengths.median(drafter, kind).toFixed(2);
      rows.push(
        makeRow({
          name: `${title}, ${kind}: ${drafter} (${length} tokens a forward)`,
          ours: rates.of(drafter, kind),
          peer: rates.of("none", kind),
          peerName: "jeton without drafts",
          unit: "tokens/s",
        }),
      );
    }
  }
  for (const drafter of drafters.slice(1)) {
    rows.push(
      makeRow({
        name: `${title}: ${drafter}, guessing beside the forwards`,
        ours: shares.of(drafter, ""),
        peer: [],
        peerName: "",
        unit: "%",
        lowerIsBetter: true,
      }),
    );
  }
  for (const kind of peer ? kinds : []) {
    const own = bestOf(drafters, rates, kind);
    const other = bestOf(model.predictors, peerRates, kind);
    rows.push(
      makeRow({
        name: `${title}, ${kind}: best (${own}) beside llama.cpp ${peerTypes[format]}`,
        ours: rates.of(own, kind),
        peer: peerRates.of(other, kind),
        peerName: `llama.cpp with ${other === "none" ? "no predictor" : other}`,
        unit: "tokens/s",
      }),
    );
  }
  return rows;
}

/**
 * @param {{ json: boolean, args: string[] }} options
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args }) {
  const options = readOptions(args);
  const { models, formats } = options;
  const tasks = await readTasks(options.kinds, mostRounds + 1);
  const rows = [];
  const cells = models.flatMap((name) => formats.map((format) => ({ name, format })));
  const weightOf = ({ name }) => weights[name] ?? 1;
  let left = cells.reduce((sum, cell) => sum + weightOf(cell), 0);
  const end = Date.now() + 60_000 * options.minutes;
  const print = json ? console.error : console.log;
  for (const cell of cells) {
    const { name, format } = cell;
    console.error(describeMachine());
    const types = options.peer ? [...new Set(formats.map((format) => peerTypes[format]))] : [];
    const model = makeModel(name, types);
    const deadline = Date.now() + ((end - Date.now()) * weightOf(cell)) / left;
    left -= weightOf(cell);
    const measured = await measureFormat(name, model, format, tasks, options, deadline);
    const own = rowsOf(`${name} ${format}`, model, format, measured, options);
    rows.push(...own);
    const { equal, all } = measured.same;
    print(`${formatTable(own)}\n\n${equal} of ${all} drafted texts are those of plain decoding.\n`);
  }
  console.error(describeMachine());
  return rows;
}

/**
 * What drafters bring: tokens per second of every drafter beside plain decoding, by kind of request,
 * and the best of them beside llama.cpp with its own predictors.
 *
 *     npm run bench -- drafters [--json] [--models nano,135m] [--formats f32,int4,int8-channel]
 *       [--drafters prompt-lookup,...,auto] [--kinds prose,code,recall,answer] [--prompts 2] [--rounds 3]
 *       [--tokens 96] [--temperature 0] [--threads 2] [--no-peer]
 *
 * `nano` is the bundled model; `135m` is the same model in SmolLM2-135M's shape, which costs what the
 * larger one costs and writes the same text, so that acceptance means something (`nano-in-135m.mjs`).
 * In every round each drafter answers the same requests, in turns, and every round has requests of its
 * own: what a drafter has learned from a request never helps it with the same one. Requests of all kinds
 * come mixed, as they do in a server.
 *
 * Rows compare a drafter (`ours`) with plain decoding (`peer`) in the same rounds; the last rows compare
 * the best of jeton with the best of llama.cpp.
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
import { describeMachine, formatTable, makeRow } from "../report.mjs";

export const description =
  "tokens per second with each drafter, beside plain decoding and llama.cpp";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const nano = join(root, "models/jeton-nano");
const draft = join(root, "models/jeton-nano-draft");

/** The peer's format that has as many bits. */
const peerTypes = { f32: "F32", int8: "Q8_0", "int8-channel": "Q8_0", int4: "Q4_0" };

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
      prompts: { type: "string", default: "2" },
      rounds: { type: "string", default: "3" },
      tokens: { type: "string", default: "96" },
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
    prompts: Number(values.prompts),
    rounds: Number(values.rounds),
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
  return { folder: nano, gguf, predictors: ["none", "input-lookup", "draft-model"] };
}

/** Measurements of one model in one format: a list of rates for each drafter and kind. */
async function measureOurs(model, format, tasks, options) {
  const { drafters, kinds, prompts, rounds, tokens, temperature, threads } = options;
  const half = await startHalf(join(here, "jeton.mjs"), {
    folder: model.folder,
    draft,
    format,
    threads,
  });
  const rates = new Map();
  const lengths = new Map();
  const texts = new Map();
  try {
    // A first request each, outside of all: programs are compiled and costs are learned.
    for (const drafter of drafters) {
      for (const kind of kinds) {
        const prompt = tasks[kind].at(-1);
        await half.call("run", { prompt, drafter, maxTokens: tokens, temperature });
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const kind of kinds) {
        for (let turn = 0; turn < drafters.length; turn++) {
          const drafter = drafters[(turn + round) % drafters.length];
          let seconds = 0;
          let made = 0;
          let forwards = 0;
          for (const prompt of tasks[kind].slice(round * prompts, (round + 1) * prompts)) {
            const request = { prompt, drafter, maxTokens: tokens, temperature };
            const { value } = await half.call("run", request);
            seconds += value.seconds;
            made += value.tokens;
            forwards += value.drafting?.forwards ?? value.tokens;
            const key = `${kind}\n${prompt}`;
            if (drafter === "none") texts.set(key, value.ids);
            else remember(texts, key, drafter, value.ids);
          }
          push(rates, `${drafter} ${kind}`, made / seconds);
          push(lengths, `${drafter} ${kind}`, made / forwards);
        }
      }
    }
    return { rates, lengths, same: compareTexts(texts) };
  } finally {
    await half.stop();
  }
}

function push(map, key, value) {
  map.set(key, [...(map.get(key) ?? []), value]);
}

function remember(texts, key, drafter, ids) {
  texts.set(`${key}\n\n${drafter}`, ids);
}

/** How many drafted texts are those of plain decoding. */
function compareTexts(texts) {
  let all = 0;
  let equal = 0;
  for (const [key, ids] of texts) {
    const [plainKey, drafter] = key.split(/\n\n(?=[a-z-]+$)/);
    if (drafter === undefined) continue;
    all++;
    if (String(ids) === String(texts.get(plainKey))) equal++;
  }
  return { all, equal };
}

/** The peer plain and with each predictor: tokens per second by kind. */
async function measurePeer(model, draftPath, format, tasks, options) {
  const { kinds, prompts, rounds, tokens, threads } = options;
  const tokenizer = await startHalf(join(here, "jeton.mjs"), {
    folder: nano,
    draft,
    format: "f32",
    threads: 1,
  });
  const rates = new Map();
  try {
    for (const predictor of model.predictors) {
      const half = await startHalf(
        join(here, "../decode/llama.mjs"),
        {
          path: model.gguf[peerTypes[format]],
          threads,
          capacity: 1000,
          flashAttention: true,
          ...(predictor !== "none" && { predictor, draft: draftPath }),
        },
        { UV_THREADPOOL_SIZE: "1" },
      );
      try {
        for (let round = 0; round < rounds; round++) {
          for (const kind of kinds) {
            let seconds = 0;
            let made = 0;
            for (const prompt of tasks[kind].slice(round * prompts, (round + 1) * prompts)) {
              const { value: ids } = await tokenizer.call("encode", prompt);
              await half.call("reset", 0);
              await half.call("prefill", ids);
              const { milliseconds } = await half.call("decode", tokens - 1);
              seconds += milliseconds / 1000;
              made += tokens - 1;
            }
            push(rates, `${predictor} ${kind}`, made / seconds);
          }
        }
      } finally {
        await half.stop();
      }
    }
    return rates;
  } finally {
    await tokenizer.stop();
  }
}

/** The best drafter of each kind, by the median of its rates. */
function best(rates, kind, middle) {
  const candidates = [...rates].filter(([key]) => key.endsWith(` ${kind}`));
  const [key, values] = candidates.reduce((a, b) => (middle(b[1]) > middle(a[1]) ? b : a));
  return { name: key.slice(0, -kind.length - 1), values };
}

/**
 * @param {{ json: boolean, args: string[] }} options
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args }) {
  const options = readOptions(args);
  const tasks = await readTasks(options.kinds, options.prompts * options.rounds + 1);
  console.error(describeMachine());
  const rows = [];
  const peerRows = [];
  const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
  for (const name of options.models) {
    const types = options.peer
      ? [...new Set(options.formats.map((format) => peerTypes[format]))]
      : [];
    const model = makeModel(name, types);
    const draftPath = join(tmpdir(), "jeton-nano-gguf", "draft-F32.gguf");
    if (options.peer) {
      mkdirSync(dirname(draftPath), { recursive: true });
      writeGguf(draft, draftPath, { type: "F32" });
    }
    for (const format of options.formats) {
      const { rates, lengths, same } = await measureOurs(model, format, tasks, options);
      console.error(
        `${name} ${format}: ${same.equal} of ${same.all} drafted texts are those of plain decoding`,
      );
      for (const kind of options.kinds) {
        for (const drafter of options.drafters.slice(1)) {
          const key = `${drafter} ${kind}`;
          const accepted = middle(lengths.get(key)).toFixed(2);
          rows.push(
            makeRow({
              name: `${name} ${format}, ${kind}: ${drafter} (${accepted} tokens a forward)`,
              ours: rates.get(key),
              peer: rates.get(`none ${kind}`),
              peerName: "jeton without drafts",
              unit: "tokens/s",
            }),
          );
        }
      }
      if (!options.peer) continue;
      const peer = await measurePeer(model, draftPath, format, tasks, options);
      for (const kind of options.kinds) {
        const own = best(rates, kind, middle);
        const other = best(peer, kind, middle);
        peerRows.push(
          makeRow({
            name: `${name} ${format}, ${kind}: best (${own.name}) beside llama.cpp ${peerTypes[format]}`,
            ours: own.values,
            peer: other.values,
            peerName: `llama.cpp with ${other.name === "none" ? "no predictor" : other.name}`,
            unit: "tokens/s",
          }),
        );
      }
    }
  }
  rows.push(...peerRows);
  console.error(describeMachine());
  if (!json) console.log(formatTable(rows));
  return rows;
}

/**
 * What exact results cost: tokens per second of a model whose rows do not depend on their neighbours
 * (the default), beside one with `exact: false`, autoregressive and with `auto`, in each format.
 *
 *     npm run bench -- exact [--json] [--beside FOLDER] [--formats f32,int8,...] [--models 135m,nano]
 *       [--kinds prose,code,recall,answer] [--rounds 3] [--tokens 64] [--threads 2]
 *
 * `--beside FOLDER` names a built checkout of another commit, which is then the peer as it comes. Both
 * sides answer the same requests in turns, each in a process of its own.
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { decodingTasks } from "../../dist/generate/measure/reproduction-tasks.js";
import { startHalf } from "../decode/half.mjs";
import { makeNanoIn135m } from "../nano-in-135m.mjs";
import { describeMachine, formatTable, makeRow } from "../report.mjs";

export const description = "what exact results cost, autoregressive and with auto, in each format";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const draft = join(root, "models/jeton-nano-draft");
const list = (text) => text.split(",").filter(Boolean);

/**
 * @param {{ json: boolean, args: string[] }} options
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      beside: { type: "string" },
      formats: { type: "string", default: "f32,int8,int8-channel,int4" },
      models: { type: "string", default: "135m" },
      kinds: { type: "string", default: "prose,code,recall,answer" },
      rounds: { type: "string", default: "3" },
      tokens: { type: "string", default: "64" },
      threads: { type: "string", default: "2" },
    },
  });
  const kinds = list(values.kinds);
  const tokens = Number(values.tokens);
  const rounds = Number(values.rounds);
  const tasks = {};
  for (const kind of kinds) {
    tasks[kind] = (await decodingTasks({ kind, count: rounds + 1, seed: 7 })).map((t) => t.prompt);
  }
  const other = values.beside === undefined ? root : resolve(values.beside);
  const peerName = values.beside === undefined ? "exact: false" : "the other build";
  const rows = [];
  for (const name of list(values.models)) {
    const folder = name === "135m" ? makeNanoIn135m({}).folder : join(root, "models/jeton-nano");
    for (const format of list(values.formats)) {
      const settings = { folder, draft, format, threads: Number(values.threads) };
      const halves = {
        ours: await startHalf(join(root, "benchmarks/drafters/jeton.mjs"), settings),
        peer: await startHalf(join(other, "benchmarks/drafters/jeton.mjs"), {
          ...settings,
          ...(values.beside === undefined && { exact: false }),
        }),
      };
      const rates = new Map();
      try {
        for (let round = -1; round < rounds; round++) {
          for (const kind of kinds) {
            console.error(
              `${name} ${format}: ${round < 0 ? "warming up" : `round ${round + 1}`}, ${kind}`,
            );
            for (const drafter of ["none", "auto"]) {
              const sides = round % 2 === 0 ? ["ours", "peer"] : ["peer", "ours"];
              for (const side of sides) {
                const prompt = tasks[kind].at(round);
                const request = { prompt, drafter, maxTokens: tokens, temperature: 0 };
                const { value } = await halves[side].call("run", request);
                if (round < 0) continue;
                for (const key of [`${kind} ${drafter} ${side}`, `all ${drafter} ${side}`]) {
                  rates.set(key, [...(rates.get(key) ?? []), value.tokens / value.seconds]);
                }
              }
            }
          }
        }
      } finally {
        await halves.ours.stop();
        await halves.peer.stop();
      }
      for (const drafter of ["none", "auto"]) {
        for (const kind of ["all", ...kinds]) {
          rows.push(
            makeRow({
              name: `${name} ${format}, ${kind}: ${drafter === "none" ? "autoregressive" : drafter}`,
              ours: rates.get(`${kind} ${drafter} ours`),
              peer: rates.get(`${kind} ${drafter} peer`),
              peerName,
              unit: "tokens/s",
            }),
          );
        }
      }
      if (!json) console.log(formatTable(rows.splice(0)));
    }
  }
  if (!json) console.log(describeMachine());
  return rows;
}

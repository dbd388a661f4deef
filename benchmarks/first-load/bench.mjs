/**
 * How long a checkpoint takes to open the first time, when its weights are packed, and later, from the
 * cache: beside another build of jeton, and beside a bare session of ONNX Runtime over the packed file.
 * Random BF16 weights in Llama-3.2-1B's shape, each load in a process of its own, in turns.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine, formatTable, makeRow } from "../report.mjs";
import { makeCheckpoint1b } from "./checkpoint.mjs";

export const description =
  "packing weights at the first load, and loading packed ones (needs npm run build; --base DIST)";

const here = dirname(fileURLToPath(import.meta.url));
const own = join(here, "../../dist");

const load = (...args) =>
  JSON.parse(
    execFileSync(process.execPath, [join(here, "load.mjs"), ...args], { encoding: "utf8" }),
  );

const sizeOf = (folder) =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

/** One turn of one format: a first load of each build, then a later one beside the bare session. */
function measureRound({ checkpoint, format, base, temporary }) {
  const caches = [own, ...(base ? [base] : [])].map((dist) => {
    const cache = mkdtempSync(join(temporary, "cache-"));
    return { dist, cache, first: load(dist, checkpoint, format, cache) };
  });
  const [{ cache, first }, other] = caches;
  const bare = load("--bare", own, checkpoint, format, cache);
  const later = load(own, checkpoint, format, cache);
  const packedBytes = sizeOf(cache);
  for (const { cache } of caches) rmSync(cache, { recursive: true });
  return { first, base: other?.first, bare, later, packedBytes };
}

function rowsOf(format, rounds) {
  const of = (pick) => rounds.flatMap((round) => pick(round) ?? []);
  const time = { unit: "ms", lowerIsBetter: true };
  const another = { ...time, peerName: "another build" };
  return [
    makeRow({
      name: `${format}: packing`,
      ours: of(({ first }) => first.packed),
      peer: of(({ base }) => base?.packed),
      ...another,
    }),
    makeRow({
      name: `${format}: first load, to the first token`,
      ours: of(({ first }) => first.token),
      peer: of(({ base }) => base?.token),
      ...another,
    }),
    makeRow({
      name: `${format}: later load`,
      ours: of(({ later }) => later.ready),
      peer: of(({ bare }) => bare.ready),
      ...time,
      peerName: "bare session",
    }),
    makeRow({
      name: `${format}: peak memory of the first load beyond the packed size`,
      ours: of(({ first, packedBytes }) => (first.peak - packedBytes) / 1e6),
      peer: of(({ base, packedBytes }) => base && (base.peak - packedBytes) / 1e6),
      unit: "MB",
      lowerIsBetter: true,
      peerName: "another build",
    }),
  ];
}

/**
 * @param {object} options
 * @param {boolean} options.json leave standard output alone
 * @param {string[]} [options.args] `--base DIST` (default: none), `--formats int4,int8-channel`,
 *   `--rounds N` (default 2), `--checkpoint F` (default: made below the temporary folder)
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function run({ json, args = [] }) {
  const { values } = parseArgs({
    args,
    options: {
      base: { type: "string" },
      formats: { type: "string", default: "int4,int8-channel" },
      rounds: { type: "string", default: "2" },
      checkpoint: { type: "string" },
    },
  });
  const checkpoint = makeCheckpoint1b(values.checkpoint ? { folder: values.checkpoint } : {});
  const base = values.base && resolve(values.base);
  if (!json) console.error(describeMachine());
  const temporary = mkdtempSync(join(tmpdir(), "jeton-first-load-"));
  try {
    const rows = values.formats.split(",").flatMap((format) => {
      const rounds = Array.from({ length: Number(values.rounds) }, () => {
        const round = measureRound({ checkpoint, format, base, temporary });
        console.error(JSON.stringify({ format, ...round }));
        return round;
      });
      return rowsOf(format, rounds);
    });
    if (!json) console.log(formatTable(rows));
    return rows;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

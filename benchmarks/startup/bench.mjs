/**
 * How long the command takes to say something: `jeton --help` and `jeton systems` of the built package,
 * beside Node starting and doing nothing, in turns.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine, formatTable, makeRow } from "../report.mjs";

export const description =
  "start-up of the command beside that of Node itself (needs npm run build)";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const main = join(root, "dist/cli/main.js");
const verbs = [["--help"], ["systems"]];

/**
 * Milliseconds from the start of a process to its end.
 * @param {string[]} args of Node
 * @returns {Promise<number>}
 */
function measure(args) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve(performance.now() - started);
      else reject(new Error(`node ${args.join(" ")} ended with status ${status}`));
    });
  });
}

/**
 * @param {object} options
 * @param {boolean} options.json leave standard output alone
 * @param {string[]} [options.args] `--runs N`, default 5
 * @returns {Promise<import("../report.mjs").Row[]>} milliseconds; the ratio is Node's time over ours
 */
export async function run({ json, args = [] }) {
  const { values } = parseArgs({ args, options: { runs: { type: "string", default: "5" } } });
  const runs = Number(values.runs);
  if (!Number.isSafeInteger(runs) || runs < 1) throw new Error("--runs must be a positive integer");
  if (!existsSync(main)) throw new Error("dist/cli/main.js does not exist: npm run build");
  if (!json) console.error(describeMachine());

  const ours = verbs.map(() => []);
  const bare = [];
  // The first of each fills the file cache and does not count.
  for (let round = 0; round <= runs; round++) {
    const rounds = [await measure(["--eval", "0"])];
    for (const verb of verbs) rounds.push(await measure([main, ...verb]));
    if (round === 0) continue;
    bare.push(rounds[0]);
    for (const [at, times] of ours.entries()) times.push(rounds[at + 1]);
  }
  const rows = verbs.map((verb, at) =>
    makeRow({
      name: `jeton ${verb.join(" ")}`,
      ours: ours[at],
      peer: bare,
      peerName: "node --eval 0",
      unit: "ms",
      lowerIsBetter: true,
    }),
  );
  if (!json) console.log(formatTable(rows));
  return rows;
}

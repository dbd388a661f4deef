/**
 * Memory of a training, each one in a process of its own:
 *
 * - bytes for each parameter: two batches of different size tell what grows with the batch
 *   (activations); what is left, less what the smallest training takes, belongs to the parameters;
 * - growth over 1,000 steps of a small decoder.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { makeRow } from "../report.mjs";

const script = fileURLToPath(new URL("./memory-run.mjs", import.meta.url));

/** What issue 3 allows: weights, gradients, two moments, and as much again for whoever copies them. */
const bytesAllowed = 36;

/**
 * @param {object} sizes
 * @returns {Promise<{ parameters: number, peak: number, resident: number[] }>} bytes
 */
async function train(sizes) {
  const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(sizes)]);
  return JSON.parse(stdout);
}

/**
 * @param {Record<string, number>} sizes as the command line gave them
 * @returns {Promise<import("../report.mjs").Row[]>}
 */
export async function measureMemory({ runs, ...given }) {
  const sizes = { ...given, marks: [], steps: 12 };
  const half = Math.max(1, sizes.batch >> 1);
  const perParameter = [];
  const activations = [];
  for (let run = 0; run < runs; run++) {
    const base = await train({ ...sizes, steps: 0 });
    const small = await train({ ...sizes, batch: half });
    const large = await train({ ...sizes, batch: 2 * half });
    const perSequence = (large.peak - small.peak) / half;
    const rest = small.peak - half * perSequence - base.peak;
    perParameter.push(rest / large.parameters);
    activations.push(perSequence / sizes.sequence / 1024);
    console.error(
      `${(large.parameters / 1e6).toFixed(1)}M parameters: at most ${megabytes(large.peak)} MB resident ` +
        `with ${2 * half} sequences, ${megabytes(small.peak)} MB with ${half}, ` +
        `${megabytes(base.peak)} MB with next to nothing`,
    );
  }
  const marks = [200, 400, 600, 800, 1000];
  const growth = [];
  for (let run = 0; run < runs; run++) {
    const tiny = { layers: 2, width: 128, vocabulary: 512, sequence: 32, batch: 4 };
    const { resident } = await train({ ...sizes, ...tiny, steps: 1000, marks });
    growth.push((resident.at(-1) - resident[0]) / 2 ** 20);
    const list = marks.map((step, index) => `${step}: ${megabytes(resident[index])} MB`);
    console.error(`resident after so many steps: ${list.join(", ")}`);
  }
  const shape = `${sizes.layers} layers, width ${sizes.width}, vocabulary ${sizes.vocabulary}`;
  return [
    makeRow({
      name: `memory for a parameter, activations apart: ${shape}`,
      ours: perParameter,
      peer: perParameter.map(() => bytesAllowed),
      peerName: "what is allowed",
      unit: "bytes",
      lowerIsBetter: true,
    }),
    makeRow({
      name: "activations for a token",
      ours: activations,
      peer: [],
      peerName: "",
      unit: "KiB",
    }),
    makeRow({
      name: "growth from step 200 to step 1000, 2 layers of width 128",
      ours: growth,
      peer: [],
      peerName: "",
      unit: "MiB",
    }),
  ];
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(0);
}

/**
 * Embedding texts beside transformers.js on onnxruntime-node.
 *
 *     npm run build
 *     npm ci --prefix benchmarks/embed
 *     npm run bench -- embed [--shapes minilm,bert-base] [--texts 512] [--tokens 128] [--threads 2] [--runs 3]
 *                            [--formats int8-channel] [--batches 8,32] [--check] [--json]
 *
 * Random weights of all-MiniLM-L6-v2's shape and of BERT-base's. The peer gets the layout that is published for it, with its
 * dynamic int8 quantization; jeton reads the checkpoint in an int8 format of its own. Each side is a process with as many
 * threads, tokenizing, pooling and normalizing included; sides take turns, and of the peer's batch sizes the quickest counts.
 * `--check` compares the vectors of both in single precision first.
 */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine, formatTable, makeRow, median } from "../report.mjs";
import { writePublishedEncoder } from "./onnx-encoder.mjs";
import { makeRandomEncoder, makeTexts, shapeNames } from "./random-encoder.mjs";

export const description = "embedding texts, beside transformers.js";

/** A side in a process of its own. */
async function startSide(open) {
  const child = fork(fileURLToPath(new URL("./side.mjs", import.meta.url)), {
    serialization: "advanced",
  });
  const ended = new Promise((_, reject) => {
    child.once("exit", (code) => reject(new Error(`the process of ${open.side} ended: ${code}`)));
  });
  ended.catch(() => {});
  const ask = (message) => {
    const answered = new Promise((resolve, reject) => {
      child.once("message", ({ error, ...answer }) =>
        error === undefined ? resolve(answer) : reject(new Error(error)),
      );
    });
    child.send(message);
    return Promise.race([answered, ended]);
  };
  await ask({ open });
  return {
    ...open,
    times: [],
    embed: (texts, wantsVectors = false) => ask({ texts, wantsVectors }),
    close: () => child.kill(),
  };
}

/** How far the vectors of both are apart in single precision: the least cosine. */
async function checkVectors(common, texts) {
  const pair = [
    { ...common, side: "jeton", format: "f32" },
    { ...common, side: "transformers.js", dtype: "fp32", batch: 8 },
  ];
  const found = [];
  for (const open of pair) {
    const side = await startSide(open);
    found.push((await side.embed(texts, true)).vectors);
    side.close();
  }
  const [ours, peers] = found;
  return Math.min(
    ...ours.map((vector, text) =>
      vector.reduce((sum, number, at) => sum + number * peers[text][at], 0),
    ),
  );
}

async function measureShape(shape, options) {
  const { folder, config } = makeRandomEncoder(shape);
  const published = writePublishedEncoder(folder, config);
  const common = { folder, published, threads: options.threads };
  const texts = makeTexts(options.texts, options.tokens);
  if (options.check) {
    const least = await checkVectors(common, texts.slice(0, 8));
    options.log(`${shape}: single precision, least cosine of both sides ${least.toFixed(6)}`);
    if (!(least > 0.9999)) throw new Error(`${shape}: the sides compute different vectors`);
  }
  const sides = [];
  for (const format of options.formats) {
    sides.push(await startSide({ ...common, side: "jeton", format }));
  }
  for (const batch of options.batches) {
    sides.push(await startSide({ ...common, side: "transformers.js", dtype: "q8", batch }));
  }
  try {
    for (const side of sides) await side.embed(texts.slice(0, 32));
    for (let round = 0; round < options.runs; round++) {
      for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
        const { seconds } = await side.embed(texts);
        side.times.push(options.texts / seconds);
        const what = side.format ?? `${side.dtype}, batches of ${side.batch}`;
        options.log(
          `${shape}: ${side.side} ${what} ${(options.texts / seconds).toFixed(1)} texts/s`,
        );
      }
    }
  } finally {
    for (const side of sides) side.close();
  }
  const rate = ({ times }) => median(times);
  const peer = sides
    .filter(({ side }) => side !== "jeton")
    .reduce((best, side) => (rate(side) > rate(best) ? side : best));
  return sides
    .filter(({ side }) => side === "jeton")
    .map(({ format, times }) =>
      makeRow({
        name: `${shape}, ${options.texts} texts of ${options.tokens} tokens, ${format}`,
        ours: times,
        peer: peer.times,
        peerName: `transformers.js q8, batches of ${peer.batch}`,
        unit: "texts/s",
      }),
    );
}

/** Measures; returns the rows, and prints them unless `json` asks for silence. */
export async function run({ json = false, args = [] } = {}) {
  const { values } = parseArgs({
    args,
    options: {
      shapes: { type: "string", default: shapeNames.join(",") },
      texts: { type: "string", default: "512" },
      tokens: { type: "string", default: "128" },
      threads: { type: "string", default: "2" },
      runs: { type: "string", default: "3" },
      formats: { type: "string", default: "int8-channel" },
      batches: { type: "string", default: "8,32" },
      check: { type: "boolean", default: false },
    },
  });
  if (!existsSync(new URL("./node_modules/@huggingface/transformers", import.meta.url))) {
    throw Object.assign(new Error("transformers.js is not installed"), {
      code: "ERR_MODULE_NOT_FOUND",
    });
  }
  if (!json) console.log(describeMachine());
  const options = {
    ...{ texts: Number(values.texts), tokens: Number(values.tokens) },
    ...{ threads: Number(values.threads), runs: Number(values.runs), check: values.check },
    formats: values.formats.split(","),
    batches: values.batches.split(",").map(Number),
    log: (line) => process.stderr.write(`${line}\n`),
  };
  const rows = [];
  for (const shape of values.shapes.split(",")) rows.push(...(await measureShape(shape, options)));
  if (!json) console.log(formatTable(rows));
  return rows;
}

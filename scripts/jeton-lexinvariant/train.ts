/**
 * Trains the two models of `models/jeton-lexinvariant` in OUT: the page's demonstration of lexinvariance compares them.
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-lexinvariant/train.ts OUT [--steps N]
 *
 * Fifteen minutes on one core; run again after an interruption, it goes on where it was. OUT/model is
 * `models/jeton-lexinvariant`.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomically, writeSafetensors } from "../../src/checkpoint/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import { countedLosses, openSymbolModel, type SymbolBatch } from "../../src/model/index.ts";
import { lossesByWindow, meanIn } from "../../src/model/lexinvariant/reproduction-curves.ts";
import {
  foldText,
  letters,
  sampleWindows,
  trainSymbols,
} from "../../src/model/lexinvariant/reproduction-training.ts";
import { readGibbon } from "../../src/reproduce/data/held-out-chapters.ts";

const seed = 1;
const size = {
  ...{ symbols: letters.length, width: 96, layers: 2, heads: 1, feedForward: 192 },
  context: 192,
};
const batch = 8;
const learningRate = 0.003;

const { values, positionals } = parseArgs({
  options: { steps: { type: "string", default: "5000" } },
  allowPositionals: true,
});
const [out] = positionals;
const steps = Number(values.steps);
if (out === undefined || !(steps > 0)) throw new Error("usage: train.ts OUT [--steps N]");

async function readText(isHeldOut: boolean): Promise<Int32Array> {
  const chapters = await readGibbon(await locateData("text/gibbon"), isHeldOut);
  return foldText(chapters.flat().join(" "));
}

/** Windows in which three pieces of prose come again and again, with fresh prose between them. */
function sampleRefrains(text: Int32Array, count: number, time: number, key: number): SymbolBatch {
  const random = createRandom(seed, "refrains", key);
  const piece = (length: number): Int32Array => {
    const start = random.integer(text.length - length);
    return text.subarray(start, start + length);
  };
  const ids = new Int32Array(count * time);
  for (let row = 0; row < count; row++) {
    const refrains = [0, 1, 2].map(() => piece(8 + random.integer(40)));
    const own: number[] = [];
    while (own.length < time) {
      own.push(...(random.uniform() < 0.7 ? refrains[random.integer(3)]! : piece(24)));
    }
    ids.set(own.slice(0, time), row * time);
  }
  return { batch: count, time, ids };
}

const learned = await readText(false);
const heldOut = await readText(true);
const folder = async (name: string): Promise<string> => {
  const path = join(out, name);
  await mkdir(path, { recursive: true });
  return path;
};
const context = {
  ...{ seed, signal: new AbortController().signal, folder },
  notice: console.log,
  progress: (text: string, step?: number) => step! % 200 === 0 && console.log(step, text),
  charge() {},
};
const train = (name: string, embeddings: "random" | "learned") =>
  trainSymbols(context, {
    ...{ name, size, embeddings, steps, batch, learningRate },
    // Each text in four is prose as it is.
    draw: (count, time, key) =>
      key % 4 === 0
        ? sampleWindows(learned, count, time, seed, "prose", key)
        : sampleRefrains(learned, count, time, key),
  });

const models = {
  model: await train("lexinvariant", "random"),
  ordinary: await train("ordinary", "learned"),
};
const target = join(out, "model");
await mkdir(target, { recursive: true });
for (const [name, { parameters }] of Object.entries(models)) {
  await writeSafetensors(
    join(target, `${name}.safetensors`),
    [...parameters].map(([key, { shape, data }]) => ({ name: key, shape, data, dtype: "F16" })),
  );
}
const config = {
  model_type: "lexinvariant",
  symbols: letters,
  hidden_size: size.width,
  num_hidden_layers: size.layers,
  num_attention_heads: size.heads,
  intermediate_size: size.feedForward,
  max_position_embeddings: size.context,
  rope_theta: 1e6,
  torch_dtype: "float16",
};
await writeFileAtomically(join(target, "config.json"), `${JSON.stringify(config, null, 2)}\n`);

const windows = {
  prose: sampleWindows(heldOut, 128, size.context + 1, seed, "held-out"),
  refrains: sampleRefrains(heldOut, 128, size.context + 1, 0),
};
const places = Array.from({ length: 128 }, (_, at) => at);
for (const [kind, whole] of Object.entries(windows)) {
  for (const [name, { config: own, parameters }] of Object.entries(models)) {
    const embeddings = name === "model" ? "random" : "learned";
    await using model = await openSymbolModel({
      ...{ config: own, embeddings, parameters, threads: 1, inline: true },
    });
    const renamed = rename(whole);
    for (const [alphabet, text] of [["own", whole] as const, ["renamed", renamed] as const]) {
      const losses = await lossesByWindow(model, text, createRandom(seed, "vectors"));
      console.log(kind, name, alphabet, levels(losses));
    }
  }
  for (const order of ["unigrams", "bigrams"] as const) {
    console.log(kind, `counted ${order}`, levels(countedLosses(whole, letters.length, order)));
  }
}

/** Bits a symbol at the beginning, in the middle and at the end of a window. */
function levels(losses: readonly Float64Array[]): string {
  return (
    [
      [1, 16],
      [16, 64],
      [64, 128],
      [128, size.context],
    ] as const
  )
    .map((range) => (meanIn(losses, places, range) / Math.LN2).toFixed(2))
    .join(" ");
}

/** Each window under an alphabet of its own. */
function rename({ batch: count, time, ids }: SymbolBatch): SymbolBatch {
  const random = createRandom(seed, "alphabets");
  const renamed = new Int32Array(ids.length);
  for (let row = 0; row < count; row++) {
    const names = random.shuffle(Array.from({ length: letters.length }, (_, id) => id));
    for (let at = row * time; at < (row + 1) * time; at++) renamed[at] = names[ids[at]!]!;
  }
  return { batch: count, time, ids: renamed };
}

/** Texts and trainings of the reproduction: the method, and compressors whose outputs are thinned out otherwise. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readConfig } from "../../checkpoint/index.ts";
import { createRandom, JetonError } from "../../core/index.ts";
import { decoderConfig, identifyModel, type LoadedModel } from "../../model/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import { makeRecallTask } from "../../reproduce/data/recall-tasks.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { trainResumably } from "../../reproduce/train-resumably.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import {
  adamW,
  type Corpus,
  decayMatricesOnly,
  documentTokens,
  openArchitecture,
  openBatchSource,
  openTrainer,
  type ParameterValue,
  prepareTokens,
} from "../../train/index.ts";
import { readWeights } from "../../train/run/first-values.ts";
import {
  type Compressor,
  type CompressorConfig,
  compressorPrefix,
  compressorShapes,
  initializeCompressor,
} from "./compressor.ts";
import {
  type DownScalingMatrix,
  twoStreamGraph,
  twoStreamInputs,
  twoStreamShapes,
} from "./two-stream-graph.ts";

/** How many outputs of each window are kept, and which. `"strided"` is the method. */
export type DownScaling = "strided" | "random" | "terminal" | "mean";

/** What full and quick runs differ in. */
export interface Scale {
  readonly steps: number;
  readonly batch: number;
  readonly chapters: number;
  readonly windows: number;
}

/** Window and chunk are equal, so that no kept output holds tokens of a chunk that it helps to predict, whichever are kept. */
export const sizes = { window: 128, chunk: 128 } as const;

/** Two of the model's six layers; every factor is trained at once. */
export const form: CompressorConfig = {
  layers: 2,
  window: sizes.window,
  factors: [2, 4, 8, 16, 32],
  norm: "final",
  projection: true,
};

/** Prose that the model was trained on, and tasks that can only be solved by looking back: half of each. */
async function writeCorpora(
  context: ReproductionContext,
  folder: string,
  chapters: number,
): Promise<Corpus[]> {
  const source = await context.data("text/gibbon");
  const names = (await readdir(source)).filter((name) => !isHeldOutChapter(name)).sort();
  await mkdir(folder, { recursive: true });
  const prose: string[] = [];
  for (const name of names.slice(0, chapters)) {
    prose.push(gibbonParagraphs(await readFile(join(source, name), "utf8")).join("\n"));
  }
  const filler = prose
    .slice(0, 4)
    .flatMap((text) => text.split(/(?<=[a-z]\.) (?=[A-Z])/))
    .filter((sentence) => sentence.length > 30 && sentence.length < 160);
  const words = [...new Set(prose[0]!.match(/[a-z]{4,9}/g))].slice(0, 500);
  const tasks = Array.from({ length: 40 * chapters }, (_, at) => {
    const random = createRandom(context.seed, "tasks", at);
    const kind = random.uniform() < 0.5 ? ("passkey" as const) : ("key-value" as const);
    const length = 600 + random.integer(3600);
    const questions = kind === "passkey" ? 1 : 6;
    return makeRecallTask(random, { kind, words, filler, length, questions }).text;
  });
  const lines = (texts: readonly string[]): string =>
    texts.map((text) => JSON.stringify({ text })).join("\n");
  const files = [join(folder, "prose.jsonl"), join(folder, "tasks.jsonl")];
  await writeFile(files[0]!, lines(prose));
  await writeFile(files[1]!, lines(tasks));
  return files.map((file) => ({ files: [file] }));
}

/**
 * A compressor of the model, trained once and kept, with outputs thinned out in one way.
 *
 * @param seed of the order of the texts and of the factors. Default the run's.
 */
export async function trainedCompressor(
  context: ReproductionContext,
  modelFolder: string,
  downScaling: DownScaling,
  scale: Scale,
  seed: number = context.seed,
): Promise<Compressor> {
  const identity = await identifyModel(modelFolder);
  const folder = await context.folder(`compressor-${downScaling}`, {
    form,
    sizes,
    scale,
    identity,
    seed,
  });
  const model = decoderConfig(await readConfig(modelFolder));
  const corpora = await writeCorpora(context, join(folder, "texts"), scale.chapters);
  const tokenizer = await loadTokenizer(modelFolder);
  const stores = [];
  for (const [at, corpus] of corpora.entries()) {
    stores.push(await prepareTokens(join(folder, `corpus-${at}.tokens`), corpus, tokenizer));
  }
  const { steps, batch, windows } = scale;
  const length = windows * sizes.window + sizes.chunk;
  await using source = await openBatchSource(stores, {
    ...{ sequenceLength: length, batch, seed, weights: [1, 1] },
    documents: documentTokens(tokenizer),
  });
  const shapes = twoStreamShapes(model, form);
  const values = await readWeights(modelFolder, openArchitecture(await readConfig(modelFolder)));
  for (const [name, value] of initializeCompressor(compressorShapes(model, form), values)) {
    values.set(`${compressorPrefix}${name}`, value);
  }
  const isMatrix = downScaling !== "strided";
  await using trainer = await openTrainer({
    graph: twoStreamGraph({
      ...{ model, compressor: form },
      downScaling: isMatrix ? "matrix" : "places",
    }),
    parameters: new Map([...shapes.keys()].map((name) => [name, values.get(name)!])),
    schedule: { kind: "linear", peak: 1e-3, final: 0, steps, warmupSteps: Math.ceil(steps / 20) },
    optimizer: adamW({ beta2: 0.95, maxNorm: 1 }),
    group: decayMatricesOnly,
    sameSizes: false,
    threads: 1,
  });
  const trained = await trainResumably(trainer, {
    ...{ folder, steps, signal: context.signal, notice: context.notice },
    batch: async (step) => {
      // Sequences of both corpora in turn, the first one's first.
      const taken = (step - 1) * batch;
      const position = [Math.ceil(taken / 2), Math.floor(taken / 2)];
      const { batch: read } = await source.read(position);
      const random = createRandom(seed, "factors", step);
      const matrix = isMatrix ? matrixOf(downScaling, random.integer(2 ** 30)) : undefined;
      const toInputs = twoStreamInputs(model, sizes, matrix);
      const rowsOf = (all: Int32Array, place: number): Int32Array =>
        all.subarray(place * length, (place + 1) * length);
      return Array.from({ length: batch }, (_, place) =>
        toInputs({
          samples: [rowsOf(read.ids, place)],
          targets: [rowsOf(read.targets, place)],
          factor: form.factors[random.integer(form.factors.length)]!,
        }),
      );
    },
    onStep: ({ step, loss }) =>
      context.progress(`compressor (${downScaling}), loss ${loss.toFixed(3)}`, step, steps),
  });
  context.charge(trained.earlierSeconds);
  const all = await trainer.parameters();
  const parameters = new Map<string, ParameterValue>();
  for (const name of compressorShapes(model, form).keys()) {
    parameters.set(name, all.get(`${compressorPrefix}${name}`)!);
  }
  return { config: form, model: identity, parameters };
}

/** The model's first layers as they are. */
export async function untrainedCompressor({
  folder,
  config,
  checkpoint,
}: Pick<LoadedModel, "folder" | "config" | "checkpoint">): Promise<Compressor> {
  const values = await readWeights(folder, openArchitecture(checkpoint.config));
  const parameters = initializeCompressor(compressorShapes(config, form), values);
  return { config: form, model: await identifyModel(folder), parameters };
}

/**
 * Places of the kept outputs of whole windows, or the mean of each group as its members.
 *
 * @param seed of the random places
 */
export function membersOf(
  downScaling: DownScaling,
  tokens: number,
  { factor, seed }: { readonly factor: number; readonly seed: number },
): number[][] {
  const { window } = sizes;
  if (tokens % window !== 0) {
    throw new JetonError(`${tokens} tokens are not whole windows of ${window}`, {
      code: "option-invalid",
      details: { option: "tokens", found: tokens, expected: `a multiple of ${window}` },
    });
  }
  const members: number[][] = [];
  for (let start = 0; start < tokens; start += window) {
    const count = window / factor;
    const places = Array.from({ length: window }, (_, at) => start + at);
    const random = createRandom(seed, "places", start);
    const kept = {
      strided: () => places.filter((_, at) => at % factor === factor - 1).map((at) => [at]),
      random: () =>
        random
          .shuffle(places)
          .slice(0, count)
          .sort((a, b) => a - b)
          .map((at) => [at]),
      terminal: () => places.slice(-count).map((at) => [at]),
      mean: () =>
        Array.from({ length: count }, (_, group) =>
          places.slice(group * factor, (group + 1) * factor),
        ),
    }[downScaling]();
    members.push(...kept);
  }
  return members;
}

function matrixOf(downScaling: DownScaling, seed: number): DownScalingMatrix {
  return (layout, tokens) => {
    const factor = tokens / layout.kept.length;
    const members = membersOf(downScaling, tokens, { factor, seed });
    const matrix = new Float32Array(members.length * tokens);
    for (const [row, own] of members.entries()) {
      for (const place of own) matrix[row * tokens + place] = 1 / own.length;
    }
    return matrix;
  };
}

/** The encoders of the reproduction: masked tokens first, then pairs of turns and segments. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LocoTask } from "../../evaluate/loco/loco.ts";
import { evaluateLocoTask } from "../../evaluate/loco/loco.ts";
import { createVectorRanker } from "../../evaluate/ranking/rankers.ts";
import { embed, loadEncoder } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { type EncoderObjective, trainEncoder, trainLanguageModel } from "../../train/index.ts";
import { longEncoderConfig, stretchConfig } from "./m2-bert-loco.ts";
import { makeTexts, makeTrainingPairs } from "./reproduction-task.ts";

/** Sizes of a run. */
export interface Sizes {
  readonly seeds: number;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly vocabSize: number;
  /** Tokens of the masked sequences, of whole segments, and of cut ones. */
  readonly masked: number;
  readonly long: number;
  readonly short: number;
  /** Words of a segment: about as many tokens as `long`. */
  readonly words: number;
  readonly maskedSteps: number;
  /** Steps of the projection loss; others get as many documents. */
  readonly steps: number;
  readonly negatives: number;
  readonly rates: readonly number[];
  /** Meetings of each file that is learned from. */
  readonly meetings: number;
  readonly documents: number;
  readonly queries: number;
}

/** Files that all trainings share. */
export interface Prepared {
  readonly sizes: Sizes;
  readonly tokenizer: string;
  readonly texts: string;
  readonly pairs: string;
  readonly heldOut: string;
  readonly task: LocoTask;
}

type Context = ReproductionContext<string>;

/** Writes what the encoders learn from: texts, pairs, and a tokenizer that is trained on the texts. */
export async function prepareTrainings(
  context: Context,
  sizes: Sizes,
  { learned, task }: { learned: readonly string[]; task: LocoTask },
): Promise<Prepared> {
  const folder = await context.folder("inputs", sizes);
  const lines = (values: readonly unknown[]): string =>
    values.map((value) => JSON.stringify(value)).join("\n");
  const texts = makeTexts(learned, sizes.words);
  const paths = {
    texts: join(folder, "texts.jsonl"),
    pairs: join(folder, "pairs.jsonl"),
    heldOut: join(folder, "held-out.jsonl"),
  };
  const pairs = makeTrainingPairs(learned, {
    words: sizes.words,
    seed: context.seed,
    perSegment: 4,
  });
  const cut = Math.floor(pairs.length * 0.9);
  await writeFile(paths.texts, lines(texts.map((text) => ({ text }))));
  await writeFile(paths.pairs, lines(pairs.slice(0, cut)));
  await writeFile(paths.heldOut, lines(pairs.slice(cut, cut + 64)));
  const tokenizer = join(folder, "tokenizer");
  const { vocabSize } = sizes;
  await saveTokenizer(tokenizer, await trainTokenizer({ kind: "wordpiece", texts, vocabSize }));
  return { sizes, tokenizer, task, ...paths };
}

const common = { threads: 2, dtype: "F32", existing: "resume", checkpointEvery: 50 } as const;

/** An encoder of masked tokens of this seed, over sequences of `masked` tokens. */
export async function pretrain(
  context: Context,
  { sizes, tokenizer, texts }: Prepared,
  seed: number,
): Promise<string> {
  const { hiddenSize, layers, masked: length, maskedSteps: steps } = sizes;
  const name = `masked-${seed}`;
  const { modelFolder } = await trainLanguageModel({
    ...common,
    folder: await context.folder(name, sizes),
    config: longEncoderConfig({ length, hiddenSize, layers, intermediateSize: 2 * hiddenSize }),
    tokenizer,
    corpora: [{ files: [texts] }],
    steps,
    batch: 8,
    sequenceLength: length,
    schedule: { kind: "linear", peak: 2e-3, final: 0, steps, warmupSteps: Math.ceil(steps / 10) },
    seed: context.seed + seed,
    signal: context.signal,
    onProgress: ({ step }) => context.progress(name, step, steps),
  });
  return modelFolder;
}

/** One way to learn from pairs. */
export interface Arm {
  readonly name: string;
  readonly objective: EncoderObjective;
  /** Tokens of a document. */
  readonly length: number;
  readonly batch: number;
  readonly steps: number;
}

/** Trains an arm at each rate, and keeps the one that finds most among held-out pairs' documents. */
export async function trainArm(
  context: Context,
  prepared: Prepared,
  { arm, seed, initialWeights }: { arm: Arm; seed: number; initialWeights: string },
): Promise<{ folder: string; rate: number }> {
  const { sizes } = prepared;
  let best = { folder: "", rate: 0, loss: Number.POSITIVE_INFINITY };
  for (const peak of sizes.rates) {
    const name = `${arm.name}-${seed}-${peak}`;
    const { hiddenSize, layers, masked } = sizes;
    const base = longEncoderConfig({
      ...{ length: masked, hiddenSize, layers, intermediateSize: 2 * hiddenSize },
    });
    const { modelFolder, heldOutLoss } = await trainEncoder({
      ...common,
      folder: await context.folder(name, { sizes, arm }),
      objective: arm.objective,
      config: stretchConfig(base, Math.max(masked, arm.length)),
      initialWeights,
      examples: [prepared.pairs],
      heldOut: [prepared.heldOut],
      steps: arm.steps,
      batch: arm.batch,
      queryLength: 64,
      documentLength: arm.length,
      evaluateEvery: arm.steps,
      pooling: "mean",
      schedule: {
        ...{ kind: "linear", peak, final: 0, steps: arm.steps },
        warmupSteps: Math.ceil(arm.steps / 10),
      },
      seed: context.seed + seed,
      signal: context.signal,
      onProgress: ({ step }) => context.progress(name, step, arm.steps),
    });
    if (heldOutLoss! < best.loss) best = { folder: modelFolder, rate: peak, loss: heldOutLoss! };
  }
  return best;
}

/** nDCG@10 of each query of each task, with documents cut to `length` tokens; a text is embedded once. */
export async function scoreEncoder(
  context: Context,
  tasks: readonly LocoTask[],
  folder: string,
  length: number,
): Promise<number[][]> {
  await using model = await loadEncoder(folder, { threads: 2, format: "f32" });
  context.progress("searching");
  const { signal } = context;
  const known = {
    query: new Map<string, Float32Array>(),
    document: new Map<string, Float32Array>(),
  };
  const ranker = createVectorRanker("M2-BERT", async (texts, role) => {
    const own = known[role];
    const unknown = [...new Set(texts)].filter((text) => !own.has(text));
    if (unknown.length > 0) {
      const maxLength = role === "query" ? 64 : length;
      const vectors = await embed(model, unknown, { maxLength, signal });
      for (const [at, text] of unknown.entries()) own.set(text, vectors[at]!);
    }
    return texts.map((text) => own.get(text)!);
  });
  const scores: number[][] = [];
  for (const task of tasks) scores.push(await scoresOf(task, ranker));
  return scores;
}

/** nDCG@10 of each query, in the task's order. */
export async function scoresOf(
  task: LocoTask,
  ranker: Parameters<typeof evaluateLocoTask>[1],
): Promise<number[]> {
  const { evaluation } = await evaluateLocoTask(task, ranker);
  return task.queries.map(({ id }) => evaluation.queries.get(id)?.values["ndcg@10"] ?? 0);
}

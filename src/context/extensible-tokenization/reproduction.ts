/** Measures extensible tokenization on the bundled model: held-out prose and passkeys behind compressed texts. */
import { readConfig } from "../../checkpoint/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import {
  averageSeeds,
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  statisticOf,
  wholeValue,
} from "../../reproduce/index.ts";
import { trainLanguageModel } from "../../train/index.ts";
import { fullAttention, sinksWindow } from "../policies/index.ts";
import {
  heldOutPassages,
  lossBehindTokens,
  type Passage,
  predictedTokens,
} from "../policies/reproduction-prose.ts";
import type { Compressor } from "./compressor.ts";
import { joinRows } from "./prompt-with-context.ts";
import { claims, type Id } from "./reproduction-claims.ts";
import { findPasskeys, lossBehind, openRowMaker, type RowMaker } from "./reproduction-measure.ts";
import { type Scale, trainedCompressor, untrainedCompressor } from "./reproduction-training.ts";

type Context = ReproductionContext<Id>;

export const reproduction: Reproduction = defineReproduction({
  system: "extensible-tokenization",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  run: (context) => context.part(() => measure(context)),
});

const fullScale: Scale = { steps: 60, batch: 2, chapters: 60, windows: 4 };
/** A quick run. */
export const quickScale: Scale = { steps: 6, batch: 2, chapters: 3, windows: 4 };

/** Tokens of text before what is predicted. */
interface Lengths {
  readonly short: number;
  readonly middle: number;
  readonly long: number;
  readonly passages: number;
}

/** Losses in nats, by condition and passage. */
type Losses = Map<string, readonly number[]>;

async function measure(context: Context): Promise<Plot> {
  const { quick } = context;
  const folder = await context.model();
  const scale = quick ? quickScale : fullScale;
  const lengths: Lengths = quick
    ? { short: 256, middle: 512, long: 1024, passages: 4 }
    : { short: 512, middle: 2048, long: 4096, passages: 16 };
  const compressor = await trainedCompressor(context, folder, "strided", scale);
  await using model = await loadModel(folder, { format: "f32", threads: 1 });
  const { long: before, passages: count } = lengths;
  const passages = await heldOutPassages(context, model, { before, count });
  const settings = { scale, lengths };
  const losses: Losses = new Map(
    await context.remember("losses", settings, async () => [
      ...(await measureLosses(context, model, compressor, { passages, lengths })),
    ]),
  );
  if (!quick) await measureOthers(context, model, { folder, scale, passages, lengths });
  reportLosses(context, losses, lengths);
  await reportPasskeys(context, model, compressor, scale);
  if (!quick) {
    await measureTransfer(context, folder, compressor, { passages, lengths, scale });
    if (context.speed) {
      const some = passages.slice(0, 8);
      await context.timed(() => measureTime(context, model, compressor, some));
    }
  }
  return plotOf(losses, lengths);
}

/** Losses behind nothing, behind tokens, and behind embeddings of several factors and lengths. */
async function measureLosses(
  context: Context,
  model: LoadedModel,
  compressor: Compressor,
  { passages, lengths }: { readonly passages: readonly Passage[]; readonly lengths: Lengths },
): Promise<Losses> {
  await using maker = await openRowMaker(model, compressor, "strided");
  await using plain = await openRowMaker(model, await untrainedCompressor(model), "strided");
  const { short, middle, long } = lengths;
  const rows = long / 16;
  const window = sinksWindow({ sinks: 4, window: rows - 4 });
  const losses = new Map<string, number[]>();
  const note = (name: string, loss: number): void => {
    losses.set(name, [...(losses.get(name) ?? []), loss]);
  };
  for (const [at, passage] of passages.entries()) {
    context.signal.throwIfAborted();
    context.progress("held-out prose", at, passages.length);
    const other = passages[(at + 1) % passages.length]!.before;
    const own = passage.before;
    const behind = async (name: string, from: RowMaker, parts: readonly Part[]): Promise<void> => {
      const made = [];
      for (const { ids, factor } of parts) made.push(await from.rows(ids, factor));
      note(name, await lossBehind(model, joinRows(made), passage));
    };
    note("nothing", await lossBehindTokens(model, [], passage));
    for (const count of new Set([rows, short])) {
      note(`${count} tokens`, await lossBehindTokens(model, own.slice(-count), passage));
    }
    note("sinks and window", await lossBehindTokens(model, own.slice(-middle), passage, window));
    for (const factor of [2, 4, 8, 16, 32]) {
      await behind(`${short} / ${factor}`, maker, [{ ids: own.slice(-short), factor }]);
    }
    await behind("another / 2", maker, [{ ids: other.slice(-short), factor: 2 }]);
    for (const count of [middle, long]) {
      await behind(`${count} / 8`, maker, [{ ids: own.slice(-count), factor: 8 }]);
    }
    await behind(`${long} / 16`, maker, [{ ids: own, factor: 16 }]);
    await behind("another / 16", maker, [{ ids: other, factor: 16 }]);
    await behind("another / 8", maker, [{ ids: other.slice(-middle), factor: 8 }]);
    await behind("far from another / 8", maker, [
      { ids: other.slice(0, long - short), factor: 8 },
      { ids: own.slice(-short), factor: 8 },
    ]);
    await behind("untrained / 8", plain, [{ ids: own.slice(-middle), factor: 8 }]);
  }
  return losses;
}

interface Part {
  readonly ids: readonly number[];
  readonly factor: number;
}

const sampleOfLosses = (losses: readonly number[]): Sample =>
  ratioOfSums(losses.map((sum) => ({ sum, weight: predictedTokens - 1 })));
const lossSample = (losses: Losses, name: string): Sample => sampleOfLosses(losses.get(name)!);

function reportLosses(context: Context, losses: Losses, { short, middle, long }: Lengths): void {
  const sample = (name: string): Sample => lossSample(losses, name);
  const mean = (name: string): number =>
    losses.get(name)!.reduce((a, b) => a + b, 0) / losses.get(name)!.length / (predictedTokens - 1);
  const details = {
    losses: Object.fromEntries([...losses.keys()].map((name) => [name, mean(name)])),
  };
  context.report("more-text-helps", {
    measured: sample(`${long} / 8`),
    baseline: sample(`${short} / 8`),
    baselineName: `${short} tokens of it`,
    control: sample("far from another / 8"),
    details,
  });
  context.report("beats-window", {
    measured: sample(`${long} / 16`),
    baseline: sample("sinks and window"),
    baselineName: `sinks and a window of ${long / 16} tokens`,
    control: sample("another / 16"),
    details: { truncated: mean(`${long / 16} tokens`) },
  });
  context.report("beats-nothing", {
    measured: sample(`${middle} / 8`),
    baseline: sample("nothing"),
    baselineName: "nothing before it",
    control: sample("another / 8"),
    details: { untrained: mean("untrained / 8") },
  });
  const shareOf = (name: string): Sample => {
    const units = losses.get(name)!.map((loss, at) => ({
      gained: losses.get("nothing")![at]! - loss,
      whole: losses.get("nothing")![at]! - losses.get(`${short} tokens`)![at]!,
    }));
    return statisticOf(units, (some) => {
      const sum = (key: "gained" | "whole"): number => some.reduce((a, unit) => a + unit[key], 0);
      return sum("gained") / sum("whole");
    });
  };
  context.report("recovers-the-text", {
    measured: shareOf(`${short} / 2`),
    control: shareOf("another / 2"),
    details: { nothing: mean("nothing"), tokens: mean(`${short} tokens`) },
  });
}

interface OtherParts {
  readonly folder: string;
  readonly scale: Scale;
  readonly passages: readonly Passage[];
  readonly lengths: Lengths;
}

/** Seeds of the trainings whose ways to thin out are compared: what they differ by is little. */
const comparedSeeds = 3;

/** Compressors with the same training whose outputs are thinned out otherwise. */
async function measureOthers(
  context: Context,
  model: LoadedModel,
  { folder, scale, passages, lengths }: OtherParts,
): Promise<void> {
  const found = {} as Record<"strided" | "random" | "terminal" | "another", Sample>;
  const bySeed: Record<string, number[]> = {};
  for (const downScaling of ["strided", "random", "terminal"] as const) {
    const own: number[][] = [];
    const another: number[][] = [];
    for (let seed = context.seed; seed < context.seed + comparedSeeds; seed++) {
      const compressor = await trainedCompressor(context, folder, downScaling, scale, seed);
      await using maker = await openRowMaker(model, compressor, downScaling);
      const name = `${downScaling}, seed ${seed}`;
      const read = (shift: number): Promise<number[]> =>
        context.remember(`losses ${name}, ${shift}`, { scale, lengths }, () =>
          lossesOfRows(context, model, { maker, passages, tokens: lengths.middle, shift, name }),
        );
      own.push(await read(0));
      if (downScaling === "strided") another.push(await read(1));
    }
    found[downScaling] = sampleOfLosses(averageSeeds(own));
    if (another.length > 0) found.another = sampleOfLosses(averageSeeds(another));
    bySeed[downScaling] = own.map((losses) => wholeValue(sampleOfLosses(losses)));
  }
  for (const downScaling of ["random", "terminal"] as const) {
    context.report(`strided-beats-${downScaling}`, {
      measured: found.strided,
      baseline: found[downScaling],
      baselineName: `${downScaling} outputs`,
      control: found.another,
      details: { bySeed },
    });
  }
}

/** Losses behind texts at factor 8: those of the passages, or of the passages so many further. */
async function lossesOfRows(
  context: Context,
  model: LoadedModel,
  {
    maker,
    passages,
    tokens,
    shift,
    name,
  }: {
    readonly maker: RowMaker;
    readonly passages: readonly Passage[];
    readonly tokens: number;
    readonly shift: number;
    readonly name: string;
  },
): Promise<number[]> {
  const losses: number[] = [];
  for (const [at, passage] of passages.entries()) {
    context.signal.throwIfAborted();
    context.progress(`held-out prose (${name})`, at, passages.length);
    const { before } = passages[(at + shift) % passages.length]!;
    losses.push(await lossBehind(model, await maker.rows(before.slice(-tokens), 8), passage));
  }
  return losses;
}

async function reportPasskeys(
  context: Context,
  model: LoadedModel,
  compressor: Compressor,
  scale: Scale,
): Promise<void> {
  const found = await context.remember("passkeys", { scale }, () =>
    findPasskeys(context, model, compressor, context.quick ? 3 : 40),
  );
  const sample = (values: readonly number[]): Sample => meanOf(values.map((value) => 100 * value));
  context.report("finds-passkeys", {
    measured: sample(found.compressed),
    baseline: sample(found.truncated),
    baselineName: "the last tokens of it",
    control: sample(found.another),
    details: { readWhole: sample(found.whole).over(found.whole.map((_, at) => at)) },
  });
}

/** The same compressor before a copy of the model that learned from another book. */
async function measureTransfer(
  context: Context,
  folder: string,
  compressor: Compressor,
  { passages, lengths, scale }: Pick<OtherParts, "passages" | "lengths" | "scale">,
): Promise<void> {
  const settings = { steps: 30, batch: 2, sequenceLength: 512 };
  const { modelFolder } = await trainLanguageModel({
    folder: await context.folder("fine-tuned", settings),
    ...settings,
    ...{ config: await readConfig(folder), tokenizer: folder, initialWeights: folder },
    corpora: [{ files: [await context.data("text/botchan.txt")] }],
    schedule: { kind: "linear", peak: 3e-4, final: 0, steps: settings.steps, warmupSteps: 3 },
    ...{ seed: context.seed, threads: 1, existing: "resume", signal: context.signal },
    onProgress: ({ step, steps }) => context.progress("fine-tuned copy", step, steps),
  });
  await using model = await loadModel(modelFolder, { format: "f32", threads: 1 });
  await using maker = await openRowMaker(model, compressor, "strided", true);
  const { middle } = lengths;
  const losses = await context.remember("transfer", { scale, lengths, settings }, async () => {
    const all: { own: number[]; none: number[]; another: number[] } = {
      ...{ own: [], none: [], another: [] },
    };
    for (const [at, passage] of passages.entries()) {
      context.signal.throwIfAborted();
      context.progress("held-out prose (fine-tuned copy)", at, passages.length);
      const other = passages[(at + 1) % passages.length]!.before;
      const rows = (ids: readonly number[]): Promise<Float32Array> =>
        maker.rows(ids.slice(-middle), 8);
      all.own.push(await lossBehind(model, await rows(passage.before), passage));
      all.another.push(await lossBehind(model, await rows(other), passage));
      all.none.push(await lossBehindTokens(model, [], passage));
    }
    return all;
  });
  const byName: Losses = new Map(Object.entries(losses));
  context.report("transfers", {
    measured: lossSample(byName, "own"),
    baseline: lossSample(byName, "none"),
    baselineName: "nothing before it",
    control: lossSample(byName, "another"),
  });
}

/** Seconds of reading a text as tokens, as stored embeddings, and with an embedding for each token; in turns. */
async function measureTime(
  context: Context,
  model: LoadedModel,
  compressor: Compressor,
  passages: readonly Passage[],
): Promise<void> {
  await using maker = await openRowMaker(model, compressor, "strided");
  const all = model.withContextPolicy!(fullAttention());
  const seconds = { stored: [] as number[], tokens: [] as number[], every: [] as number[] };
  for (const [at, passage] of passages.entries()) {
    context.progress("timing", at, passages.length);
    const stored = await maker.rows(passage.before, 16);
    const every = await maker.rows(passage.before, 1);
    const time = async (run: () => Promise<unknown>): Promise<number> => {
      const began = performance.now();
      await run();
      return (performance.now() - began) / 1000;
    };
    seconds.stored.push(await time(() => lossBehind(all, stored, passage)));
    seconds.tokens.push(await time(() => lossBehindTokens(all, passage.before, passage)));
    seconds.every.push(await time(() => lossBehind(all, every, passage)));
  }
  context.report("faster-reading", {
    measured: meanOf(seconds.stored.slice(1)),
    baseline: meanOf(seconds.tokens.slice(1)),
    baselineName: "all tokens",
    control: meanOf(seconds.every.slice(1)),
  });
}

function plotOf(losses: Losses, { short, middle, long }: Lengths): Plot {
  const mean = (name: string): number =>
    losses.get(name)!.reduce((a, b) => a + b, 0) / losses.get(name)!.length / (predictedTokens - 1);
  const y = { title: "nats a token" };
  const lengths = [short, middle, long].map((x) => ({ x, y: mean(`${x} / 8`) }));
  const factors = [2, 4, 8, 16, 32].map((x) => ({ x, y: mean(`${short} / ${x}`) }));
  const level = (name: string, points: readonly { x: number }[]) => ({
    name,
    dashed: true,
    points: points.map(({ x }) => ({ x, y: mean(name) })),
  });
  return {
    title: "Loss of 127 tokens of held-out prose behind compressed text",
    panels: [
      {
        title: "factor 8, by length of the text",
        kind: "line",
        x: { title: "tokens of the text", scale: "log" },
        y,
        series: [
          { name: "compressed", points: lengths },
          level("nothing", lengths),
          level("sinks and window", lengths),
        ],
      },
      {
        title: `${short} tokens, by factor`,
        kind: "line",
        x: { title: "tokens for each embedding", scale: "log" },
        y,
        series: [
          { name: "compressed", points: factors },
          level("nothing", factors),
          level(`${short} tokens`, factors),
        ],
      },
    ],
  };
}

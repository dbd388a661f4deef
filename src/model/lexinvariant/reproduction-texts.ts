/** The claims of the reproduction that need models of text. */

import { createRandom, type Random } from "../../core/index.ts";
import { meanOf, type Panel, type Sample, statisticOf, wholeValue } from "../../reproduce/index.ts";
import { countedLosses } from "./counted-losses.ts";
import type { SymbolBatch, SymbolEmbeddings } from "./lexinvariant.ts";
import { measureCipher } from "./reproduction-cipher.ts";
import {
  lossesByRange,
  lossesByWindow,
  mean,
  meanByPosition,
  meanIn,
  ranges,
  series,
} from "./reproduction-curves.ts";
import {
  type Context,
  classes,
  classSize,
  context,
  letterSize,
  openTrained,
} from "./reproduction-models.ts";
import { solveTasks, type TaskScores } from "./reproduction-tasks.ts";
import {
  initialParameters,
  letters,
  type SymbolModelSize,
  sampleWindows,
  symbolDecoder,
} from "./reproduction-training.ts";
import { openSymbolModel, type SymbolModel } from "./symbol-model.ts";

/** Steps of each training: models that are compared have the same. */
const steps = { classes: 4000, letters: 1500 } as const;

type TrainOptions = Pick<Parameters<typeof openTrained>[1], "steps" | "permute" | "onTrained">;

/** Trains a model on the first part of a text. */
function trainOn(
  reproduce: Context,
  split: number,
): (
  name: string,
  size: SymbolModelSize,
  text: Int32Array,
  embeddings: SymbolEmbeddings,
  options: TrainOptions,
) => Promise<SymbolModel> {
  const { seed } = reproduce;
  return (name, size, text, embeddings, options) =>
    openTrained(reproduce, {
      ...{ name, size, embeddings, permute: 0 },
      ...options,
      draw: (count, time, key) =>
        sampleWindows(text.subarray(0, split), count, time, seed, name, key),
    });
}

/** A text in classes or in letters, and the part that is not held out. */
interface Text {
  readonly ids: Int32Array;
  readonly split: number;
}

function heldOut({ seed }: Context, { ids, split }: Text, count: number): SymbolBatch {
  return sampleWindows(ids.subarray(split), count, context + 1, seed, "held-out");
}

type Windows = readonly Float64Array[];
const [early, late] = [ranges[0]!, ranges.at(-1)!];

/** The claims that need models of text. Reports them and gives the panels of the plot. */
export async function measureTexts(
  reproduce: Context,
  characters: Int32Array,
  inClasses: Int32Array,
  split: number,
): Promise<Panel[]> {
  const classPanels = await measureClasses(reproduce, { ids: inClasses, split });
  return [...classPanels, ...(await measureLetters(reproduce, { ids: characters, split }))];
}

/** Share of the gap of the first positions that is gone at the last, and the key of ciphers. */
async function measureClasses(reproduce: Context, text: Text): Promise<Panel[]> {
  const { seed, report } = reproduce;
  const train = trainOn(reproduce, text.split);
  const windows = heldOut(reproduce, text, 256);
  let learning: readonly number[] = [];
  await using standard = await train("standard-classes", classSize, text.ids, "learned", {
    steps: steps.classes,
  });
  await using free = await train("lexinvariant-classes", classSize, text.ids, "random", {
    steps: steps.classes,
    onTrained: (own) => {
      learning = own;
    },
  });
  const vectors = (): Random => createRandom(seed, "vectors", "classes");
  const losses = {
    standard: await lossesByWindow(standard, windows, vectors()),
    free: await lossesByWindow(free, windows, vectors()),
    unigrams: countedLosses(windows, classes.length, "unigrams"),
    bigrams: countedLosses(windows, classes.length, "bigrams"),
  };
  const closedBy = (own: Windows): Sample => ({
    count: own.length,
    over(places) {
      const gapIn = (range: readonly [number, number]): number =>
        meanIn(own, places, range) - meanIn(losses.standard, places, range);
      return 100 * (1 - gapIn(late) / gapIn(early));
    },
  });
  report("gap-closes", {
    measured: closedBy(losses.free),
    baseline: closedBy(losses.bigrams),
    baselineName: "counted bigrams of the window",
    control: closedBy(losses.unigrams),
    details: { ranges, losses: lossesByRange(losses) },
  });
  const cipher = await measureCipher(reproduce, free, text.ids, text.split);
  report("cipher", {
    measured: cipher.right,
    control: cipher.frequencies,
    details: { byPosition: cipher.accuracy, ciphers: cipher.ciphers },
  });
  return [
    {
      title: "Text in six classes of letters",
      kind: "line",
      x: { title: "position", scale: "log" },
      y: { title: "nats a symbol (held out)" },
      series: [
        series("standard", meanByPosition(losses.standard)),
        series("lexinvariant", meanByPosition(losses.free)),
        series("counted unigrams", meanByPosition(losses.unigrams), true),
        series("counted bigrams", meanByPosition(losses.bigrams), true),
      ],
    },
    learningPanel(learning, losses),
    {
      title: "Substitution cipher, six symbols: key right",
      kind: "line",
      x: { title: "symbols read" },
      y: { title: "%", zero: true },
      series: [{ name: "probe and vote", points: cipher.accuracy }],
    },
  ];
}

/** The loss of training by symbols read, beside what counting reaches over whole windows. */
function learningPanel(
  losses: readonly number[],
  held: Readonly<Record<"unigrams" | "bigrams", Windows>>,
): Panel {
  const symbolsOfStep = 8 * context;
  const smoothed: { x: number; y: number }[] = [];
  const width = 50;
  for (let at = 0; at + width <= losses.length; at += width) {
    const y = mean(Float64Array.from(losses.slice(at, at + width)));
    smoothed.push({ x: ((at + width / 2) * symbolsOfStep) / 1e6, y });
  }
  const level = (name: string, own: Windows): Panel["series"][number] => {
    const y = mean(meanByPosition(own));
    const ends = [smoothed[0]!.x, smoothed.at(-1)!.x];
    return { name, dashed: true, points: ends.map((x) => ({ x, y })) };
  };
  return {
    title: "Learning without names, letter classes: the plateau",
    kind: "line",
    x: { title: "million symbols of training" },
    y: { title: "nats a symbol" },
    series: [
      { name: "lexinvariant", points: smoothed },
      level("counted unigrams", held.unigrams),
      level("counted bigrams", held.bigrams),
    ],
  };
}

/** The claims about 27 letters: the gap, renaming, and tasks in context. */
async function measureLetters(reproduce: Context, text: Text): Promise<Panel[]> {
  const { seed, report } = reproduce;
  const train = trainOn(reproduce, text.split);
  const windows = heldOut(reproduce, text, 128);
  const own = { steps: steps.letters };
  await using plain = await train("standard-letters", letterSize, text.ids, "learned", own);
  await using free = await train("lexinvariant-letters", letterSize, text.ids, "random", own);
  await using mixed = await train("renamed-letters", letterSize, text.ids, "learned", {
    ...own,
    permute: 0.2,
  });
  const vectors = (key: string): Random => createRandom(seed, "vectors", key);
  const losses = {
    standard: await lossesByWindow(plain, windows, vectors("letters")),
    free: await lossesByWindow(free, windows, vectors("letters")),
    renamed: await lossesByWindow(mixed, windows, vectors("letters")),
    unigrams: countedLosses(windows, letters.length, "unigrams"),
    bigrams: countedLosses(windows, letters.length, "bigrams"),
  };
  const excessIn = (own: Windows, range: readonly [number, number]): Sample => ({
    count: own.length,
    over: (places) =>
      Math.exp(meanIn(own, places, range) - meanIn(losses.standard, places, range)) - 1,
  });
  // Beside the first positions of the model itself: counting has no bad beginning to improve upon.
  report("gap-closes-letters", {
    measured: excessIn(losses.free, late),
    baseline: excessIn(losses.free, early),
    baselineName: "positions 1 to 15",
    control: excessIn(losses.unigrams, late),
    details: { ranges, losses: lossesByRange(losses) },
  });
  const names = createRandom(seed, "names").shuffle(Array.from(letters, (_, id) => id));
  const renamed = { ...windows, ids: windows.ids.map((id) => names[id]!) };
  const costOf = async (model: SymbolModel, before: Windows): Promise<Sample> => {
    const after = await lossesByWindow(model, renamed, vectors("renamed"));
    return statisticOf(
      after.map((window, at) => mean(window) - mean(before[at]!)),
      (costs) => Math.abs(costs.reduce((sum, cost) => sum + cost, 0) / costs.length),
    );
  };
  report("renaming", {
    measured: await costOf(free, losses.free),
    control: await costOf(plain, losses.standard),
  });
  return [
    {
      title: "Text in 27 letters",
      kind: "line",
      x: { title: "position", scale: "log" },
      y: { title: "nats a symbol (held out)" },
      series: [
        series("standard", meanByPosition(losses.standard)),
        series("one in five renamed", meanByPosition(losses.renamed)),
        series("lexinvariant", meanByPosition(losses.free)),
        series("counted unigrams", meanByPosition(losses.unigrams), true),
        series("counted bigrams", meanByPosition(losses.bigrams), true),
      ],
    },
    await measureTasks(reproduce, { standard: plain, renamed: mixed, free }),
  ];
}

/** Tasks with random letters; the control is the model as its training found it, the planted copy included. */
async function measureTasks(
  { seed, report }: Context,
  models: Readonly<Record<"standard" | "renamed" | "free", SymbolModel>>,
): Promise<Panel> {
  const config = symbolDecoder(letterSize);
  await using untrained = await openSymbolModel({
    config,
    embeddings: "random",
    parameters: initialParameters(config, "random", seed),
    threads: 1,
    inline: true,
  });
  const scores = {
    standard: await solveTasks(models.standard, seed),
    renamed: await solveTasks(models.renamed, seed),
    free: await solveTasks(models.free, seed),
    untrained: await solveTasks(untrained, seed),
  };
  const baselineName = "the standard model";
  for (const task of ["lookup", "permutation"] as const) {
    report(task, {
      measured: meanOf(scores.free[task]),
      baseline: meanOf(scores.standard[task]),
      baselineName,
      control: meanOf(scores.untrained[task]),
    });
  }
  const both = ({ lookup, permutation }: TaskScores): Sample =>
    meanOf(lookup.map((score, at) => (score + permutation[at]!) / 2));
  report("regularizer", {
    measured: both(scores.renamed),
    baseline: both(scores.standard),
    baselineName,
    control: both(scores.untrained),
  });
  const labels = { standard: "standard", renamed: "one in five renamed", free: "lexinvariant" };
  return {
    title: "Tasks with random letters",
    kind: "bar",
    x: { title: "", scale: "category" },
    y: { title: "% right" },
    series: (["standard", "renamed", "free"] as const).map((name) => ({
      name: labels[name],
      points: (["lookup", "permutation"] as const).map((task) => ({
        x: task,
        y: wholeValue(meanOf(scores[name][task])),
      })),
    })),
  };
}

/**
 * What the lexinvariant paper claims, at the scale of small alphabets: a text of letters (27 symbols),
 * the same text with its letters in six classes, and random Markov chains.
 */
import { readFile } from "node:fs/promises";
import { createRandom, type Random } from "../../core/index.ts";
import {
  defineReproduction,
  type Panel,
  type Reproduction,
  type ReproductionContext,
  type Series,
  trainResumably,
} from "../../reproduce/index.ts";
import { crossEntropyRows, fill, float32, int32, sum } from "../../tensor/index.ts";
import { adamW, objectiveGraph, openTrainer, type ParameterValue } from "../../train/index.ts";
import { openProbe, type Probe, probeMeanings, probeParameterShapes, voteKey } from "./decipher.ts";
import { exactLexinvariant, type NextSymbol } from "./exact.ts";
import {
  nextSymbols,
  type SymbolBatch,
  type SymbolEmbeddings,
  sampleSymbols,
} from "./lexinvariant.ts";
import { countNgrams, sampleChain, sampleFromChain } from "./reproduction-language.ts";
import {
  foldText,
  initialParameters,
  letters,
  type SymbolModelSize,
  sampleWindows,
  symbolDecoder,
  trainSymbols,
} from "./reproduction-training.ts";
import { openSymbolModel, type SymbolModel } from "./symbol-model.ts";
import { lookupTask, permutationTask, type SymbolTask } from "./tasks.ts";

/** Classes of characters: a space, the two most frequent letters, vowels, and two of consonants. */
const classes: readonly string[] = [" ", "e", "t", "aiouy", "dhlnrs", "bcfgjkmpqvwxz"];
const context = 192;
const classSize: SymbolModelSize = {
  symbols: classes.length,
  width: 64,
  layers: 2,
  heads: 4,
  feedForward: 192,
  context,
};
const letterSize: SymbolModelSize = { ...classSize, symbols: letters.length };
const chainSize: SymbolModelSize = { ...classSize, symbols: 6, feedForward: 128, context: 64 };
const corpusName = "text/tinyshakespeare.txt";

/** First and one past the last position of the ranges that are reported. */
const ranges: readonly (readonly [number, number])[] = [
  [1, 16],
  [16, 64],
  [64, 128],
  [128, context],
];

export const reproduction: Reproduction = defineReproduction({
  system: "lexinvariant",
  claims: [
    {
      id: "exactly-invariant",
      text: "Probabilities that differ, by a single bit, after one of 100 renamings of all symbols (canonical variant, jeton's own; random weights).",
      paper: "0 by definition; the paper's construction is invariant in distribution",
      unit: "numbers",
      direction: "lower",
      effect: "value",
      reproduced: 0,
      partly: 0,
    },
    {
      id: "ideal-convergence",
      text: "An ideal observer who knows the language but not the names of its six symbols (5-grams of Shakespeare's letter classes; exact mixture over 720 keys): L1 distance of its predictions to those with known names, at positions 128 to 191 beside positions 1 to 15.",
      paper: "falls at least as fast as (d/T)^(1/4): theorem",
      unit: "L1 distance",
      direction: "lower",
      effect: "ratio",
      reproduced: 4,
      partly: 2,
    },
    {
      id: "approaches-ideal",
      text: "A lexinvariant decoder trained on one random Markov chain (6 symbols): loss at positions 32 to 63 beyond the exact observer's, which no such model can beat.",
      paper: "in-context deciphering is approximate Bayesian inference: no number",
      unit: "nats",
      direction: "lower",
      effect: "value",
      reproduced: 0.05,
      partly: 0.15,
    },
    {
      id: "gap-closes",
      text: "Share of the loss that lexinvariance costs at positions 1 to 15 which is gone at positions 128 to 191 (letter classes, held-out Shakespeare).",
      paper:
        "the perplexity gap falls from 9 times the standard model's perplexity to 0.69 (characters, 512 positions)",
      unit: "%",
      direction: "higher",
      effect: "value",
      reproduced: 50,
      partly: 25,
      fullOnly: true,
    },
    {
      id: "gap-closes-letters",
      text: "The same for all 27 letters: excess perplexity over the standard model's at positions 128 to 191, beside that at positions 1 to 15.",
      paper: "(3.38 - 2.00) / 2.00 = 0.69 at position 511, from 9",
      unit: "times",
      direction: "lower",
      effect: "ratio",
      reproduced: 2,
      partly: 1.2,
      fullOnly: true,
    },
    {
      id: "cipher",
      text: "Symbols of a substitution cipher that a probe of the frozen model names rightly, by majority over the last 100 of 192 symbols (letter classes).",
      paper: 99.6,
      unit: "%",
      direction: "higher",
      effect: "value",
      reproduced: 80,
      partly: 50,
      fullOnly: true,
    },
    {
      id: "lookup",
      text: "Accuracy on 1,000 tables of six pairs of random letters: the value beside a key.",
      paper: "38.3 to 48.5 % (standard) against 59.7 to 91.8 % (lexinvariant), characters",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      fullOnly: true,
    },
    {
      id: "permutation",
      text: "Symbols right when a reordering of three random letters, shown six times, is applied to new ones (1,000 prompts).",
      paper: "20.8 to 27.7 % (standard) against 59.4 to 71.6 % (lexinvariant), characters",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      fullOnly: true,
    },
    {
      id: "regularizer",
      text: "A standard model trained with one in five occurrences renamed: mean accuracy on both tasks beside the same model without.",
      paper: "with p = 0.2 a BIG-bench task is 25 % more likely to improve than to get worse",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 5,
      partly: 1,
      fullOnly: true,
    },
    {
      id: "renaming",
      text: "Loss that renaming all letters of a text costs the lexinvariant model (one draw of its vectors before, another after).",
      paper: "0 by definition",
      unit: "nats",
      direction: "lower",
      effect: "value",
      reproduced: 0.02,
      partly: 0.1,
      fullOnly: true,
    },
  ],
  async run(reproduce) {
    const { quick, report, part } = reproduce;
    report("exactly-invariant", { measured: await countDifferences(reproduce) });
    const chain = await measureChain(reproduce);
    const { excess, ideal, learned } = chain.loss;
    report("approaches-ideal", {
      measured: excess,
      baseline: chain.unadapted,
      baselineName: "excess of a model that learns nothing but the chain's frequencies in context",
      details: { ideal, learned },
    });
    const text = await part(() => reproduce.data(corpusName));
    if (text === undefined) return;
    const characters = foldText(await readFile(text, "utf8"));
    const split = Math.floor(0.9 * characters.length);
    const inClasses = characters.map((id) =>
      classes.findIndex((one) => one.includes(letters[id]!)),
    );
    const ngrams = countNgrams(inClasses.subarray(0, split), classes.length, 5);
    const observed = measureIdeal(reproduce, ngrams, inClasses.subarray(split));
    const distances = ranges.map(([from, to]) => mean(observed.distance.subarray(from, to)));
    report("ideal-convergence", {
      measured: distances.at(-1)!,
      baseline: distances[0]!,
      baselineName: "positions 1 to 15",
      details: { ranges, distances },
    });
    const panels: Panel[] = [
      {
        title: "An ideal observer deciphers while it reads",
        kind: "line",
        x: { title: "position", scale: "log" },
        y: { title: "L1 distance to known names", zero: true },
        series: [
          series("5-grams of letter classes", observed.distance),
          series("random Markov chain", chain.distance),
        ],
      },
      {
        title: "A trained decoder approaches it (Markov chain)",
        kind: "line",
        x: { title: "position", scale: "log" },
        y: { title: "nats a symbol" },
        series: [
          series("lexinvariant decoder", chain.losses.learned),
          series("ideal observer", chain.losses.ideal, true),
          series("names known", chain.losses.known, true),
        ],
      },
    ];
    if (!quick) panels.push(...(await measureTexts(reproduce, characters, inClasses, split)));
    return { title: "Lexinvariant language models", panels };
  },
});

type Context = ReproductionContext<string>;

/** Numbers that change when all symbols are renamed; the sequences hold few and many symbols. */
async function countDifferences({ seed }: Context): Promise<number> {
  const config = symbolDecoder(classSize);
  const parameters = initialParameters(config, "canonical", seed);
  await using model = await openSymbolModel({
    config,
    embeddings: "canonical",
    parameters,
    threads: 1,
    inline: true,
  });
  const { symbols } = classSize;
  const time = 48;
  const random = createRandom(seed, "renamings");
  const ids = Int32Array.from({ length: 3 * time }, (_, at) => {
    return random.integer([2, 4, symbols][Math.floor(at / time)]!);
  });
  const before = await model.read({ batch: 3, time, ids }, createRandom(seed, "vectors"));
  let differences = 0;
  for (let renaming = 0; renaming < 100; renaming++) {
    const names = random.shuffle(Array.from({ length: symbols }, (_, id) => id));
    const renamed = { batch: 3, time, ids: ids.map((id) => names[id]!) };
    const after = await model.read(renamed, createRandom(seed, "vectors"));
    for (let at = 0; at < ids.length; at++) {
      for (let id = 0; id < symbols; id++) {
        const one = before.logProbabilities[at * symbols + id];
        const other = after.logProbabilities[at * symbols + names[id]!];
        if (one !== other) differences++;
      }
    }
  }
  return differences;
}

/** The ideal observer of held-out text: distance of its predictions to those with known names. */
function measureIdeal(
  { quick, seed, progress, signal }: Context,
  language: NextSymbol,
  text: Int32Array,
): { distance: Float64Array } {
  const count = quick ? 6 : 60;
  const windows = sampleWindows(text, count, context, seed, "ideal");
  const distance = new Float64Array(context);
  for (let row = 0; row < count; row++) {
    signal.throwIfAborted();
    progress("ideal observer", row, count);
    const sequence = windows.ids.subarray(row * context, (row + 1) * context);
    for (const [at, value] of observeIdeally(language, classes.length, sequence).entries()) {
      distance[at]! += value.distance / count;
    }
  }
  return { distance };
}

/** What the ideal observer makes of each position: distance to known names, and losses of both. */
function observeIdeally(
  language: NextSymbol,
  symbols: number,
  sequence: Int32Array,
): { distance: number; ideal: number; known: number }[] {
  const observer = exactLexinvariant(language, symbols);
  const prefix: number[] = [];
  return Array.from(sequence, (symbol) => {
    const known = language(prefix);
    const ideal = observer.predict();
    let distance = 0;
    for (let id = 0; id < symbols; id++) distance += Math.abs(known[id]! - ideal[id]!);
    observer.read(symbol);
    prefix.push(symbol);
    return { distance, ideal: -Math.log(ideal[symbol]!), known: -Math.log(known[symbol]!) };
  });
}

/** A decoder trained on one chain, beside the exact observer of the same held-out sequences. */
async function measureChain(reproduce: Context) {
  const { seed, quick } = reproduce;
  const { symbols, context: length } = chainSize;
  const chain = sampleChain(symbols, 0.3, createRandom(seed, "chain"));
  await using model = await openTrained(reproduce, {
    name: "chain",
    size: chainSize,
    embeddings: "random",
    steps: quick ? 200 : 1000,
    draw: (count, time, key) =>
      sampleFromChain(chain, count, time, createRandom(seed, "chain-training", key)),
  });
  const count = quick ? 32 : 256;
  const held = sampleFromChain(chain, count, length + 1, createRandom(seed, "chain-held-out"));
  const learned = await lossByPosition(model, held, createRandom(seed, "chain-vectors"));
  const ideal = new Float64Array(length);
  const known = new Float64Array(length);
  const distance = new Float64Array(length);
  const counted = new Float64Array(length);
  for (let row = 0; row < count; row++) {
    const sequence = held.ids.subarray(row * (length + 1), (row + 1) * (length + 1));
    const counts = new Float64Array(symbols).fill(1);
    for (const [at, value] of observeIdeally(chain.next, symbols, sequence).entries()) {
      if (at > 0) {
        // Position `at - 1` predicts the symbol `at`.
        ideal[at - 1]! += value.ideal / count;
        known[at - 1]! += value.known / count;
        distance[at - 1]! += value.distance / count;
        counted[at - 1]! -= Math.log(counts[sequence[at]!]! / (symbols + at)) / count;
      }
      counts[sequence[at]!]!++;
    }
  }
  const late = (losses: Float64Array): number => mean(losses.subarray(32, length));
  return {
    distance,
    losses: { learned, ideal, known },
    loss: { learned: late(learned), ideal: late(ideal), excess: late(learned) - late(ideal) },
    unadapted: late(counted) - late(ideal),
  };
}

/** The claims that need models of text. Reports them and gives the panels of the plot. */
async function measureTexts(
  reproduce: Context,
  characters: Int32Array,
  inClasses: Int32Array,
  split: number,
): Promise<Panel[]> {
  const { seed, report } = reproduce;
  const train = (
    name: string,
    size: SymbolModelSize,
    text: Int32Array,
    embeddings: SymbolEmbeddings,
    permute = 0,
  ): Promise<SymbolModel> =>
    openTrained(reproduce, {
      name,
      size,
      embeddings,
      steps: 1500,
      permute,
      draw: (count, time, key) =>
        sampleWindows(text.subarray(0, split), count, time, seed, name, key),
    });
  const heldOut = (text: Int32Array, count: number): SymbolBatch =>
    sampleWindows(text.subarray(split), count, context + 1, seed, "held-out");
  const vectors = (...keys: string[]): Random => createRandom(seed, "vectors", ...keys);
  const classWindows = heldOut(inClasses, 256);

  await using standard = await train("standard-classes", classSize, inClasses, "learned");
  await using free = await train("lexinvariant-classes", classSize, inClasses, "random");
  const losses = {
    standard: await lossByPosition(standard, classWindows, vectors("classes")),
    free: await lossByPosition(free, classWindows, vectors("classes")),
  };
  const gaps = ranges.map(
    ([from, to]) => mean(losses.free.subarray(from, to)) - mean(losses.standard.subarray(from, to)),
  );
  report("gap-closes", {
    measured: 100 * (1 - gaps.at(-1)! / gaps[0]!),
    details: { ranges, gapsInNats: gaps, losses: lossesByRange(losses) },
  });
  const cipher = await measureCipher(reproduce, free, inClasses, split);
  report("cipher", {
    measured: cipher.accuracy.at(-1)!.y,
    baseline: cipher.frequencies,
    baselineName: "symbols ranked by frequency in the same window",
    details: { byPosition: cipher.accuracy, ciphers: cipher.ciphers },
  });

  const letterWindows = heldOut(characters, 128);
  await using plain = await train("standard-letters", letterSize, characters, "learned");
  await using free27 = await train("lexinvariant-letters", letterSize, characters, "random");
  await using mixed = await train("renamed-letters", letterSize, characters, "learned", 0.2);
  const letterLosses = {
    standard: await lossByPosition(plain, letterWindows, vectors("letters")),
    free: await lossByPosition(free27, letterWindows, vectors("letters")),
    renamed: await lossByPosition(mixed, letterWindows, vectors("letters")),
  };
  const excess = ranges.map(([from, to]) => {
    const difference =
      mean(letterLosses.free.subarray(from, to)) - mean(letterLosses.standard.subarray(from, to));
    return Math.exp(difference) - 1;
  });
  report("gap-closes-letters", {
    measured: excess.at(-1)!,
    baseline: excess[0]!,
    baselineName: "positions 1 to 15",
    details: { ranges, excess, losses: lossesByRange(letterLosses) },
  });

  const names = createRandom(seed, "names").shuffle(Array.from(letters, (_, id) => id));
  const renamedWindows = { ...letterWindows, ids: letterWindows.ids.map((id) => names[id]!) };
  const cost = async (model: SymbolModel, before: Float64Array): Promise<number> =>
    mean(await lossByPosition(model, renamedWindows, vectors("renamed"))) - mean(before);
  report("renaming", {
    measured: Math.abs(await cost(free27, letterLosses.free)),
    baseline: await cost(plain, letterLosses.standard),
    baselineName: "the standard model",
  });

  const scores = {
    standard: await solveTasks(plain, seed),
    free: await solveTasks(free27, seed),
    renamed: await solveTasks(mixed, seed),
  };
  const baselineName = "the standard model";
  for (const task of ["lookup", "permutation"] as const) {
    report(task, { measured: scores.free[task], baseline: scores.standard[task], baselineName });
  }
  const both = ({ lookup, permutation }: TaskScores): number => (lookup + permutation) / 2;
  report("regularizer", {
    measured: both(scores.renamed),
    baseline: both(scores.standard),
    baselineName,
    details: { ...scores, losses: lossesByRange(letterLosses) },
  });
  return [
    {
      title: "Text in six classes of letters",
      kind: "line",
      x: { title: "position", scale: "log" },
      y: { title: "nats a symbol (held out)" },
      series: [series("standard", losses.standard), series("lexinvariant", losses.free)],
    },
    {
      title: "Text in 27 letters",
      kind: "line",
      x: { title: "position", scale: "log" },
      y: { title: "nats a symbol (held out)" },
      series: [
        series("standard", letterLosses.standard),
        series("one in five renamed", letterLosses.renamed),
        series("lexinvariant", letterLosses.free),
      ],
    },
    {
      title: "Substitution cipher, six symbols: key right",
      kind: "line",
      x: { title: "symbols read" },
      y: { title: "%", zero: true },
      series: [{ name: "probe and vote", points: cipher.accuracy }],
    },
    {
      title: "Tasks with random letters",
      kind: "bar",
      x: { title: "", scale: "category" },
      y: { title: "% right" },
      series: (["standard", "renamed", "free"] as const).map((name) => ({
        name: { standard: "standard", renamed: "one in five renamed", free: "lexinvariant" }[name],
        points: (["lookup", "permutation"] as const).map((task) => ({
          x: task,
          y: scores[name][task],
        })),
      })),
    },
  ];
}

interface TextTraining {
  readonly name: string;
  readonly size: SymbolModelSize;
  readonly embeddings: SymbolEmbeddings;
  readonly steps: number;
  readonly permute?: number;
  draw(count: number, time: number, key: number): SymbolBatch;
}

async function openTrained(reproduce: Context, training: TextTraining): Promise<SymbolModel> {
  const { config, parameters } = await trainSymbols(reproduce, {
    ...training,
    batch: training.size.context > 100 ? 8 : 16,
    learningRate: 0.006,
  });
  const { embeddings } = training;
  return openSymbolModel({ config, embeddings, parameters, threads: 1, inline: true });
}

/** Mean loss at each position, over the rows of a batch that is one symbol longer than what is read. */
async function lossByPosition(
  model: SymbolModel,
  whole: SymbolBatch,
  random: Random,
): Promise<Float64Array> {
  const { read, targets } = nextSymbols(whole);
  const { vocabSize } = model.config;
  const losses = new Float64Array(read.time);
  const rows = 32;
  for (let first = 0; first < read.batch; first += rows) {
    const count = Math.min(rows, read.batch - first);
    const ids = read.ids.subarray(first * read.time, (first + count) * read.time);
    const { logProbabilities } = await model.read({ batch: count, time: read.time, ids }, random);
    for (let at = 0; at < ids.length; at++) {
      const target = targets[first * read.time + at]!;
      losses[at % read.time]! -= logProbabilities[at * vocabSize + target]! / read.batch;
    }
  }
  return losses;
}

/** Accuracy of the key by symbols read, and that of ranking symbols by frequency. */
async function measureCipher(
  reproduce: Context,
  model: SymbolModel,
  text: Int32Array,
  split: number,
) {
  const { seed } = reproduce;
  await using probe = await trainProbe(reproduce, model, text.subarray(0, split));
  const ciphers = 200;
  const symbols = classes.length;
  const plain = sampleWindows(text.subarray(split), ciphers, context, seed, "ciphers");
  const ends = [25, 50, 100, 150, context];
  const right = new Float64Array(ends.length);
  const asked = new Float64Array(ends.length);
  let byFrequency = 0;
  const order = rankByFrequency(text.subarray(0, split), symbols);
  const random = createRandom(seed, "cipher-keys");
  for (let row = 0; row < ciphers; row++) {
    const names = random.shuffle(Array.from({ length: symbols }, (_, id) => id));
    const cipher = plain.ids.slice(row * context, (row + 1) * context).map((id) => names[id]!);
    const batch = { batch: 1, time: context, ids: cipher };
    const { hidden } = await model.read(batch, createRandom(seed, "cipher-vectors", row));
    const meanings = await probe.read(hidden);
    for (const [at, to] of ends.entries()) {
      const from = Math.max(0, to - 100);
      const key = voteKey(cipher, meanings, { from, to, symbols, meanings: symbols });
      for (const [id, name] of names.entries()) {
        if (key.meanings[name] === -1) continue;
        asked[at]!++;
        if (key.meanings[name] === id) right[at]!++;
      }
    }
    const window = cipher.subarray(context - 100);
    for (const [rank, symbol] of rankByFrequency(window, symbols).entries()) {
      if (window.includes(symbol) && names[order[rank]!] === symbol) byFrequency++;
    }
  }
  return {
    ciphers,
    accuracy: ends.map((x, at) => ({ x, y: (100 * right[at]!) / asked[at]! })),
    frequencies: (100 * byFrequency) / asked.at(-1)!,
  };
}

/** Symbols, most frequent first. */
function rankByFrequency(ids: Int32Array, symbols: number): number[] {
  const counts = new Float64Array(symbols);
  for (const id of ids) counts[id]!++;
  return [...counts.keys()].sort((a, b) => counts[b]! - counts[a]! || a - b);
}

/** The probe of the paper: two layers, then logits against a learned, fixed table. */
async function trainProbe(
  reproduce: Context,
  model: SymbolModel,
  text: Int32Array,
): Promise<Probe> {
  const { seed, signal, progress, charge, folder } = reproduce;
  const { hiddenSize } = model.config;
  const shapes = probeParameterShapes({ width: hiddenSize, inner: 128, meanings: classes.length });
  const graph = objectiveGraph(
    { hidden: float32(["rows", hiddenSize]), targets: int32(["rows"]) },
    shapes,
    [...shapes.keys()],
    ({ hidden, targets }) => ({
      loss: sum(crossEntropyRows(probeMeanings(hidden!, shapes), targets!)),
      weight: sum(fill(["rows"], 1)),
    }),
  );
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of shapes) {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = sampleSymbols(createRandom(seed, "probe", name), count);
    const scale = name.endsWith("bias") ? 0 : 1 / Math.sqrt(hiddenSize);
    parameters.set(name, { shape, data: data.map((value) => scale * value) });
  }
  const steps = 300;
  await using trainer = await openTrainer({
    graph,
    parameters,
    optimizer: adamW({ weightDecay: 0.01, maxNorm: 1 }),
    schedule: { kind: "cosine", peak: 0.004, warmupSteps: 20, steps },
    threads: 1,
    inline: true,
  });
  const { earlierSeconds } = await trainResumably(trainer, {
    folder: await folder("probe", { steps }),
    steps,
    signal,
    async batch(step) {
      const windows = sampleWindows(text, 4, context, seed, "probe", step);
      const { hidden } = await model.read(windows, createRandom(seed, "probe-vectors", step));
      return [
        {
          hidden: { dtype: "float32", shape: [4 * context, hiddenSize], data: hidden },
          targets: { dtype: "int32", shape: [4 * context], data: windows.ids },
        },
      ];
    },
    onStep: ({ step, loss }) =>
      progress(`training the probe, loss ${loss.toFixed(3)}`, step, steps),
  });
  charge(earlierSeconds);
  return openProbe(await trainer.parameters(), { threads: 1 });
}

interface TaskScores {
  /** Percent of symbols right. */
  readonly lookup: number;
  readonly permutation: number;
}

/** Accuracy on both tasks with letters drawn uniformly; the space separates. */
async function solveTasks(model: SymbolModel, seed: number): Promise<TaskScores> {
  const space = letters.indexOf(" ");
  const symbols = Array.from(letters, (_, id) => id).filter((id) => id !== space);
  const some = { symbols, separator: [space] };
  const random = createRandom(seed, "tasks");
  const lookups = Array.from({ length: 1000 }, () => lookupTask({ ...some, random, entries: 6 }));
  const reorderings = Array.from({ length: 1000 }, () =>
    permutationTask({ ...some, random, arrow: [space], length: 3, demonstrations: 6 }),
  );
  return {
    lookup: await scoreTasks(model, lookups, createRandom(seed, "lookup-vectors")),
    permutation: await scoreTasks(model, reorderings, createRandom(seed, "permutation-vectors")),
  };
}

/** Percent of answer symbols that are the most probable ones, given those before. */
async function scoreTasks(
  model: SymbolModel,
  tasks: readonly SymbolTask[],
  random: Random,
): Promise<number> {
  const { vocabSize } = model.config;
  const time = tasks[0]!.prompt.length + tasks[0]!.answer.length - 1;
  const rows = 100;
  let right = 0;
  let asked = 0;
  for (let first = 0; first < tasks.length; first += rows) {
    const some = tasks.slice(first, first + rows);
    const ids = new Int32Array(some.length * time);
    for (const [row, { prompt, answer }] of some.entries()) {
      ids.set(prompt, row * time);
      ids.set(answer.subarray(0, -1), row * time + prompt.length);
    }
    const { logProbabilities } = await model.read({ batch: some.length, time, ids }, random);
    for (const [row, { prompt, answer }] of some.entries()) {
      for (const [at, symbol] of answer.entries()) {
        const from = (row * time + prompt.length - 1 + at) * vocabSize;
        const own = logProbabilities.subarray(from, from + vocabSize);
        asked++;
        if (own.every((value, id) => id === symbol || value < own[symbol]!)) right++;
      }
    }
  }
  return (100 * right) / asked;
}

function lossesByRange(
  losses: Readonly<Record<string, Float64Array>>,
): Record<string, readonly number[]> {
  return Object.fromEntries(
    Object.entries(losses).map(([name, own]) => [
      name,
      ranges.map(([from, to]) => mean(own.subarray(from, to))),
    ]),
  );
}

/** A curve by position, smoothed over neighbours whose number grows with the position. */
function series(name: string, values: Float64Array, dashed = false): Series {
  const points: { x: number; y: number }[] = [];
  for (let from = 0; from < values.length; ) {
    const to = Math.min(values.length, Math.max(from + 1, Math.floor(from * 1.2)));
    points.push({ x: (from + to + 1) / 2, y: mean(values.subarray(from, to)) });
    from = to;
  }
  return { name, points, dashed };
}

function mean(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

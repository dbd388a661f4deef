/** The claims of the reproduction that need models of text. */

import { createRandom, type Random } from "../../core/index.ts";
import type { Panel } from "../../reproduce/index.ts";
import type { SymbolBatch, SymbolEmbeddings } from "./lexinvariant.ts";
import { measureCipher } from "./reproduction-cipher.ts";
import { lossByPosition, lossesByRange, mean, ranges, series } from "./reproduction-curves.ts";
import {
  type Context,
  classSize,
  context,
  letterSize,
  openTrained,
} from "./reproduction-models.ts";
import { solveTasks, type TaskScores } from "./reproduction-tasks.ts";
import { letters, type SymbolModelSize, sampleWindows } from "./reproduction-training.ts";
import type { SymbolModel } from "./symbol-model.ts";

/** The claims that need models of text. Reports them and gives the panels of the plot. */
export async function measureTexts(
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

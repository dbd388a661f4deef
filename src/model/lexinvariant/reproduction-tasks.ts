/** The reproduction's tasks in context: lookup tables and reorderings of random letters. */

import { createRandom, type Random } from "../../core/index.ts";
import { letters } from "./reproduction-training.ts";
import type { SymbolModel } from "./symbol-model.ts";
import { lookupTask, permutationTask, type SymbolTask } from "./tasks.ts";

export interface TaskScores {
  /** Percent of the symbols of each task that are right. */
  readonly lookup: readonly number[];
  readonly permutation: readonly number[];
}

/** Accuracy on both tasks with letters drawn uniformly; the space separates. */
export async function solveTasks(model: SymbolModel, seed: number): Promise<TaskScores> {
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

/** Percent of each answer's symbols that are the most probable ones, given those before. */
async function scoreTasks(
  model: SymbolModel,
  tasks: readonly SymbolTask[],
  random: Random,
): Promise<number[]> {
  const { vocabSize } = model.config;
  const time = tasks[0]!.prompt.length + tasks[0]!.answer.length - 1;
  const rows = 100;
  const scores: number[] = [];
  for (let first = 0; first < tasks.length; first += rows) {
    const some = tasks.slice(first, first + rows);
    const ids = new Int32Array(some.length * time);
    for (const [row, { prompt, answer }] of some.entries()) {
      ids.set(prompt, row * time);
      ids.set(answer.subarray(0, -1), row * time + prompt.length);
    }
    const { logProbabilities } = await model.read({ batch: some.length, time, ids }, random);
    for (const [row, { prompt, answer }] of some.entries()) {
      let right = 0;
      for (const [at, symbol] of answer.entries()) {
        const from = (row * time + prompt.length - 1 + at) * vocabSize;
        const own = logProbabilities.subarray(from, from + vocabSize);
        if (own.every((value, id) => id === symbol || value < own[symbol]!)) right++;
      }
      scores.push((100 * right) / answer.length);
    }
  }
  return scores;
}

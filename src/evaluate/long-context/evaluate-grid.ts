/** A grid of cells measured, with the effective context limits that follow. */
import { JetonError } from "../../core/index.ts";
import { type EffectiveLimit, effectiveLimit } from "./accuracy.ts";
import {
  type AskingOptions,
  type CellResult,
  evaluateCells,
  type PlannedCell,
} from "./evaluate-cells.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";

/** The effective context at one difficulty. */
export interface DifficultyLimit extends EffectiveLimit {
  readonly difficulty: number;
  /** Share of the model's window in characters, where the window is known. */
  readonly windowShare: number | null;
}

/** The effective contexts of cells that belong together: a line through their plot. */
export interface GroupLimits {
  readonly group: string;
  readonly axis: string;
  readonly limits: readonly DifficultyLimit[];
}

/** What an evaluation finds. */
export interface EvaluationReport {
  /** Its name on the command line. */
  readonly evaluation: string;
  readonly model: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Accuracy that ends the effective context. */
  readonly threshold: number;
  /** Longest sequence of the model in tokens; null where it is not known. */
  readonly contextLength: number | null;
  /** The same in characters of such contexts, by the model's own tokenizer; null where that is not known. */
  readonly windowCharacters: number | null;
  readonly cells: readonly CellResult[];
  readonly limits: readonly GroupLimits[];
}

/** How a grid is measured, the same in every evaluation. */
export interface MeasureGridOptions extends AskingOptions {
  /** Accuracy that ends the effective context. Default 0.75. */
  readonly threshold?: number;
}

/** Options of `evaluateGrid`. */
export interface EvaluateGridOptions extends MeasureGridOptions {
  readonly evaluation: string;
  /** What the questions are made from; kept answers to other settings are refused. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * Asks the questions of all cells and computes the limits.
 *
 * @throws JetonError `evaluation-grid-empty`, `evaluation-threshold-invalid`, and those of `evaluateCells`
 */
export async function evaluateGrid(
  model: EvaluatedModel,
  cells: readonly PlannedCell[],
  options: EvaluateGridOptions,
): Promise<EvaluationReport> {
  const { evaluation, settings, threshold = 0.75, answers, signal, onProgress } = options;
  if (cells.length === 0) {
    throw new JetonError("the grid has no cell: its contexts are too short for what is asked", {
      code: "evaluation-grid-empty",
      details: { evaluation, settings },
    });
  }
  if (!(threshold > 0 && threshold <= 1)) {
    throw new JetonError(`the threshold is ${String(threshold)}, expected more than 0, at most 1`, {
      code: "evaluation-threshold-invalid",
      details: { found: threshold, expected: "more than 0, at most 1" },
    });
  }
  const results = await evaluateCells(model, cells, {
    answers,
    settings: { evaluation, ...settings },
    signal,
    onProgress,
  });
  const windowCharacters = measureWindow(model, cells);
  return {
    evaluation,
    model: model.name,
    settings,
    threshold,
    contextLength: model.trainedLength ?? model.contextLength ?? null,
    windowCharacters,
    cells: results,
    limits: limitsOf(results, threshold, windowCharacters),
  };
}

/** Characters that a model's window holds of such prompts, counted on one of at least a few thousand if there is one. */
function measureWindow(model: EvaluatedModel, cells: readonly PlannedCell[]): number | null {
  const { countTokens } = model;
  const contextLength = model.trainedLength ?? model.contextLength;
  if (contextLength === undefined || countTokens === undefined) return null;
  const bySize = [...cells].sort((a, b) => a.characters - b.characters);
  const cell = bySize.find(({ characters }) => characters >= 4000) ?? bySize.at(-1)!;
  const { prompt } = cell.question(0);
  return Math.round((prompt.length / countTokens(prompt)) * contextLength);
}

/** The limits of each group, by difficulty. Skipped cells are no part of it. */
export function limitsOf(
  cells: readonly CellResult[],
  threshold: number,
  windowCharacters: number | null = null,
): GroupLimits[] {
  const groups = [...new Set(cells.map(({ group }) => group))];
  return groups.map((group) => {
    const own = cells.filter((cell) => cell.group === group);
    const difficulties = [...new Set(own.map(({ difficulty }) => difficulty))];
    const limits = difficulties.flatMap((difficulty): DifficultyLimit[] => {
      const points = own
        .filter((cell) => cell.difficulty === difficulty && cell.accuracy !== null)
        .map(({ characters, accuracy }) => ({ characters, accuracy: accuracy! }))
        .sort((a, b) => a.characters - b.characters);
      const limit = effectiveLimit(points, threshold);
      if (limit === undefined) return [];
      const windowShare = windowCharacters === null ? null : limit.characters / windowCharacters;
      return [{ difficulty, ...limit, windowShare }];
    });
    return { group, axis: own[0]!.axis, limits };
  });
}

/**
 * Needle Threading: how much of its context a model can really use, from one lookup to chains of lookups
 * (Roberts, Han, Albanie, 2025).
 */
import { checkOptionNames } from "../../core/option-rules.ts";
import {
  type EvaluatedModel,
  type EvaluationReport,
  evaluateGrid,
  type MeasureGridOptions,
  type PlannedCell,
  type Question,
} from "../long-context/index.ts";
import { haystackLength, type NeedleWording, needleOptionError, uuidLength } from "./haystack.ts";
import {
  type MakeNeedleItemOptions,
  makeNeedleItem,
  type NeedlePlacement,
  type NeedleSettings,
  type NeedleTask,
  needlePlacements,
  needleTasks,
  pairsNeeded,
  type ThreadDirection,
  threadDirections,
} from "./needle-item.ts";
import { isAnswered, scoreAnswer } from "./score-answer.ts";

/** The grid: which cells are measured. */
export interface NeedleGrid {
  readonly tasks: readonly NeedleTask[];
  /** Sizes of haystacks in pairs of 80 characters (with UUIDs). */
  readonly pairs: readonly number[];
  /** `single`: depths in percent. */
  readonly depths: readonly number[];
  /** `multiple`, `conditional`: numbers of needles. */
  readonly needles: readonly number[];
  readonly placements: readonly NeedlePlacement[];
  /** `threading`, `branched-threading`: lookups of a thread. */
  readonly threadLengths: readonly number[];
  readonly directions: readonly ThreadDirection[];
  /** `multi-threading`: numbers of threads, each of `lookups` lookups. */
  readonly threads: readonly number[];
  readonly lookups: number;
  /** Questions of a cell. */
  readonly repeats: number;
}

/** The grid of the paper; its sizes are given there in tokens (1.2k to 630k), here in pairs. */
export const paperGrid: NeedleGrid = {
  tasks: ["single", "multiple", "conditional", "threading", "multi-threading"],
  pairs: [25, 50, 100, 200, 400, 650, 1300, 2600, 3700, 5200, 10_400, 13_000],
  depths: [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
  needles: [1, 2, 3, 4, 5, 10, 15, 20, 25],
  placements: ["random", "clustered"],
  threadLengths: [2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25],
  directions: ["forward", "backward", "random"],
  threads: [2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 25],
  lookups: 3,
  repeats: 5,
};

/** A grid of about a tenth of the paper's questions, the default. */
export const smallGrid: NeedleGrid = {
  ...paperGrid,
  pairs: [25, 50, 100, 200, 400],
  depths: [0, 25, 50, 75, 100],
  needles: [2, 5, 10],
  placements: ["random"],
  threadLengths: [2, 3, 5],
  directions: ["forward", "backward"],
  threads: [2, 5],
};

/** Options of `evaluateNeedleThreading`. */
export interface EvaluateNeedleThreadingOptions extends MeasureGridOptions {
  /** Parts of the grid; what is left out is that of `smallGrid`. */
  readonly grid?: Partial<NeedleGrid>;
  /** Default 0. Repeat r draws its haystack as Python does after `random.seed(seed + r)`. */
  readonly seed?: number;
  /** Characters of a code, see `samplePairs`. Default 36, UUIDs, as published. */
  readonly codeLength?: number;
  /** Default `"json"`, as published. */
  readonly wording?: NeedleWording;
}

/**
 * Measures a model on a grid. Cells that do not fit its context are skipped and say so.
 *
 * @example
 * const report = await evaluateNeedleThreading(evaluateLocally(model), {
 *   grid: { tasks: ["single"], pairs: [5], depths: [0, 100], repeats: 2 },
 * });
 * console.log(report.cells[0]?.accuracy, report.limits[0]?.limits[0]?.characters);
 *
 * @throws JetonError `needle-option-invalid`, `evaluation-grid-empty`, `evaluation-answers-foreign`, and those of the model
 */
export function evaluateNeedleThreading(
  model: EvaluatedModel,
  options: EvaluateNeedleThreadingOptions = {},
): Promise<EvaluationReport> {
  const { seed = 0, codeLength = uuidLength, wording = "json" } = options;
  const cells = planNeedleThreading({ ...options, seed, codeLength, wording });
  return evaluateGrid(model, cells, {
    ...options,
    evaluation: "needle-threading",
    settings: { seed, codeLength, wording },
  });
}

/** The cells of a grid. Cells whose needles or threads need more pairs than their haystack has are left out. */
export function planNeedleThreading(
  options: Pick<EvaluateNeedleThreadingOptions, "grid" | "seed" | "codeLength" | "wording"> = {},
): PlannedCell[] {
  const { seed = 0, codeLength = uuidLength, wording = "json" } = options;
  const grid: NeedleGrid = { ...smallGrid, ...options.grid };
  checkGrid(grid);
  return grid.tasks
    .flatMap((task) => grid.pairs.flatMap((pairs) => listSettings(task, pairs, grid)))
    .filter(({ settings }) => pairsNeeded(settings) <= settings.pairs)
    .map(({ settings, group, axis, difficulty }) => ({
      group,
      axis,
      difficulty,
      characters: haystackLength(settings.pairs, codeLength, wording),
      questions: grid.repeats,
      question: (repeat) => makeQuestion(settings, { seed, repeat, codeLength, wording }),
    }));
}

function checkGrid(grid: NeedleGrid): void {
  const what = "a grid of needle threading";
  checkOptionNames(grid, Object.keys(smallGrid), { what, invalidCode: "needle-option-invalid" });
  const choices = [
    ["task", grid.tasks, needleTasks],
    ["placements", grid.placements, needlePlacements],
    ["directions", grid.directions, threadDirections],
  ] as const;
  for (const [name, found, known] of choices) {
    const unknown = found.find((choice) => !known.some((one) => one === choice));
    if (unknown !== undefined) throw needleOptionError(name, unknown, known.join(", "));
  }
  for (const name of ["repeats", "lookups"] as const) {
    if (!Number.isSafeInteger(grid[name]) || grid[name] < 1)
      throw needleOptionError(name, grid[name], "from 1");
  }
  const counts = ["pairs", "needles", "threadLengths", "threads"] as const;
  for (const name of counts) {
    const wrong = grid[name].find((count) => !Number.isSafeInteger(count) || count < 1);
    if (wrong !== undefined) throw needleOptionError(name, wrong, "integers from 1");
  }
  const depth = grid.depths.find((percent) => !(percent >= 0 && percent <= 100));
  if (depth !== undefined) throw needleOptionError("depths", depth, "numbers from 0 to 100");
}

interface GridPlace {
  readonly settings: NeedleSettings;
  readonly group: string;
  readonly axis: string;
  readonly difficulty: number;
}

function listSettings(task: NeedleTask, pairs: number, grid: NeedleGrid): GridPlace[] {
  const base = { task, pairs };
  if (task === "single") {
    return grid.depths.map((depth) => ({
      settings: { ...base, depth },
      group: task,
      axis: "depth, %",
      difficulty: depth,
    }));
  }
  if (task === "multiple" || task === "conditional") {
    return grid.placements.flatMap((placement) =>
      grid.needles.map((needles) => ({
        settings: { ...base, needles, placement },
        group: `${task}, ${placement}`,
        axis: "needles",
        difficulty: needles,
      })),
    );
  }
  const isMany = task === "multi-threading";
  // A branch needs a pair between the first and the last.
  const lengths = grid.threadLengths.filter((length) => task === "threading" || length >= 3);
  return grid.directions.flatMap((direction) =>
    (isMany ? grid.threads : lengths).map((difficulty) => ({
      settings: isMany
        ? { ...base, threads: difficulty, threadLength: grid.lookups, direction }
        : { ...base, threadLength: difficulty, direction },
      group: isMany ? `${task}, ${direction}, ${grid.lookups} lookups` : `${task}, ${direction}`,
      axis: isMany ? "threads" : "lookups",
      difficulty,
    })),
  );
}

function makeQuestion(
  settings: NeedleSettings,
  options: Required<MakeNeedleItemOptions>,
): Question {
  const { codeLength, repeat } = options;
  const item = makeNeedleItem(settings, options);
  const expected = item.values.length === 1 ? ` ${item.values[0]}` : JSON.stringify(item.values);
  return {
    id: `${JSON.stringify(settings)} ${repeat}`,
    prompt: `${item.haystack}\n${item.question}`,
    expected,
    // Keys may be repeated beside their values, and some prose go before them.
    maxCharacters: 3 * expected.length + 120,
    score(answer) {
      const { precision, ...score } = scoreAnswer(answer, item, codeLength);
      return item.values.length > 1 || settings.task === "conditional"
        ? { ...score, precision }
        : score;
    },
    isComplete: (text) => isAnswered(text, item, codeLength),
  };
}

/** Asks a model the questions of a grid of cells, and remembers every answer. */
import { JetonError } from "../../core/index.ts";
import { type BinomialInterval, binomialInterval } from "./accuracy.ts";
import { type AnswerRecord, openAnswers } from "./answers-file.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";

/** A question with what scores its answer. */
export interface Question {
  /** Names the question among all that the same settings make; answers are remembered by it. */
  readonly id: string;
  readonly prompt: string;
  /** A right answer, for the space that it needs. */
  readonly expected: string;
  /** Characters after which an answer is cut. */
  readonly maxCharacters: number;
  score(answer: string): QuestionScore;
  /** True once more text cannot change the accuracy. */
  isComplete?(text: string): boolean;
}

/** What an answer is worth; all numbers in [0, 1]. */
export interface QuestionScore {
  readonly accuracy: number;
  readonly isExact: boolean;
  readonly precision?: number;
}

/** Where a cell stands in the grid. */
export interface CellPlace {
  /** Cells that belong into one plot, e.g. a task with its placement. */
  readonly group: string;
  /** What varies across the plot, e.g. `"depth"`. */
  readonly axis: string;
  readonly difficulty: number;
  /** Characters of the context, without the question. */
  readonly characters: number;
}

/** A cell that will be asked about. Questions are made when they are asked: contexts may be long. */
export interface PlannedCell extends CellPlace {
  readonly questions: number;
  question(repeat: number): Question;
}

/** What was found in a cell. */
export interface CellResult extends CellPlace {
  readonly questions: number;
  /** Mean over the questions, in [0, 1]; null for a skipped cell. */
  readonly accuracy: number | null;
  /** Wilson's 95 % interval of the accuracy. */
  readonly interval: BinomialInterval | null;
  /** Accuracy of each question, in the order of the repeats; empty for a skipped cell. */
  readonly scores: readonly number[];
  /** Share of the questions answered with all values and nothing else. */
  readonly exact: number | null;
  /** Mean share of right values among the answered ones, where the task asks for several. */
  readonly precision: number | null;
  /** Why the cell was left out: its prompt and answer are longer than the model's context. */
  readonly skipped?: "context";
}

/** How questions are asked, the same in every evaluation. */
export interface AskingOptions {
  /**
   * JSON lines to which every answer is added at once; answers that it has already are not asked for again. Default:
   * answers are not kept.
   */
  readonly answers?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each question. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Options of `evaluateCells`. */
export interface EvaluateCellsOptions extends AskingOptions {
  /** What the questions were made from; answers to other settings are refused. Anything that JSON can hold. */
  readonly settings: unknown;
}

/** What is known of a cell while it is measured. */
interface OpenCell {
  readonly cell: PlannedCell;
  readonly scores: QuestionScore[];
  isTooLong: boolean;
}

/**
 * Asks all questions of all cells. A cell of which any question does not fit the model's context, with its answer, is
 * skipped as a whole and said so; nothing is ever cut.
 *
 * @throws JetonError `evaluation-answers-foreign`, `evaluation-answers-damaged`, and those of the model
 */
export async function evaluateCells(
  model: EvaluatedModel,
  cells: readonly PlannedCell[],
  options: EvaluateCellsOptions,
): Promise<CellResult[]> {
  const { signal, onProgress, settings } = options;
  const answers = await openAnswers(options.answers, { model: model.name, settings });
  try {
    const open = cells.map((cell): OpenCell => ({ cell, scores: [], isTooLong: false }));
    const total = cells.reduce((sum, { questions }) => sum + questions, 0);
    const waiting = listQuestions(open);
    let done = 0;
    const work = async (): Promise<void> => {
      for (const { cell, repeat } of waiting) {
        signal?.throwIfAborted();
        await askOnce(model, cell, repeat, { answers, signal });
        onProgress?.(++done, total);
      }
    };
    await Promise.all(Array.from({ length: Math.max(1, model.concurrency) }, work));
    return open.map(resultOf);
  } finally {
    await answers.close();
  }
}

/** One iterator that all workers share. */
function* listQuestions(open: readonly OpenCell[]): Generator<{ cell: OpenCell; repeat: number }> {
  for (const cell of open) {
    for (let repeat = 0; repeat < cell.cell.questions; repeat++) yield { cell, repeat };
  }
}

async function askOnce(
  model: EvaluatedModel,
  open: OpenCell,
  repeat: number,
  { answers, signal }: { answers: AnswerRecord; signal: AbortSignal | undefined },
): Promise<void> {
  if (open.isTooLong) return;
  const question = open.cell.question(repeat);
  if (!fits(model, question)) {
    open.isTooLong = true;
    return;
  }
  let answer = answers.get(question.id);
  if (answer === undefined) {
    try {
      answer = await model.answer(question.prompt, {
        maxCharacters: question.maxCharacters,
        ...(question.isComplete && { isComplete: question.isComplete }),
        signal,
      });
    } catch (error) {
      const isTooLong = JetonError.isInstance(error) && error.code === "endpoint-context-exceeded";
      if (!isTooLong) throw error;
      open.isTooLong = true;
      return;
    }
    await answers.add(question.id, answer);
  }
  open.scores[repeat] = question.score(answer);
}

/** Whether prompt and a right answer fit; yes where it is not known. */
function fits({ contextLength, countTokens }: EvaluatedModel, question: Question): boolean {
  if (contextLength === undefined || countTokens === undefined) return true;
  return countTokens(question.prompt + question.expected) < contextLength;
}

function resultOf({ cell, scores, isTooLong }: OpenCell): CellResult {
  const { group, axis, difficulty, characters, questions } = cell;
  const place = { group, axis, difficulty, characters, questions };
  if (isTooLong) {
    const nothing = { accuracy: null, interval: null, scores: [], exact: null, precision: null };
    return { ...place, ...nothing, skipped: "context" };
  }
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const accuracy = mean(scores.map((score) => score.accuracy));
  const precisions = scores.flatMap(({ precision }) =>
    precision === undefined ? [] : [precision],
  );
  return {
    ...place,
    accuracy,
    interval: binomialInterval(accuracy * scores.length, scores.length),
    scores: scores.map((score) => score.accuracy),
    exact: mean(scores.map(({ isExact }) => (isExact ? 1 : 0))),
    precision: precisions.length > 0 ? mean(precisions) : null,
  };
}

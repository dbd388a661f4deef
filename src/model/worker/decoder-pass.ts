/** What one run of the decoder's graph computes: which slots, how many rows, and which are wanted. */
import { JetonError } from "../../core/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { SequenceStep } from "../types.ts";

/** A step of one sequence, named by its handle. */
export interface HandleStep extends Omit<SequenceStep, "slot"> {
  readonly handle: number;
  /** Which of `ids` the caller did not give: they have no results. Default: none. */
  readonly inserted?: ReadonlySet<number>;
  /** Rows of the sequence's last uncommitted step that enter the cache first. Default: none do. */
  readonly accept?: readonly number[];
}

/** One run of the graph: slots `first` to `first + batch`, `time` rows each. */
export interface Pass {
  readonly steps: readonly HandleStep[];
  /** Slot of each step. */
  readonly indices: readonly number[];
  readonly first: number;
  readonly batch: number;
  readonly time: number;
  /** Flat indices of the wanted rows, step after step, filled up to whole tiles. */
  readonly rows: readonly number[];
  /** Whether any row is wanted; otherwise `rows` names one that is ignored. */
  readonly wantsRows: boolean;
  /** Tokens to return for each wanted row. */
  readonly candidates: number;
}

/**
 * Plans one run over steps of sequences in these slots.
 *
 * @param tile all new rows and the wanted rows are a multiple of this
 */
export function planPass(
  config: DecoderConfig,
  steps: readonly HandleStep[],
  indices: readonly number[],
  tile: number,
): Pass {
  checkTargets(config, steps);
  const first = Math.min(...indices);
  const batch = Math.max(...indices) - first + 1;
  let time = Math.max(...steps.map((step) => step.ids.length));
  while ((batch * time) % tile > 0) time++;
  const rows = steps.flatMap((step, order) => {
    const start = (indices[order]! - first) * time;
    if (step.results === "none") return [];
    const own = [...step.ids.keys()].filter((at) => !step.inserted?.has(at));
    return (step.results === "all" ? own : own.slice(-1)).map((at) => start + at);
  });
  const wantsRows = rows.length > 0;
  if (!wantsRows) rows.push(0);
  while (rows.length % tile > 0) rows.push(rows[0]!);
  const candidates = Math.min(
    config.vocabSize,
    Math.max(1, ...steps.map((step) => step.topK ?? 1)),
  );
  return { steps, indices, first, batch, time, rows, wantsRows, candidates };
}

/** Targets are ids of the head, which may have fewer rows than the embeddings (a model of several vocabularies). */
function checkTargets({ vocabSize }: DecoderConfig, steps: readonly HandleStep[]): void {
  for (const { targets = [] } of steps) {
    const unknown = targets.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
    if (unknown === undefined) continue;
    throw new JetonError(`the head has no token ${unknown}, expected 0 to ${vocabSize - 1}`, {
      code: "model-token-unknown",
      details: { id: unknown, vocabulary: vocabSize },
    });
  }
}

/** Number of rows whose results a step wants. */
export function wantedRows(step: HandleStep): number {
  const { results, ids } = step;
  return results === "none" ? 0 : results === "all" ? wantedBefore(step, ids.length) : 1;
}

/** Rows before `end` that a step gets results of, where it wants all. */
export function wantedBefore({ inserted }: HandleStep, end: number): number {
  return end - [...(inserted ?? [])].filter((at) => at < end).length;
}

/** Which of the ids from `start` to before `end` are inserted ones. */
export function cutInserted(
  { inserted }: HandleStep,
  start: number,
  end: number,
): Pick<HandleStep, "inserted"> {
  if (!inserted) return {};
  const own = [...inserted].filter((at) => at >= start && at < end);
  return { inserted: new Set(own.map((at) => at - start)) };
}

/**
 * Ids by which cached rows are found again; rows made from embeddings have none, nor have those that lack
 * the later layers.
 */
export function knownIds(step: HandleStep): number[] {
  return step.embeddings || step.promptScores
    ? new Array<number>(step.ids.length).fill(Number.NaN)
    : Array.from(step.ids);
}

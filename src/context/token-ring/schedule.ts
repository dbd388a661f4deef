/**
 * The schedule of TokenRing: what every rank sends, computes and receives in every step. The simulator, worker threads and
 * processes all follow these operations, so that what is simulated is what runs.
 */
import {
  checkOptionRules,
  checkRequired,
  flagRule,
  type OptionRule,
  positiveRule,
} from "../../core/option-rules.ts";

/** Rows of a rank's shard: all, or the back half. */
export type QueryRows = "all" | "back";

/** What a message carries: queries on their way round, or a result on its way home. */
export type MessageKind = "query" | "result";

interface At {
  readonly rank: number;
  readonly step: number;
}

/** Sends to `peer`: the held queries, or the result of `step` to the owner of its queries. */
export interface SendOperation extends At {
  readonly type: "send";
  readonly kind: MessageKind;
  readonly peer: number;
  readonly rows: QueryRows;
}

/** Receives from `peer`: the queries of the next step, or a result for the rank's own queries, computed in `step`. */
export interface ReceiveOperation extends At {
  readonly type: "receive";
  readonly kind: MessageKind;
  readonly peer: number;
  readonly rows: QueryRows;
}

/** Attends with the held queries, those of `owner`, to the rank's own keys and values. */
export interface ComputeOperation extends At {
  readonly type: "compute";
  readonly owner: number;
  readonly rows: QueryRows;
  /** Keys of the shard that are attended to: all, or the front half. */
  readonly keys: "all" | "front";
  /** Each query sees the keys up to its own place; both are the rank's own. */
  readonly isCausal: boolean;
}

/** One operation. Within a rank they are in the order in which they begin; receives wait. */
export type RingOperation = SendOperation | ReceiveOperation | ComputeOperation;

/** A schedule. */
export interface RingSchedule {
  readonly ranks: number;
  readonly isCausal: boolean;
  /** Of each rank, in order. */
  readonly operations: readonly (readonly RingOperation[])[];
}

/** Options of `planTokenRing`. */
export interface PlanTokenRingOptions {
  /** Number of ranks, at least 1. */
  readonly ranks: number;
  /**
   * True: each token attends to those before it. The sequence is cut into 2 N chunks, and rank r holds the chunks r and
   * 2 N - 1 - r (zigzag), so that all ranks compute the same amount. False: everything attends to everything.
   */
  readonly causal: boolean;
  /**
   * True (default): messages of a step travel while it computes. False: they are waited for before it computes, for
   * comparison.
   */
  readonly overlap?: boolean;
}

/**
 * Checks the options of a ring, which all have `ranks`.
 *
 * @throws JetonError `ring-option-invalid`
 */
export function checkRingOptions(
  options: { readonly ranks: number },
  rules: Readonly<Record<string, OptionRule>>,
): void {
  const code = "ring-option-invalid";
  const ranks: OptionRule = { test: positiveRule.test, expected: "an integer from 1" };
  checkOptionRules(options, { ranks, ...rules }, { what: "a ring", invalidCode: code });
  checkRequired(options, { ranks }, code);
}

/**
 * Plans one attention over a ring. Queries move one rank a step, results go straight to the owner of their queries, a step
 * after they were computed; the last ones after the last step.
 *
 * @throws JetonError `ring-option-invalid`
 */
export function planTokenRing(options: PlanTokenRingOptions): RingSchedule {
  checkRingOptions(options, { causal: flagRule, overlap: flagRule });
  const { ranks, causal, overlap = true } = options;
  const operations = Array.from({ length: ranks }, (_, rank) => {
    const own = planRank(rank, ranks, causal);
    return overlap ? own : waitFirst(own);
  });
  return { ranks, isCausal: causal, operations };
}

/** The same operations, with each computation after the receives of its step and before the sends of the next. */
function waitFirst(operations: readonly RingOperation[]): RingOperation[] {
  const result: RingOperation[] = [];
  let waiting: ComputeOperation | undefined;
  for (const operation of operations) {
    if (operation.type === "send" && waiting !== undefined) {
      result.push(waiting);
      waiting = undefined;
    }
    if (operation.type === "compute") waiting = operation;
    else result.push(operation);
  }
  return waiting === undefined ? result : [...result, waiting];
}

function planRank(rank: number, ranks: number, causal: boolean): RingOperation[] {
  const modulo = (value: number): number => ((value % ranks) + ranks) % ranks;
  // Causal: queries move down and results up; otherwise the other way round. Either way may be mirrored.
  const toward = causal ? -1 : 1;
  /** Owner of the queries that a rank holds at a step, counted on without wrapping. */
  const ownerOf = (holder: number, step: number): number => holder - toward * step;
  /** Queries that came over the end of the ring are later than all keys of the front half. */
  const rowsOf = (holder: number, step: number): QueryRows =>
    causal && ownerOf(holder, step) >= ranks ? "back" : "all";
  const operations: RingOperation[] = [];
  const add = (operation: RingOperation): void => void operations.push(operation);
  const returnResult = (step: number): void => {
    const owner = modulo(ownerOf(rank, step));
    add({ type: "send", rank, step, kind: "result", peer: owner, rows: rowsOf(rank, step) });
  };
  const awaitResult = (step: number): void => {
    const holder = modulo(rank + toward * step);
    add({ type: "receive", rank, step, kind: "result", peer: holder, rows: rowsOf(holder, step) });
  };
  for (let step = 0; step < ranks; step++) {
    const moves = step + 1 < ranks;
    const next = modulo(rank + toward);
    if (moves) {
      add({ type: "send", rank, step, kind: "query", peer: next, rows: rowsOf(next, step + 1) });
    }
    if (step >= 2) returnResult(step - 1);
    const rows = rowsOf(rank, step);
    add({
      type: "compute",
      rank,
      step,
      owner: modulo(ownerOf(rank, step)),
      rows,
      keys: causal && step > 0 && rows === "all" ? "front" : "all",
      isCausal: causal && step === 0,
    });
    if (moves) {
      const before = modulo(rank - toward);
      const own = rowsOf(rank, step + 1);
      add({ type: "receive", rank, step, kind: "query", peer: before, rows: own });
    }
    if (step >= 2) awaitResult(step - 1);
  }
  // One rank has its result already: a second merge would count it twice.
  if (ranks > 1) {
    returnResult(ranks - 1);
    awaitResult(ranks - 1);
  }
  return operations;
}

/** Names a message among all of one attention. */
export function messageTag({ kind, step }: { kind: MessageKind; step: number }): string {
  return `${kind} ${step}`;
}

/** Chunks of a causal sequence that a rank holds, of `2 ranks`: one from the front and one from the back. */
export function zigzagChunks(rank: number, ranks: number): [number, number] {
  return [rank, 2 * ranks - 1 - rank];
}

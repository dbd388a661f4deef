/**
 * Rows of a sequence that wait to be accepted. Which of them are accepted travels with the next message to the worker:
 * one of its own would wake two threads while the next forward pass begins.
 */
import { JetonError } from "../../core/index.ts";
import type { HandleStep } from "./decoder-pass.ts";

/** The last uncommitted step of one sequence, as its caller knows it. */
export class DraftRows {
  /** Rows of it that wait. */
  #count: number | undefined;
  #accepted: readonly number[] | undefined;

  /** Notes that a step has run. */
  note({ ids, commit }: Pick<HandleStep, "ids" | "commit">): void {
    this.#count = commit === false ? ids.length : undefined;
  }

  /** @throws JetonError `model-nothing-pending`, `model-row-invalid` */
  accept(rows: readonly number[]): void {
    if (this.#count === undefined) throw nothingPending();
    checkRows(rows, this.#count);
    this.#count = undefined;
    this.#accepted = Array.from(rows);
  }

  /** Forgets the rows that wait for `accept`. */
  drop(): void {
    this.#count = undefined;
  }

  /** The accepted rows that the worker does not know of yet; it is told of them now. */
  take(): readonly number[] | undefined {
    const accepted = this.#accepted;
    this.#accepted = undefined;
    return accepted;
  }

  /** A step that tells of them. */
  attachTo<Step extends HandleStep>(step: Step): Step {
    const accept = this.take();
    return accept ? { ...step, accept } : step;
  }
}

/** What `accept` ends in where no uncommitted step came before. */
export function nothingPending(): JetonError {
  return new JetonError("no rows wait to be accepted", { code: "model-nothing-pending" });
}

/** @throws JetonError `model-row-invalid` for a row that is none of the `count` rows that wait */
export function checkRows(rows: readonly number[], count: number): void {
  const wrong = rows.find((row) => !(Number.isInteger(row) && row >= 0 && row < count));
  if (wrong === undefined) return;
  throw new JetonError(`row ${wrong} is not one of the ${count} new rows`, {
    code: "model-row-invalid",
    details: { row: wrong },
  });
}

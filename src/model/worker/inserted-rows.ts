/** Tokens that a policy inserts into a text: steps of tokens as steps of rows, and results without those rows. */
import { rowsOfTokens, tokensOfRows } from "../landmark/landmark-config.ts";
import type { ContextPolicy, InsertedToken } from "../policy/context-policy.ts";
import type { StepResult } from "../types.ts";
import type { HandleStep } from "./decoder-pass.ts";
import type { SequenceStart } from "./slot-table.ts";

/** Counts in tokens outside, in rows inside. */
export class InsertedRows {
  readonly #token: InsertedToken;
  /** Rows of each token of the last step that waits for `accept`. */
  readonly #waiting: Map<number, readonly (readonly number[])[]> = new Map();

  constructor(token: InsertedToken) {
    this.#token = token;
  }

  /** How a sequence begins, in rows. The row of the last token runs again, so what is inserted behind it does. */
  start({ prefix, promptLength }: SequenceStart): SequenceStart {
    const { ids } = this.#insert(prefix, 0);
    if (prefix.length > 0 && prefix.length % this.#token.every === 0) ids.pop();
    return { prefix: ids, promptLength: this.rows(promptLength) };
  }

  /** A step of tokens behind `length` rows as a step of rows. */
  expand(step: HandleStep, length: number): HandleStep {
    const { parents } = step;
    // Trees of draft tokens are refused as they are.
    if (parents?.some((parent, row) => parent !== row - 1)) return step;
    const { ids, inserted, rowsOf } = this.#insert(step.ids, this.tokens(length));
    if (step.commit === false) this.#waiting.set(step.handle, rowsOf);
    else this.#waiting.delete(step.handle);
    const chain = parents && { parents: Array.from(ids, (_, row) => row - 1) };
    return { ...step, ids, ...chain, ...(inserted.size > 0 && { inserted }) };
  }

  #insert(
    given: readonly number[] | Int32Array,
    before: number,
  ): { ids: number[]; inserted: Set<number>; rowsOf: number[][] } {
    const { id: own, every } = this.#token;
    const ids: number[] = [];
    const inserted = new Set<number>();
    const rowsOf: number[][] = [];
    for (const [at, id] of given.entries()) {
      rowsOf.push([ids.length]);
      ids.push(id);
      if ((before + at + 1) % every !== 0) continue;
      inserted.add(ids.length);
      rowsOf.at(-1)!.push(ids.length);
      ids.push(own);
    }
    return { ids, inserted, rowsOf };
  }

  /** Rows of accepted tokens of the last step. */
  accepted(handle: number, tokens: readonly number[]): number[] {
    const waiting = this.#waiting.get(handle);
    this.#waiting.delete(handle);
    return tokens.flatMap((token) => waiting?.[token] ?? [token]);
  }

  rows(tokens: number): number {
    return rowsOfTokens(tokens, this.#token.every);
  }

  tokens(rows: number): number {
    return tokensOfRows(rows, this.#token.every);
  }

  /** Results whose marks of a sequence stand for its tokens alone. */
  results(result: StepResult, rows: number): StepResult {
    const { attended } = result;
    if (!attended) return result;
    return { ...result, attended: this.#withoutInserted(attended, rows) };
  }

  /** @param rows of each list, of which there are several one after the other */
  #withoutInserted(marks: Float32Array, rows: number): Float32Array {
    const period = this.#token.every + 1;
    return marks.filter((_, at) => (at % rows) % period !== period - 1);
  }

  release(handle: number): void {
    this.#waiting.delete(handle);
  }
}

/** What of earlier sequences may be reused, in rows. */
export function reusableRows(
  reuse: ContextPolicy["reuse"],
  token: InsertedToken | undefined,
): ContextPolicy["reuse"] {
  if (!token || typeof reuse !== "object" || reuse.chunk === 1) return reuse;
  const { chunk } = reuse;
  return chunk % token.every === 0 ? { chunk: rowsOfTokens(chunk, token.every) } : "none";
}

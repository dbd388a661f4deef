/**
 * Logits processors: callables that edit a row of logits before a token is chosen from it.
 *
 * The built-in ones implement sampling options and keys of `generation_config.json` with the semantics and
 * in the order of transformers: logit bias, penalties, n-gram repetition, bad words, minimum length,
 * suppressed tokens; then the caller's own.
 */
import { JetonError } from "../../core/index.ts";
import { penalize, TokenCounter } from "./penalties.ts";
import type { Sampling } from "./sampler.ts";

/** A row of logits and the tokens that it follows. */
export interface LogitsRow {
  /** Prompt, emitted tokens and the draft tokens accepted so far. Belongs to the loop: read only. */
  readonly ids: readonly number[];
  /** How many of `ids` are the prompt's. */
  readonly promptLength: number;
  /** `[vocabSize]`, edited in place. -Infinity excludes a token. */
  readonly logits: Float32Array;
}

/**
 * Edits a row of logits. Called once for each emitted token, in order; also where tokens were drafted, so
 * `ids` alone must determine the result. May be asynchronous; then nothing else of the request runs.
 *
 * @example
 * // Never the same token twice in a row.
 * const noStutter: LogitsProcessor = ({ ids, logits }) => {
 *   logits[ids.at(-1)!] = -Infinity;
 * };
 */
export type LogitsProcessor = (row: LogitsRow) => void | Promise<void>;

/** Adds a number to the logits of some tokens. */
export function addBias(bias: ReadonlyMap<number, number>): LogitsProcessor {
  return ({ logits }) => {
    for (const [id, value] of bias) logits[id]! += value;
  };
}

/** Repetition, frequency and presence penalty of a request. */
export function applyPenalties(sampling: Sampling): LogitsProcessor {
  const counter = new TokenCounter();
  let counted = 0;
  return ({ ids, promptLength, logits }) => {
    for (; counted < ids.length; counted++) {
      if (counted < promptLength) counter.seen.add(ids[counted]!);
      else counter.push(ids[counted]!);
    }
    penalize(logits, counter, sampling);
  };
}

/** Excludes tokens that would complete an n-gram which stands in the prompt or the text already. */
export function forbidRepeatedNgrams(size: number): LogitsProcessor {
  return ({ ids, logits }) => excludeNgrams(size, ids, ids, logits);
}

/** Excludes tokens that would complete an n-gram of what was read: of `source`, or else of the prompt. */
export function forbidReadNgrams(size: number, source?: readonly number[]): LogitsProcessor {
  return ({ ids, promptLength, logits }) =>
    excludeNgrams(size, source ?? ids.slice(0, promptLength), ids, logits);
}

function excludeNgrams(
  size: number,
  within: readonly number[],
  ids: readonly number[],
  logits: Float32Array,
): void {
  const from = ids.length - size + 1;
  if (from < 0) return;
  for (let start = 0; start + size <= within.length; start++) {
    let at = 0;
    while (at < size - 1 && within[start + at] === ids[from + at]) at++;
    if (at === size - 1) logits[within[start + at]!] = -Infinity;
  }
}

/** Excludes the last token of each sequence wherever the tokens before it stand at the end of the text. */
export function forbidSequences(sequences: readonly (readonly number[])[]): LogitsProcessor {
  return ({ ids, logits }) => {
    for (const sequence of sequences) {
      if (isBegunAtEnd(ids, sequence)) logits[sequence.at(-1)!] = -Infinity;
    }
  };
}

/** Whether all but the last token of a sequence stand at the end of a text. */
export function isBegunAtEnd(ids: readonly number[], sequence: readonly number[]): boolean {
  const before = sequence.length - 1;
  const from = ids.length - before;
  return from >= 0 && sequence.every((id, at) => at === before || ids[from + at] === id);
}

/** Excludes tokens at every position. */
export function suppress(tokens: readonly number[]): LogitsProcessor {
  return ({ logits }) => {
    for (const id of tokens) logits[id] = -Infinity;
  };
}

/** Excludes all other tokens at every position. */
export function allowOnly(tokens: readonly number[]): LogitsProcessor {
  const allowed = Int32Array.from(new Set(tokens)).sort();
  return ({ logits }) => {
    let from = 0;
    for (const id of allowed) {
      logits.fill(-Infinity, from, id);
      from = id + 1;
    }
    logits.fill(-Infinity, from);
  };
}

/** Excludes tokens while fewer than `count` tokens were generated. */
export function suppressBefore(count: number, tokens: Iterable<number>): LogitsProcessor {
  return ({ ids, promptLength, logits }) => {
    if (ids.length - promptLength >= count) return;
    for (const id of tokens) if (id < logits.length) logits[id] = -Infinity;
  };
}

/** Runs processors one after another on one row; a promise only where one of them returns it. */
export function processLogits(
  processors: readonly LogitsProcessor[],
  row: LogitsRow,
): Float32Array | Promise<Float32Array> {
  for (const [index, processor] of processors.entries()) {
    const pending = processor(row);
    if (pending === undefined) continue;
    return (async () => {
      await pending;
      for (const later of processors.slice(index + 1)) await later(row);
      return checkProcessed(row.logits);
    })();
  }
  return checkProcessed(row.logits);
}

/** A token must be left, and the logits must have an order. */
function checkProcessed(logits: Float32Array): Float32Array {
  let max = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > max) max = logit;
    else if (Number.isNaN(logit)) throw invalidLogit(id, logit);
  }
  if (max === Infinity) throw invalidLogit(logits.indexOf(Infinity), Infinity);
  if (max === -Infinity) {
    throw new JetonError("the logits processors excluded every token", {
      code: "generate-no-token-left",
      details: { expected: "at least one logit above -Infinity" },
    });
  }
  return logits;
}

function invalidLogit(id: number, logit: number): JetonError {
  return new JetonError(`the logit of token ${id} is ${logit} after the logits processors`, {
    code: "generate-logits-not-finite",
    details: { id, found: String(logit), expected: "a finite number or -Infinity" },
  });
}

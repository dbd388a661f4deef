/** A model of tokens that is a formula over the last two of them, in float64: see the data folder's `bytes`. */
import type { TokenRow, TokenRows } from "../bytes/token-rows.ts";

/** The formula's numbers, as `model.json` holds them. */
export interface FormulaModel {
  readonly vocabulary: number;
  readonly start: number;
  readonly end: number;
  readonly seed: number;
  readonly scale: number;
  readonly none: number;
}

/** The logit of token `v` after `a`, `b`. */
export function formulaLogit(
  { seed, scale }: FormulaModel,
  a: number,
  b: number,
  v: number,
): number {
  let h = Math.imul(a, 73856093) ^ Math.imul(b, 19349663) ^ Math.imul(v, 83492791) ^ seed;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  h ^= h >>> 16;
  return (scale * (h >>> 0)) / 2 ** 32;
}

/** Rows of the formula. */
export function formulaRows(model: FormulaModel): TokenRows {
  const rows = new Map<string, TokenRow>();
  const rowAfter = (ids: readonly number[]): TokenRow => {
    const b = ids.at(-1)!;
    const a = ids.at(-2) ?? model.none;
    const key = `${a} ${b}`;
    let row = rows.get(key);
    if (row === undefined) {
      const logits = Float64Array.from({ length: model.vocabulary }, (_, v) =>
        formulaLogit(model, a, b, v),
      );
      const largest = Math.max(...logits);
      const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
      row = { logits, logSumExp: largest + Math.log(sum) };
      rows.set(key, row);
    }
    return row;
  };
  return {
    name: "formula",
    contextLength: Number.POSITIVE_INFINITY,
    endIds: [model.end],
    beginning: [model.start],
    async evaluate({ base, ids, parents }) {
      const sequences = [base];
      for (const [at, id] of ids.entries()) sequences.push([...sequences[parents[at]! + 1]!, id]);
      return sequences.map(rowAfter);
    },
    async close() {},
  };
}

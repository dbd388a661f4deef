/**
 * What a forward costs by its number of rows, learned from the forwards that run anyway.
 *
 * Costs drift with the length of the context and with what else the machine does. So a forward of any
 * width moves the level of all widths, and what remains moves its own width.
 */

/** Widths that are measured; what lies between is interpolated. */
const widths = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1025] as const;

/** Assumed of widths never seen: one row more costs this share of a forward over one row. */
const assumedSlope = 0.05;

export class CostCurve {
  readonly #seconds: Float64Array = new Float64Array(widths.length);
  readonly #count: Uint32Array = new Uint32Array(widths.length);
  #level = 1;

  /** True once a forward over one row was measured. */
  get isKnown(): boolean {
    return this.#count[0]! > 0;
  }

  /** Forwards of one row that were measured. */
  get singleRowPasses(): number {
    return this.#count[0]!;
  }

  /** Expected seconds of a forward over `rows` rows; 0 while nothing is known. */
  seconds(rows: number): number {
    if (!this.isKnown) return 0;
    let low = 0;
    let high = -1;
    for (let index = 1; index < widths.length; index++) {
      if (this.#count[index] === 0) continue;
      if (widths[index]! <= rows) low = index;
      else if (high < 0) high = index;
    }
    const [from, at] = [widths[low]!, this.#monotone(low)];
    if (rows === from) return this.#level * at;
    if (high < 0) return this.#level * (at + assumedSlope * this.#seconds[0]! * (rows - from));
    const share = (rows - from) / (widths[high]! - from);
    return this.#level * (at + share * (this.#monotone(high) - at));
  }

  /** Learns from a forward. */
  observe(rows: number, seconds: number): void {
    if (!(seconds > 0)) return;
    let index = 0;
    while (index + 1 < widths.length && widths[index + 1]! <= rows) index++;
    if (index + 1 < widths.length && widths[index + 1]! - rows < rows - widths[index]!) index++;
    if (!this.isKnown && index > 0) return;
    const count = this.#count[index]!++;
    if (count === 0) {
      const scale = this.isKnown ? this.seconds(widths[index]!) / this.seconds(rows) : 1;
      this.#seconds[index] = (seconds * (scale || 1)) / this.#level;
      return;
    }
    const expected = this.seconds(rows);
    // One slow forward says little: the first of a width includes the runtime's preparation, and any
    // may have been interrupted.
    const ratio = Math.min(2, Math.max(0.25, seconds / expected));
    if (count < 3) {
      this.#seconds[index]! *= Math.min(1, ratio);
      return;
    }
    this.#level *= ratio ** 0.15;
    this.#seconds[index]! *= ratio ** 0.05;
  }

  /** A wider forward never costs less: what was measured below a narrower one is noise. */
  #monotone(index: number): number {
    let most = 0;
    for (let at = 0; at <= index; at++) {
      if (this.#count[at]! > 0) most = Math.max(most, this.#seconds[at]!);
    }
    return most;
  }
}

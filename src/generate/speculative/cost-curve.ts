/**
 * The cost of a forward pass by its number of rows, learned from the forward passes of generation itself.
 *
 * Costs drift with the context length and with the machine's load. So each observation moves a common level
 * of all widths quickly, and the value of its own width slowly.
 */

/** Widths that are measured; costs in between are interpolated. */
const widths = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1025] as const;

/** Assumed before a wider pass was measured: each further row costs this share of a pass over one row. */
const assumedSlope = 0.05;

/** The first measurements of a width take the minimum; later ones move averages. */
const firstMeasurements = 3;
/** Exponents of an observation's ratio to the expected cost: how fast the level and one width follow. */
const levelRate = 0.15;
const widthRate = 0.05;

/** Expected seconds of a forward pass by its number of rows. */
export class CostCurve {
  readonly #rowTile: number;
  readonly #seconds: Float64Array = new Float64Array(widths.length);
  readonly #count: Uint32Array = new Uint32Array(widths.length);
  #level = 1;

  /** @param rowTile passes are filled up to a multiple of so many rows, and cost the same up to there */
  constructor(rowTile = 1) {
    this.#rowTile = rowTile;
  }

  /** True once a forward pass over one row was measured. */
  get isKnown(): boolean {
    return this.#count[0]! > 0;
  }

  /** Forward passes of one row that were measured. */
  get singleRowPasses(): number {
    return this.#count[0]!;
  }

  /** Expected seconds of a forward pass over `rows` rows; 0 before the first measurement. */
  seconds(rows: number): number {
    return this.#secondsOf(this.#leastRows(rows));
  }

  /** The least rows of which a pass costs as much as one of `rows`. */
  #leastRows(rows: number): number {
    return rows - ((rows - 1) % this.#rowTile);
  }

  #secondsOf(rows: number): number {
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

  /** Learns from a forward pass. */
  observe(observed: number, seconds: number): void {
    if (!(seconds > 0)) return;
    const rows = this.#leastRows(observed);
    let index = 0;
    while (index + 1 < widths.length && widths[index + 1]! <= rows) index++;
    if (index + 1 < widths.length && widths[index + 1]! - rows < rows - widths[index]!) index++;
    if (!this.isKnown && index > 0) return;
    const count = this.#count[index]!++;
    if (count === 0) {
      const scale = this.isKnown ? this.#secondsOf(widths[index]!) / this.#secondsOf(rows) : 1;
      this.#seconds[index] = (seconds * (scale || 1)) / this.#level;
      return;
    }
    const expected = this.#secondsOf(rows);
    // The first pass of a width includes the runtime's preparation, and any pass may be interrupted: limit
    // the effect of one measurement.
    const ratio = Math.min(2, Math.max(0.25, seconds / expected));
    if (count < firstMeasurements) {
      this.#seconds[index]! *= Math.min(1, ratio);
      return;
    }
    this.#level *= ratio ** levelRate;
    this.#seconds[index]! *= ratio ** widthRate;
  }

  /** Largest value up to a width: a wider pass never costs less, a lower measurement is noise. */
  #monotone(index: number): number {
    let most = 0;
    for (let at = 0; at <= index; at++) {
      if (this.#count[at]! > 0) most = Math.max(most, this.#seconds[at]!);
    }
    return most;
  }
}

/** The linear program as its solver sees it: rows and columns that are added as they are found to matter. */
import type { Highs, Model } from "highs";
import { JetonError } from "../../core/error.ts";

/** Before merge `step` (from 0), the merged pair must count at least as much as `pair`. */
export interface Constraint {
  readonly step: number;
  readonly pair: number;
}

/**
 * The solver, loaded. Of an unknown type to the outside: declarations that named the package's own
 * types would not compile where the package, which is optional, is not installed.
 */
export interface MixtureSolver {
  /** What `highs` exports. */
  readonly highs: unknown;
}

/** Loads the solver, an optional package. Throws `mixture-solver-missing` when it is not installed. */
export async function loadSolver(): Promise<MixtureSolver> {
  try {
    // The declarations describe the CommonJS build, whose exports are one level deeper.
    const loaded = (await import("highs")) as unknown as { default: () => Promise<Highs> };
    return { highs: await loaded.default() };
  } catch (cause) {
    throw new JetonError(
      "inferring a mixture needs the solver HiGHS, expected the package `highs`: npm install highs",
      { code: "mixture-solver-missing", details: { expected: "highs" }, cause },
    );
  }
}

/** Where the solver stands; amounts of the categories and slacks in the program's own measure. */
export interface Point {
  readonly shares: Float64Array;
  readonly objective: number;
  readonly mergeSlack: ReadonlyMap<number, number>;
  readonly pairSlack: ReadonlyMap<number, number>;
}

/** A constraint with the difference of the two counts in each category. */
interface Row extends Constraint {
  readonly row: Float64Array;
}

/** The program as the solver holds it; grows by rows and keeps the last basis. */
export class Program {
  readonly #highs: Highs;
  readonly #model: Model;
  readonly #categories: number;
  readonly #hasPairSlack: boolean;
  #columns: number;
  readonly #stepColumns: Map<number, number> = new Map();
  readonly #pairColumns: Map<number, number> = new Map();
  readonly #known: Set<string> = new Set();

  /** @param weights the weighted sum of the amounts of the categories is 1 */
  constructor(solver: MixtureSolver, weights: Float64Array, hasPairSlack: boolean) {
    // Its type stays out of the declarations: who installs jeton need not have the package.
    const highs = solver.highs as Highs;
    this.#highs = highs;
    const categories = weights.length;
    this.#categories = categories;
    this.#hasPairSlack = hasPairSlack;
    this.#columns = categories;
    this.#model = highs.createModel();
    this.#model.options.set({ output_flag: false, presolve: "off", solver: "simplex" });
    this.#model.addVars(
      new Float64Array(categories),
      new Float64Array(categories).fill(this.#highs.infinity),
    );
    this.#model.addRow(1, 1, {
      indices: Int32Array.from({ length: categories }, (_, i) => i),
      values: weights,
    });
  }

  has(step: number, pair: number): boolean {
    return this.#known.has(`${step} ${pair}`);
  }

  add(rows: readonly Row[]): void {
    if (rows.length === 0) return;
    const indices: number[] = [];
    const values: number[] = [];
    const starts: number[] = [];
    const before = this.#columns;
    for (const { step, pair, row } of rows) {
      this.#known.add(`${step} ${pair}`);
      starts.push(indices.length);
      for (const [category, difference] of row.entries()) {
        if (difference === 0) continue;
        indices.push(category);
        values.push(difference);
      }
      indices.push(this.#column(this.#stepColumns, step));
      values.push(1);
      if (this.#hasPairSlack) {
        indices.push(this.#column(this.#pairColumns, pair));
        values.push(1);
      }
    }
    starts.push(indices.length);
    const added = this.#columns - before;
    if (added > 0) {
      this.#model.addVars(
        new Float64Array(added),
        new Float64Array(added).fill(this.#highs.infinity),
      );
      this.#model.changeColsCost(
        { kind: "range", from: before, to: this.#columns - 1 },
        new Float64Array(added).fill(1),
      );
    }
    this.#model.addRows({
      lower: new Float64Array(rows.length),
      upper: new Float64Array(rows.length).fill(this.#highs.infinity),
      matrix: {
        format: "csr",
        numRows: rows.length,
        numCols: this.#columns,
        starts: Int32Array.from(starts),
        indices: Int32Array.from(indices),
        values: Float64Array.from(values),
      },
    });
  }

  #column(columns: Map<number, number>, key: number): number {
    let column = columns.get(key);
    if (column === undefined) {
      column = this.#columns++;
      columns.set(key, column);
    }
    return column;
  }

  solve(): Point {
    this.#model.run();
    const status = this.#model.getModelStatus();
    if (status !== this.#highs.constants.modelStatus.optimal) {
      throw new JetonError(`the solver ended with status ${status}, expected an optimum`, {
        code: "mixture-not-solved",
        details: { status },
      });
    }
    const { colValue } = this.#model.getSolution();
    const read = (columns: ReadonlyMap<number, number>): Map<number, number> => {
      const values = new Map<number, number>();
      for (const [key, column] of columns) {
        if (colValue[column]! > 0) values.set(key, colValue[column]!);
      }
      return values;
    };
    return {
      shares: colValue.slice(0, this.#categories),
      objective: this.#model.getObjectiveValue(),
      mergeSlack: read(this.#stepColumns),
      pairSlack: read(this.#pairColumns),
    };
  }

  dispose(): void {
    this.#model.dispose();
  }
}

/** Random examples of operators: shapes (some of their sizes named), values and a use. */
import { createRandom, type Random } from "../../core/index.ts";
import {
  type DataType,
  type Dimension,
  type Tensor,
  type TensorType,
  tensorType,
} from "../../tensor/index.ts";

/** One use of operators with concrete values. */
export interface OperatorExample {
  readonly types: Readonly<Record<string, TensorType>>;
  readonly values: Readonly<Record<string, { data: Float64Array; shape: readonly number[] }>>;
  /** Inputs that the first result is differentiated by. */
  readonly differentiable: readonly string[];
  build(inputs: Readonly<Record<string, Tensor>>): readonly Tensor[];
}

/** A family of examples. */
export interface OperatorCase {
  /** Operators that every example holds. */
  readonly operators: readonly string[];
  /** Largest allowed difference from the reference, relative to the largest element. Default 2e-5. */
  readonly tolerance?: number;
  example(seed: number): OperatorExample;
}

export interface Axis {
  readonly dimension: Dimension;
  readonly size: number;
}

/** How values of an input are drawn; default: normal. */
export interface ValueOptions {
  dtype?: DataType;
  value?: (random: Random) => number;
  /** Default: true for float32. */
  differentiable?: boolean;
}

export class CaseRandom {
  readonly random: Random;
  readonly types: Record<string, TensorType> = {};
  readonly values: Record<string, { data: Float64Array; shape: readonly number[] }> = {};
  readonly differentiable: string[] = [];
  #names = 0;

  constructor(seed: number) {
    this.random = createRandom(seed, "operator-cases");
  }

  integer(low: number, high: number): number {
    return low + this.random.integer(high - low + 1);
  }

  isTrue(): boolean {
    return this.random.integer(2) === 1;
  }

  pick<T>(...choices: readonly T[]): T {
    return choices[this.random.integer(choices.length)]!;
  }

  /** An axis of random size whose name is known half of the time. */
  axis(low = 1, high = 4): Axis {
    const size = this.integer(low, high);
    return { size, dimension: this.isTrue() ? `d${this.#names++}` : size };
  }

  axes(low: number, high: number): Axis[] {
    return Array.from({ length: this.integer(low, high) }, () => this.axis());
  }

  input(name: string, axes: readonly (Axis | number)[], options: ValueOptions = {}): void {
    const { dtype = "float32", value = (random) => random.normal() } = options;
    const list = axes.map((axis) =>
      typeof axis === "number" ? { dimension: axis, size: axis } : axis,
    );
    const shape = list.map(({ size }) => size);
    const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      dtype === "float32" ? Math.fround(value(this.random)) : value(this.random),
    );
    this.types[name] = tensorType(
      dtype,
      list.map(({ dimension }) => dimension),
    );
    this.values[name] = { data, shape };
    if (options.differentiable ?? dtype === "float32") this.differentiable.push(name);
  }

  /** Some axes become 1, some leading ones vanish. */
  narrowed(axes: readonly Axis[]): (Axis | number)[] {
    return axes
      .map((axis) => (this.integer(0, 3) === 0 ? 1 : axis))
      .slice(this.integer(0, 3) === 0 ? this.integer(0, axes.length) : 0);
  }

  done(build: OperatorExample["build"]): OperatorExample {
    const { types, values, differentiable } = this;
    return { types, values, differentiable, build };
  }
}

export const away =
  (least: number) =>
  (random: Random): number => {
    const value = random.normal();
    return value + Math.sign(value) * least;
  };
export const between =
  (low: number, high: number) =>
  (random: Random): number =>
    low + (high - low) * random.uniform();
export const integers =
  (low: number, high: number) =>
  (random: Random): number =>
    low + random.integer(high - low + 1);

export const whole: ValueOptions = { value: integers(-2, 2), differentiable: false };
export const truth: ValueOptions = { dtype: "bool", value: integers(0, 1) };
export const positive: ValueOptions = { value: between(0.3, 3) };

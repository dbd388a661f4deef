/**
 * Optimizers as chains of small transforms: each turns the gradients, in place, into something
 * closer to the change of the parameters; what leaves the chain is multiplied by the learning rate
 * and subtracted.
 *
 * Transforms are described by plain data (so that they cross to the thread that trains, and a run can
 * record them) and carried out by loops over float32 arrays.
 */
import { JetonError } from "../../core/index.ts";
import { stepByAdamW } from "./adamw-step.ts";

/** A link of the chain. */
export type Transform =
  /** Scales all gradients together down to a Euclidean norm. */
  | { readonly kind: "clip-by-global-norm"; readonly maximum: number }
  /** Adam's bias-corrected ratio of moments (Kingma and Ba, 2015). */
  | {
      readonly kind: "scale-by-adam";
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
    }
  /** Adafactor's second moment, factored for matrices (Shazeer and Stern, 2018). */
  | {
      readonly kind: "scale-by-factored-moment";
      readonly decayExponent: number;
      readonly epsilon: number;
      readonly clipThreshold: number;
    }
  /** Heavy-ball or Nesterov momentum. */
  | { readonly kind: "momentum"; readonly decay: number; readonly nesterov: boolean }
  /** Adds a share of the parameter itself: decay that is decoupled when it stands last. */
  | { readonly kind: "add-weight-decay"; readonly decay: number };

/** Scales all gradients so that their joint Euclidean norm is at most `maximum`. */
export const clipByGlobalNorm = (maximum: number): Transform => ({
  kind: "clip-by-global-norm",
  maximum,
});

/** Defaults: beta1 0.9, beta2 0.999, epsilon 1e-8. */
export const scaleByAdam = (
  options: { beta1?: number; beta2?: number; epsilon?: number } = {},
): Transform => ({ kind: "scale-by-adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, ...options });

/** Defaults: decayExponent 0.8, epsilon 1e-30, clipThreshold 1. */
export const scaleByFactoredMoment = (
  options: { decayExponent?: number; epsilon?: number; clipThreshold?: number } = {},
): Transform => ({
  kind: "scale-by-factored-moment",
  decayExponent: 0.8,
  epsilon: 1e-30,
  clipThreshold: 1,
  ...options,
});

/** Default: nesterov false. */
export const momentum = (decay: number, options: { nesterov?: boolean } = {}): Transform => ({
  kind: "momentum",
  decay,
  nesterov: options.nesterov ?? false,
});

/** Adds `decay` times each parameter, times its `decayFactor`, to the update. */
export const addWeightDecay = (decay: number): Transform => ({ kind: "add-weight-decay", decay });

/** AdamW (Loshchilov and Hutter, 2019), with clipping first where `maxNorm` is given. */
export function adamW(
  options: {
    beta1?: number;
    beta2?: number;
    epsilon?: number;
    /** Default 0.1; multiplied by each parameter's `decayFactor`. */
    weightDecay?: number;
    maxNorm?: number;
  } = {},
): Transform[] {
  const { weightDecay = 0.1, maxNorm, ...adam } = options;
  return [
    ...(maxNorm === undefined ? [] : [clipByGlobalNorm(maxNorm)]),
    scaleByAdam(adam),
    addWeightDecay(weightDecay),
  ];
}

/** Stochastic gradient descent; with `momentum` above 0 (default 0.9) a heavy ball. */
export function sgd(options: { momentum?: number; nesterov?: boolean } = {}): Transform[] {
  const { momentum: decay = 0.9, nesterov = false } = options;
  return decay === 0 ? [] : [momentum(decay, { nesterov })];
}

/** Adafactor's update with an external learning rate and no first moment. */
export function adafactor(options: { weightDecay?: number } = {}): Transform[] {
  return [scaleByFactoredMoment(), addWeightDecay(options.weightDecay ?? 0)];
}

/** Optimizer settings of a group of parameters. */
export interface ParameterGroup {
  /** Factor of the learning rate. Default 1. */
  readonly rateFactor?: number;
  /** Factor of every weight decay. Default 1. */
  readonly decayFactor?: number;
}

/** Whether a parameter is a matrix or a stack of some; a stack of biases, one for each expert, is not. */
export function isMatrix(name: string, shape: readonly number[]): boolean {
  return shape.length >= 2 && !/_bias$/.test(name);
}

/** Usual practice: matrices decay, vectors (norms, biases) do not. */
export function decayMatricesOnly(name: string, shape: readonly number[]): ParameterGroup {
  return { decayFactor: isMatrix(name, shape) ? 1 : 0 };
}

/** A parameter under training. */
export interface TrainedParameter extends ParameterGroup {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** An optimizer over named parameters, which it changes in place. */
export interface Optimizer {
  /** Arrays to keep across steps, by names that are stable between runs. */
  readonly state: ReadonlyMap<string, Float32Array>;
  /**
   * Changes the parameters in place, unless the norm of the gradients is not finite. The gradients are
   * used up.
   *
   * @param step from 1 on
   * @param norm of all gradients, where it is known. Default: computed here
   * @returns the Euclidean norm of all gradients as they came
   */
  update(
    gradients: ReadonlyMap<string, Float32Array>,
    step: number,
    learningRate: number,
    norm?: number,
  ): number;
}

interface Link {
  /** Once a step, before any parameter. */
  prepare?(gradients: ReadonlyMap<string, Float32Array>, norm: number): void;
  apply(gradient: Float32Array, parameter: TrainedParameter, step: number): void;
}

/**
 * Makes the arrays and loops of a chain.
 *
 * @param options `fuse`: false carries out AdamW by a loop for each link too, with the same results. Default true
 */
export function createOptimizer(
  transforms: readonly Transform[],
  parameters: readonly TrainedParameter[],
  { fuse = true }: { readonly fuse?: boolean } = {},
): Optimizer {
  const state = new Map<string, Float32Array>();
  checkTransforms(transforms);
  const links = transforms.map((transform, index) => {
    const key = (parameter: TrainedParameter, name: string): string =>
      `${index}.${name}/${parameter.name}`;
    // All arrays exist from the start, so that a checkpoint can be read into them.
    for (const parameter of parameters) {
      for (const [name, size] of slotsOf(transform, parameter.shape)) {
        state.set(key(parameter, name), new Float32Array(size));
      }
    }
    return createLink(transform, (parameter, name) => state.get(key(parameter, name))!);
  });
  const fused = fuse ? readAdamW(transforms) : undefined;
  return {
    state,
    update(gradients, step, learningRate, norm = globalNorm(gradients)) {
      // One such gradient would spoil everything that it touches, beyond the next checkpoint.
      if (!Number.isFinite(norm)) return norm;
      for (const link of links) link.prepare?.(gradients, norm);
      for (const parameter of parameters) {
        const gradient = gradients.get(parameter.name)!;
        const { data, rateFactor = 1, decayFactor = 1 } = parameter;
        const rate = learningRate * rateFactor;
        if (fused) {
          const { clip, adam, decay } = fused;
          const [first, second] = ["first", "second"].map(
            (name) => state.get(`${transforms.indexOf(adam)}.${name}/${parameter.name}`)!,
          );
          stepByAdamW(data, gradient, first!, second!, {
            ...adam,
            ...{ rate, step, decay: decay * decayFactor, shrink: shrinkOf(clip, norm) },
          });
          continue;
        }
        for (const link of links) link.apply(gradient, parameter, step);
        for (let i = 0; i < data.length; i++) data[i]! -= rate * gradient[i]!;
      }
      return norm;
    },
  };
}

/** AdamW as it is written: clipping or none, Adam, decay or none; undefined for other chains. */
function readAdamW(transforms: readonly Transform[]):
  | {
      readonly clip: number;
      readonly adam: Extract<Transform, { kind: "scale-by-adam" }>;
      readonly decay: number;
    }
  | undefined {
  const rest = [...transforms];
  const clip = rest[0]?.kind === "clip-by-global-norm" ? rest.shift() : undefined;
  const [adam, decay, ...more] = rest;
  if (adam?.kind !== "scale-by-adam" || more.length > 0) return undefined;
  if (decay !== undefined && decay.kind !== "add-weight-decay") return undefined;
  const maximum = clip?.kind === "clip-by-global-norm" ? clip.maximum : Number.POSITIVE_INFINITY;
  return { clip: maximum, adam, decay: decay?.decay ?? 0 };
}

/** Factor that brings a norm down to a maximum. */
function shrinkOf(maximum: number, norm: number): number {
  return norm > maximum ? maximum / norm : 1;
}

/** Euclidean norm of several arrays together. */
export function globalNorm(gradients: ReadonlyMap<string, Float32Array>): number {
  let total = 0;
  for (const gradient of gradients.values()) total += scaleAndSquare(gradient, 1);
  return Math.sqrt(total);
}

/**
 * Multiplies an array by a factor, in place. Four sums run side by side: one alone waits for each addition.
 *
 * @returns the sum of the squares of what it holds then
 */
export function scaleAndSquare(array: Float32Array, factor: number): number {
  if (factor !== 1) for (let i = 0; i < array.length; i++) array[i]! *= factor;
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < array.length; i += 4) {
    a += array[i]! * array[i]!;
    b += array[i + 1]! * array[i + 1]!;
    c += array[i + 2]! * array[i + 2]!;
    d += array[i + 3]! * array[i + 3]!;
  }
  for (; i < array.length; i++) a += array[i]! * array[i]!;
  return a + b + (c + d);
}

/** The numbers that each transform needs, and what they must be below. */
const transformNumbers: Readonly<Record<Transform["kind"], Readonly<Record<string, number>>>> = {
  "clip-by-global-norm": { maximum: Number.POSITIVE_INFINITY },
  "scale-by-adam": { beta1: 1, beta2: 1, epsilon: Number.POSITIVE_INFINITY },
  "scale-by-factored-moment": {
    decayExponent: Number.POSITIVE_INFINITY,
    epsilon: Number.POSITIVE_INFINITY,
    clipThreshold: Number.POSITIVE_INFINITY,
  },
  momentum: { decay: 1 },
  "add-weight-decay": { decay: Number.POSITIVE_INFINITY },
};

/** @throws JetonError `option-invalid` for an unknown transform or an impossible number */
export function checkTransforms(transforms: readonly Transform[]): void {
  for (const transform of transforms) {
    const { kind } = transform;
    if (!Object.hasOwn(transformNumbers, kind)) {
      const expected = Object.keys(transformNumbers);
      throw new JetonError(`${kind} is no transform, expected ${expected.join(", ")}`, {
        code: "option-invalid",
        details: { option: "optimizer", found: kind, expected },
      });
    }
    for (const [name, limit] of Object.entries(transformNumbers[kind])) {
      const value = (transform as unknown as Readonly<Record<string, unknown>>)[name];
      if (typeof value === "number" && value >= 0 && value < limit) continue;
      const expected = limit === 1 ? "a number from 0 to below 1" : "a finite number of at least 0";
      throw new JetonError(`${kind}: ${name} is ${value}, expected ${expected}`, {
        code: "option-invalid",
        details: { transform: kind, option: name, value, expected },
      });
    }
  }
}

/** Rows and columns of a parameter as Adafactor sees it: leading axes together, the last. */
function matrixOf(shape: readonly number[]): { rows: number; columns: number } | undefined {
  if (shape.length < 2) return undefined;
  const columns = shape.at(-1)!;
  return { rows: shape.slice(0, -1).reduce((a, b) => a * b, 1), columns };
}

/** Sizes of the arrays that a transform keeps for a parameter. */
function slotsOf(transform: Transform, shape: readonly number[]): [string, number][] {
  const size = shape.reduce((a, b) => a * b, 1);
  switch (transform.kind) {
    case "scale-by-adam":
      return [
        ["first", size],
        ["second", size],
      ];
    case "momentum":
      return [["velocity", size]];
    case "scale-by-factored-moment": {
      const matrix = matrixOf(shape);
      return matrix
        ? [
            ["rows", matrix.rows],
            ["columns", matrix.columns],
          ]
        : [["second", size]];
    }
    default:
      return [];
  }
}

type Slot = (parameter: TrainedParameter, name: string) => Float32Array;

function createLink(transform: Transform, slot: Slot): Link {
  switch (transform.kind) {
    case "clip-by-global-norm": {
      let shrink = 1;
      return {
        prepare(_gradients, norm) {
          shrink = shrinkOf(transform.maximum, norm);
        },
        apply(gradient) {
          if (shrink === 1) return;
          for (let i = 0; i < gradient.length; i++) gradient[i]! *= shrink;
        },
      };
    }
    case "scale-by-adam":
      return { apply: (g, parameter, step) => scaleAdam(g, parameter, step, transform, slot) };
    case "momentum":
      return {
        apply(gradient, parameter) {
          const velocity = slot(parameter, "velocity");
          const { decay, nesterov } = transform;
          for (let i = 0; i < gradient.length; i++) {
            const next = decay * velocity[i]! + gradient[i]!;
            velocity[i] = next;
            gradient[i] = nesterov ? gradient[i]! + decay * next : next;
          }
        },
      };
    case "add-weight-decay":
      return {
        apply(gradient, { data, decayFactor = 1 }) {
          const decay = transform.decay * decayFactor;
          if (decay === 0) return;
          for (let i = 0; i < gradient.length; i++) gradient[i]! += decay * data[i]!;
        },
      };
    case "scale-by-factored-moment":
      return { apply: (g, parameter, step) => scaleFactored(g, parameter, step, transform, slot) };
  }
}

function scaleAdam(
  gradient: Float32Array,
  parameter: TrainedParameter,
  step: number,
  options: Extract<Transform, { kind: "scale-by-adam" }>,
  slot: Slot,
): void {
  const { beta1, beta2, epsilon } = options;
  const first = slot(parameter, "first");
  const second = slot(parameter, "second");
  const correction = 1 / (1 - beta1 ** step);
  const rootCorrection = 1 / Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < gradient.length; i++) {
    const g = gradient[i]!;
    const m = beta1 * first[i]! + (1 - beta1) * g;
    const v = beta2 * second[i]! + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    gradient[i] = (m * correction) / (Math.sqrt(v) * rootCorrection + epsilon);
  }
}

function scaleFactored(
  gradient: Float32Array,
  parameter: TrainedParameter,
  step: number,
  options: Extract<Transform, { kind: "scale-by-factored-moment" }>,
  slot: Slot,
): void {
  const { decayExponent, epsilon, clipThreshold } = options;
  // The decay grows with the steps, so no bias needs correction.
  const decay = 1 - step ** -decayExponent;
  const matrix = matrixOf(parameter.shape);
  if (matrix) {
    const { rows, columns } = matrix;
    const rowMoments = slot(parameter, "rows");
    const columnMoments = slot(parameter, "columns");
    const rowSums = new Float64Array(rows);
    const columnSums = new Float64Array(columns);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const square = gradient[r * columns + c]! ** 2 + epsilon;
        rowSums[r]! += square;
        columnSums[c]! += square;
      }
    }
    let mean = 0;
    for (let r = 0; r < rows; r++) {
      rowMoments[r] = decay * rowMoments[r]! + ((1 - decay) * rowSums[r]!) / columns;
      mean += rowMoments[r]! / rows;
    }
    for (let c = 0; c < columns; c++) {
      columnMoments[c] = decay * columnMoments[c]! + ((1 - decay) * columnSums[c]!) / rows;
    }
    for (let r = 0; r < rows; r++) {
      const rowFactor = Math.sqrt(mean / rowMoments[r]!);
      for (let c = 0; c < columns; c++) {
        gradient[r * columns + c]! *= rowFactor / Math.sqrt(columnMoments[c]!);
      }
    }
  } else {
    const second = slot(parameter, "second");
    for (let i = 0; i < gradient.length; i++) {
      second[i] = decay * second[i]! + (1 - decay) * (gradient[i]! ** 2 + epsilon);
      gradient[i]! /= Math.sqrt(second[i]!);
    }
  }
  let squares = 0;
  for (let i = 0; i < gradient.length; i++) squares += gradient[i]! ** 2;
  const size = Math.sqrt(squares / gradient.length) / clipThreshold;
  if (size > 1) for (let i = 0; i < gradient.length; i++) gradient[i]! /= size;
}

/** Reductions, softmax, norms and losses of the reference. */

import { along, average, logSumExp, total } from "./arithmetic.ts";
import { at, build, type ReferenceOperator, typed } from "./values.ts";

/** A function of all elements along some axes. */
function fold(f: (elements: readonly number[]) => number): ReferenceOperator {
  return ([x], { axes, keepAxes }: { axes: readonly number[]; keepAxes: boolean }) => {
    const kept = x!.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
    const reduced = x!.shape.map((length, axis) => (axes.includes(axis) ? length : 1));
    const folded = build(kept, (outer) => {
      const elements: number[] = [];
      build(reduced, (inner) => {
        elements.push(
          at(
            x!,
            outer.map((value, axis) => value + inner[axis]!),
          ),
        );
        return 0;
      });
      return f(elements);
    });
    const shape = keepAxes ? kept : x!.shape.filter((_, axis) => !axes.includes(axis));
    return [{ shape, data: folded.data }];
  };
}

export const reductionReference: Readonly<Record<string, ReferenceOperator>> = {
  sum: fold(total),
  mean: fold(average),
  max: fold((elements) => Math.max(...elements)),
  min: fold((elements) => Math.min(...elements)),
  logSumExp: fold(logSumExp),
  softmax: typed<{ axis: number }>(([x], { axis }) => [
    along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => Math.exp(value - bound));
    })(x!, axis),
  ]),
  logSoftmax: typed<{ axis: number }>(([x], { axis }) => [
    along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => value - bound);
    })(x!, axis),
  ]),
  rmsNorm: typed<{ epsilon: number }>(([x, scale], { epsilon }) => [
    along((vector) => {
      const root = Math.sqrt(average(vector.map((value) => value * value)) + epsilon);
      return vector.map((value, i) => (value / root) * scale!.data[i]!);
    })(x!, x!.shape.length - 1),
  ]),
  layerNorm: typed<{ epsilon: number }>(([x, scale, bias], { epsilon }) => [
    along((vector) => {
      const centre = average(vector);
      const root = Math.sqrt(average(vector.map((value) => (value - centre) ** 2)) + epsilon);
      return vector.map((value, i) => ((value - centre) / root) * scale!.data[i]! + bias!.data[i]!);
    })(x!, x!.shape.length - 1),
  ]),
  softmaxProduct: ([scores, values]) => {
    const weights = along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => Math.exp(value - bound));
    })(scores!, scores!.shape.length - 1);
    const width = values!.shape.at(-1)!;
    const mixed = build([...scores!.shape.slice(0, -1), width], (index) => {
      const [rows, column] = [index.slice(0, -1), index.at(-1)!];
      const columns = Array.from({ length: scores!.shape.at(-1)! }, (_, place) => place);
      return total(
        columns.map(
          (place) =>
            at(weights, [...rows, place]) * at(values!, [...rows.slice(0, -1), place, column]),
        ),
      );
    });
    return [mixed, weights];
  },
  crossEntropyRows: ([logits, targets]) => {
    const axis = logits!.shape.length - 1;
    const logProbabilities = along((vector) => {
      const bound = logSumExp(vector);
      return vector.map((value) => value - bound);
    })(logits!, axis);
    const rows = build(
      targets!.shape,
      (index) => -at(logProbabilities, [...index, at(targets!, index)]),
    );
    return [rows, logProbabilities];
  },
};

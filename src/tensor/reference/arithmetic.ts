/** Functions of numbers and vectors that several operators of the reference use. */
import { countOf, type ReferenceValue } from "./values.ts";

/** A function of each vector along one axis. */
export function along(f: (vector: readonly number[]) => readonly number[]) {
  return (x: ReferenceValue, axis: number): ReferenceValue => {
    const data = new Float64Array(x.data.length);
    const length = x.shape[axis]!;
    const inner = countOf(x.shape.slice(axis + 1));
    for (let start = 0; start < x.data.length; start++) {
      if (Math.floor(start / inner) % length !== 0) continue;
      const vector = Array.from({ length }, (_, i) => x.data[start + i * inner]!);
      for (const [i, value] of f(vector).entries()) data[start + i * inner] = value;
    }
    return { shape: x.shape, data };
  };
}

export const total = (elements: readonly number[]): number => elements.reduce((a, b) => a + b, 0);
export const average = (elements: readonly number[]): number => total(elements) / elements.length;
export const logSumExp = (elements: readonly number[]): number => {
  const largest = Math.max(...elements);
  return largest + Math.log(total(elements.map((x) => Math.exp(x - largest))));
};
export const halvesToEven = (x: number): number => {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
};

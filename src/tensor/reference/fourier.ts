/** The discrete Fourier transform of the reference: the sum of its definition. */
import { at, build, type ReferenceOperator, typed } from "./values.ts";

export const fourierReference: Readonly<Record<string, ReferenceOperator>> = {
  dft: typed<{ inverse: boolean }>(([x], { inverse }) => {
    const length = x!.shape[1]!;
    const sign = inverse ? 1 : -1;
    return [
      build(x!.shape, ([row, bin, part]) => {
        let sum = 0;
        for (let n = 0; n < length; n++) {
          const angle = (sign * 2 * Math.PI * ((bin! * n) % length)) / length;
          const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
          const [real, imaginary] = [at(x!, [row!, n, 0]), at(x!, [row!, n, 1])];
          sum += part === 0 ? real * cos - imaginary * sin : real * sin + imaginary * cos;
        }
        return inverse ? sum / length : sum;
      }),
    ];
  }),
};

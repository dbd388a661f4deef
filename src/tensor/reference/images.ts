/** Convolutions and pools of the reference. */
import {
  at,
  build,
  countOf,
  offsetOf,
  outputShape,
  type ReferenceOperator,
  type ReferenceValue,
  typed,
} from "./values.ts";

interface Window2d {
  size: readonly [number, number];
  stride: readonly [number, number];
  padding: readonly [number, number];
}

interface Convolution {
  stride: readonly [number, number];
  padding: readonly [number, number];
  dilation: readonly [number, number];
  groups: number;
}

/** Row and column of the input that a window element of an output position reads. */
function windowPosition(
  out: readonly number[],
  inside: readonly number[],
  { stride, padding, dilation }: Omit<Convolution, "groups">,
): [number, number] {
  return [
    out[0]! * stride[0] - padding[0] + inside[0]! * dilation[0],
    out[1]! * stride[1] - padding[1] + inside[1]! * dilation[1],
  ];
}

/** Where the largest element of each window is: flat index into x, the first of ties. */
function maxInWindows(x: ReferenceValue, window: Window2d, shape: readonly number[]): number[] {
  const found: number[] = [];
  build(shape, ([n, c, row, column]) => {
    let best = -1;
    for (let i = 0; i < window.size[0]; i++) {
      for (let j = 0; j < window.size[1]; j++) {
        const [r, s] = windowPosition([row!, column!], [i, j], { ...window, dilation: [1, 1] });
        if (r < 0 || s < 0 || r >= x.shape[2]! || s >= x.shape[3]!) continue;
        const flat = offsetOf(x.shape, [n!, c!, r, s]);
        if (best < 0 || x.data[flat]! > x.data[best]!) best = flat;
      }
    }
    found.push(best);
    return 0;
  });
  return found;
}

export const imageReference: Readonly<Record<string, ReferenceOperator>> = {
  conv2d: typed<Convolution>(([x, weight, bias], attributes, context) => {
    const [, perGroup, height, width] = weight!.shape as [number, number, number, number];
    const shape = outputShape(context);
    const outPerGroup = shape[1]! / attributes.groups;
    return [
      build(shape, ([n, channel, row, column]) => {
        const first = Math.floor(channel! / outPerGroup) * perGroup;
        let sum = bias ? bias.data[channel!]! : 0;
        for (let i = 0; i < height; i++) {
          for (let j = 0; j < width; j++) {
            const [r, s] = windowPosition([row!, column!], [i, j], attributes);
            if (r < 0 || s < 0 || r >= x!.shape[2]! || s >= x!.shape[3]!) continue;
            for (let c = 0; c < perGroup; c++) {
              sum += at(x!, [n!, first + c, r, s]) * at(weight!, [channel!, c, i, j]);
            }
          }
        }
        return sum;
      }),
    ];
  }),
  conv2dTranspose: typed<Convolution>(([x, weight], attributes, context) => {
    const [, perGroup, height, width] = weight!.shape as [number, number, number, number];
    const shape = outputShape(context);
    const data = new Float64Array(countOf(shape));
    const inPerGroup = x!.shape[1]! / attributes.groups;
    // The transpose writes to the positions that conv2d reads.
    build(x!.shape, (index) => {
      const [n, channel, row, column] = index as [number, number, number, number];
      const first = Math.floor(channel / inPerGroup) * perGroup;
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) {
          const [r, s] = windowPosition([row, column], [i, j], attributes);
          if (r < 0 || s < 0 || r >= shape[2]! || s >= shape[3]!) continue;
          for (let c = 0; c < perGroup; c++) {
            data[offsetOf(shape, [n, first + c, r, s])]! +=
              at(x!, index) * at(weight!, [channel, c, i, j]);
          }
        }
      }
      return 0;
    });
    return [{ shape, data }];
  }),
  maxPool2d: typed<Window2d>(([x], attributes, context) => {
    const shape = outputShape(context);
    const found = maxInWindows(x!, attributes, shape);
    return [{ shape, data: Float64Array.from(found, (flat) => x!.data[flat]!) }];
  }),
  maxPool2dIndices: typed<Window2d>(([x], attributes, context) => {
    const shape = outputShape(context);
    return [{ shape, data: Float64Array.from(maxInWindows(x!, attributes, shape)) }];
  }),
  averagePool2d: typed<Window2d>(([x], { size, stride }, context) => [
    build(outputShape(context), ([n, c, row, column]) => {
      let sum = 0;
      for (let i = 0; i < size[0]; i++) {
        for (let j = 0; j < size[1]; j++) {
          sum += at(x!, [n!, c!, row! * stride[0] + i, column! * stride[1] + j]);
        }
      }
      return sum / (size[0] * size[1]);
    }),
  ]),
};

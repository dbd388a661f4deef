/** Operators of the reference that move or choose elements. */
import type { Dimension } from "../dimension.ts";
import { along, total } from "./arithmetic.ts";
import {
  at,
  atBroadcast,
  build,
  offsetOf,
  outputShape,
  type ReferenceOperator,
  scalar,
  typed,
} from "./values.ts";

export const shapeReference: Readonly<Record<string, ReferenceOperator>> = {
  reshape: ([x], _attributes, context) => [{ shape: outputShape(context), data: x!.data }],
  transpose: typed<{ order: readonly number[] }>(([x], { order }) => [
    build(
      order.map((axis) => x!.shape[axis]!),
      (index) =>
        at(
          x!,
          order.map((_, axis) => index[order.indexOf(axis)]!),
        ),
    ),
  ]),
  broadcastTo: ([x], _attributes, context) => [
    build(outputShape(context), (index) => atBroadcast(x!, index)),
  ],
  concat: typed<{ axis: number }>((inputs, { axis }) => {
    const lengths = inputs.map((input) => input.shape[axis]!);
    return [
      build(inputs[0]!.shape.with(axis, total(lengths)), (index) => {
        let position = index[axis]!;
        let part = 0;
        while (position >= lengths[part]!) position -= lengths[part++]!;
        return at(inputs[part]!, index.with(axis, position));
      }),
    ];
  }),
  split: typed<{ sizes: readonly Dimension[]; axis: number }>(([x], { sizes, axis }, { size }) => {
    let start = 0;
    return sizes.map((dimension) => {
      const from = start;
      const length = size(dimension);
      start += length;
      return build(x!.shape.with(axis, length), (index) =>
        at(x!, index.with(axis, from + index[axis]!)),
      );
    });
  }),
  slice: typed<{ axis: number; start: Dimension; end: Dimension }>(
    ([x], { axis, start, end }, { size }) => {
      const from = size(start);
      return [
        build(x!.shape.with(axis, size(end) - from), (index) =>
          at(x!, index.with(axis, from + index[axis]!)),
        ),
      ];
    },
  ),
  pad: typed<{ axis: number; before: Dimension; after: Dimension }>(
    ([x], { axis, before, after }, { size }) => {
      const length = x!.shape[axis]!;
      return [
        build(x!.shape.with(axis, size(before) + length + size(after)), (index) => {
          const position = index[axis]! - size(before);
          return position < 0 || position >= length ? 0 : at(x!, index.with(axis, position));
        }),
      ];
    },
  ),
  flip: typed<{ axis: number }>(([x], { axis }) => [
    along((vector) => [...vector].reverse())(x!, axis),
  ]),

  gather: typed<{ axis: number }>(([x, indices], { axis }, context) => [
    build(outputShape(context), (index) => {
      const rank = indices!.shape.length;
      const chosen = at(indices!, index.slice(axis, axis + rank));
      return at(x!, [...index.slice(0, axis), chosen, ...index.slice(axis + rank)]);
    }),
  ]),
  gatherElements: typed<{ axis: number }>(([x, indices], { axis }) => [
    build(indices!.shape, (index) => at(x!, index.with(axis, at(indices!, index)))),
  ]),
  overwrite: typed<{ axis: number }>(([x, update, starts], { axis }) => [
    build(x!.shape, (index) => {
      const place = index[axis]! - starts!.data[index[0]!]!;
      const isWritten = place >= 0 && place < update!.shape[axis]!;
      return isWritten ? at(update!, index.with(axis, place)) : at(x!, index);
    }),
  ]),
  scatterAdd: typed<{ axis: number }>(([x, indices, updates], { axis }) => {
    const data = x!.data.slice();
    build(indices!.shape, (index) => {
      const target = offsetOf(x!.shape, index.with(axis, at(indices!, index)));
      data[target]! += at(updates!, index);
      return 0;
    });
    return [{ shape: x!.shape, data }];
  }),
  topK: typed<{ axis: number; count: Dimension }>(([x], { axis, count }, { size }) => {
    const order = along((vector) =>
      vector.map((_, i) => i).sort((a, b) => vector[b]! - vector[a]! || a - b),
    )(x!, axis);
    const shape = x!.shape.with(axis, size(count));
    const indices = build(shape, (index) => at(order, index));
    return [build(shape, (index) => at(x!, index.with(axis, at(indices, index)))), indices];
  }),
  argmax: typed<{ axis: number }>(([x], { axis }) => {
    const kept = build(x!.shape.with(axis, 1), (index) => {
      let best = 0;
      for (let i = 1; i < x!.shape[axis]!; i++) {
        if (at(x!, index.with(axis, i)) > at(x!, index.with(axis, best))) best = i;
      }
      return best;
    });
    return [{ shape: x!.shape.toSpliced(axis, 1), data: kept.data }];
  }),
  cumulativeSum: typed<{ axis: number; reverse: boolean }>(([x], { axis, reverse }) => [
    along((vector) => {
      const summed = reverse ? [...vector].reverse() : [...vector];
      for (let i = 1; i < summed.length; i++) summed[i]! += summed[i - 1]!;
      return reverse ? summed.reverse() : summed;
    })(x!, axis),
  ]),
  sliceBetween: ([x, start, end]) => {
    const from = start!.data[0]!;
    const shape = x!.shape.with(0, end!.data[0]! - from);
    return [build(shape, (index) => at(x!, index.with(0, from + index[0]!)))];
  },
  splitBySizes: ([x, sizes]) => {
    let end = 0;
    return [...sizes!.data].map((size) => {
      const from = end;
      end += size;
      return build(x!.shape.with(0, size), (index) => at(x!, index.with(0, from + index[0]!)));
    });
  },
  nonZero: ([x]) => {
    const found = [...x!.data.keys()].filter((flat) => x!.data[flat] !== 0);
    const indices = Float64Array.from(found.length > 0 ? found : [0]);
    return [{ shape: [indices.length], data: indices }, scalar(found.length)];
  },
};

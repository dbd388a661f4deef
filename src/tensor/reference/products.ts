/** Matrix products, rotations and branches of the reference. */
import type { Scope, Tensor } from "../graph.ts";
import { along, halvesToEven } from "./arithmetic.ts";
import {
  at,
  build,
  outputShape,
  type ReferenceOperator,
  type ReferenceValue,
  typed,
} from "./values.ts";

export const productReference: Readonly<Record<string, ReferenceOperator>> = {
  matmul: typed<{ transposeA: boolean; transposeB: boolean; alpha: number }>(
    ([a, b], { transposeA, transposeB, alpha }, context) => {
      const shape = outputShape(context);
      const inner = a!.shape.at(transposeA ? -2 : -1)!;
      const stackA: ReferenceValue = { shape: a!.shape.slice(0, -2), data: new Float64Array() };
      const stackB: ReferenceValue = { shape: b!.shape.slice(0, -2), data: new Float64Array() };
      const pick = ({ shape: stack }: ReferenceValue, index: readonly number[]): number[] =>
        stack.map((length, axis) =>
          length === 1 ? 0 : index[index.length - 2 - stack.length + axis]!,
        );
      return [
        build(shape, (index) => {
          const [row, column] = index.slice(-2) as [number, number];
          const fromA = pick(stackA, index);
          const fromB = pick(stackB, index);
          let sum = 0;
          for (let i = 0; i < inner; i++) {
            const left = at(a!, [...fromA, ...(transposeA ? [i, row] : [row, i])]);
            const right = at(b!, [...fromB, ...(transposeB ? [column, i] : [i, column])]);
            sum += left * right;
          }
          return alpha * sum;
        }),
      ];
    },
  ),
  matmulBlockQuantized: typed<{ bits: 4 | 8; blockSize: number; rows: number; columns: number }>(
    ([x, codes, scales, zeros], { bits, blockSize, rows, columns }) => {
      const blocks = Math.ceil(columns / blockSize);
      const perByte = 8 / bits;
      const codeOf = (byte: number, place: number): number =>
        Math.floor(byte / 2 ** (bits * (place % perByte))) % 2 ** bits;
      const zeroBytes = Math.ceil(blocks / perByte);
      const weight = (row: number, column: number): number => {
        const block = Math.floor(column / blockSize);
        const inside = column % blockSize;
        const byte = at(codes!, [row, block, Math.floor(inside / perByte)]);
        const zero = zeros
          ? codeOf(zeros.data[row * zeroBytes + Math.floor(block / perByte)]!, block)
          : 2 ** (bits - 1);
        return (codeOf(byte, inside) - zero) * scales!.data[row * blocks + block]!;
      };
      return [
        build([...x!.shape.slice(0, -1), rows], (index) => {
          let sum = 0;
          for (let i = 0; i < columns; i++) {
            sum += at(x!, index.with(-1, i)) * weight(index.at(-1)!, i);
          }
          return sum;
        }),
      ];
    },
  ),
  matmulChannelQuantized: ([x, codes, scales]) => {
    const [inputs, outputs] = codes!.shape as [number, number];
    const rounded = along((vector) => {
      const step = Math.max(...vector.map(Math.abs), 1e-30) / 127;
      return vector.map((value) => halvesToEven(value / step) * step);
    })(x!, x!.shape.length - 1);
    return [
      build([...x!.shape.slice(0, -1), outputs], (index) => {
        const column = index.at(-1)!;
        let sum = 0;
        for (let i = 0; i < inputs; i++)
          sum += at(rounded, index.with(-1, i)) * at(codes!, [i, column]);
        return sum * scales!.data[column]!;
      }),
    ];
  },

  rotary: ([x, positions, cos, sin]) => {
    const half = cos!.shape[1]!;
    return [
      build(x!.shape, (index) => {
        const [batch, , time, feature] = index as [number, number, number, number];
        const own = at(x!, index);
        if (feature >= 2 * half) return own;
        const row = at(positions!, [batch, time]);
        const cosine = at(cos!, [row, feature % half]);
        const sine = at(sin!, [row, feature % half]);
        const isFirst = feature < half;
        const other = at(x!, index.with(3, isFirst ? feature + half : feature - half));
        return isFirst ? own * cosine - other * sine : own * cosine + other * sine;
      }),
    ];
  },

  conditional: typed<{ branches: readonly { scope: Scope; outputs: readonly Tensor[] }[] }>(
    ([condition], { branches }, { branch }) => {
      const taken = branches[condition!.data[0] !== 0 ? 0 : 1]!;
      return branch(taken.scope, taken.outputs);
    },
  ),
};

/** Matrix products: plain, with transposed operands, and over quantized weights. */
import { type Dimension, multiplyDimensions, shapesEqual } from "../dimension.ts";
import type { Emitter } from "../emit.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { sumTo } from "./reduce.ts";
import { reshape } from "./shape.ts";

/** How the operands of a product are read. */
export interface MatmulOptions {
  /** Read the last two axes of `a` exchanged. Default false. */
  transposeA?: boolean;
  /** Read the last two axes of `b` exchanged, as stored `[out, in]` weights need. Default false. */
  transposeB?: boolean;
  /** Factor of the product. Default 1. */
  alpha?: number;
}

type MatmulAttributes = Required<MatmulOptions>;

const matmulOperator: OperatorDefinition<MatmulAttributes> = defineOperator({
  name: "matmul",
  infer(inputs, { transposeA, transposeB }) {
    const [a, b] = inputs;
    if (a!.shape.length < 2 || b!.shape.length < 2 || a!.dtype !== b!.dtype) {
      throw shapeError("matmul", inputs, "needs two matrices (or stacks of them) of one type");
    }
    const [rows, innerA] = lastTwo(a!, transposeA);
    const [innerB, columns] = lastTwo(b!, transposeB);
    if (innerA !== innerB) {
      throw shapeError("matmul", inputs, `inner sizes ${innerA} and ${innerB} differ`);
    }
    const stack = broadcastStack(inputs);
    return [{ dtype: a!.dtype, shape: [...stack, rows, columns] }];
  },
  emit(emitter, inputs, { transposeA, transposeB, alpha }) {
    if (!transposeA && !transposeB && alpha === 1) return emitter.node("MatMul", inputs);
    return emitter.node("FusedMatMul", inputs, {
      attributes: {
        transA: transposeA ? 1 : 0,
        transB: transposeB ? 1 : 0,
        alpha: { float: alpha },
      },
      domain: "com.microsoft",
    });
  },
  vjp({ inputs: [a, b] }, [g], { transposeA, transposeB, alpha }) {
    if (b!.shape.length === 2 && a!.shape.length > 2 && !transposeA) {
      // One product over all rows instead of a stack of products that would be summed.
      const rows = multiplyDimensions(...a!.shape.slice(0, -1));
      const flatA = reshape(a!, [rows, a!.shape.at(-1)!]);
      const flatG = reshape(g!, [rows, g!.shape.at(-1)!]);
      const forB = transposeB
        ? matmul(flatG, flatA, { transposeA: true, alpha })
        : matmul(flatA, flatG, { transposeA: true, alpha });
      return [matmul(g!, b!, { transposeB: !transposeB, alpha }), forB];
    }
    const forA = transposeA
      ? matmul(b!, g!, { transposeA: transposeB, transposeB: true, alpha })
      : matmul(g!, b!, { transposeB: !transposeB, alpha });
    const forB = transposeB
      ? matmul(g!, a!, { transposeA: true, transposeB: transposeA, alpha })
      : matmul(a!, g!, { transposeA: !transposeA, alpha });
    return [sumTo(forA, a!.shape), sumTo(forB, b!.shape)];
  },
});

function lastTwo(x: Tensor, transposed: boolean): [Dimension, Dimension] {
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

function broadcastStack(inputs: readonly Tensor[]): Dimension[] {
  const stacks = inputs.map((input) => input.shape.slice(0, -2));
  const rank = Math.max(...stacks.map((stack) => stack.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = stacks.map((stack) => stack[axis - rank + stack.length] ?? 1);
    const size = sizes.find((dimension) => dimension !== 1) ?? 1;
    if (sizes.some((dimension) => dimension !== 1 && dimension !== size)) {
      throw shapeError("matmul", inputs, "stacks of matrices do not broadcast");
    }
    return size;
  });
}

/** `alpha · a · b` over the last two axes; leading axes broadcast. */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, alpha = 1 } = options;
  return apply(matmulOperator, [a, b], { transposeA, transposeB, alpha })[0]!;
}

/** Attributes of a matrix whose values are codes of few bits with one scale for each block. */
export interface BlockQuantization {
  /** Bits of a code. */
  bits: 4 | 8;
  /** Codes that share a scale: a power of two, at least 16. */
  blockSize: number;
  /** Outputs and inputs of the matrix. */
  rows: number;
  columns: number;
}

const matmulBlockQuantizedOperator: OperatorDefinition<BlockQuantization> = defineOperator({
  name: "matmulBlockQuantized",
  infer(inputs, { bits, blockSize, rows, columns }) {
    const [x, codes, scales, zeroPoints] = inputs;
    const blocks = Math.ceil(columns / blockSize);
    if (
      (zeroPoints && !shapesEqual(zeroPoints.shape, [rows * Math.ceil((blocks * bits) / 8)])) ||
      x!.dtype !== "float32" ||
      codes!.dtype !== "uint8" ||
      x!.shape.at(-1) !== columns ||
      !shapesEqual(codes!.shape, [rows, blocks, (blockSize * bits) / 8]) ||
      !shapesEqual(scales!.shape, [rows * blocks])
    ) {
      throw shapeError(
        "matmulBlockQuantized",
        inputs,
        `is no ${rows} x ${columns} matrix in blocks`,
      );
    }
    return [{ dtype: x!.dtype, shape: [...x!.shape.slice(0, -1), rows] }];
  },
  emit: (emitter, inputs, { bits, blockSize, rows, columns }) =>
    emitter.node("MatMulNBits", inputs, {
      attributes: { K: columns, N: rows, bits, block_size: blockSize, accuracy_level: 4 },
      domain: "com.microsoft",
    }),
});

/**
 * x · Wᵀ where W `[rows, columns]` is held as unsigned codes in blocks along its columns:
 * value = (code - zero) · scale. `codes` uint8 `[rows, blocks, blockSize · bits / 8]`, low bits first;
 * `scales` float32 `[rows · blocks]`; `zeros` uint8, codes of the blocks' zero points, each row's packed
 * like its codes and filled up to whole bytes, by default 2^(bits-1) everywhere. Activations are rounded
 * to int8 block by block. For inference only.
 */
export function matmulBlockQuantized(
  x: Tensor,
  codes: Tensor,
  scales: Tensor,
  quantization: BlockQuantization,
  zeroPoints?: Tensor,
): Tensor {
  const parts = zeroPoints ? [codes, scales, zeroPoints] : [codes, scales];
  return apply(matmulBlockQuantizedOperator, [x, ...parts], quantization)[0]!;
}

/**
 * Whether this processor sums products of unsigned and signed bytes without loss: a small product of the largest ones,
 * which the runtime computes when it opens the graph. With AVX2 alone its kernels cut two products off at 16 bits.
 */
function sumsWhole(emitter: Emitter): string {
  return emitter.once("sums of bytes are whole", () => {
    const [inner, outer] = [32, 16];
    const largest = emitter.constant("uint8", [1, inner], new Uint8Array(inner).fill(255));
    const codes = new Int8Array(inner * outer).fill(127);
    const sums = emitter.one("MatMulInteger", [
      largest,
      emitter.constant("int8", [inner, outer], codes),
    ]);
    const least = emitter.one("ReduceMin", [sums], { attributes: { keepdims: 0 } });
    const whole = emitter.constant("int32", [], Int32Array.of(inner * 255 * 127));
    return emitter.one("Equal", [least, whole]);
  });
}

const matmulChannelQuantizedOperator: OperatorDefinition<null> = defineOperator({
  name: "matmulChannelQuantized",
  infer(inputs) {
    const [x, codes, scales] = inputs;
    const [columns, rows] = codes!.shape;
    if (
      x!.dtype !== "float32" ||
      codes!.dtype !== "int8" ||
      x!.shape.at(-1) !== columns ||
      !shapesEqual(scales!.shape, [rows!])
    ) {
      throw shapeError(
        "matmulChannelQuantized",
        inputs,
        "needs x, int8 codes [in, out] and scales [out]",
      );
    }
    return [{ dtype: "float32", shape: [...x!.shape.slice(0, -1), rows!] }];
  },
  emit(emitter, [x, codes, scales], _, { inputs }) {
    // Each row of x gets its own symmetric scale, so a row's result does not depend on its
    // neighbours. Codes are shifted to unsigned because the fast kernels want unsigned by signed.
    // Scales of rows can go into the rounding only where rows are the first of two axes.
    const isMatrix = inputs[0]!.shape.length === 2;
    const magnitude = emitter.one("Abs", [x!]);
    const largest = emitter.one("ReduceMax", [magnitude, emitter.integers([-1])], {
      attributes: { keepdims: isMatrix ? 0 : 1 },
    });
    const bounded = emitter.one("Max", [largest, emitter.scalar(1e-30)]);
    const steps = emitter.one("Mul", [bounded, emitter.scalar(1 / 127)]);
    const step = isMatrix ? emitter.one("Unsqueeze", [steps, emitter.integers([-1])]) : steps;
    const divided = (inner: Emitter): string => inner.one("Div", [x!, step]);
    // float32 `[..., out]`: sums of products of codes, by the scale of their output.
    const product = emitter.either(sumsWhole(emitter), "float32", [
      (inner) => {
        const zero = inner.constant("uint8", [], Uint8Array.of(128));
        const round = (): string => {
          if (!isMatrix)
            return inner.one("QuantizeLinear", [divided(inner), inner.scalar(1), zero]);
          const zeros = inner.one("Expand", [zero, inner.one("Shape", [steps])]);
          return inner.one("QuantizeLinear", [x!, steps, zeros], { attributes: { axis: 0 } });
        };
        const inputs = [round(), codes!, inner.scalar(1), scales!, zero];
        return inner.one("MatMulIntegerToFloat", inputs, { domain: "com.microsoft" });
      },
      (inner) => {
        // Twice the upper seven bits, and the last one: no two products exceed 16 bits.
        const shifted = inner.one("Add", [inner.one("Round", [divided(inner)]), inner.scalar(128)]);
        const half = inner.one("Floor", [inner.one("Mul", [shifted, inner.scalar(0.5)])]);
        const last = inner.one("Sub", [shifted, inner.one("Add", [half, half])]);
        const bytes = (x: string): string => inner.one("Cast", [x], { attributes: { to: 2 } });
        const zero = inner.constant("uint8", [], Uint8Array.of(64));
        const upper = inner.one("MatMulInteger", [bytes(half), codes!, zero]);
        const lower = inner.one("MatMulInteger", [bytes(last), codes!]);
        const sums = inner.one("Add", [inner.one("Add", [upper, upper]), lower]);
        return inner.one("Mul", [inner.one("Cast", [sums], { attributes: { to: 1 } }), scales!]);
      },
    ]);
    return emitter.node("Mul", [product, step]);
  },
});

/**
 * x · W where W `[in, out]` is held as int8 codes with one scale for each output, and every row of x
 * is rounded to 8 bits with a scale of its own: value = code · scale. For inference only.
 */
export function matmulChannelQuantized(x: Tensor, codes: Tensor, scales: Tensor): Tensor {
  return apply(matmulChannelQuantizedOperator, [x, codes, scales], null)[0]!;
}

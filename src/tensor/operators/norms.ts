/** Norms over the last axis. */
import { multiplyDimensions, shapesEqual } from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { sizeValue } from "./constant.ts";
import { add, cast, divide, multiply, sqrt, subtract } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { mean, sumTo } from "./reduce.ts";
import { reshape } from "./shape.ts";

/** x / sqrt(mean(x²) + epsilon) · scale over the last axis (Zhang and Sennrich, 2019). */
export function rmsNorm(x: Tensor, scale: Tensor, options: { epsilon: number }): Tensor {
  if (scale.shape.length !== 1 || scale.shape[0] !== x.shape.at(-1)) {
    throw shapeError("rmsNorm", [x, scale], "the scale is a vector as long as the last axis");
  }
  return apply(rmsNormOperator, [x, scale], options)[0]!;
}

const rmsNormOperator: OperatorDefinition<{ epsilon: number }> = defineOperator({
  name: "rmsNorm",
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  emit: (emitter, inputs, { epsilon }) =>
    emitter.node("SimplifiedLayerNormalization", inputs, {
      attributes: { axis: -1, epsilon: { float: epsilon }, stash_type: 1 },
    }),
  vjp({ inputs: [x, scale] }, [g], { epsilon }) {
    // y = x·r·s with r = (mean(x²) + ε)^(-1/2):  dx = g·s·r - x·r³·mean(g·x·s),  ds = sum(g·x·r). Both sums are
    // products with a vector over g·x, so that few passes read whole arrays.
    const width = x!.shape.at(-1)!;
    const rows = [multiplyDimensions(...x!.shape.slice(0, -1)), width];
    const [flatX, flatG] = [reshape(x!, rows), reshape(g!, rows)];
    const squares = mean(multiply(flatX, flatX), { axes: [-1], keepAxes: true });
    const inverse = divide(1, sqrt(add(squares, epsilon)));
    const product = multiply(flatG, flatX);
    const projection = matmul(product, reshape(scale!, [width, 1]));
    const cube = multiply(inverse, multiply(inverse, inverse));
    const count = typeof width === "number" ? width : cast(sizeValue(width), x!.dtype);
    const along = divide(multiply(projection, cube), count);
    const forX = subtract(multiply(multiply(flatG, scale!), inverse), multiply(flatX, along));
    const forScale = matmul(inverse, product, { transposeA: true });
    return [reshape(forX, x!.shape), reshape(forScale, scale!.shape)];
  },
});

/** (x - mean) / sqrt(variance + epsilon) · scale + bias over the last axis (Ba et al., 2016). */
export function layerNorm(
  x: Tensor,
  scale: Tensor,
  bias: Tensor,
  options: { epsilon: number },
): Tensor {
  const width = x.shape.at(-1);
  if (
    scale.shape.length !== 1 ||
    scale.shape[0] !== width ||
    !shapesEqual(scale.shape, bias.shape)
  ) {
    throw shapeError("layerNorm", [x, scale, bias], "scale and bias are as long as the last axis");
  }
  return apply(layerNormOperator, [x, scale, bias], options)[0]!;
}

const layerNormOperator: OperatorDefinition<{ epsilon: number }> = defineOperator({
  name: "layerNorm",
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  emit: (emitter, inputs, { epsilon }) =>
    emitter.node("LayerNormalization", inputs, {
      attributes: { axis: -1, epsilon: { float: epsilon } },
    }),
  vjp({ inputs: [x, scale, bias] }, [g], { epsilon }) {
    const centred = subtract(x!, mean(x!, { axes: [-1], keepAxes: true }));
    const variance = mean(multiply(centred, centred), { axes: [-1], keepAxes: true });
    const inverse = divide(1, sqrt(add(variance, epsilon)));
    const normal = multiply(centred, inverse);
    const scaled = multiply(g!, scale!);
    const average = mean(scaled, { axes: [-1], keepAxes: true });
    const projection = mean(multiply(scaled, normal), { axes: [-1], keepAxes: true });
    return [
      multiply(inverse, subtract(subtract(scaled, average), multiply(normal, projection))),
      sumTo(multiply(g!, normal), scale!.shape),
      sumTo(g!, bias!.shape),
    ];
  },
});

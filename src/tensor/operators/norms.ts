/** Norms over the last axis. */
import { shapesEqual } from "../dimension.ts";
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
import { mean, sum, sumTo } from "./reduce.ts";
import { reshape, squeeze, unsqueeze } from "./shape.ts";

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
    const isRow = x!.shape.length === 1;
    const [rows, gradient] = isRow ? [unsqueeze(x!, 0), unsqueeze(g!, 0)] : [x!, g!];
    const count = typeof width === "number" ? width : cast(sizeValue(width), x!.dtype);
    const least = typeof count === "number" ? count * epsilon : multiply(count, epsilon);
    const squares = sum(multiply(rows, rows), { axes: [-1], keepAxes: true });
    const raised = add(squares, least);
    const inverse = sqrt(divide(count, raised));
    const product = multiply(gradient, rows);
    const projection = matmul(product, reshape(scale!, [width, 1]));
    const along = multiply(projection, divide(inverse, raised));
    const forX = subtract(multiply(multiply(gradient, scale!), inverse), multiply(rows, along));
    const forScale = matmul(inverse, product, { transposeA: true });
    return [isRow ? squeeze(forX, 0) : forX, sumTo(forScale, scale!.shape)];
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

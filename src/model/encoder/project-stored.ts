/** Products with stored matrices, for any format of the others. */
import { cast, concat, matmul, slice, type Tensor } from "../../tensor/index.ts";
import { addBias, type DecoderWeights } from "../weights/trace-weights.ts";
import { biasOf, weightOf } from "./encoder-names.ts";

/** A row by itself would get another kernel than rows of a batch, and other last bits. */
function productOfRows(x: Tensor, matrix: Tensor): Tensor {
  const twice = matmul(concat([x, x], 0), matrix, { transposeB: true });
  return slice(twice, { axis: 0, end: x.shape[0]! });
}

/** A product with a small stored matrix of a head, which is never packed. */
export function projectStored(
  weights: DecoderWeights,
  x: Tensor,
  name: string,
  biased = true,
): Tensor {
  const matrix = cast(weights.table(weightOf(name)), "float32");
  const product =
    x.shape.length === 2 ? productOfRows(x, matrix) : matmul(x, matrix, { transposeB: true });
  return biased ? addBias(weights, product, [biasOf(name)]) : product;
}

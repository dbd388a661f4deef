/** Rotary position embedding (Su et al., 2021) as one kernel of ONNX Runtime. */
import { shapesEqual } from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
} from "../graph.ts";
import { negate } from "./elementwise.ts";

const rotaryOperator: OperatorDefinition<null> = defineOperator({
  name: "rotary",
  infer(inputs) {
    const [x, positions, cos, sin] = inputs;
    const [batch, , time, width] = x!.shape;
    const half = cos!.shape[1] as number;
    if (
      x!.shape.length !== 4 ||
      positions!.dtype !== "int32" ||
      !shapesEqual(positions!.shape, [batch!, time!]) ||
      !shapesEqual(cos!.shape, sin!.shape) ||
      2 * half > (width as number)
    ) {
      throw shapeError(
        "rotary",
        inputs,
        "needs x [batch, heads, time, width], int32 positions [batch, time] and tables [positions, rotated / 2]",
      );
    }
    return [{ dtype: x!.dtype, shape: x!.shape }];
  },
  emit(emitter, [x, positions, cos, sin], _attributes, node) {
    const wide = emitter.widened(positions!);
    const heads = node.inputs[0]!.shape[1] as number;
    const half = node.inputs[2]!.shape[1] as number;
    return emitter.node("RotaryEmbedding", [x!, wide, cos!, sin!], {
      attributes: { num_heads: heads, rotary_embedding_dim: 2 * half },
      domain: "com.microsoft",
    });
  },
  vjp({ inputs: [, positions, cos, sin] }, [g]) {
    return [rotary(g!, positions!, cos!, negate(sin!)), undefined, undefined, undefined];
  },
});

/**
 * Rotates pairs (i, i + rotated/2) of each head by the angle of the row's position.
 *
 * @param x `[batch, heads, time, width]` float32
 * @param positions `[batch, time]` int32, each below the number of rows of the tables
 * @param cos `[positions, rotated / 2]`; where `rotated` is less than the width of a head, its last
 *   elements stay as they are
 */
export function rotary(x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor): Tensor {
  return apply(rotaryOperator, [x, positions, cos, sin], null)[0]!;
}

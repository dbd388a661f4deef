/**
 * The weights of a training graph: every parameter as checkpoints store it. Stacked experts are one
 * parameter, of which the layers read parts.
 */
import { matmul, reshape, split, type Tensor, transpose } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { type ExpertStack, expertPart, expertStacks } from "../decoder/expert-names.ts";
import { type DecoderWeights, traceFloat32Weights } from "./trace-weights.ts";

/**
 * Weights for tracing of which nothing but shapes is known, float32.
 *
 * @param shapes of the parameters, as `decoderParameterShapes` gives them
 * @param prefix the graph's parameters have these names behind it, so that one graph may hold two decoders
 */
export function traceStoredWeights(
  config: DecoderConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
  prefix = "",
): DecoderWeights {
  const weights = tracePrefixedWeights(shapes, prefix);
  const stacks = stackByPart(config);
  if (stacks.size === 0) return weights;
  const parts = new Map<string, readonly Tensor[]>();
  const partOf = ({ name, expert }: StackedPart): Tensor => {
    const [count, ...shape] = shapes.get(name) as number[];
    let each = parts.get(name);
    if (!each) {
      // One operator for all experts: its gradient joins theirs without a sum over whole tensors.
      each = split(weights.vector(name), new Array<number>(count!).fill(1), 0);
      parts.set(name, each);
    }
    return reshape(each[expert]!, shape);
  };
  const isStored = (name: string): boolean => shapes.has(name) || !stacks.has(name);
  return {
    ...weights,
    vector(name) {
      if (isStored(name)) return weights.vector(name);
      const stack = stacks.get(name)!;
      const part = partOf(stack);
      return stack.isTransposed ? transpose(part, [1, 0]) : part;
    },
    linear(x, names) {
      const [name] = names;
      if (names.length > 1 || isStored(name!)) return weights.linear(x, names);
      const stack = stacks.get(name!)!;
      return matmul(x, partOf(stack), { transposeB: !stack.isTransposed });
    },
  };
}

/** Float32 weights whose parameters have other names in the graph. */
function tracePrefixedWeights(
  shapes: ReadonlyMap<string, readonly number[]>,
  prefix: string,
): DecoderWeights {
  if (prefix === "") return traceFloat32Weights(shapes);
  const named = new Map(Array.from(shapes, ([name, shape]) => [`${prefix}${name}`, shape]));
  const weights = traceFloat32Weights(named);
  return {
    vector: (name) => weights.vector(`${prefix}${name}`),
    table: (name) => weights.table(`${prefix}${name}`),
    linear: (x, names) =>
      weights.linear(
        x,
        names.map((name) => `${prefix}${name}`),
      ),
  };
}

/** Where one expert's part lies. */
interface StackedPart extends ExpertStack {
  readonly expert: number;
}

/** The stack of every part, by the decoder's name for the part. */
function stackByPart(config: DecoderConfig): ReadonlyMap<string, StackedPart> {
  const stacks = new Map<string, StackedPart>();
  for (const [layer, { sparse }] of config.layers.entries()) {
    if (!sparse) continue;
    for (const stack of expertStacks(config, layer)) {
      for (let expert = 0; expert < config.experts!.count; expert++) {
        stacks.set(expertPart(stack.name, expert), { ...stack, expert });
      }
    }
  }
  return stacks;
}

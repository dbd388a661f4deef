/** Small training steps, with values: a transformer of two layers and a convolutional network. */
import { createRandom } from "../core/index.ts";
import {
  add,
  averagePool2d,
  causalMask,
  conv2d,
  crossEntropy,
  float32,
  gather,
  gradients,
  groupNorm,
  int32,
  matmul,
  maxPool2d,
  mean,
  multiply,
  parameter,
  range,
  relu,
  reshape,
  rmsNorm,
  scoped,
  silu,
  softmax,
  type Tensor,
  type TensorValueData,
  type TypedGraph,
  trace,
  transpose,
  upsampleNearest2d,
  where,
} from "../tensor/index.ts";

/** A graph that returns `loss` and a gradient for each parameter, and inputs to run it with. */
export interface SmallProgram {
  readonly graph: TypedGraph<string, string>;
  readonly inputs: Readonly<Record<string, { data: TensorValueData; shape: readonly number[] }>>;
}

/** Random values for the parameters of a graph. */
function parameterValues(graph: TypedGraph<string, string>, scale: number) {
  return Object.fromEntries(
    [...graph.parameters].map(([name, { shape }]) => {
      const numbers = shape as readonly number[];
      const random = createRandom(3, name);
      const length = numbers.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length }, () => scale * random.normal());
      return [name, { data, shape: numbers }];
    }),
  );
}

/** Loss and gradients by every parameter that the loss uses. */
function withGradients(loss: Tensor, parameters: readonly Tensor[]): Record<string, Tensor> {
  const list = gradients(loss, parameters);
  return {
    loss,
    ...Object.fromEntries(list.map((gradient, index) => [`gradient${index}`, gradient])),
  };
}

/** A training step of a decoder with two layers. */
export function transformerStep(layers = 2): SmallProgram {
  const [vocabulary, width, heads, inner] = [11, 16, 2, 24];
  const size = width / heads;
  const graph: TypedGraph<string, string> = trace(
    { ids: int32(["batch", "time"]), targets: int32(["batch", "time"]) },
    ({ ids, targets }) => {
      const parameters: Tensor[] = [];
      const weight = (name: string, ...shape: number[]): Tensor => {
        const tensor = parameter(name, shape);
        parameters.push(tensor);
        return tensor;
      };
      const linear = (x: Tensor, name: string, outputs: number, inputs: number): Tensor =>
        matmul(x, weight(name, outputs, inputs), { transposeB: true });
      const table = weight("embedding", vocabulary, width);
      let x = add(gather(table, ids), gather(weight("positions", 8, width), range("time")));
      const mask = causalMask("time", "time");
      for (let layer = 0; layer < layers; layer++) {
        scoped(`layers.${layer}`, () => {
          const h = rmsNorm(x, weight(`${layer}.norm`, width), { epsilon: 1e-5 });
          const split = (name: string): Tensor =>
            transpose(
              reshape(linear(h, `${layer}.${name}`, width, width), ["batch", "time", heads, size]),
              [0, 2, 1, 3],
            );
          const [q, k, v] = [split("q"), split("k"), split("v")];
          const scores = matmul(q, k, { transposeB: true, alpha: size ** -0.5 });
          const mixed = matmul(softmax(where(mask, scores, -1e9)), v);
          const joined = reshape(transpose(mixed, [0, 2, 1, 3]), ["batch", "time", width]);
          x = add(x, linear(joined, `${layer}.o`, width, width));
          const n = rmsNorm(x, weight(`${layer}.norm2`, width), { epsilon: 1e-5 });
          const gate = silu(linear(n, `${layer}.gate`, inner, width));
          const up = linear(n, `${layer}.up`, inner, width);
          x = add(x, linear(multiply(gate, up), `${layer}.down`, width, inner));
        });
      }
      const logits = matmul(x, table, { transposeB: true });
      return withGradients(crossEntropy(logits, targets, { ignoreIndex: -100 }), parameters);
    },
  );
  const random = createRandom(4);
  const ids = Int32Array.from({ length: 12 }, () => random.integer(vocabulary));
  const targets = ids.map((_, index) => (index % 5 === 0 ? -100 : random.integer(vocabulary)));
  return {
    graph,
    inputs: {
      ...parameterValues(graph, 0.5),
      ids: { data: ids, shape: [2, 6] },
      targets: { data: targets, shape: [2, 6] },
    },
  };
}

/** A training step of a small convolutional network with normalization, pooling and upsampling. */
export function convolutionStep(): SmallProgram {
  const graph: TypedGraph<string, string> = trace(
    { images: float32(["batch", 2, 8, 8]), targets: int32(["batch"]) },
    ({ images, targets }) => {
      const parameters = [
        parameter("first", [4, 2, 3, 3]),
        parameter("bias", [4]),
        parameter("scale", [4]),
        parameter("shift", [4]),
        parameter("second", [6, 2, 3, 3]),
        parameter("head", [5, 6]),
      ];
      const [first, bias, scale, shift, second, head] = parameters as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const h = groupNorm(conv2d(images, first, { bias, padding: 1 }), scale, shift, {
        groups: 2,
        epsilon: 1e-3,
      });
      const pooled = maxPool2d(relu(h), { size: 2 });
      const deep = conv2d(pooled, second, { stride: 2, padding: 1, groups: 2 });
      const smooth = averagePool2d(upsampleNearest2d(relu(deep), 2), { size: 3, stride: 1 });
      const logits = matmul(mean(smooth, { axes: [2, 3] }), head, { transposeB: true });
      return withGradients(crossEntropy(logits, targets), parameters);
    },
  );
  const random = createRandom(6);
  const images = Float32Array.from({ length: 3 * 2 * 64 }, () => random.normal());
  return {
    graph,
    inputs: {
      ...parameterValues(graph, 0.5),
      images: { data: images, shape: [3, 2, 8, 8] },
      targets: { data: Int32Array.of(4, 0, 2), shape: [3] },
    },
  };
}

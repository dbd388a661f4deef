/**
 * Kernels of long convolutions that a small network makes of positions (Hyena; Poli et al., 2023): three layers of
 * sines, a dense one, and an exponential decay whose rate differs by channel.
 */
import {
  abs,
  add,
  cast,
  concat,
  type Dimension,
  exp,
  flip,
  matmul,
  multiply,
  negate,
  pad,
  reshape,
  sine,
  slice,
  subtractDimensions,
  type Tensor,
  transpose,
} from "../../../tensor/index.ts";
import { timeUnit } from "../../layers/time-unit.ts";
import type { DecoderWeights } from "../../weights/trace-weights.ts";
import type { MixerConfig } from "./mixer-config.ts";
import { frequencyName, kernelModules, kernelNames } from "./mixer-names.ts";

/** How long a kernel is, and how it is computed. */
export interface KernelOptions {
  readonly time: Dimension;
  /** At least twice `time`. */
  readonly length: Dimension;
  /**
   * Sines of large arguments lose digits in every layer of the network: in single precision states of two layers were
   * off by 2e-4. A training computes in it all the same.
   */
  readonly type: "float32" | "float64";
}

/**
 * The kernel of one filter for texts of `time` tokens: distances forward first, with the factor of the token itself in
 * the first row; then zeros up to `length`, and at the end the distances backward, −1 last.
 *
 * @returns `[length, hiddenSize]`; `[time, hiddenSize]` of a filter in one direction
 */
export function implicitKernel(
  mixer: MixerConfig,
  weights: DecoderWeights,
  filter: string,
  { time, length, type }: KernelOptions,
): Tensor {
  const [forward, backward] = kernelNames(mixer, filter).map((network) =>
    networkKernel(mixer, weights, { filter, network, time, type }),
  );
  const direct = weights.vector(`${filter}.bias`);
  const own = pad(reshape(direct, [1, direct.shape[0]!]), {
    axis: 0,
    after: subtractDimensions(time, 1),
  });
  const kernel = add(forward!, own);
  if (backward === undefined) return kernel;
  const after = subtractDimensions(subtractDimensions(length, time), time);
  return concat([pad(kernel, { axis: 0, after }), flip(backward, 0)], 0);
}

/** What one network makes of the positions, `[time, hiddenSize]`. */
function networkKernel(
  { kernelLength, sineFactor }: MixerConfig,
  weights: DecoderWeights,
  options: Pick<KernelOptions, "time" | "type"> & { filter: string; network: string },
): Tensor {
  const { filter, network, time, type } = options;
  const stored = (name: string): Tensor => cast(weights.vector(name), type);
  const rows = (name: string): Tensor => {
    const table = weights.vector(name);
    // Filled up as texts are; rows beyond the kernel meet no token.
    const spare = Math.ceil(kernelLength / timeUnit) * timeUnit - kernelLength;
    const all = pad(reshape(table, [kernelLength, table.shape[2]!]), { axis: 0, after: spare });
    return cast(slice(all, { axis: 0, end: time }), type);
  };
  const frequencies = multiply(stored(frequencyName(filter)), sineFactor);
  let x = rows(`${filter}.pos_emb.z`);
  for (const module of kernelModules) {
    const matrix = stored(`${network}.${module}.weight`);
    // The product with a transposed matrix has no kernel of double precision.
    x =
      type === "float64"
        ? matmul(x, transpose(matrix, [1, 0]))
        : matmul(x, matrix, { transposeB: true });
    if (module === 6) break;
    x = sine(multiply(frequencies, add(x, stored(`${network}.${module}.bias`))));
  }
  const rates = abs(stored(`${filter}.modulation.deltas`));
  const decay = exp(negate(multiply(rows(`${filter}.pos_emb.t`), reshape(rates, [1, -1]))));
  return cast(multiply(x, decay), "float32");
}

export * from "./conditional.ts";
export { constant, fill, range, sizeValue } from "./constant.ts";
export * from "./elementwise.ts";
export * from "./fourier.ts";
export { siluGate } from "./gate.ts";
export * from "./image.ts";
export * from "./index-operators.ts";
export * from "./loss.ts";
export * from "./matmul.ts";
export { layerNorm, rmsNorm } from "./norms.ts";
export {
  logSoftmax,
  logSumExp,
  max,
  mean,
  min,
  type ReduceOptions,
  softmax,
  sum,
} from "./reduce.ts";
export { rotary } from "./rotary.ts";
export {
  broadcastTo,
  concat,
  flip,
  pad,
  reshape,
  slice,
  split,
  squeeze,
  stack,
  transpose,
  unsqueeze,
} from "./shape.ts";
export { softmaxProduct } from "./softmax-product.ts";

/**
 * Symbolic tensors: traced once, differentiated in TypeScript, written as ONNX, run by ONNX Runtime.
 *
 * @module tensor
 */

export {
  chooseDevice,
  type Device,
  type DeviceChoice,
  hasNativeRuntime,
  isNode,
  runtimeVersion,
} from "./device.ts";
export {
  addDimensions,
  canonicalDimension,
  type Dimension,
  divideDimensions,
  evaluateDimension,
  formatShape,
  multiplyDimensions,
  subtractDimensions,
} from "./dimension.ts";
export { onnxTypes } from "./emit.ts";
export {
  type EmitOptions,
  type EmittedModel,
  emitModel,
  type FileRegion,
  type ParameterBinding,
} from "./emit-model.ts";
export { gradients } from "./gradients.ts";
export {
  bool,
  type DataType,
  float32,
  freshSize,
  type Graph,
  int32,
  isParameter,
  leafName,
  nameSize,
  parameter,
  scoped,
  type Tensor,
  type TensorType,
  type TypedGraph,
  tensorType,
  trace,
  uint8,
} from "./graph.ts";
export * from "./operators/index.ts";
export {
  type PageWorkerOptions,
  servePage,
  startInPageWorker,
  watchWorker,
} from "./page-worker.ts";
export { type CompileOptions, compile, type Program, type ProgramInput } from "./program.ts";
export { evaluateReference, hasReference, type ReferenceInput } from "./reference/reference.ts";
export type { ReferenceValue } from "./reference/values.ts";
export {
  type BoundValue,
  liveSessions,
  locatedWasm,
  locateWasm,
  openSession,
  type Session,
  type SessionOptions,
  type TensorValue,
  type TensorValueData,
} from "./runtime.ts";
export { handOver, type Remote, type Service, startInline, startService } from "./service.ts";
export { findWebGpu, type WebGpuAdapter, whyNoWebGpu } from "./webgpu.ts";

/**
 * The WebAssembly build of ONNX Runtime, for browsers and for Node. The published package carries the
 * files of it that are needed, a tenth of its own package: the build puts their paths in place of the
 * package's names in this module.
 */

/** The build for Node. A variable, so that bundlers for the browser do not follow the import. */
const nodeBuild: string = "onnxruntime-web";

/** Loads the runtime's module. */
export const importWasmRuntime = (isNode: boolean): Promise<object> =>
  isNode
    ? import(/* @vite-ignore */ /* webpackIgnore: true */ nodeBuild)
    : import("onnxruntime-web/wasm");

/** The file that `importWasmRuntime` loads in Node. */
export const resolveWasmRuntime = (): string =>
  process
    .getBuiltinModule("node:module")
    .createRequire(import.meta.url)
    .resolve(nodeBuild);

/**
 * Which build of ONNX Runtime runs a graph: the native one of Node, or WebAssembly in browsers and where
 * the native one could not be installed.
 */
import { resolveWasmRuntime } from "./wasm-runtime.ts";

/**
 * `cpu` is the native runtime of Node; `wasm` runs in browsers and, slower, in Node; `webgpu` runs on the
 * graphics processor that a browser gives a page.
 */
export type Device = "cpu" | "wasm" | "webgpu";

/** A device, or `auto`: `webgpu` where a model can run on it, otherwise the usual one. */
export type DeviceChoice = Device | "auto";

/** A variable, so that bundlers for the browser do not follow the import. */
export const nativeRuntime: string = "onnxruntime-node";

/** Says in worker threads that the process has been told of the missing native runtime. */
const noticeKey = "jeton: native runtime missing";

/** What a process says once where the native runtime is missing. */
export const missingRuntimeNotice: string =
  `jeton: ${nativeRuntime} is not installed, so models run in WebAssembly, several times slower; ` +
  `set ONNXRUNTIME_NODE_INSTALL=skip in the environment and run: npm install ${nativeRuntime}\n`;

let found: boolean | undefined;

/** True in Node and its relatives, false in a browser. */
export function isNode(): boolean {
  return typeof process !== "undefined" && process.versions?.node !== undefined;
}

/** Whether the native runtime is installed: an optional package that its own install script may remove. */
export function hasNativeRuntime(): boolean {
  found ??= isNode() && resolveRuntime(true) !== undefined;
  return found;
}

/**
 * The device of a session.
 *
 * Where Node lacks the native runtime, the first call says so on standard error, once for a process and
 * the threads that it starts afterwards.
 *
 * @param device what the caller asked for. Default: `cpu` where the native runtime is, otherwise `wasm`
 */
export function chooseDevice(device?: Device): Device {
  if (device !== undefined) return device;
  if (hasNativeRuntime()) return "cpu";
  if (isNode()) noteMissingRuntime();
  return "wasm";
}

function noteMissingRuntime(): void {
  // An import, though dynamic, would stop bundlers for the browser.
  const { getEnvironmentData, setEnvironmentData } =
    process.getBuiltinModule("node:worker_threads");
  if (getEnvironmentData(noticeKey) === true) return;
  setEnvironmentData(noticeKey, true);
  process.stderr.write(missingRuntimeNotice);
}

/**
 * What computes results on this machine: the version of the runtime, `"1.30.0"` for the native one and
 * `"1.30.0 (WebAssembly)"` for the other; `"unknown"` where the packages' files are not there, as in a
 * bundle.
 */
export function runtimeVersion(): string {
  const isNative = hasNativeRuntime();
  const name = isNative ? nativeRuntime : "onnxruntime-web";
  const entry = isNode() ? resolveRuntime(isNative) : undefined;
  if (entry === undefined) return "unknown";
  const { existsSync, readFileSync } = process.getBuiltinModule("node:fs");
  const { dirname, join } = process.getBuiltinModule("node:path");
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const description = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    if (description["name"] !== name) continue;
    const version = String(description["version"]);
    return isNative ? version : `${version} (WebAssembly)`;
  }
  return "unknown";
}

/** The file that an import of the runtime would load. */
function resolveRuntime(isNative: boolean): string | undefined {
  try {
    if (!isNative) return resolveWasmRuntime();
    const { createRequire } = process.getBuiltinModule("node:module");
    return createRequire(import.meta.url).resolve(nativeRuntime);
  } catch {
    return undefined;
  }
}

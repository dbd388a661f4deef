/** WebGPU in a browser: its adapter, and the build of ONNX Runtime that computes on it. */
import { JetonError } from "../core/index.ts";
import { isNode } from "./device.ts";

/** What a browser computes with: a graphics processor, or software in its place. */
export type WebGpuAdapter = "hardware" | "software";

/** The runtime's build for WebGPU: its script and its WebAssembly. */
const runtimeScript = "ort.webgpu.bundle.min.mjs";
const runtimeWasm = "ort-wasm-simd-threaded.asyncify.wasm";
const runtimeFiles: readonly string[] = [runtimeScript, runtimeWasm];

/** What jeton uses of a browser's `navigator.gpu`. */
export interface Gpu {
  requestAdapter(): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean } } | null>;
}

/** The WebGPU adapter of this page or worker; undefined where there is none, as in Node. */
export async function findWebGpu(): Promise<WebGpuAdapter | undefined> {
  if (isNode()) return undefined;
  const { gpu } = globalThis.navigator as { readonly gpu?: Gpu };
  return gpu && findAdapter(gpu);
}

/** What is known of adapters: opening one model asks in several places. */
const adapters = new WeakMap<Gpu, Promise<WebGpuAdapter | undefined>>();

/** The adapter, asked for once. Where there was none, the next caller asks again: a browser may start its processor anew. */
export function findAdapter(gpu: Gpu): Promise<WebGpuAdapter | undefined> {
  const known = adapters.get(gpu);
  if (known) return known;
  const found = askForAdapter(gpu);
  adapters.set(gpu, found);
  return found;
}

async function askForAdapter(gpu: Gpu): Promise<WebGpuAdapter | undefined> {
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (adapter) return adapter.info?.isFallbackAdapter === true ? "software" : "hardware";
  adapters.delete(gpu);
  return undefined;
}

/**
 * Loads the runtime's module. No bundler follows: its files are large, and few pages need them.
 *
 * @param folder what `locateWasm` was given
 * @throws JetonError `webgpu-missing`, `webgpu-runtime-missing`
 */
export async function importWebGpuRuntime(folder: string | undefined): Promise<object> {
  if (!(await findWebGpu())) {
    throw new JetonError("there is no WebGPU adapter here, expected a browser that has one", {
      code: "webgpu-missing",
      details: { expected: "an adapter of navigator.gpu" },
    });
  }
  if (folder === undefined) throw runtimeMissing("locateWasm was not called");
  const script = addressOf(folder, runtimeScript);
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ script);
  } catch (cause) {
    throw runtimeMissing(`${script} was not loaded`, cause);
  }
}

/** An import would take a relative address from the importing script. */
const addressOf = (folder: string, file: string): string =>
  new URL(`${folder}${file}`, globalThis.location.href).href;

/** Where the runtime finds its WebAssembly. A folder alone would have it load further scripts from there. */
export function webGpuPaths(folder: string): { readonly wasm: string } {
  return { wasm: addressOf(folder, runtimeWasm) };
}

function runtimeMissing(why: string, cause?: unknown): JetonError {
  return new JetonError(
    `the runtime for WebGPU is not there: ${why}; expected locateWasm with the address of a folder ` +
      `that holds ${runtimeFiles.join(" and ")} of onnxruntime-web`,
    { code: "webgpu-runtime-missing", cause, details: { reason: why, expected: runtimeFiles } },
  );
}

/** Why nothing can run on WebGPU here; undefined where it can. Loads the runtime's script, not its WebAssembly. */
export async function whyNoWebGpu(folder: string | undefined): Promise<JetonError | undefined> {
  try {
    await importWebGpuRuntime(folder);
  } catch (error) {
    if (JetonError.isInstance(error)) return error;
    throw error;
  }
}

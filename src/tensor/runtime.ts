/**
 * Sessions of ONNX Runtime: native in Node, WebAssembly or WebGPU in a browser.
 *
 * The caller that opens a session must release it: the runtime frees nothing by itself.
 */
import { JetonError } from "../core/index.ts";
import { chooseDevice, type Device, isNode, nativeRuntime } from "./device.ts";
import type { EmittedModel, ExternalData } from "./emit-model.ts";
import type { DataType } from "./graph.ts";
import { importWasmRuntime } from "./wasm-runtime.ts";
import { importWebGpuRuntime, webGpuPaths } from "./webgpu.ts";

/** How a session runs. */
export interface SessionOptions {
  /** Default `cpu` in Node where onnxruntime-node is installed, `wasm` elsewhere. */
  device?: Device;
  /** Threads of one operator. Default 1. */
  threads?: number;
  /**
   * Whether idle threads of this session spin while they wait for work: faster for a stream of short
   * steps, a burden for everything else on the machine. Default true.
   */
  spinning?: boolean;
  /**
   * Whether the runtime keeps, for every combination of sizes that it has seen, one block for all
   * intermediate results. Default true; false where sizes change from run to run: a block for each of
   * them is memory that is never given back.
   */
  sameSizes?: boolean;
}

/** Concrete values: elements in row-major order, with their shape. `bool` is a `Uint8Array`. */
export interface TensorValue {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TensorValueData;
}
/** Elements by type: float32, int32, uint8 and bool, int8, float16 bits. */
export type TensorValueData = Float32Array | Int32Array | Uint8Array | Int8Array | Uint16Array;

/** A value prepared for the runtime; it shares its memory with the array it was made from. */
export interface BoundValue {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
  /** Number of elements. */
  readonly size: number;
}

/** An open session of ONNX Runtime. */
export interface Session {
  /** Prepares a value once so that many runs can take it without a copy. */
  bind(dtype: DataType, data: TensorValueData, shape: readonly number[]): BoundValue;
  /** Blocks the calling thread while the graph runs. */
  run(
    feeds: Readonly<Record<string, BoundValue>>,
    outputs: readonly string[],
  ): Promise<Record<string, TensorValue>>;
  release(): Promise<void>;
}

/** What jeton uses of either build of ONNX Runtime. */
interface Runtime {
  env: { wasm: { numThreads?: number; wasmPaths?: string | { readonly wasm: string } } };
  InferenceSession: { create(model: Uint8Array, options: object): Promise<RuntimeSession> };
  Tensor: new (type: string, data: unknown, shape: readonly number[]) => BoundValue;
}

interface RuntimeSession {
  run(
    feeds: Readonly<Record<string, BoundValue>>,
    fetches: readonly string[],
    options: object,
  ): Promise<Readonly<Record<string, BoundValue>>>;
  release(): Promise<void>;
}

let live = 0;

/** Sessions that were opened in this thread and not released. */
export function liveSessions(): number {
  return live;
}

let wasmFolder: string | undefined;

/**
 * Says where a browser finds `ort-wasm-simd-threaded.wasm` of onnxruntime-web: the address of a
 * folder, with a slash at its end. Call it before the first program is compiled. Default: beside the
 * script that holds the runtime. For WebGPU the folder must be named, and hold
 * `ort.webgpu.bundle.min.mjs` and `ort-wasm-simd-threaded.asyncify.wasm` too.
 */
export function locateWasm(folder: string): void {
  wasmFolder = folder;
}

/** What `locateWasm` was given. */
export function locatedWasm(): string | undefined {
  return wasmFolder;
}

/**
 * Keeps ONNX Runtime from reporting to its makers: since 1.30 the native library for Linux and macOS
 * writes an identifier of the machine into the cache folder and uploads events about sessions. Call it
 * on the main thread before the library is loaded in any: a worker's `process.env` is a copy that native
 * code does not see. `ORT_DISABLE_TELEMETRY=0` keeps the reports on.
 */
export function disableRuntimeTelemetry(): void {
  process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
}

async function importNative(): Promise<object> {
  disableRuntimeTelemetry();
  try {
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ nativeRuntime);
  } catch (cause) {
    throw new JetonError(
      `${nativeRuntime} could not be loaded: ${(cause as Error).message}; set ` +
        `ONNXRUNTIME_NODE_INSTALL=skip in the environment and run: npm install ${nativeRuntime}`,
      { code: "tensor-runtime-missing", cause, details: { package: nativeRuntime } },
    );
  }
}

function importRuntime(device: Device): Promise<object> {
  if (device === "cpu") return importNative();
  return device === "wasm" ? importWasmRuntime(isNode()) : importWebGpuRuntime(wasmFolder);
}

async function loadRuntime(device: Device, threads: number): Promise<Runtime> {
  const module = await importRuntime(device);
  const loaded = "default" in module && module.default ? module.default : module;
  const runtime = loaded as unknown as Runtime;
  if (device !== "cpu") {
    // WebAssembly has one set of threads for all sessions: the first one decides.
    runtime.env.wasm.numThreads ??= threads;
    if (wasmFolder !== undefined) {
      runtime.env.wasm.wasmPaths = device === "wasm" ? wasmFolder : webGpuPaths(wasmFolder);
    }
  }
  return runtime;
}

/** Opens a session over an emitted model. */
export async function openSession(
  model: EmittedModel,
  options: SessionOptions = {},
): Promise<Session> {
  const device = chooseDevice(options.device);
  const threads = options.threads ?? 1;
  const runtime = await loadRuntime(device, threads);
  const session: Record<string, string> = {
    "session.intra_op.allow_spinning": (options.spinning ?? true) ? "1" : "0",
    // On processors one kernel for a sum and its layer norm takes four times as long as both apart, and one for a bias
    // and gelu a quarter longer (1.30: 0.41 ms against 0.10 for 512 rows of 384; 0.55 against 0.44 for 1024 of 1536).
    ...(device !== "webgpu" && {
      "optimization.disable_specified_optimizers": "SkipLayerNormFusion;BiasGeluFusion",
    }),
  };
  if (model.folder !== undefined) {
    session["session.model_external_initializers_file_folder_path"] = model.folder;
  }
  let handle: RuntimeSession;
  try {
    handle = await runtime.InferenceSession.create(model.bytes, {
      executionProviders: [device],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
      enableMemPattern: options.sameSizes ?? true,
      // Failures are thrown as errors; the runtime need not print them too.
      logSeverityLevel: 4,
      ...(model.external.length > 0 && {
        externalData: model.external.map((part) => ({ path: part.name, data: bytesOf(part) })),
      }),
      extra: nestOptions(session),
    });
  } catch (cause) {
    throw new JetonError(`ONNX Runtime refused the graph: ${(cause as Error).message}`, {
      code: "tensor-session-refused",
      cause,
    });
  }
  // WebAssembly prints warnings of operators in each run, unlike the native runtime, which takes the
  // level of the session.
  const runOptions = device !== "cpu" ? { logSeverityLevel: 4 as const } : {};
  live++;
  let released = false;
  return {
    bind: (dtype, data, shape) => {
      if (dtype === "bfloat16" || dtype === "int64") {
        throw new JetonError(`values of type ${dtype} cannot be given to a program`, {
          code: "tensor-value-type",
          details: { dtype },
        });
      }
      return bindValue(runtime, dtype, data, shape);
    },
    async run(feeds, outputs) {
      if (released) {
        throw new JetonError("the program was released", { code: "tensor-program-released" });
      }
      return runSession(handle, { model, feeds, outputs, runOptions });
    },
    async release() {
      if (released) return;
      released = true;
      live--;
      await handle.release();
    },
  };
}

/** Runs a session once; the outputs by the names that the graph gives them. */
async function runSession(
  handle: RuntimeSession,
  call: {
    model: EmittedModel;
    feeds: Parameters<Session["run"]>[0];
    outputs: readonly string[];
    runOptions: { readonly logSeverityLevel?: 4 };
  },
): Promise<Record<string, TensorValue>> {
  const { model, feeds, outputs, runOptions } = call;
  const fetches = outputs.map((name) => model.outputNames[name]!);
  let results: Readonly<Record<string, BoundValue>>;
  try {
    results = await handle.run(feeds, fetches, runOptions);
  } catch (cause) {
    throw new JetonError(`ONNX Runtime failed: ${(cause as Error).message}`, {
      code: "tensor-run-failed",
      cause,
    });
  }
  const values: Record<string, TensorValue> = {};
  for (const name of outputs) {
    const value = results[model.outputNames[name]!]!;
    values[name] = { dtype: value.type as DataType, shape: value.dims, data: plainData(value) };
  }
  return values;
}

/** The bytes of external data, read now where they lie in a file. */
function bytesOf(part: ExternalData): Uint8Array {
  if ("data" in part) return part.data;
  const { file, offset, length } = part;
  // An import, though dynamic, would stop bundlers for the browser.
  const { closeSync, openSync, readSync } = process.getBuiltinModule("node:fs");
  const bytes = new Uint8Array(length);
  const handle = openSync(file, "r");
  try {
    for (let done = 0; done < length; ) {
      const count = readSync(handle, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (count === 0) throw new Error(`${file} ends after ${offset + done} bytes`);
      done += count;
    }
  } finally {
    closeSync(handle);
  }
  return bytes;
}

/**
 * The runtime's tensor over an array. It takes float16 as its bits, in every engine: where there is a
 * `Float16Array`, the runtime's own constructor would view the bits as one, which the native side of
 * Node does not read. So the tensor is made of 16-bit integers, and then named what it is.
 */
function bindValue(
  { Tensor }: Runtime,
  dtype: DataType,
  data: TensorValueData,
  shape: readonly number[],
): BoundValue {
  if (dtype !== "float16") return new Tensor(dtype, data, shape);
  const bits =
    data instanceof Uint16Array ? data : new Uint16Array(data.buffer, data.byteOffset, data.length);
  return Object.assign(new Tensor("uint16", bits, shape), { type: dtype });
}

/** Elements of a result; float16 is its bits, also where the engine has an array type for it. */
function plainData(value: BoundValue): TensorValueData {
  const data = value.data as TensorValueData;
  return value.type === "float16" && !(data instanceof Uint16Array)
    ? new Uint16Array((data as Uint8Array).buffer, (data as Uint8Array).byteOffset, value.size)
    : data;
}

/** `{ "session.a.b": "1" }` as the nested objects that the JavaScript interface expects. */
function nestOptions(flat: Readonly<Record<string, string>>): object {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(flat)) {
    const parts = key.split(".");
    let target = root;
    for (const part of parts.slice(0, -1)) {
      target[part] ??= {};
      target = target[part] as Record<string, unknown>;
    }
    target[parts.at(-1)!] = value;
  }
  return root;
}

/** Which device a model of a browser runs on, where its caller leaves the choice or asks for WebGPU. */
import { JetonError, type WarningHandler, warn } from "../core/index.ts";
import {
  type Device,
  type DeviceChoice,
  findWebGpu,
  isNode,
  locatedWasm,
  whyNoWebGpu,
} from "../tensor/index.ts";
import type { WeightFormat } from "./types.ts";

/** What decides on the device of a model. */
export interface ModelDeviceOptions {
  readonly name: string;
  readonly device: DeviceChoice | undefined;
  readonly format: WeightFormat;
  /** Whether its graph has float64. Default false. */
  readonly hasFloat64?: boolean;
  /** As the caller asked for it. */
  readonly exact?: boolean | undefined;
  readonly onWarning?: WarningHandler | undefined;
}

const devices: readonly DeviceChoice[] = ["cpu", "wasm", "webgpu", "auto"];

/** Formats whose products the runtime computes on WebGPU: it has no products of integers there. */
const gpuFormats: readonly WeightFormat[] = ["f32", "int8", "int4"];

/**
 * The device of a model; undefined: the usual one. `auto` warns with one line, `webgpu-not-used`, where the
 * model stays in WebAssembly.
 *
 * @throws JetonError `model-option-invalid`; where WebGPU is insisted on `webgpu-missing`,
 *   `webgpu-runtime-missing`, `webgpu-format`, `model-exact-unsupported`
 */
export async function modelDevice(options: ModelDeviceOptions): Promise<Device | undefined> {
  const { device, onWarning } = options;
  if (device === undefined) return undefined;
  checkDevice(device);
  if (device === "cpu" || device === "wasm" || (device === "auto" && isNode())) {
    return device === "auto" ? undefined : device;
  }
  const reason = whyNotThisModel(options) ?? (await whyNoWebGpu(locatedWasm()));
  if (device === "webgpu") {
    if (reason) throw reason;
    return device;
  }
  const isSoftware = !reason && (await findWebGpu()) === "software";
  if (!reason && !isSoftware) return "webgpu";
  const why = reason?.message ?? "its adapter here is software, slower than WebAssembly";
  warn(
    new JetonError(`${options.name} runs in WebAssembly, not on WebGPU: ${why}`, {
      code: "webgpu-not-used",
      details: { model: options.name, reason: reason?.code ?? "software" },
    }),
    onWarning,
  );
  return "wasm";
}

function checkDevice(device: DeviceChoice): void {
  if (devices.includes(device)) return;
  throw new JetonError(`the device is ${String(device)}, expected one of ${devices.join(", ")}`, {
    code: "model-option-invalid",
    details: { option: "device", value: device, expected: devices },
  });
}

/** What of a model forbids WebGPU. */
function whyNotThisModel(options: ModelDeviceOptions): JetonError | undefined {
  const { name, format, exact, hasFloat64 = false } = options;
  if (hasFloat64) {
    return new JetonError(`WebGPU has no float64, which the filters of ${name} are computed in`, {
      code: "webgpu-format",
      details: { model: name, format: "float64", expected: gpuFormats },
    });
  }
  if (!gpuFormats.includes(format)) {
    return new JetonError(`WebGPU computes ${gpuFormats.join(", ")} and not ${format}`, {
      code: "webgpu-format",
      details: { model: name, format, expected: gpuFormats },
    });
  }
  if (exact !== true) return undefined;
  return new JetonError(
    `on WebGPU the last bits of a row depend on the rows beside it: exact cannot be true for ${name}`,
    { code: "model-exact-unsupported", details: { model: name, device: "webgpu" } },
  );
}

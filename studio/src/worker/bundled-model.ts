/** The bundled decoder with its stored weights, and the trained parts that belong to it: what tools compute with. */
import { fetchModel, JetonError, type LoadedModel, locateWasm } from "jeton/browser";
import { openOnce } from "./open-once.ts";

/** jeton-nano, by the address of the page. */
export const bundledModel: (base: string) => Promise<LoadedModel> = openOnce((base) => {
  locateWasm(new URL("onnxruntime/", base).href);
  return fetchModel(new URL("models/jeton-nano/", base), { format: "f32", keepWeights: true });
});

/** Fetches a file that comes with the page, such as `models/jeton-compressor/compressor.safetensors`. */
export async function fetchPart(base: string, path: string): Promise<Uint8Array> {
  const response = await fetch(new URL(path, base));
  if (!response.ok) {
    throw new JetonError(`${path}: the server answered with status ${response.status}`, {
      code: "fetch-failed",
    });
  }
  return new Uint8Array(await response.arrayBuffer());
}

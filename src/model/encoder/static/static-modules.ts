/** Modules behind a static model, over one vector on the calling thread. */
import { activateNumber } from "../../layers/activate-number.ts";
import { type FolderFiles, moduleError, pathOf } from "../sentence/folder-files.ts";
import type { VectorModule } from "../sentence/sentence-modules.ts";
import { toLengthOne } from "../tasks/embed.ts";

/** From one vector to the next. It may change the one that it gets. */
export type VectorStep = (vector: Float32Array) => Float32Array;

/**
 * Reads the weights of modules.
 *
 * @param width of the vectors in front of the first
 * @throws JetonError `encoder-module-invalid` where a module reads vectors of another width, and those of reading tensors
 */
export async function readStaticSteps(
  files: FolderFiles,
  modules: readonly VectorModule[],
  width: number,
): Promise<readonly VectorStep[]> {
  const steps: VectorStep[] = [];
  let before = width;
  for (const module of modules) {
    steps.push(await readStep(files, module, before));
    if (module.kind === "dense") before = module.outputs;
  }
  return steps;
}

async function readStep(
  files: FolderFiles,
  module: VectorModule,
  width: number,
): Promise<VectorStep> {
  if (module.kind === "normalize") return toLengthOne;
  const inputs = module.kind === "dense" ? module.inputs : module.width;
  const at = module.name.lastIndexOf(".");
  const [folder, layer] = [module.name.slice(0, at), module.name.slice(at + 1)];
  if (inputs !== width) {
    const key = module.kind === "dense" ? "in_features" : "dimension";
    throw moduleError(pathOf(folder, "config.json"), key, inputs, `${width}, the width before it`);
  }
  const path = pathOf(folder, "model.safetensors");
  const read = async (name: string, size: number): Promise<Float32Array> => {
    const values = await files.float32(path, name);
    if (values.length === size) return values;
    throw moduleError(path, name, `${values.length} numbers`, `${size}`);
  };
  if (module.kind === "layer-norm") {
    const scale = await read(`${layer}.weight`, width);
    const shift = await read(`${layer}.bias`, width);
    return (vector) => normed(vector, scale, shift);
  }
  const { outputs, activation, residual } = module;
  const matrix = await read(`${layer}.weight`, inputs * outputs);
  const bias = module.bias ? await read(`${layer}.bias`, outputs) : undefined;
  const projection =
    typeof residual === "object" ? await read("residual.weight", inputs * outputs) : undefined;
  return (vector) => {
    const output = product(matrix, vector, outputs);
    const added =
      residual && (projection ? product(projection, vector, outputs) : Float64Array.from(vector));
    return Float32Array.from(
      output,
      (value, row) => activateNumber(value + (bias?.[row] ?? 0), activation) + (added?.[row] ?? 0),
    );
  };
}

/** A matrix `[outputs, inputs]` times a vector. */
function product(matrix: Float32Array, vector: Float32Array, outputs: number): Float64Array {
  const inputs = vector.length;
  const result = new Float64Array(outputs);
  for (let row = 0; row < outputs; row++) {
    const start = row * inputs;
    let sum = 0;
    for (let at = 0; at < inputs; at++) sum += matrix[start + at]! * vector[at]!;
    result[row] = sum;
  }
  return result;
}

/** Layer norm as torch's, whose epsilon is 1e-5. */
function normed(vector: Float32Array, scale: Float32Array, shift: Float32Array): Float32Array {
  const mean = vector.reduce((sum, value) => sum + value, 0) / vector.length;
  const variance = vector.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vector.length;
  const factor = 1 / Math.sqrt(variance + 1e-5);
  return vector.map((value, at) => (value - mean) * factor * scale[at]! + shift[at]!);
}

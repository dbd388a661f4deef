/** Values and runs of the tests of programs. */

import { createRandom } from "../../core/index.ts";
import type { TensorValue } from "../index.ts";
import { compile, type ParameterBinding } from "../index.ts";

export function normals(count: number, ...keys: number[]): Float32Array {
  const random = createRandom(5, ...keys);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** Runs once, on this thread, and releases. */
export async function runOnce<Inputs extends string, Outputs extends string>(
  graph: Parameters<typeof compile<Inputs, Outputs>>[0],
  inputs: Parameters<Awaited<ReturnType<typeof compile<Inputs, Outputs>>>["run"]>[0],
  parameters: ReadonlyMap<string, ParameterBinding> = new Map(),
  threads = 1,
): Promise<Record<Outputs, TensorValue>> {
  const program = await compile(graph, { inline: true, parameters, threads });
  try {
    return await program.run(inputs);
  } finally {
    await program.release();
  }
}

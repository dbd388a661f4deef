/** The same programs on the runtime of the browser. */
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { operatorCases, programInputs } from "../testing/operator-cases/operator-cases.ts";
import { convolutionStep, transformerStep } from "../testing/small-programs.ts";
import { compile, evaluateReference, type TensorValue, type TypedGraph, trace } from "./index.ts";

async function runOn(
  device: "cpu" | "wasm",
  graph: TypedGraph<string, string>,
  inputs: ReturnType<typeof programInputs>,
): Promise<Readonly<Record<string, TensorValue>>> {
  const program = await compile(graph, { device, inline: true });
  try {
    return await program.run(inputs);
  } finally {
    await program.release();
  }
}

function expectClose(
  got: ArrayLike<number>,
  wanted: ArrayLike<number>,
  what: string,
  tolerance = 1e-4,
): void {
  const scale = Array.from(wanted).reduce((a, b) => Math.max(a, Math.abs(b)), 1);
  expect(got.length, what).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    if (Math.abs(got[i]! - wanted[i]!) <= tolerance * scale) continue;
    expect.fail(`${what}: element ${i} is ${got[i]} instead of ${wanted[i]}`);
  }
}

describe("WebAssembly gives what the native runtime gives", () => {
  test("for every operator", async () => {
    for (const [index, { operators, example, tolerance }] of operatorCases.entries()) {
      const drawn = example(100 + index);
      const graph = trace(drawn.types, (inputs) =>
        Object.fromEntries(drawn.build(inputs).map((tensor, i) => [`result${i}`, tensor])),
      );
      const inputs = programInputs(drawn);
      const native = await runOn("cpu", graph, inputs);
      const web = await runOn("wasm", graph, inputs);
      for (const [name, { dtype, shape, data }] of Object.entries(native)) {
        expect(web[name]!.dtype).toBe(dtype);
        expect(web[name]!.shape).toEqual(shape);
        expectClose(
          web[name]!.data as Float32Array,
          data as Float32Array,
          `${operators}`,
          tolerance,
        );
      }
    }
  });

  test.each([
    ["transformer", transformerStep()],
    ["convolutional network", convolutionStep()],
  ])("for a training step of a %s, and both what the reference gives", async (_name, program) => {
    const { graph, inputs } = program;
    const native = await runOn("cpu", graph, { ...inputs });
    const web = await runOn("wasm", graph, { ...inputs });
    const exact = evaluateReference(graph, inputs);
    for (const [name, { shape, data }] of Object.entries(exact)) {
      expect(native[name]!.shape, name).toEqual(shape);
      expectClose(native[name]!.data as Float32Array, data, `native ${name}`);
      expectClose(web[name]!.data as Float32Array, data, `web ${name}`);
    }
  });
});

test("a bundle for browsers imports nothing of Node", async () => {
  const { metafile, warnings } = await build({
    entryPoints: [new URL("./index.ts", import.meta.url).pathname],
    bundle: true,
    platform: "browser",
    format: "esm",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  expect(warnings).toEqual([]);
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  expect(imports).toEqual([]);
});

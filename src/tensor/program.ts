/**
 * Compiled graphs: `compile(graph)` gives a program that runs in a worker thread of its own.
 */
import { JetonError } from "../core/index.ts";
import { evaluateDimension, isDimensionName } from "./dimension.ts";
import { emitModel, type ParameterBinding } from "./emit.ts";
import type { DataType, Tensor, TypedGraph } from "./graph.ts";
import type { ProgramService } from "./program-service.ts";
import * as programService from "./program-service.ts";
import type { SessionOptions, TensorValue, TensorValueData } from "./runtime.ts";
import { type Remote, startInline, startService } from "./service.ts";

export interface CompileOptions extends SessionOptions {
  /** Where the values of parameters are; the others are inputs of every run, by their names. */
  parameters?: ReadonlyMap<string, ParameterBinding>;
  /** True: the program runs on the calling thread and blocks it. Default false in Node. */
  inline?: boolean;
}

/** What a run takes for an input: elements with a shape, or a number for a scalar. */
export type ProgramInput =
  | { readonly data: TensorValueData; readonly shape: readonly number[] }
  | number
  | boolean;

/** A graph ready to run. Release it: neither its memory nor its thread is collected. */
export interface Program<Inputs extends string, Outputs extends string> {
  /**
   * Runs the graph. Shapes are checked against the declared ones first.
   *
   * @param inputs by the names given to `trace`; parameters without a binding by their own names
   * @param outputs names of the results that are wanted; default: all
   */
  run<Wanted extends Outputs = Outputs>(
    inputs: Readonly<Record<Inputs, ProgramInput>> & Readonly<Record<string, ProgramInput>>,
    outputs?: readonly Wanted[],
  ): Promise<Readonly<Record<Wanted, TensorValue>>>;
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Writes a graph as ONNX and opens it for running. */
export async function compile<Inputs extends string, Outputs extends string>(
  graph: TypedGraph<Inputs, Outputs>,
  options: CompileOptions = {},
): Promise<Program<Inputs, Outputs>> {
  const { parameters = new Map(), inline, ...sessionOptions } = options;
  const emitted = emitModel(graph, parameters);
  const model = inline
    ? emitted
    : { ...emitted, external: emitted.external.map((part) => compact(part)) };
  const start = { model, options: sessionOptions };
  const service: Remote<ProgramService> = inline
    ? await startInline(programService, "createProgramService", start)
    : await startService(
        new URL(
          import.meta.url.endsWith(".ts") ? "./program-service.ts" : "./program-service.js",
          import.meta.url,
        ).href,
        "createProgramService",
        start,
      );
  const declared = new Map(
    Object.entries<TypedGraph<Inputs, Outputs>["inputs"][Inputs]>(graph.inputs),
  );
  for (const name of model.parameterInputs) declared.set(name, graph.parameters.get(name)!);
  const every = Object.keys(graph.outputs) as Outputs[];

  return {
    async run(inputs, outputs) {
      const values: Record<string, TensorValue> = {};
      const sizes = namedSizes(declared, inputs);
      for (const [name, tensor] of declared) {
        const value = checkInput(name, tensor, inputs[name as Inputs], sizes);
        values[name] = inline ? value : compact(value);
      }
      const wanted = outputs ?? (every as never[]);
      for (const name of wanted) {
        if (!every.includes(name)) {
          throw new JetonError(`the program has no output "${name}", only ${every.join(", ")}`, {
            code: "tensor-output",
            details: { name, outputs: every },
          });
        }
      }
      return (await service.run(values, wanted)) as never;
    },
    release: () => service.close(),
    [Symbol.asyncDispose]: () => service.close(),
  };
}

const arrayTypes: Readonly<Partial<Record<DataType, readonly string[]>>> = {
  float32: ["Float32Array"],
  float16: ["Uint16Array", "Float16Array"],
  int32: ["Int32Array"],
  int8: ["Int8Array"],
  uint8: ["Uint8Array"],
  bool: ["Uint8Array"],
};

/** The value of each named size: that of the first input that has the name alone as a dimension. */
function namedSizes(
  declared: ReadonlyMap<string, Tensor>,
  inputs: Readonly<Record<string, ProgramInput>>,
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [name, { shape }] of declared) {
    const input = inputs[name];
    if (typeof input !== "object") continue;
    for (const [axis, dimension] of shape.entries()) {
      const size = input.shape[axis];
      if (typeof dimension === "string" && isDimensionName(dimension) && size !== undefined) {
        if (!sizes.has(dimension)) sizes.set(dimension, size);
      }
    }
  }
  return sizes;
}

/** A view crosses to a worker with its whole buffer; a small part of a large one is cut out first. */
function compact<T extends { readonly data: TensorValueData }>(value: T): T {
  const { data } = value;
  return data.byteLength === data.buffer.byteLength ? value : { ...value, data: data.slice() };
}

function scalarValue(dtype: DataType, value: number): TensorValueData {
  if (dtype === "float32") return Float32Array.of(value);
  if (dtype === "int32") return Int32Array.of(value);
  if (dtype === "int8") return Int8Array.of(value);
  return Uint8Array.of(value);
}

function checkInput(
  name: string,
  { dtype, shape }: { dtype: DataType; shape: readonly (number | string)[] },
  input: ProgramInput | undefined,
  sizes: ReadonlyMap<string, number>,
): TensorValue {
  const fail = (got: string): JetonError =>
    new JetonError(`input "${name}": expected ${dtype}[${shape.join(", ")}], got ${got}`, {
      code: "tensor-input",
      details: { name, dtype, shape, got },
    });
  if (input === undefined) throw fail("nothing");
  if (typeof input !== "object") {
    if (shape.length !== 0) throw fail(`the scalar ${input}`);
    return { dtype, shape: [], data: scalarValue(dtype, Number(input)) };
  }
  const kind = input.data.constructor.name;
  if (!arrayTypes[dtype]?.includes(kind)) throw fail(kind);
  const count = input.shape.reduce((a, b) => a * b, 1);
  if (count !== input.data.length || input.shape.length !== shape.length) {
    throw fail(`${input.data.length} elements of shape [${input.shape.join(", ")}]`);
  }
  for (const [axis, dimension] of shape.entries()) {
    const size = input.shape[axis]!;
    const expected = evaluateDimension(dimension, sizes);
    if (expected !== size)
      throw fail(`[${input.shape.join(", ")}] where ${dimension} = ${expected}`);
  }
  return { dtype, shape: input.shape, data: input.data };
}

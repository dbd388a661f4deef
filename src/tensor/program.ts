/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Compiled graphs: `compile(graph)` gives a program that runs in a worker thread of its own.
 */
import { JetonError } from "../core/index.ts";
import { chooseDevice } from "./device.ts";
import { evaluateDimension, formatShape, isDimensionName } from "./dimension.ts";
import { emitModel, type ParameterBinding } from "./emit-model.ts";
import type { DataType, Tensor, TensorType, TypedGraph } from "./graph.ts";
import type { ProgramService } from "./program-service.ts";
import * as programService from "./program-service.ts";
import type { SessionOptions, TensorValue, TensorValueData } from "./runtime.ts";
import { type Remote, startInline, startService } from "./service.ts";

/** How a graph is compiled. */
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
  const emitted = emitModel(graph, parameters, {
    opensFiles: chooseDevice(options.device) === "cpu",
  });
  const external = emitted.external.map((part) => ("data" in part ? compact(part) : part));
  const model = inline ? emitted : { ...emitted, external };
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
      for (const [name, tensor] of declared) {
        const value = checkInput(name, tensor, inputs[name as Inputs]);
        values[name] = inline ? value : compact(value);
      }
      checkSizes(declared, values);
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

/** A view crosses to a worker with its whole buffer; a small part of a large one is cut out first. */
function compact<T extends { readonly data: TensorValueData }>(value: T): T {
  const { data } = value;
  return data.byteLength === data.buffer.byteLength ? value : { ...value, data: data.slice() };
}

function scalarValue(dtype: DataType, value: number): TensorValueData | undefined {
  if (dtype === "float32") return Float32Array.of(value);
  if (dtype === "int32") return Int32Array.of(value);
  if (dtype === "int8") return Int8Array.of(value);
  return dtype === "uint8" || dtype === "bool" ? Uint8Array.of(value) : undefined;
}

function inputError(name: string, { dtype, shape }: TensorType, got: string): JetonError {
  return new JetonError(`input "${name}": expected ${dtype}${formatShape(shape)}, got ${got}`, {
    code: "tensor-input",
    details: { name, dtype, shape, got },
  });
}

function checkInput(name: string, type: TensorType, input: ProgramInput | undefined): TensorValue {
  const { dtype, shape } = type;
  if (input === undefined) throw inputError(name, type, "nothing");
  if (typeof input !== "object") {
    const data = scalarValue(dtype, Number(input));
    if (shape.length !== 0 || !data) throw inputError(name, type, `the scalar ${input}`);
    return { dtype, shape: [], data };
  }
  const kind = input.data.constructor.name;
  if (!arrayTypes[dtype]?.includes(kind)) throw inputError(name, type, kind);
  const count = input.shape.reduce((a, b) => a * b, 1);
  if (count !== input.data.length || input.shape.length !== shape.length) {
    const got = `${input.data.length} elements of shape ${formatShape(input.shape)}`;
    throw inputError(name, type, got);
  }
  return { dtype, shape: input.shape, data: input.data };
}

/** A named size is that of the first input that has the name alone; all others must agree. */
function checkSizes(
  declared: ReadonlyMap<string, Tensor>,
  values: Readonly<Record<string, TensorValue>>,
): void {
  const sizes = new Map<string, number>();
  for (const [name, { shape }] of declared) {
    for (const [axis, dimension] of shape.entries()) {
      if (typeof dimension === "number" || !isDimensionName(dimension)) continue;
      if (!sizes.has(dimension)) sizes.set(dimension, values[name]!.shape[axis]!);
    }
  }
  for (const [name, tensor] of declared) {
    const { shape } = values[name]!;
    for (const [axis, dimension] of tensor.shape.entries()) {
      const expected = evaluateDimension(dimension, sizes);
      if (shape[axis] === expected) continue;
      throw inputError(name, tensor, `${formatShape(shape)} where ${dimension} = ${expected}`);
    }
  }
}

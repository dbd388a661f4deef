/**
 * Writes a traced graph as an ONNX model, with its parameters where they are: in files, in memory, or
 * given to every run.
 */
import { JetonError } from "../core/index.ts";
import { chooseDevice } from "./device.ts";
import { Emitter, onnxTypes, type SharedState } from "./emit.ts";
import { type Graph, leafName, type Scope, type Tensor } from "./graph.ts";
import {
  encodeModel,
  type GraphProto,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx-schema.ts";

/** Part of a file. */
export interface FileRegion {
  /** Absolute path. */
  readonly file: string;
  /** Bytes before the region. */
  readonly offset: number;
  /** Bytes of the region. */
  readonly length: number;
}

/** Where the values of a parameter are. */
export type ParameterBinding =
  /** Given to every run: for training, and for weights that several programs share. */
  | { readonly kind: "input" }
  /** A region of a file, read (or mapped) when the program is compiled. */
  | ({ readonly kind: "file" } & FileRegion)
  /** In memory. Large arrays are handed over beside the model, not inside it. */
  | { readonly kind: "data"; readonly data: ArrayBufferView };

/** Bytes that the model refers to by name: in memory, or to be read when the session is opened. */
export type ExternalData =
  | { readonly name: string; readonly data: Uint8Array }
  | ({ readonly name: string } & FileRegion);

/** An ONNX file with what it refers to. */
export interface EmittedModel {
  readonly bytes: Uint8Array;
  /** Folder of the external files that the runtime opens itself, where there are any. */
  readonly folder: string | undefined;
  /** External data that the runtime is given. */
  readonly external: readonly ExternalData[];
  /** Names of the parameters that are inputs of every run. */
  readonly parameterInputs: readonly string[];
  /** What the file calls each output of the graph. */
  readonly outputNames: Readonly<Record<string, string>>;
}

/** Arrays from this size on are handed to the runtime beside the model (its limit is 2 GB). */
const externalThreshold = 1 << 20;

const isLarge = (binding: ParameterBinding): boolean =>
  binding.kind === "data" && binding.data.byteLength >= externalThreshold;

/** How a model is written. */
export interface EmitOptions {
  /**
   * Whether the runtime can open files. False: regions of files become external data. Default: true for
   * the native runtime, unless some of the values in memory are external data too: the runtime takes all of a model's
   * external data from memory, or none of it.
   */
  readonly opensFiles?: boolean;
}

/**
 * Writes a graph as an ONNX model.
 *
 * @param bindings where each parameter's values are; a parameter without one is an input.
 */
export function emitModel(
  graph: Graph,
  bindings: ReadonlyMap<string, ParameterBinding> = new Map(),
  options: EmitOptions = {},
): EmittedModel {
  const shared: SharedState = { graph, next: 0, names: new Map() };
  const emitter = new Emitter(shared);
  const inputs = Object.values(graph.inputs);
  const outputs = Object.entries(graph.outputs);
  const targets = outputs.map(([, tensor]) => tensor);
  const root = rootScope(graph);
  for (const tensor of inputs) shared.names.set(tensor, leafName(tensor));
  for (const [name, tensor] of graph.parameters) shared.names.set(tensor, name);
  const { initializers, parameterInputs, folder, external } = placeParameters(
    graph,
    bindings,
    options,
  );
  emitter.initializers.push(...initializers);
  for (const name of parameterInputs) inputs.push(graph.parameters.get(name)!);
  if (root) emitter.emit(root, [...targets, ...[...graph.sizes.values()].map((s) => s.tensor)]);

  // A result keeps its inner name, because another node would copy it; inputs, parameters and
  // results that are wanted twice need one of their own.
  const outputNames: Record<string, string> = {};
  const taken = new Set([...inputs, ...graph.parameters.values()].map((t) => shared.names.get(t)));
  for (const [name, tensor] of outputs) {
    const inner = emitter.nameOf(tensor);
    outputNames[name] = taken.has(inner) ? emitter.one("Identity", [inner]) : inner;
    taken.add(inner);
  }

  const proto: GraphProto = {
    name: "jeton",
    node: emitter.nodes,
    initializer: emitter.initializers,
    input: inputs.map(declareInput),
    output: outputs.map(([name, tensor]) => ({
      name: outputNames[name]!,
      type: { tensor_type: { elem_type: onnxTypes[tensor.dtype] } },
    })),
  };
  return { bytes: encodeModel(proto), folder, external, parameterInputs, outputNames };
}

function declareInput(tensor: Tensor): ValueInfoProto {
  return {
    name: leafName(tensor),
    type: {
      tensor_type: {
        elem_type: onnxTypes[tensor.dtype],
        shape: {
          dim: tensor.shape.map((dimension) =>
            typeof dimension === "number" ? { dim_value: dimension } : { dim_param: dimension },
          ),
        },
      },
    },
  };
}

/** Declares every bound parameter, and says which are inputs of every run. */
function placeParameters(
  graph: Graph,
  bindings: ReadonlyMap<string, ParameterBinding>,
  options: EmitOptions,
): Pick<EmittedModel, "folder" | "external" | "parameterInputs"> & { initializers: TensorProto[] } {
  const initializers: TensorProto[] = [];
  const external: ExternalData[] = [];
  const parameterInputs: string[] = [];
  const used = [...graph.parameters.keys()].flatMap((name) => bindings.get(name) ?? []);
  const files = used.flatMap((binding) => (binding.kind === "file" ? [binding.file] : []));
  const opensFiles = (options.opensFiles ?? chooseDevice() === "cpu") && !used.some(isLarge);
  const folder = opensFiles && files.length > 0 ? commonFolder(files) : undefined;

  const place = (binding: Exclude<ParameterBinding, { kind: "input" }>): Partial<TensorProto> => {
    if (binding.kind === "file") {
      const { file, offset, length } = binding;
      if (folder !== undefined) {
        const location = file.slice(folder.length).replace(/^[\\/]+/, "");
        return externalEntries(location, offset, length);
      }
      external.push({ name: `memory-${external.length}`, file, offset, length });
      return externalEntries(external.at(-1)!.name, 0, length);
    }
    const { buffer, byteOffset, byteLength } = binding.data;
    const data = new Uint8Array(buffer, byteOffset, byteLength);
    if (!isLarge(binding)) return { raw_data: data };
    external.push({ name: `memory-${external.length}`, data });
    return externalEntries(external.at(-1)!.name, 0, byteLength);
  };
  for (const [name, { dtype, shape }] of graph.parameters) {
    const binding = bindings.get(name) ?? { kind: "input" };
    if (binding.kind === "input") parameterInputs.push(name);
    else {
      const declaration = { name, dims: shape as number[], data_type: onnxTypes[dtype] };
      initializers.push({ ...declaration, ...place(binding) });
    }
  }
  return { initializers, external, parameterInputs, folder };
}

function rootScope(graph: Graph): Scope | undefined {
  const tensor = Object.values(graph.outputs)[0] ?? Object.values(graph.inputs)[0];
  let scope = tensor?.node.scope;
  while (scope?.parent) scope = scope.parent;
  return scope;
}

/** How a tensor says that its elements lie elsewhere. */
function externalEntries(location: string, offset: number, length: number): Partial<TensorProto> {
  return {
    data_location: 1,
    external_data: [
      { key: "location", value: location },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(length) },
    ],
  };
}

/** The deepest folder that holds all files: external locations are relative to it. */
function commonFolder(files: readonly string[]): string {
  const parts = files.map((file) => file.split(/[\\/]/).slice(0, -1));
  const first = parts[0]!;
  let depth = first.length;
  for (const other of parts) {
    let shared = 0;
    while (shared < depth && first[shared] === other[shared]) shared++;
    depth = shared;
  }
  if (depth === 0) {
    throw new JetonError("weights lie on different drives", {
      code: "tensor-external-folders",
      details: { files },
    });
  }
  return first.slice(0, depth).join("/") || "/";
}

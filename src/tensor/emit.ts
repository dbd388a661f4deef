/**
 * Writes a traced graph as ONNX.
 *
 * Named sizes stay symbolic in the file: where an operator needs the value of a size (a reshape, a
 * slice), the emitter computes it inside the graph from the shape of a tensor that has it.
 */
import { JetonError } from "../core/index.ts";
import { type Dimension, dimensionTerms } from "./dimension.ts";
import { sumsBeforeNorms } from "./fuse.ts";
import {
  type DataType,
  type Graph,
  type GraphNode,
  leafName,
  reachableNodes,
  type Scope,
  type Tensor,
} from "./graph.ts";
import {
  type AttributeProto,
  encodeModel,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from "./onnx-schema.ts";

/** Element type numbers of `TensorProto.DataType`. */
export const onnxTypes: Readonly<Record<DataType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** Where the values of a parameter are. */
export type ParameterBinding =
  /** Given to every run: for training, and for weights that several programs share. */
  | { readonly kind: "input" }
  /** A region of a file, read (or mapped) when the program is compiled. */
  | {
      readonly kind: "file";
      readonly file: string;
      readonly offset: number;
      readonly length: number;
    }
  /** In memory. Large arrays are handed over beside the model, not inside it. */
  | { readonly kind: "data"; readonly data: ArrayBufferView };

/** Value of an ONNX attribute: integers, text, a float (which says so), or a graph. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly graph: GraphProto };

interface NodeOptions {
  attributes?: Readonly<Record<string, AttributeValue>>;
  /** Number of outputs, default 1. */
  outputs?: number;
  /** Optional outputs without a consumer: they stay without a name. */
  unused?: readonly number[];
  /** `"com.microsoft"` for contributed operators. */
  domain?: string;
}

/** State that all nested graphs of one file share. */
interface SharedState {
  readonly graph: Graph;
  next: number;
  readonly names: Map<Tensor, string>;
}

/** Collects the ONNX nodes of one graph (the main one, or a branch). Operators write through it. */
export class Emitter {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #shared: SharedState;
  readonly #parent: Emitter | undefined;
  readonly #cache: Map<string, string> = new Map();
  #label = "";

  constructor(shared: SharedState, parent?: Emitter) {
    this.#shared = shared;
    this.#parent = parent;
  }

  /** Adds a node and returns the names of its outputs. */
  node(type: string, inputs: readonly string[], options: NodeOptions = {}): string[] {
    const id = this.#shared.next++;
    const prefix = this.#label === "" ? type : `${this.#label}/${type}`;
    const output = Array.from({ length: options.outputs ?? 1 }, (_, index) => {
      if (options.unused?.includes(index)) return "";
      return index === 0 ? `${prefix}_${id}` : `${prefix}_${id}:${index}`;
    });
    this.nodes.push({
      op_type: type,
      input: [...inputs],
      output,
      name: `${prefix}_${id}`,
      domain: options.domain ?? "",
      attribute: Object.entries(options.attributes ?? {}).map(([name, value]) =>
        encodeAttribute(name, value),
      ),
    });
    return output;
  }

  /** A node with one output. */
  one(type: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.node(type, inputs, options)[0]!;
  }

  /** The name of a tensor that was emitted here or in an enclosing graph. */
  nameOf(tensor: Tensor): string {
    const name = this.#shared.names.get(tensor);
    if (name === undefined) {
      throw new JetonError(`${tensor.node.operator.name} was not emitted before it was used`, {
        code: "tensor-emit-order",
        details: { operator: tensor.node.operator.name },
      });
    }
    return name;
  }

  /** A constant, shared among equal ones of this graph. */
  constant(dtype: DataType, shape: readonly number[], data: ArrayBufferView): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = bytes.length <= 64 ? `${dtype}[${shape}]${bytes}` : undefined;
    const known = key === undefined ? undefined : this.#lookup(key);
    if (known !== undefined) return known;
    const name = `constant_${this.#shared.next++}`;
    this.initializers.push({
      name,
      dims: [...shape],
      data_type: onnxTypes[dtype],
      raw_data: bytes,
    });
    if (key !== undefined) this.#cache.set(key, name);
    return name;
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    return this.constant("float32", [], Float32Array.of(value));
  }

  /** An int64 vector, for axes and fixed shapes. */
  integers(values: readonly number[]): string {
    return this.constant("int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /** An int32 tensor as int64, which kernels want for indices; once for each name. */
  widened(name: string): string {
    const key = `wide ${name}`;
    let wide = this.#lookup(key);
    if (wide === undefined) {
      wide = this.one("Cast", [name], { attributes: { to: onnxTypes.int64 } });
      this.#cache.set(key, wide);
    }
    return wide;
  }

  /** The value of a size as an int64 vector of one element. */
  dimension(dimension: Dimension): string {
    if (typeof dimension === "number") return this.integers([dimension]);
    const known = this.#lookup(`size ${dimension}`);
    if (known !== undefined) return known;
    let sum: string | undefined;
    for (const { coefficient, names } of dimensionTerms(dimension)) {
      let product: string | undefined;
      for (const name of names) {
        const factor = this.#namedSize(name);
        product = product === undefined ? factor : this.one("Mul", [product, factor]);
      }
      if (product === undefined) product = this.integers([coefficient]);
      else if (coefficient !== 1)
        product = this.one("Mul", [product, this.integers([coefficient])]);
      sum = sum === undefined ? product : this.one("Add", [sum, product]);
    }
    this.#cache.set(`size ${dimension}`, sum!);
    return sum!;
  }

  /** A shape as an int64 vector. */
  shape(shape: readonly Dimension[]): string {
    if (shape.every((dimension) => typeof dimension === "number")) {
      return this.integers(shape as number[]);
    }
    const key = `shape ${shape}`;
    const known = this.#lookup(key);
    if (known !== undefined) return known;
    const parts = shape.map((dimension) => this.dimension(dimension));
    const name =
      parts.length === 1 ? parts[0]! : this.one("Concat", parts, { attributes: { axis: 0 } });
    this.#cache.set(key, name);
    return name;
  }

  /** Emits a branch as a graph of its own that may use every name of the enclosing graphs. */
  branch(name: string, scope: Scope, outputs: readonly Tensor[]): GraphProto {
    const inner = new Emitter(this.#shared, this);
    inner.emit(scope, outputs);
    return inner.finish(name, outputs);
  }

  /** Emits the nodes of one scope that `targets` need. */
  emit(scope: Scope, targets: readonly Tensor[]): void {
    const nodes = reachableNodes(targets, scope);
    const sums = sumsBeforeNorms(nodes);
    const waiting = new Set(sums.values());
    for (const node of nodes) {
      if (waiting.has(node)) continue;
      const sum = sums.get(node);
      if (sum) this.#emitSumAndNorm(sum, node);
      else this.#emitNode(node);
    }
  }

  /** Closes the graph; outputs that come straight from an enclosing graph pass through a node. */
  finish(name: string, outputs: readonly Tensor[]): GraphProto {
    return {
      name,
      node: this.nodes,
      initializer: this.initializers,
      input: [],
      output: outputs.map((tensor) => ({
        name: this.one("Identity", [this.nameOf(tensor)]),
        type: { tensor_type: { elem_type: onnxTypes[tensor.dtype] } },
      })),
    };
  }

  #emitSumAndNorm(sum: GraphNode, norm: GraphNode): void {
    this.#label = norm.label;
    const [a, b] = sum.inputs.map((tensor) => this.nameOf(tensor));
    const scale = this.nameOf(norm.inputs[1]!);
    const { epsilon } = norm.attributes as { epsilon: number };
    const [normed, , , summed] = this.node("SkipSimplifiedLayerNormalization", [a!, b!, scale], {
      attributes: { epsilon: { float: epsilon } },
      domain: "com.microsoft",
      outputs: 4,
      unused: [1, 2],
    });
    this.#shared.names.set(sum.outputs[0]!, summed!);
    this.#shared.names.set(norm.outputs[0]!, normed!);
  }

  #emitNode(node: GraphNode): void {
    if (node.outputs.every((tensor) => this.#shared.names.has(tensor))) return;
    this.#label = node.label;
    const inputs = node.inputs.map((tensor) => this.nameOf(tensor));
    const names = node.operator.emit(this, inputs, node.attributes as never, node);
    for (const [index, tensor] of node.outputs.entries()) {
      this.#shared.names.set(tensor, names[index]!);
    }
  }

  #namedSize(name: string): string {
    const known = this.#lookup(`size ${name}`);
    if (known !== undefined) return known;
    const source = this.#shared.graph.sizes.get(name);
    if (!source) {
      throw new JetonError(`no tensor has a dimension "${name}"`, {
        code: "tensor-dimension-unknown",
        details: { name },
      });
    }
    const value = this.one("Shape", [this.nameOf(source.tensor)], {
      attributes: { start: source.axis, end: source.axis + 1 },
    });
    this.#cache.set(`size ${name}`, value);
    return value;
  }

  #lookup(key: string): string | undefined {
    const found = this.#cache.get(key);
    if (found !== undefined || !this.#parent) return found;
    return this.#parent.#lookup(key);
  }
}

function encodeAttribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === "number") return { name, type: 2, i: value };
  if (typeof value === "string") return { name, type: 3, s: new TextEncoder().encode(value) };
  if ("float" in value) return { name, type: 1, f: value.float };
  if ("graph" in value) return { name, type: 5, g: value.graph };
  return { name, type: 7, ints: [...value] };
}

/** A region of memory or of a file that the model refers to by name. */
export interface ExternalData {
  readonly name: string;
  readonly data: Uint8Array;
}

/** An ONNX file with what it refers to. */
export interface EmittedModel {
  readonly bytes: Uint8Array;
  /** Folder that all external files lie under, where there are any. */
  readonly folder: string | undefined;
  /** External data in memory. */
  readonly external: readonly ExternalData[];
  /** Names of the parameters that are inputs of every run. */
  readonly parameterInputs: readonly string[];
  /** What the file calls each output of the graph. */
  readonly outputNames: Readonly<Record<string, string>>;
}

/** Arrays from this size on are handed to the runtime beside the model (its limit is 2 GB). */
const externalThreshold = 1 << 20;

/**
 * Writes a graph as an ONNX model.
 *
 * @param bindings where each parameter's values are; a parameter without one is an input.
 */
export function emitModel(
  graph: Graph,
  bindings: ReadonlyMap<string, ParameterBinding> = new Map(),
): EmittedModel {
  const shared: SharedState = { graph, next: 0, names: new Map() };
  const emitter = new Emitter(shared);
  const external: ExternalData[] = [];
  const parameterInputs: string[] = [];
  const inputs = Object.values(graph.inputs);

  const files = [...bindings.values()].flatMap((b) => (b.kind === "file" ? [b.file] : []));
  const folder = files.length > 0 ? commonFolder(files) : undefined;

  const outputs = Object.entries(graph.outputs);
  const targets = outputs.map(([, tensor]) => tensor);
  const root = rootScope(graph);
  for (const tensor of inputs) shared.names.set(tensor, leafName(tensor));
  for (const [name, tensor] of graph.parameters) {
    shared.names.set(tensor, name);
    const binding = bindings.get(name) ?? { kind: "input" };
    const declaration = {
      name,
      dims: tensor.shape as number[],
      data_type: onnxTypes[tensor.dtype],
    };
    if (binding.kind === "input") {
      parameterInputs.push(name);
      inputs.push(tensor);
    } else if (binding.kind === "file") {
      const location = binding.file.slice(folder!.length).replace(/^[\\/]+/, "");
      emitter.initializers.push({
        ...declaration,
        data_location: 1,
        external_data: externalEntries(location, binding.offset, binding.length),
      });
    } else {
      const { buffer, byteOffset, byteLength } = binding.data;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      if (byteLength < externalThreshold) {
        emitter.initializers.push({ ...declaration, raw_data: bytes });
      } else {
        const location = `memory-${external.length}`;
        external.push({ name: location, data: bytes });
        emitter.initializers.push({
          ...declaration,
          data_location: 1,
          external_data: externalEntries(location, 0, byteLength),
        });
      }
    }
  }
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
    input: inputs.map((tensor) => ({
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
    })),
    output: outputs.map(([name, tensor]) => ({
      name: outputNames[name]!,
      type: { tensor_type: { elem_type: onnxTypes[tensor.dtype] } },
    })),
  };
  return { bytes: encodeModel(proto), folder, external, parameterInputs, outputNames };
}

function rootScope(graph: Graph): Scope | undefined {
  const tensor = Object.values(graph.outputs)[0] ?? Object.values(graph.inputs)[0];
  let scope = tensor?.node.scope;
  while (scope?.parent) scope = scope.parent;
  return scope;
}

function externalEntries(
  location: string,
  offset: number,
  length: number,
): { key: string; value: string }[] {
  return [
    { key: "location", value: location },
    { key: "offset", value: String(offset) },
    { key: "length", value: String(length) },
  ];
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

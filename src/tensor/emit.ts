/**
 * Writes the nodes of a traced graph as ONNX.
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
  reachableNodes,
  type Scope,
  type Tensor,
} from "./graph.ts";
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from "./onnx-schema.ts";

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
export interface SharedState {
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
    return this.once(`wide ${name}`, () =>
      this.one("Cast", [name], { attributes: { to: onnxTypes.int64 } }),
    );
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
    return this.once(`shape ${shape}`, () => {
      const parts = shape.map((dimension) => this.dimension(dimension));
      return parts.length === 1
        ? parts[0]!
        : this.one("Concat", parts, { attributes: { axis: 0 } });
    });
  }

  /** Emits a branch as a graph of its own that may use every name of the enclosing graphs. */
  branch(name: string, scope: Scope, outputs: readonly Tensor[]): GraphProto {
    const inner = new Emitter(this.#shared, this);
    inner.emit(scope, outputs);
    return inner.finish(name, outputs);
  }

  /** A name that is made once for this graph and its branches. */
  once(key: string, make: () => string): string {
    let name = this.#lookup(key);
    if (name === undefined) {
      name = make();
      this.#cache.set(key, name);
    }
    return name;
  }

  /** The node `If` of two ways to compute one value, whose nodes the operator writes itself. */
  either(
    condition: string,
    dtype: DataType,
    ways: readonly [(inner: Emitter) => string, (inner: Emitter) => string],
  ): string {
    const [whenTrue, whenFalse] = ways.map((way, at) => {
      const inner = new Emitter(this.#shared, this);
      const result = way(inner);
      return {
        name: `way_${at}`,
        node: inner.nodes,
        initializer: inner.initializers,
        input: [],
        output: [{ name: result, type: { tensor_type: { elem_type: onnxTypes[dtype] } } }],
      };
    });
    return this.one("If", [condition], {
      attributes: { then_branch: { graph: whenTrue! }, else_branch: { graph: whenFalse! } },
    });
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

/**
 * Symbolic tensors and the graph that they span.
 *
 * `trace` calls a function once with symbolic inputs; every operator applied to them becomes a node.
 * Nothing is computed: the graph is differentiated (`gradients.ts`), written as ONNX (`emit.ts`),
 * or evaluated slowly in float64 (`reference.ts`).
 */
import { JetonError } from "../core/index.ts";
import {
  canonicalDimension,
  type Dimension,
  dimensionNames,
  formatShape,
  isDimensionName,
} from "./dimension.ts";
import type { Emitter } from "./emit.ts";

/** Element types. Integers that come from JavaScript are `int32`; `int64` never leaves a graph. */
export type DataType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float64"
  | "int8"
  | "uint8"
  | "int32"
  | "int64"
  | "bool";

/** Element type and shape. */
export interface TensorType {
  readonly dtype: DataType;
  readonly shape: readonly Dimension[];
}

/** A symbolic tensor: one output of one node. */
export interface Tensor extends TensorType {
  readonly node: GraphNode;
  readonly output: number;
}

/** The definition of one operator: shape rule, emission and gradient. */
export interface OperatorDefinition<Attributes> {
  readonly name: string;
  /** Shape and type rule; throws through `shapeError`. */
  infer(inputs: readonly Tensor[], attributes: Attributes): readonly TensorType[];
  /** Writes ONNX nodes; gets the names of the inputs, returns the names of the outputs. */
  emit(
    emitter: Emitter,
    inputs: readonly string[],
    attributes: Attributes,
    node: GraphNode,
  ): readonly string[];
  /**
   * Vector-Jacobian product: from the gradients of the outputs (undefined where nothing flows) to
   * those of the inputs (undefined where none flows). Absent: the operator is not differentiable.
   */
  vjp?(
    node: GraphNode,
    outputs: readonly (Tensor | undefined)[],
    attributes: Attributes,
  ): readonly (Tensor | undefined)[];
}

/** Every operator that was defined, by its name. */
const registry: Map<string, OperatorDefinition<never>> = new Map();

/** Registers an operator, so that tests can ask for the reference and the cases of every one. */
export function defineOperator<Attributes>(
  definition: OperatorDefinition<Attributes>,
): OperatorDefinition<Attributes> {
  registry.set(definition.name, definition as unknown as OperatorDefinition<never>);
  return definition;
}

/** All operators that a graph may hold, by name. */
export function definedOperators(): ReadonlyMap<string, OperatorDefinition<never>> {
  return registry;
}

/** One application of an operator. */
export interface GraphNode {
  readonly id: number;
  readonly operator: OperatorDefinition<never>;
  readonly inputs: readonly Tensor[];
  readonly attributes: unknown;
  readonly outputs: readonly Tensor[];
  readonly scope: Scope;
  /** Path of `scoped` labels, e.g. `layers.0/attention`. */
  readonly label: string;
}

/** A branch of a conditional has a scope of its own; its nodes are computed only when it is taken. */
export interface Scope {
  readonly parent: Scope | undefined;
}

/** Where the value of a named size is read: an axis of a tensor. */
export interface SizeSource {
  readonly tensor: Tensor;
  readonly axis: number;
}

/** A traced function. */
export interface Graph {
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Leaves that are addressed by their checkpoint names, in order of first use. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly sizes: ReadonlyMap<string, SizeSource>;
}

interface TraceContext {
  nextId: number;
  nextFresh: number;
  scope: Scope;
  label: string;
  /** While gradients are derived: their first node, and all of their nodes by `cseKey`. */
  gradientScope: { from: number; cseTable: Map<string, readonly Tensor[]> } | undefined;
  readonly parameters: Map<string, Tensor>;
  readonly sizes: Map<string, SizeSource>;
}

let current: TraceContext | undefined;

function context(): TraceContext {
  if (!current) {
    throw new JetonError("tensor operators work only inside the function given to trace()", {
      code: "tensor-outside-trace",
    });
  }
  return current;
}

/** The first stack line outside this module, so that an error points to the user's code. */
function userLine(): string {
  const limit = Error.stackTraceLimit;
  // The default limit of ten lines may cover this module alone.
  Error.stackTraceLimit = 50;
  const lines = (new Error().stack ?? "").split("\n").slice(1);
  Error.stackTraceLimit = limit;
  const own = /[\\/](src|dist)[\\/]tensor[\\/](?!.*\.test\.)|<anonymous>\)?$|node:internal/;
  return lines.find((text) => !own.test(text))?.trim() ?? "";
}

/** An error of an operator's shape rule: names the operator, all shapes and the user's line. */
export function shapeError(
  operator: string,
  inputs: readonly TensorType[],
  expectation: string,
): JetonError {
  const shapes = inputs.map((input) => `${input.dtype}${formatShape(input.shape)}`);
  return new JetonError(`${operator}(${shapes.join(", ")}): ${expectation}\n    ${userLine()}`, {
    code: "tensor-shape",
    details: { operator, shapes, expectation },
  });
}

/** Applies an operator: infers the types of its outputs and adds a node to the trace. */
export function apply<Attributes>(
  operator: OperatorDefinition<Attributes>,
  inputs: readonly Tensor[],
  attributes: Attributes,
): readonly Tensor[] {
  const trace = context();
  for (const input of inputs) {
    let scope: Scope | undefined = trace.scope;
    while (scope && scope !== input.node.scope) scope = scope.parent;
    if (!scope) {
      throw new JetonError(
        `${operator.name}: an input was computed inside a branch (or another trace) and is not visible here\n    ${userLine()}`,
        { code: "tensor-scope", details: { operator: operator.name } },
      );
    }
  }
  // Rules of several nodes often ask for the same thing (one activation, made flat); it is made once.
  const key = trace.gradientScope && cseKey(operator.name, inputs, attributes);
  const cseTable = key === undefined ? undefined : trace.gradientScope?.cseTable.get(key);
  if (cseTable?.[0]?.node.scope === trace.scope) return cseTable;
  const types = operator.infer(inputs, attributes);
  const outputs: Tensor[] = [];
  const node: GraphNode = {
    id: trace.nextId++,
    operator: operator as unknown as OperatorDefinition<never>,
    inputs,
    attributes,
    outputs,
    scope: trace.scope,
    label: trace.label,
  };
  for (const [output, type] of types.entries()) {
    outputs.push({ dtype: type.dtype, shape: type.shape, node, output });
  }
  if (key !== undefined) trace.gradientScope?.cseTable.set(key, outputs);
  return outputs;
}

/** Key that is equal for nodes that compute the same; undefined where nodes are not merged. */
function cseKey(
  operator: string,
  inputs: readonly Tensor[],
  attributes: unknown,
): string | undefined {
  if (operator === "constant" || operator === "conditional") return undefined;
  const names = inputs.map(({ node, output }) => `${node.id}:${output}`);
  // JSON knows no infinities: they would all look alike.
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
  return `${operator}(${names}) ${JSON.stringify(attributes, plain)}`;
}

/** Runs `body` with a label that names its nodes in the ONNX file. */
export function scoped<T>(label: string, body: () => T): T {
  const trace = context();
  const outer = trace.label;
  trace.label = outer === "" ? label : `${outer}/${label}`;
  try {
    return body();
  } finally {
    trace.label = outer;
  }
}

/** Runs `body`, which derives gradients, in a gradient scope: only `body` can hold its new tensors. */
export function deriving<T>(body: () => T): T {
  const trace = context();
  const outer = trace.gradientScope;
  trace.gradientScope = { from: trace.nextId, cseTable: new Map() };
  try {
    return body();
  } finally {
    trace.gradientScope = outer;
  }
}

/**
 * True where a tensor may be computed in another way or not at all, because only the gradient that is
 * being derived knows it. A tensor that the user knows may be asked for its own gradient.
 */
export function isReplaceable({ node }: Tensor): boolean {
  const { gradientScope } = context();
  return gradientScope !== undefined && node.id >= gradientScope.from;
}

/** Runs `body` in a scope of its own (a branch). */
export function inBranch<T>(body: () => T): { scope: Scope; result: T } {
  const trace = context();
  const outer = trace.scope;
  const scope: Scope = { parent: outer };
  trace.scope = scope;
  try {
    return { scope, result: body() };
  } finally {
    trace.scope = outer;
  }
}

/** A name for a size that only the running program knows. Register its source with `nameSize`. */
export function freshSize(hint: string): string {
  return `${hint}_${context().nextFresh++}`;
}

/** Says where the value of a fresh size is found. */
export function nameSize(name: string, tensor: Tensor, axis: number): void {
  context().sizes.set(name, { tensor, axis });
}

const leaf: OperatorDefinition<{ name: string; type: TensorType }> = defineOperator({
  name: "input",
  infer: (_inputs, { type }) => [type],
  emit: (_emitter, _inputs, { name }) => [name],
});

const parameterLeaf: OperatorDefinition<{ name: string; type: TensorType }> = defineOperator({
  ...leaf,
  name: "parameter",
});

/** True for a leaf made by `parameter`. */
export function isParameter(tensor: Tensor): boolean {
  return tensor.node.operator.name === "parameter";
}

/** The name of an input or parameter. */
export function leafName(tensor: Tensor): string {
  return (tensor.node.attributes as { name: string }).name;
}

/**
 * A parameter, addressed by its checkpoint name. What holds its values (a checkpoint file, memory,
 * an input of the program) is decided when the graph is compiled. Equal names give one leaf.
 */
export function parameter(
  name: string,
  shape: readonly number[],
  dtype: DataType = "float32",
): Tensor {
  const trace = context();
  const cseTable = trace.parameters.get(name);
  if (cseTable) {
    if (cseTable.dtype !== dtype || formatShape(cseTable.shape) !== formatShape(shape)) {
      throw shapeError(
        "parameter",
        [cseTable, { dtype, shape }],
        `"${name}" was used before with another shape or type`,
      );
    }
    return cseTable;
  }
  const outer = trace.scope;
  while (trace.scope.parent) trace.scope = trace.scope.parent;
  const [tensor] = apply(parameterLeaf, [], { name, type: { dtype, shape: [...shape] } });
  trace.scope = outer;
  trace.parameters.set(name, tensor!);
  return tensor!;
}

/** Type of an input: element type and shape, for the first argument of `trace`. */
export function tensorType(dtype: DataType, shape: readonly Dimension[]): TensorType {
  return { dtype, shape: shape.map(canonicalDimension) };
}
/** A float32 tensor of this shape, as an input of `trace`. */
export const float32 = (shape: readonly Dimension[]): TensorType => tensorType("float32", shape);
/** An int32 tensor of this shape, as an input of `trace`. */
export const int32 = (shape: readonly Dimension[]): TensorType => tensorType("int32", shape);
/** A uint8 tensor of this shape, as an input of `trace`. */
export const uint8 = (shape: readonly Dimension[]): TensorType => tensorType("uint8", shape);
/** A bool tensor of this shape, as an input of `trace`. */
export const bool = (shape: readonly Dimension[]): TensorType => tensorType("bool", shape);

/** A graph whose inputs and outputs are known by name. */
export interface TypedGraph<Inputs extends string, Outputs extends string> extends Graph {
  readonly inputs: Readonly<Record<Inputs, Tensor>>;
  readonly outputs: Readonly<Record<Outputs, Tensor>>;
}

/**
 * Traces a function of tensors into a graph.
 *
 * @param inputs element types and shapes by name; a named size (`"time"`) must appear as a whole
 *   dimension of at least one input before it may appear in an expression.
 * @param body called once; returns the outputs by name (undefined ones are left out).
 */
export function trace<Inputs extends string, Outputs extends string>(
  inputs: Readonly<Record<Inputs, TensorType>>,
  body: (inputs: Readonly<Record<Inputs, Tensor>>) => Readonly<Record<Outputs, Tensor>>,
): TypedGraph<Inputs, Outputs> {
  if (current) {
    throw new JetonError("trace() cannot be called inside trace()", {
      code: "tensor-trace-nested",
    });
  }
  const root: Scope = { parent: undefined };
  current = {
    nextId: 0,
    nextFresh: 0,
    scope: root,
    label: "",
    gradientScope: undefined,
    parameters: new Map(),
    sizes: new Map(),
  };
  try {
    const leaves = {} as Record<Inputs, Tensor>;
    for (const [name, type] of Object.entries<TensorType>(inputs)) {
      const [tensor] = apply(leaf, [], { name, type: tensorType(type.dtype, type.shape) });
      leaves[name as Inputs] = tensor!;
      for (const [axis, dimension] of tensor!.shape.entries()) {
        if (isDimensionName(dimension) && !current.sizes.has(dimension as string)) {
          current.sizes.set(dimension as string, { tensor: tensor!, axis });
        }
      }
    }
    for (const tensor of Object.values<Tensor>(leaves)) {
      for (const name of tensor.shape.flatMap(dimensionNames)) {
        if (!current.sizes.has(name)) {
          throw shapeError("trace", [tensor], `no input has "${name}" alone as a dimension`);
        }
      }
    }
    const results = Object.entries<Tensor | undefined>(body(leaves));
    const outputs = Object.fromEntries(
      results.filter(([, tensor]) => tensor !== undefined),
    ) as Record<Outputs, Tensor>;
    for (const [name, tensor] of Object.entries<Tensor>(outputs)) {
      if (tensor.node.scope !== root) {
        throw new JetonError(`output "${name}" was computed inside a branch`, {
          code: "tensor-scope",
          details: { name },
        });
      }
    }
    return { inputs: leaves, outputs, parameters: current.parameters, sizes: current.sizes };
  } finally {
    current = undefined;
  }
}

/**
 * The nodes that `targets` need, in order of creation. A conditional reports the outer tensors that
 * its branches use through `captured`, so nodes of branches are not listed for the outer scope.
 */
export function reachableNodes(targets: readonly Tensor[], scope?: Scope): GraphNode[] {
  const seen = new Set<GraphNode>();
  const stack = targets.map((tensor) => tensor.node);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node) || (scope && node.scope !== scope)) continue;
    seen.add(node);
    for (const input of node.inputs) stack.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/**
 * The part of the ONNX wire format that jeton writes (onnx.proto, IR version 10).
 */
import { encodeMessage, type MessageFields } from "./protobuf-writer.ts";

/** An attribute of a node; `type` says which field counts. */
export interface AttributeProto {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  g?: GraphProto;
  floats?: number[];
  ints?: number[];
}
/** A node: names of values in, names of values out. */
export interface NodeProto {
  input: string[];
  output: string[];
  name: string;
  op_type: string;
  domain: string;
  attribute: AttributeProto[];
}
/** An initializer, in the file (`raw_data`) or outside of it (`external_data`). */
export interface TensorProto {
  name: string;
  dims: number[];
  data_type: number;
  raw_data?: Uint8Array;
  external_data?: { key: string; value: string }[];
  data_location?: number;
}
/** Name and type of an input or output. */
export interface ValueInfoProto {
  name: string;
  type: {
    tensor_type: {
      elem_type: number;
      shape?: { dim: ({ dim_value: number } | { dim_param: string })[] };
    };
  };
}
/** A graph, or a branch of an `If`. */
export interface GraphProto {
  name: string;
  node: NodeProto[];
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
}

// Field numbers and types by the names above; a graph is a field of attributes (branches of an `If`).
const graph: { [name: string]: MessageFields[string] } = {};
const dimension: MessageFields = { dim_value: [1, "int"], dim_param: [2, "string"] };
const tensorType: MessageFields = {
  elem_type: [1, "int"],
  shape: [2, { dim: [1, [dimension]] }],
};
const valueInfo: MessageFields = {
  name: [1, "string"],
  type: [2, { tensor_type: [1, tensorType] }],
};
const tensor: MessageFields = {
  dims: [1, ["int"]],
  data_type: [2, "int"],
  name: [8, "string"],
  raw_data: [9, "bytes"],
  external_data: [13, [{ key: [1, "string"], value: [2, "string"] }]],
  data_location: [14, "int"],
};
const attribute: MessageFields = {
  name: [1, "string"],
  f: [2, "float"],
  i: [3, "int"],
  s: [4, "bytes"],
  t: [5, tensor],
  g: [6, graph],
  floats: [7, ["float"]],
  ints: [8, ["int"]],
  type: [20, "int"],
};
const node: MessageFields = {
  input: [1, ["string"]],
  output: [2, ["string"]],
  name: [3, "string"],
  op_type: [4, "string"],
  attribute: [5, [attribute]],
  domain: [7, "string"],
};
Object.assign(graph, {
  node: [1, [node]],
  name: [2, "string"],
  initializer: [5, [tensor]],
  input: [11, [valueInfo]],
  output: [12, [valueInfo]],
} satisfies MessageFields);
const model: MessageFields = {
  ir_version: [1, "int"],
  producer_name: [2, "string"],
  graph: [7, graph],
  opset_import: [8, [{ domain: [1, "string"], version: [2, "int"] }]],
};

/** Serializes a graph as an ONNX model: opset 24 and the contributed operators of ONNX Runtime. */
export function encodeModel(graph: GraphProto): Uint8Array {
  return encodeMessage(model, {
    ir_version: 10,
    producer_name: "jeton",
    graph,
    opset_import: [
      { domain: "", version: 24 },
      { domain: "com.microsoft", version: 1 },
    ],
  });
}

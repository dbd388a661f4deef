/**
 * The part of the ONNX wire format that jeton writes (onnx.proto, IR version 10).
 */
import protobuf from "protobufjs";

const proto = `
syntax = "proto3";
message AttributeProto {
  string name = 1; float f = 2; int64 i = 3; bytes s = 4; TensorProto t = 5; GraphProto g = 6;
  repeated float floats = 7; repeated int64 ints = 8; int32 type = 20;
}
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message TypeProto {
  message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
  Tensor tensor_type = 1;
}
message TensorShapeProto {
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
  repeated Dimension dim = 1;
}
message NodeProto {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7;
}
message StringStringEntryProto { string key = 1; string value = 2; }
message TensorProto {
  repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
  repeated StringStringEntryProto external_data = 13; int32 data_location = 14;
}
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message ModelProto {
  int64 ir_version = 1; string producer_name = 2; GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
}`;

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

let modelType: protobuf.Type | undefined;

/** Serializes a graph as an ONNX model: opset 24 and the contributed operators of ONNX Runtime. */
export function encodeModel(graph: GraphProto): Uint8Array {
  modelType ??= protobuf.parse(proto, { keepCase: true }).root.lookupType("ModelProto");
  return modelType
    .encode({
      ir_version: 10,
      producer_name: "jeton",
      graph,
      opset_import: [
        { domain: "", version: 24 },
        { domain: "com.microsoft", version: 1 },
      ],
    })
    .finish();
}

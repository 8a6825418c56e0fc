import type { MessageShape } from './wire.ts';

/** The messages of onnx.proto3 (IR versions 3 to 13), as far as they are read. */

export const modelShape: MessageShape = {
  name: 'ModelProto',
  fields: {
    1: 'int', // ir_version
    2: 'text', // producer_name
    3: 'text', // producer_version
    4: 'text', // domain
    5: 'int', // model_version
    6: 'text', // doc_string
    7: 'message', // graph
    8: 'message*', // opset_import
    14: 'message*', // metadata_props
    20: 'message*', // training_info
    25: 'message*', // functions
    26: 'opaque*', // configuration
  },
};

export const graphShape: MessageShape = {
  name: 'GraphProto',
  fields: {
    1: 'message*', // node
    2: 'text', // name
    5: 'message*', // initializer
    10: 'text', // doc_string
    11: 'message*', // input
    12: 'message*', // output
    13: 'opaque*', // value_info
    14: 'opaque*', // quantization_annotation
    15: 'message*', // sparse_initializer
    16: 'opaque*', // metadata_props
  },
};

export const nodeShape: MessageShape = {
  name: 'NodeProto',
  fields: {
    1: 'text*', // input
    2: 'text*', // output
    3: 'text', // name
    4: 'text', // op_type
    5: 'message*', // attribute
    6: 'text', // doc_string
    7: 'text', // domain
    8: 'text', // overload
    9: 'opaque*', // metadata_props
    10: 'opaque*', // device_configurations
  },
};

export const attributeShape: MessageShape = {
  name: 'AttributeProto',
  fields: {
    1: 'text', // name
    2: 'float', // f
    3: 'int', // i
    4: 'text', // s, raw bytes
    5: 'message', // t
    6: 'message', // g
    7: 'float*', // floats
    8: 'int*', // ints
    9: 'opaque*', // strings
    10: 'message*', // tensors
    11: 'message*', // graphs
    13: 'text', // doc_string
    14: 'message', // tp
    15: 'opaque*', // type_protos
    20: 'int', // type
    21: 'text', // ref_attr_name
    22: 'message', // sparse_tensor
    23: 'message*', // sparse_tensors
  },
};

export const tensorShape: MessageShape = {
  name: 'TensorProto',
  fields: {
    1: 'int*', // dims
    2: 'int', // data_type
    3: 'message', // segment
    4: 'float*', // float_data
    5: 'int*', // int32_data
    6: 'opaque*', // string_data
    7: 'int*', // int64_data
    8: 'text', // name
    9: 'text', // raw_data, raw bytes
    10: 'double*', // double_data
    11: 'int*', // uint64_data
    12: 'text', // doc_string
    13: 'message*', // external_data
    14: 'int', // data_location
    16: 'opaque*', // metadata_props
  },
};

export const sparseTensorShape: MessageShape = {
  name: 'SparseTensorProto',
  fields: { 1: 'message', 2: 'message', 3: 'int*' }, // values, indices, dims
};

export const functionShape: MessageShape = {
  name: 'FunctionProto',
  fields: {
    1: 'text', // name
    4: 'text*', // input
    5: 'text*', // output
    6: 'text*', // attribute
    7: 'message*', // node
    8: 'text', // doc_string
    9: 'message*', // opset_import
    10: 'text', // domain
    11: 'message*', // attribute_proto
    12: 'opaque*', // value_info
    13: 'text', // overload
    14: 'opaque*', // metadata_props
  },
};

export const trainingShape: MessageShape = {
  name: 'TrainingInfoProto',
  fields: { 1: 'message', 2: 'message', 3: 'opaque*', 4: 'opaque*' }, // initialization, algorithm, bindings
};

export const opsetShape: MessageShape = { name: 'OperatorSetIdProto', fields: { 1: 'text', 2: 'int' } };

export const entryShape: MessageShape = { name: 'StringStringEntryProto', fields: { 1: 'text', 2: 'text' } };

export const valueShape: MessageShape = {
  name: 'ValueInfoProto',
  fields: { 1: 'text', 2: 'message', 3: 'text', 4: 'opaque*' }, // name, type, doc_string, metadata_props
};

export const typeShape: MessageShape = {
  name: 'TypeProto',
  fields: {
    1: 'message', // tensor_type
    4: 'message', // sequence_type
    5: 'message', // map_type
    6: 'text', // denotation
    7: 'message', // opaque_type
    8: 'message', // sparse_tensor_type
    9: 'message', // optional_type
  },
};

export const tensorTypeShape: MessageShape = { name: 'TypeProto.Tensor', fields: { 1: 'int', 2: 'message' } };

export const dimensionsShape: MessageShape = { name: 'TensorShapeProto', fields: { 1: 'message*' } };

export const dimensionShape: MessageShape = {
  name: 'TensorShapeProto.Dimension',
  fields: { 1: 'int', 2: 'text', 3: 'text' }, // dim_value, dim_param, denotation
};

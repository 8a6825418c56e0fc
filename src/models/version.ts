/** Element types, as the Open Inference Protocol names them. BYTES is a string. */
export type DataType =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES';

/** One named tensor. A dimension is its size, or its symbol (`N`), or -1 where the model leaves it open. */
export interface TensorSpec {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly (number | string)[];
}

/** What a model takes and gives. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** One version, as serving and the routes see it. */
export interface Version {
  readonly id: string;
  readonly project: string;
  readonly model: string;
  readonly number: number;
  readonly format: 'onnx';
  /** SHA-256 of the plaintext artifact, lower-case hex. */
  readonly digest: string;
  /** Size of the plaintext artifact. */
  readonly bytes: number;
  readonly signature: ModelSignature;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly aliases: readonly string[];
}

/** Which version a caller means: by number, by alias, or, with neither, by the alias `production`. */
export interface VersionReference {
  readonly project: string;
  readonly model: string;
  readonly version?: number;
  readonly alias?: string;
}

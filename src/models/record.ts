import type { Finding } from './onnx/inspect.ts';
import type { ModelSignature } from './version.ts';

/** The registry's rows, as stored. Times are milliseconds since 1970 UTC. */

export interface ProjectRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}

export interface ModelRecord {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly description: string;
  readonly createdBy: string;
  readonly createdAt: number;
}

export interface VersionRecord {
  readonly id: string;
  readonly modelId: string;
  /** 1, 2, 3 … within the model; never used twice. */
  readonly number: number;
  readonly format: 'onnx';
  /** SHA-256 of the plaintext artifact, lower-case hex. */
  readonly digest: string;
  readonly bytes: number;
  /** SHA-256 of the stored payload, lower-case hex: the blob's name. */
  readonly blob: string;
  readonly payloadBytes: number;
  /** The age header, detached from the payload. */
  readonly header: Uint8Array;
  /** Ring key and version that the header is wrapped to. */
  readonly keyName: string;
  readonly keyVersion: number;
  /** When the payload was last encrypted under a new file key. */
  readonly sealedAt: number;
  readonly signature: ModelSignature;
  readonly findings: readonly Finding[];
  readonly createdBy: string;
  readonly createdAt: number;
}

export interface AliasRecord {
  readonly modelId: string;
  readonly name: string;
  readonly versionId: string;
  readonly updatedAt: number;
  readonly updatedBy: string;
}

/** All of the registry at one moment. */
export interface RegistryContent {
  readonly projects: readonly ProjectRecord[];
  readonly models: readonly ModelRecord[];
  readonly versions: readonly VersionRecord[];
  readonly aliases: readonly AliasRecord[];
}

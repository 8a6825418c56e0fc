import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import type { SealKeySource } from './seal-key.ts';
import { isKeyVersion, KEY_NAME } from './value-header.ts';

/** One version of a key that lies outside a ring: 32 random bytes from a secret store or a file. */
export interface SealKeyVersion {
  readonly name: string;
  readonly version: number;
  readonly key: Secret<Uint8Array>;
}

/** Keys given one by one; of each name the highest version seals. Throws `crypto.invalid_key`. */
export function createSealKeySet(keys: readonly SealKeyVersion[]): SealKeySource {
  const names = new Map<string, Map<number, KeyObject>>();
  for (const { name, version, key } of keys) {
    if (!KEY_NAME.test(name)) throw cryptoProblems.invalid_key(`"${name}" is not a name for a key`);
    const versions = names.get(name) ?? new Map<number, KeyObject>();
    if (!isKeyVersion(version) || versions.has(version))
      throw cryptoProblems.invalid_key(`the key "${name}" cannot have a version ${version} here`);
    if (key.reveal().length !== 32)
      throw cryptoProblems.invalid_key(`version ${version} of the key "${name}" is not 32 bytes`);
    names.set(name, versions.set(version, createSecretKey(key.reveal())));
  }
  return {
    sealKey(name, wanted) {
      const versions = names.get(name) ?? new Map<number, KeyObject>();
      const version = wanted ?? Math.max(...versions.keys());
      const key = versions.get(version);
      if (key) return { version, key };
      throw cryptoProblems.key_unavailable(`there is no such version of the key "${name}"`);
    },
  };
}

import type { KeyObject } from 'node:crypto';
import { CompactEncrypt, compactDecrypt, errors } from 'jose';
import { isProblem, type Problem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { valueProblems } from './problems.ts';
import type { SealKeySource, SealKeyUse } from './seal-key.ts';
import { isPath, kidOf, parseValue, type ValueFacts, type ValueHeader } from './value-header.ts';

/** Small values, each encrypted for one place: a JWE that any JOSE library reads, and that opens nowhere else. */
export interface SealedValues {
  /**
   * Encrypts under the active version of `key`. `path` names the place the value is for, such as `secrets/db/password`: 1 to
   * 512 characters, authenticated, not secret. Throws `crypto.key_unavailable`, `crypto.value_too_large`, or a RangeError on
   * a path that is none.
   */
  seal(key: string, path: string, plaintext: Uint8Array): Promise<string>;
  /**
   * The value, if it was sealed for this path, with this `typ`, and with `key` if that is given; give it wherever only one
   * key can be right. Every failure is the same `crypto.invalid_value`; the reason is its private cause. Only a version that
   * the source withholds because it is compromised is told as such: that is for an operator to mend.
   */
  open(path: string, token: string, expected?: OpenOptions): Promise<Secret<Uint8Array>>;
  /** What a value says about itself; needs no key and verifies nothing. Throws `crypto.invalid_value`. */
  inspect(token: string): ValueFacts;
}

export interface OpenOptions extends SealKeyUse {
  readonly key?: string;
}

export interface SealedValuesOptions {
  readonly ring: SealKeySource;
  /**
   * What the values are for, in lower case and hyphens; written into each and demanded of each. Two uses of one key with
   * different types do not open each other's values.
   */
  readonly typ?: string;
  readonly plaintextBytesMax?: number;
}

export const VALUE_BYTES_MAX = 1024 * 1024;

export function createSealedValues({
  ring,
  typ = 'modelkeep-value',
  plaintextBytesMax = VALUE_BYTES_MAX,
}: SealedValuesOptions): SealedValues {
  if (!/^[a-z][a-z-]{0,62}$/.test(typ)) throw new RangeError(`"${typ}" is not a type of sealed values`);
  const inspect = (token: string): ValueFacts => {
    const facts = parseValue(token, plaintextBytesMax);
    if ('reason' in facts) throw invalid(facts.reason);
    return facts;
  };
  return {
    inspect,
    async seal(name, path, plaintext) {
      if (!isPath(path)) throw new RangeError('a path is 1 to 512 characters of Unicode text');
      if (plaintext.length > plaintextBytesMax)
        throw valueProblems.value_too_large(`a sealed value is at most ${plaintextBytesMax} bytes`);
      const { version, key } = ring.sealKey(name);
      const header: ValueHeader = { alg: 'dir', enc: 'A256GCM', kid: kidOf(name, version), path, typ };
      return new CompactEncrypt(plaintext).setProtectedHeader(header).encrypt(key);
    },
    async open(path, token, { key: wanted, ...use } = {}) {
      const facts = inspect(token);
      if (facts.plaintextBytes > plaintextBytesMax) throw invalid('it is too long');
      if (facts.typ !== typ) throw invalid('it is of another type');
      if (facts.path !== path) throw invalid('it was sealed for another path');
      if (wanted !== undefined && facts.key !== wanted)
        throw invalid('it was sealed with another key than the one expected');
      const key = keyOf(ring, facts, use);
      try {
        const { plaintext } = await compactDecrypt(token, key, PINNED);
        return new Secret(plaintext);
      } catch (error) {
        if (error instanceof errors.JOSEError)
          throw invalid('it was changed, or its key is another one', error);
        throw error;
      }
    },
  };
}

const PINNED = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] };

/** The header's key name picks among the keys of the source; it is authenticated only when the value opens. */
function keyOf(ring: SealKeySource, { key, version }: ValueFacts, use: SealKeyUse): KeyObject {
  try {
    return ring.sealKey(key, version, use).key;
  } catch (error) {
    if (isProblem(error, cryptoProblems.key_unavailable)) throw invalid('its key is not available', error);
    throw error;
  }
}

function invalid(reason: string, cause?: unknown): Problem {
  return valueProblems.invalid_value('the sealed value does not open here', {
    cause: new Error(reason, { cause }),
  });
}

import { randomBytes, scrypt } from 'node:crypto';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import {
  encodeRawBase64,
  type Identity,
  openFileKey,
  parseRawBase64,
  sealFileKey,
  type Stanza,
  WRAPPED_BYTES,
} from './stanza.ts';

const TYPE = 'scrypt';
const LABEL = 'age-encryption.org/v1/scrypt';
const SALT_BYTES = 16;
const BLOCK = 8;
/** log2 of the scrypt cost when writing: 256 MiB of memory, about a second. */
export const WORK_FACTOR = 18;
/** log2 of the highest cost accepted when reading, where the file's author chooses it: 1 GiB of memory. */
export const WORK_FACTOR_MAX = 20;

/** Claims that the stanza is sealed with a passphrase. */
export function isPassphraseStanza(stanza: Stanza): boolean {
  return stanza.type === TYPE;
}

/** Wraps the file key with a passphrase. The stanza must be the only one of its header. */
export async function wrapWithPassphrase(
  fileKey: Uint8Array,
  passphrase: Secret<string>,
  workFactor = WORK_FACTOR,
): Promise<Stanza> {
  if (passphrase.reveal() === '') throw cryptoProblems.invalid_key('the passphrase is empty');
  const salt = randomBytes(SALT_BYTES);
  const body = sealFileKey(await derive(passphrase, salt, workFactor), fileKey);
  return { type: TYPE, args: [encodeRawBase64(salt), String(workFactor)], body };
}

/**
 * Opens a passphrase stanza. `ask` is called only if there is one and its cost is within bounds; a higher cost throws
 * `crypto.scrypt_cost`.
 */
export function createPassphraseIdentity(
  ask: () => Promise<Secret<string>>,
  workFactorMax = WORK_FACTOR_MAX,
): Identity {
  return {
    async unwrap(stanzas) {
      const stanza = stanzas.find(isPassphraseStanza);
      if (!stanza) return undefined;
      const { salt, workFactor } = parse(stanza);
      if (workFactor > workFactorMax) {
        throw cryptoProblems.scrypt_cost(
          `the file asks for work factor ${workFactor}; the limit is ${workFactorMax}`,
        );
      }
      return openFileKey(await derive(await ask(), salt, workFactor), stanza.body);
    },
  };
}

function parse({ args, body }: Stanza): { salt: Uint8Array; workFactor: number } {
  const [saltText = '', factorText = ''] = args;
  const salt = parseRawBase64(saltText);
  if (args.length !== 2 || salt?.length !== SALT_BYTES || !/^[1-9][0-9]*$/.test(factorText)) {
    throw cryptoProblems.malformed_header('the scrypt stanza has malformed arguments');
  }
  if (body.length !== WRAPPED_BYTES)
    throw cryptoProblems.malformed_header('the scrypt stanza has a body of wrong length');
  return { salt, workFactor: Number(factorText) };
}

function derive(passphrase: Secret<string>, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const cost = 2 ** workFactor;
  const options = { N: cost, r: BLOCK, p: 1, maxmem: 128 * BLOCK * cost + (1 << 20) };
  return new Promise((resolve, reject) => {
    scrypt(passphrase.reveal(), Buffer.concat([Buffer.from(LABEL), salt]), 32, options, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

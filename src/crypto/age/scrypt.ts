import { randomBytes, scrypt } from 'node:crypto';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { createGate } from './gate.ts';
import {
  checkWrappedLength,
  encodeRawBase64,
  type Identity,
  openFileKey,
  parseRawBase64,
  sealFileKey,
  type Stanza,
} from './stanza.ts';

const TYPE = 'scrypt';
const LABEL = 'age-encryption.org/v1/scrypt';
const SALT_BYTES = 16;
const BLOCK = 8;
/** log2 of the scrypt cost when writing: 256 MiB of memory, about a second. */
export const WORK_FACTOR = 18;
/** log2 of the highest cost accepted when reading, where the file's author chooses it: 1 GiB of memory. */
export const WORK_FACTOR_MAX = 20;
/**
 * Two derivations of the usual cost at a time. Memory is the process's, so this gate is too: the one thing that calls
 * share.
 */
const MEMORY_MAX = 2 * memoryOf(WORK_FACTOR);
const gate = createGate(MEMORY_MAX);

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

function parse(stanza: Stanza): { salt: Uint8Array; workFactor: number } {
  const { args } = stanza;
  const [saltText = '', factorText = ''] = args;
  const salt = parseRawBase64(saltText);
  if (args.length !== 2 || salt?.length !== SALT_BYTES || !/^[1-9][0-9]*$/.test(factorText)) {
    throw cryptoProblems.malformed_header('the scrypt stanza has malformed arguments');
  }
  checkWrappedLength(stanza);
  return { salt, workFactor: Number(factorText) };
}

function derive(passphrase: Secret<string>, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const memory = memoryOf(workFactor);
  const options = { N: 2 ** workFactor, r: BLOCK, p: 1, maxmem: memory + (1 << 20) };
  const labeledSalt = Buffer.concat([Buffer.from(LABEL), salt]);
  return gate.run(
    memory,
    () =>
      new Promise((resolve, reject) => {
        scrypt(passphrase.reveal(), labeledSalt, 32, options, (error, key) => {
          if (error) reject(error);
          else resolve(key);
        });
      }),
  );
}

/** Bytes that a derivation fills. */
function memoryOf(workFactor: number): number {
  return 128 * BLOCK * 2 ** workFactor;
}

import { createFernet, type Fernet, PLAINTEXT_BYTES_MAX } from '../crypto/fernet/fernet.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { usage } from './failure.ts';
import type { EncryptionIo } from './file-encryption-transfer.ts';
import { readFernetKeys } from './key-files.ts';

/** The `--fernet` side of `encrypt` and `decrypt`. */

export interface FernetOptions {
  readonly fernet?: boolean;
  readonly keyFile?: string;
}

export async function openFernet({ keyFile }: FernetOptions, io: EncryptionIo): Promise<Fernet> {
  if (keyFile === undefined)
    throw usage('--fernet needs --key-file', 'make a key with: keygen --fernet -o FILE');
  return createFernet({ keys: await readFernetKeys(keyFile, io), clock: io.clock });
}

export async function* sealFernet(
  fernet: Fernet,
  source: AsyncIterable<Uint8Array>,
  newline: boolean,
): AsyncGenerator<Uint8Array> {
  const plaintext = await collect(source, PLAINTEXT_BYTES_MAX);
  yield Buffer.from(fernet.encrypt(plaintext));
  if (newline) yield Buffer.from('\n');
}

export async function* openFernetToken(
  fernet: Fernet,
  source: AsyncIterable<Uint8Array>,
  ttl: number | undefined,
): AsyncGenerator<Uint8Array> {
  // Half as much again is more than base64 and the token's frame add; the exact limit is Fernet's to check.
  const token = (await collect(source, PLAINTEXT_BYTES_MAX * 1.5)).toString('latin1').replace(/\r?\n$/, '');
  yield fernet.decrypt(token, ttl === undefined ? {} : { ttl });
}

async function collect(source: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    if (bytes > bytesMax) {
      throw cryptoProblems.too_large(
        'the input is too large for a Fernet token; leave out --fernet for the age format',
      );
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Refuses options that do not go together. */
export function checkFernet<Options extends FernetOptions>(
  options: Options,
  ageOnly: readonly (keyof Options & string)[],
): void {
  if (options.fernet !== true) {
    if (options.keyFile !== undefined) throw usage('--key-file is for --fernet');
    return;
  }
  const given = ageOnly.find((name) => options[name] !== undefined);
  if (given !== undefined) {
    throw usage(`--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is not for --fernet`);
  }
}

export function parseSeconds(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw usage('--ttl is a whole number of seconds');
  return Number(text);
}

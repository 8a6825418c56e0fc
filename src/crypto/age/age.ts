import { randomBytes } from 'node:crypto';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { armor, dearmor, looksArmored } from './armor.ts';
import { formatHeader, isAuthentic, parseHeader, readHeader } from './header.ts';
import { parseIdentity, parseRecipient } from './keys.ts';
import { openPayload, sealPayload } from './payload.ts';
import { createReader } from './reader.ts';
import { createPassphraseIdentity, isPassphraseStanza, wrapWithPassphrase } from './scrypt.ts';
import { FILE_KEY_BYTES, type Identity } from './stanza.ts';

/** To whom a file is sealed: keys, or one passphrase; the format does not let them mix. */
export type Sealing =
  | { readonly recipients: readonly string[] }
  | { readonly passphrase: Secret<string>; readonly workFactor?: number };

/** What may open a file. `passphrase` is called only if the file is sealed with one. */
export interface Opening {
  readonly identities?: readonly string[];
  readonly passphrase?: () => Promise<Secret<string>>;
  /** log2 of the highest scrypt cost to accept. */
  readonly workFactorMax?: number;
}

/**
 * Encrypts to an age file in two parts: header and payload concatenated are one. The header may be replaced by another
 * one for the same file key without touching the payload. Throws at once if a recipient is not valid.
 */
export function encryptDetached(
  recipients: readonly string[],
  plaintext: AsyncIterable<Uint8Array>,
): { readonly header: Uint8Array; readonly payload: AsyncIterable<Uint8Array> } {
  if (recipients.length === 0) throw cryptoProblems.invalid_key('no recipient is given');
  const parsed = recipients.map(parseRecipient);
  const fileKey = randomBytes(FILE_KEY_BYTES);
  const header = formatHeader(
    parsed.map((recipient) => recipient.wrap(fileKey)),
    fileKey,
  );
  const payload = sealPayload(fileKey, plaintext);
  fileKey.fill(0);
  return { header, payload };
}

/**
 * Decrypts a payload whose header is kept elsewhere. Everything yielded is authentic, but only a stream that ends well is
 * whole. Throws `crypto.no_matching_key`, `crypto.tampered`, `crypto.truncated`, `crypto.malformed_header`.
 */
export async function* decryptDetached({
  header,
  payload,
  identities,
}: {
  readonly header: Uint8Array;
  readonly payload: AsyncIterable<Uint8Array>;
  readonly identities: readonly string[];
}): AsyncGenerator<Uint8Array> {
  const fileKey = await createUnwrapper({ identities })(header);
  yield* openPayload(fileKey, payload);
}

/** Encrypts to a whole age file, in ASCII armor if asked. */
export async function* encryptStream(
  plaintext: AsyncIterable<Uint8Array>,
  sealing: Sealing & { readonly armor?: boolean },
): AsyncGenerator<Uint8Array> {
  const file = sealFile(plaintext, sealing);
  yield* sealing.armor === true ? armor(file) : file;
}

/** Decrypts a whole age file, armored or not. Same guarantees and problems as `decryptDetached`. */
export async function* decryptStream(
  sealed: AsyncIterable<Uint8Array>,
  opening: Opening,
): AsyncGenerator<Uint8Array> {
  const unwrap = createUnwrapper(opening);
  let reader = createReader(sealed);
  try {
    if (await looksArmored(reader)) reader = createReader(dearmor(reader.rest()));
    const fileKey = await unwrap(await readHeader(reader));
    yield* openPayload(fileKey, reader.rest());
  } finally {
    await reader.close();
  }
}

async function* sealFile(plaintext: AsyncIterable<Uint8Array>, sealing: Sealing): AsyncGenerator<Uint8Array> {
  if ('recipients' in sealing) {
    const { header, payload } = encryptDetached(sealing.recipients, plaintext);
    yield header;
    yield* payload;
    return;
  }
  const fileKey = randomBytes(FILE_KEY_BYTES);
  yield formatHeader([await wrapWithPassphrase(fileKey, sealing.passphrase, sealing.workFactor)], fileKey);
  yield* sealPayload(fileKey, plaintext);
}

/** Parses the identities at once, so that a bad one is told before any data is read. */
function createUnwrapper(opening: Opening): (header: Uint8Array) => Promise<Uint8Array> {
  const identities: Identity[] = (opening.identities ?? []).map(parseIdentity);
  if (opening.passphrase)
    identities.push(createPassphraseIdentity(opening.passphrase, opening.workFactorMax));
  return async (bytes) => {
    const header = parseHeader(bytes);
    const passphraseSealed = header.stanzas.some(isPassphraseStanza);
    if (passphraseSealed && header.stanzas.length > 1) {
      throw cryptoProblems.malformed_header('a passphrase stanza stands beside others');
    }
    for (const identity of identities) {
      const fileKey = await identity.unwrap(header.stanzas);
      if (!fileKey) continue;
      if (!isAuthentic(header, fileKey)) throw cryptoProblems.tampered('the header was changed');
      return fileKey;
    }
    throw cryptoProblems.no_matching_key(reasonFor(passphraseSealed, opening));
  };
}

function reasonFor(passphraseSealed: boolean, opening: Opening): string {
  if (!passphraseSealed) return 'the file is sealed to other recipients than the given identities';
  return opening.passphrase
    ? 'the passphrase is wrong'
    : 'the file is sealed with a passphrase, and none is given';
}

import { armor, dearmor, looksArmored } from './armor.ts';
import {
  createFileKey,
  createFileKeyFor,
  createUnwrapper,
  type IdentityKey,
  type Opening,
  type RecipientKey,
  type Sealing,
} from './file-key.ts';
import { readHeader } from './header.ts';
import { openPayload, sealPayload } from './payload.ts';
import { createReader } from './reader.ts';

export { rewrapHeader } from './detached.ts';
export type { Opening, Sealing } from './file-key.ts';

/**
 * Encrypts to an age file in two parts: header and payload concatenated are one. The header may be replaced by another
 * one for the same file key without touching the payload. Throws at once if a recipient is not valid.
 */
export function encryptDetached(
  recipients: readonly RecipientKey[],
  plaintext: AsyncIterable<Uint8Array>,
): { readonly header: Uint8Array; readonly payload: AsyncIterable<Uint8Array> } {
  const { header, fileKey } = createFileKeyFor(recipients);
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
  readonly identities: readonly IdentityKey[];
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
  const { header, fileKey } = await createFileKey(sealing);
  yield header;
  const payload = sealPayload(fileKey, plaintext);
  fileKey.fill(0);
  yield* payload;
}

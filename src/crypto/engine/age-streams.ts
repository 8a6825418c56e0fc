import { armor, dearmor, looksArmored } from '../age/armor.ts';
import { createFileKey, createUnwrapper, type Opening, type Sealing } from '../age/file-key.ts';
import { readHeader } from '../age/header.ts';
import { createReader } from '../age/reader.ts';
import { openPayloadInParallel, type Parallelism, sealPayloadInParallel } from './payload-pipeline.ts';

/** `encryptStream` over several threads. */
export async function* encryptInParallel(
  plaintext: AsyncIterable<Uint8Array>,
  sealing: Sealing & { readonly armor?: boolean },
  parallelism: Parallelism,
): AsyncGenerator<Uint8Array> {
  const file = sealFile(plaintext, sealing, parallelism);
  yield* sealing.armor === true ? armor(file) : file;
}

/** `decryptStream` over several threads. */
export async function* decryptInParallel(
  sealed: AsyncIterable<Uint8Array>,
  opening: Opening,
  parallelism: Parallelism,
): AsyncGenerator<Uint8Array> {
  const unwrap = createUnwrapper(opening);
  let reader = createReader(sealed);
  try {
    if (await looksArmored(reader)) reader = createReader(dearmor(reader.rest()));
    const fileKey = await unwrap(await readHeader(reader));
    yield* openPayloadInParallel(fileKey, reader.rest(), parallelism);
  } finally {
    await reader.close();
  }
}

async function* sealFile(
  plaintext: AsyncIterable<Uint8Array>,
  sealing: Sealing,
  parallelism: Parallelism,
): AsyncGenerator<Uint8Array> {
  const { header, fileKey } = await createFileKey(sealing);
  yield header;
  yield* sealPayloadInParallel(fileKey, plaintext, parallelism);
}

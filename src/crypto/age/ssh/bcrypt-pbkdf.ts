import { createHash } from 'node:crypto';
import { bigEndianWords, blowfishConstants, createBlowfish } from './blowfish.ts';

const BLOCK_BYTES = 32;
const MAGIC = Buffer.from('OxychromaticBlowfishSwatDynamite');

/** The key derivation of passphrase-protected OpenSSH keys (OpenBSD's bcrypt_pbkdf). About 20 ms a round here. */
export function bcryptPbkdf(
  passphrase: Uint8Array,
  salt: Uint8Array,
  rounds: number,
  length: number,
): Uint8Array {
  const constants = blowfishConstants();
  const secret = sha512(passphrase);
  const key = Buffer.alloc(length);
  const blocks = Math.ceil(length / BLOCK_BYTES);
  for (let block = 0; block < blocks; block++) {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(block + 1);
    let output = bcryptHash(constants, secret, sha512(Buffer.concat([salt, count])));
    const sum = Buffer.from(output);
    for (let round = 1; round < rounds; round++) {
      output = bcryptHash(constants, secret, sha512(output));
      for (let i = 0; i < BLOCK_BYTES; i++) sum[i] = (sum[i] as number) ^ (output[i] as number);
    }
    // Each block is spread over the whole key, so that no part of it comes cheaper than the rest.
    for (let i = 0, at = block; at < length; i++, at += blocks) key[at] = sum[i] as number;
  }
  return key;
}

function bcryptHash(constants: Uint32Array, secret: Uint8Array, salt: Uint8Array): Buffer {
  const cipher = createBlowfish(constants);
  cipher.expand(secret, salt);
  for (let i = 0; i < 64; i++) {
    cipher.expand(salt);
    cipher.expand(secret);
  }
  const words = bigEndianWords(MAGIC);
  for (let i = 0; i < 64; i++) cipher.encrypt(words);
  const output = Buffer.alloc(BLOCK_BYTES);
  words.forEach((word, i) => output.writeUInt32LE(word, 4 * i));
  return output;
}

function sha512(bytes: Uint8Array): Buffer {
  return createHash('sha512').update(bytes).digest();
}

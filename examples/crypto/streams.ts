import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { decryptStream, encryptStream, Secret } from '../../src/crypto/library.ts';

const passphrase = new Secret('correct horse battery staple');

// Anything that yields bytes can be encrypted, of any size: memory stays flat.
async function* rows(): AsyncGenerator<Uint8Array> {
  for (let id = 0; id < 100_000; id++) yield Buffer.from(`${id},${id * id}\n`);
}
await pipeline(
  rows,
  createGzip(),
  // A work factor below the default of 18 keeps this example quick; leave it out for real passphrases.
  (source: AsyncIterable<Uint8Array>) => encryptStream(source, { passphrase, workFactor: 12 }),
  createWriteStream('rows.csv.gz.age', { mode: 0o600 }),
);

let bytes = 0;
await pipeline(
  createReadStream('rows.csv.gz.age'),
  (source: AsyncIterable<Uint8Array>) => decryptStream(source, { passphrase: async () => passphrase }),
  createGunzip(),
  async (source: AsyncIterable<Uint8Array>) => {
    for await (const piece of source) bytes += piece.length;
  },
);
// Every piece was authentic. Only a stream that ended well was whole: act on the data after this line, not before.
console.log(`${bytes} bytes`);

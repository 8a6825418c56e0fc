import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type * as typage from 'age-encryption';
import type * as modelkeep from '../src/crypto/library.ts';

/** One file through a library, in a process of its own. Prints how long it took, without the start of Node. */

const [which, verb, module = '', key = '', from = '', to = ''] = process.argv.slice(2);
const encrypts = verb === 'encrypt';
if (which === 'modelkeep') {
  const { decryptFile, encryptFile } = (await import(module)) as typeof modelkeep;
  await timed(() =>
    encrypts
      ? encryptFile({ input: from, output: to, recipients: [key] })
      : decryptFile({ input: from, output: to, identities: [key] }),
  );
} else {
  const { Decrypter, Encrypter } = (await import(module)) as typeof typage;
  await timed(async () => {
    const source = Readable.toWeb(
      createReadStream(from, { highWaterMark: 2 ** 20 }),
    ) as ReadableStream<Uint8Array>;
    await pipeline(Readable.fromWeb((await transform(source)) as never), createWriteStream(to));
  });

  async function transform(source: ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
    if (encrypts) {
      const encrypter = new Encrypter();
      encrypter.addRecipient(key);
      return encrypter.encrypt(source);
    }
    const decrypter = new Decrypter();
    decrypter.addIdentity(key);
    return decrypter.decrypt(source);
  }
}

async function timed(work: () => Promise<void>): Promise<void> {
  const started = performance.now();
  await work();
  console.log(`seconds=${(performance.now() - started) / 1000}`);
}

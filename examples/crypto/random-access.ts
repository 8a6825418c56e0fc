import { open, writeFile } from 'node:fs/promises';
import { createRandomAccess, encryptFile, generateIdentity } from '../../src/crypto/library.ts';

// A table of 100000 records of 16 bytes, encrypted.
const records = Buffer.alloc(100_000 * 16);
for (let row = 0; row < 100_000; row++) records.writeDoubleLE(row * 0.5, row * 16);
await writeFile('records.bin', records);
const { identity, recipient } = generateIdentity();
await encryptFile({ input: 'records.bin', output: 'records.bin.age', recipients: [recipient] });

// Only the chunks that are needed are read and decrypted; each is verified before a byte of it is given.
await using file = await open('records.bin.age');
const { size } = await file.stat();
let bytesRead = 0;
const table = await createRandomAccess({
  size,
  identities: [identity],
  async read(offset, length) {
    const { bytesRead: count, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    bytesRead += count;
    return buffer.subarray(0, count);
  },
});
const record = await table.read(77_777 * 16, 16);
console.log(`${table.size} bytes, record 77777 is ${Buffer.from(record).readDoubleLE(0)}`);
console.log('less than a tenth was read:', bytesRead < size / 10);

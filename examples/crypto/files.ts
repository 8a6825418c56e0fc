import { readFile, writeFile } from 'node:fs/promises';
import { decryptFile, encryptFile, generateIdentity, Problem } from '../../src/crypto/library.ts';

await writeFile('data.csv', 'id,amount\n1,99.50\n');

// The identity is secret and opens files; the recipient is public and is all that a pipeline needs to write them.
const { identity, recipient } = generateIdentity({ postQuantum: true });
await encryptFile({ input: 'data.csv', output: 'data.csv.age', recipients: [recipient] });

// An output appears whole or not at all, with mode 0600. `age -d` reads the same file.
await decryptFile({ input: 'data.csv.age', output: 'copy.csv', identities: [identity] });
console.log(await readFile('copy.csv', 'utf8'));

// Nothing of a changed file is released from the changed place on, and no output file is left behind.
const sealed = await readFile('data.csv.age');
sealed[sealed.length - 1]! ^= 1;
await writeFile('data.csv.age', sealed);
try {
  await decryptFile({ input: 'data.csv.age', output: 'again.csv', identities: [identity] });
} catch (error) {
  if (error instanceof Problem) console.log(error.code);
}

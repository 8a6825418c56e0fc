import { createFernet, generateFernetKey, Problem, Secret } from '../../src/crypto/library.ts';

// A key is 44 characters of text. `reveal()` is the only way to see a Secret, so a log line cannot show it by accident.
const first = generateFernetKey();
const fernet = createFernet({ keys: [first] });

const token = fernet.encrypt(Buffer.from('card 4711'));
console.log(Buffer.from(fernet.decrypt(token)).toString());

// Rotation: the first key encrypts, all of them decrypt. A key read from a file may end in a line end.
const second = new Secret(`${generateFernetKey().reveal()}\n`);
const both = createFernet({ keys: [second, first] });
const rotated = both.rotate(token);
console.log('same time:', both.extractTimestamp(rotated) === fernet.extractTimestamp(token));

// Whatever is wrong with a token, the answer is one and the same.
const old = both.encryptAt(Buffer.from('a session'), 1_700_000_000);
for (const read of [() => fernet.decrypt(rotated), () => both.decrypt(old, { ttl: 3600 })]) {
  try {
    read();
  } catch (error) {
    if (error instanceof Problem) console.log(error.code);
  }
}

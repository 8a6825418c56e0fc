import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import * as fc from 'fast-check';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { collect, drain, streamOf } from '../testing.ts';
import { decryptStream, encryptStream, type Sealing } from './age.ts';
import { generateIdentity, parseIdentity } from './keys.ts';

interface Key {
  readonly identity: string;
  readonly recipient: string;
}

const native = Array.from({ length: 3 }, () => generateIdentity());
const hybrid = Array.from({ length: 3 }, () => generateIdentity({ postQuantum: true }));
const ssh = ['ed25519', 'rsa'].map((name): Key => {
  const identity = readFileSync(join(import.meta.dirname, 'testdata', 'ssh', name), 'utf8');
  return { identity, recipient: parseIdentity(identity).recipient };
});
const secret = new Secret('correct horse');

/** Keys that may stand in one header, in any number and order. */
const holders = fc.oneof(
  fc
    .subarray([...native, ...ssh], { minLength: 1 })
    .chain((keys) => fc.shuffledSubarray(keys, { minLength: keys.length })),
  fc.shuffledSubarray(hybrid, { minLength: 1 }),
);

test('what was encrypted to keys of any kinds, each of them decrypts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 500 }),
      holders,
      fc.nat(),
      fc.integer({ min: 1, max: 100 }),
      fc.boolean(),
      async (plaintext, keys, index, piece, armor) => {
        const recipients = keys.map((key) => key.recipient);
        const sealed = await collect(encryptStream(streamOf(plaintext, piece), { recipients, armor }));
        const holder = keys[index % keys.length] as Key;
        // Beside keys of others, which come first.
        const strangers = [...native, ...hybrid].filter((key) => !keys.includes(key)).slice(0, 2);
        const identities = [...strangers, holder].map((key) => key.identity);
        const opened = await collect(decryptStream(streamOf(sealed, piece), { identities }));
        assert.deepEqual(new Uint8Array(opened), plaintext);
      },
    ),
    { numRuns: 60 },
  );
});

test('whoever is not among the recipients decrypts nothing', async () => {
  await fc.assert(
    fc.asyncProperty(holders, async (keys) => {
      const recipients = keys.map((key) => key.recipient);
      const sealed = await collect(encryptStream(streamOf(Buffer.from('secret')), { recipients }));
      const identities = [...native, ...hybrid, ...ssh]
        .filter((key) => !keys.includes(key))
        .map((key) => key.identity);
      const { bytes, error } = await drain(decryptStream(streamOf(sealed), { identities }));
      assert.ok(isProblem(error) && error.code === 'crypto.no_matching_key', String(error));
      assert.equal(bytes.length, 0);
    }),
    { numRuns: 20 },
  );
});

const KINDS: Readonly<Record<string, { readonly sealing: Sealing; readonly identities: readonly string[] }>> =
  {
    'an X25519': {
      sealing: { recipients: [(native[0] as Key).recipient] },
      identities: [(native[0] as Key).identity],
    },
    'a post-quantum': {
      sealing: { recipients: [(hybrid[0] as Key).recipient] },
      identities: [(hybrid[0] as Key).identity],
    },
    'an SSH': {
      sealing: { recipients: ssh.map((key) => key.recipient) },
      identities: ssh.map((key) => key.identity),
    },
    'a passphrase': { sealing: { passphrase: secret, workFactor: 3 }, identities: [] },
  };

for (const [kind, { sealing, identities }] of Object.entries(KINDS)) {
  for (const armor of [false, true]) {
    test(`any flipped bit of ${kind} file${armor ? ' in armor' : ''} is refused, and releases nothing of its chunk`, async () => {
      const plaintext = Buffer.from('a secret that must not leak');
      const sealed = await collect(encryptStream(streamOf(plaintext), { ...sealing, armor }));
      // A flipped work factor asks for another cost: the limit keeps the test short.
      const opening = { identities, passphrase: () => Promise.resolve(secret), workFactorMax: 9 };
      await fc.assert(
        fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (at, bit) => {
          const changed = Buffer.from(sealed);
          changed[at] = (changed[at] as number) ^ (1 << bit);
          // The line end after END is white space outside of the armor: other white space is the same file.
          fc.pre(!(armor && at === sealed.length - 1));
          const { bytes, error } = await drain(decryptStream(streamOf(changed), opening));
          assert.ok(isProblem(error), `byte ${at}, bit ${bit}: ${String(error)}`);
          assert.equal(bytes.length, 0);
        }),
        { numRuns: 120 },
      );
    });
  }
}

/** Each place of a short file, and every few of a long one. */
function* placesOf(file: Uint8Array): Generator<number> {
  for (let at = 0; at < file.length; at += file.length > 500 ? 5 : 1) yield at;
}

test('every kind of header is covered whole', async () => {
  for (const [kind, { sealing, identities }] of Object.entries(KINDS)) {
    const sealed = await collect(encryptStream(streamOf(Buffer.from('x')), sealing));
    const opening = { identities, passphrase: () => Promise.resolve(secret), workFactorMax: 9 };
    for (const at of placesOf(sealed)) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] as number) ^ 1;
      const { bytes, error } = await drain(decryptStream(streamOf(changed), opening));
      assert.ok(isProblem(error), `${kind}, byte ${at}: ${String(error)}`);
      assert.equal(bytes.length, 0);
    }
  }
});

test('any cut is refused', async () => {
  for (const [kind, { sealing, identities }] of Object.entries(KINDS)) {
    const sealed = await collect(encryptStream(streamOf(Buffer.from('whole')), sealing));
    const opening = { identities, passphrase: () => Promise.resolve(secret) };
    for (const length of placesOf(sealed)) {
      const { bytes, error } = await drain(decryptStream(streamOf(sealed.subarray(0, length)), opening));
      assert.ok(isProblem(error), `${kind}, ${length} bytes: ${String(error)}`);
      assert.equal(bytes.length, 0);
    }
  }
});

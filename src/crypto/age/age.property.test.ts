import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { isProblem } from '../../kernel/problem.ts';
import { collect, drain, streamOf } from '../testing.ts';
import { decryptStream, encryptStream } from './age.ts';
import { generateIdentity } from './keys.ts';

const keys = Array.from({ length: 3 }, generateIdentity);

test('what was encrypted to someone, they decrypt', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 500 }),
      fc.nat(2),
      fc.integer({ min: 1, max: 100 }),
      fc.boolean(),
      async (plaintext, holder, piece, armor) => {
        const recipients = keys.slice(0, holder + 1).map((key) => key.recipient);
        const sealed = await collect(encryptStream(streamOf(plaintext, piece), { recipients, armor }));
        const identities = [(keys[holder] as (typeof keys)[number]).identity];
        const opened = await collect(decryptStream(streamOf(sealed, piece), { identities }));
        assert.deepEqual(new Uint8Array(opened), plaintext);
      },
    ),
    { numRuns: 60 },
  );
});

for (const armor of [false, true]) {
  test(`any flipped bit of ${armor ? 'an armored' : 'a binary'} file is refused, and releases nothing of its chunk`, async () => {
    const [key] = keys as [(typeof keys)[number]];
    const plaintext = Buffer.from('a secret that must not leak');
    const sealed = await collect(encryptStream(streamOf(plaintext), { recipients: [key.recipient], armor }));
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (at, bit) => {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] as number) ^ (1 << bit);
        // The line end after END is white space outside of the armor: other white space is the same file.
        fc.pre(!(armor && at === sealed.length - 1));
        const { bytes, error } = await drain(
          decryptStream(streamOf(changed), { identities: [key.identity] }),
        );
        assert.ok(isProblem(error), `byte ${at}, bit ${bit}: ${String(error)}`);
        assert.equal(bytes.length, 0);
      }),
      { numRuns: 250 },
    );
  });
}

test('any cut is refused', async () => {
  const [key] = keys as [(typeof keys)[number]];
  const sealed = await collect(
    encryptStream(streamOf(Buffer.from('whole')), { recipients: [key.recipient] }),
  );
  for (let length = 0; length < sealed.length; length++) {
    const { bytes, error } = await drain(
      decryptStream(streamOf(sealed.subarray(0, length)), { identities: [key.identity] }),
    );
    assert.ok(isProblem(error), `${length} bytes: ${String(error)}`);
    assert.equal(bytes.length, 0);
  }
});

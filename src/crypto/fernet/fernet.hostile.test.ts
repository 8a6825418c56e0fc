import assert from 'node:assert/strict';
import { createCipheriv, createHmac } from 'node:crypto';
import test from 'node:test';
import * as fc from 'fast-check';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { createFernet, generateFernetKey } from './fernet.ts';
import { encodePaddedBase64Url } from './token-text.ts';

const clock = createManualClock();
const key = generateFernetKey();
const fernet = createFernet({ keys: [key], clock });
const lenient = createFernet({ keys: [key], clock, lenient: true });
const [signing, encrypting] = split(Buffer.from(key.reveal(), 'base64url'));

/** A token of parts that no honest writer makes, with a signature that verifies. */
function forge({
  version = 0x80,
  seconds = 1000n,
  padded = Buffer.alloc(16, 16),
  ciphertext = encrypt(padded),
}: {
  version?: number;
  seconds?: bigint;
  padded?: Buffer;
  ciphertext?: Buffer;
} = {}): Buffer {
  const head = Buffer.alloc(25);
  head[0] = version;
  head.writeBigUInt64BE(seconds, 1);
  const signed = Buffer.concat([head, ciphertext]);
  return Buffer.concat([signed, createHmac('sha256', signing).update(signed).digest()]);
}

function encrypt(padded: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-cbc', encrypting, Buffer.alloc(16)).setAutoPadding(false);
  return Buffer.concat([cipher.update(padded), cipher.final()]);
}

const good = forge();
const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at]! ^= 1;
  return copy;
};

/** What goes wrong, and where it is found: the padding only after the signature, or a reader is a padding oracle. */
const FAILURES: readonly { readonly what: string; readonly bytes: Buffer; readonly found: RegExp }[] = [
  { what: 'no bytes', bytes: Buffer.alloc(0), found: /form/ },
  { what: 'one byte', bytes: good.subarray(0, 1), found: /form/ },
  { what: 'no ciphertext', bytes: forge({ ciphertext: Buffer.alloc(0) }), found: /form/ },
  { what: 'half a block', bytes: forge({ ciphertext: Buffer.alloc(24) }), found: /form/ },
  { what: 'another version', bytes: forge({ version: 0x81 }), found: /form/ },
  { what: 'a byte too many', bytes: Buffer.concat([good, Buffer.alloc(1)]), found: /form/ },
  { what: 'a block too many', bytes: Buffer.concat([good, Buffer.alloc(16)]), found: /signature/ },
  { what: 'a changed time', bytes: flipped(good, 8), found: /signature/ },
  { what: 'a changed IV', bytes: flipped(good, 9), found: /signature/ },
  { what: 'a changed ciphertext', bytes: flipped(good, 25), found: /signature/ },
  { what: 'a changed signature', bytes: flipped(good, -1), found: /signature/ },
  {
    what: 'bad padding and a changed signature',
    bytes: flipped(forge({ padded: Buffer.alloc(16, 0) }), -1),
    found: /signature/,
  },
  { what: 'padding of 0', bytes: forge({ padded: Buffer.alloc(16, 0) }), found: /padding/ },
  { what: 'padding of 17', bytes: forge({ padded: Buffer.alloc(16, 17) }), found: /padding/ },
  {
    what: 'padding of unequal bytes',
    bytes: forge({ padded: Buffer.from([...Buffer.alloc(14), 1, 2]) }),
    found: /padding/,
  },
];

test('every failure of authentication looks the same outside, whatever was wrong', () => {
  const seen = new Set<string>();
  for (const reader of [fernet, lenient]) {
    for (const { what, bytes, found } of FAILURES) {
      const text = encodePaddedBase64Url(bytes);
      for (const read of [() => reader.decrypt(text), () => reader.rotate(text)]) {
        assert.throws(read, (error) => {
          assert.ok(isProblem(error, cryptoProblems.invalid_token), what);
          assert.match((error.cause as Error).message, found, what);
          seen.add(JSON.stringify([error, Object.keys(error), error.message, error.headers]));
          return true;
        });
      }
    }
    assert.equal(reader.decrypt(encodePaddedBase64Url(good)).length, 0);
  }
  assert.equal(seen.size, 1);
});

test('an expired token and a changed one look the same outside', () => {
  const expired = failureOf(() => fernet.decryptAt(encodePaddedBase64Url(good), 5000, { ttl: 60 }));
  const changed = failureOf(() =>
    fernet.decryptAt(encodePaddedBase64Url(flipped(good, -1)), 5000, { ttl: 60 }),
  );
  assert.equal(JSON.stringify(expired), JSON.stringify(changed));
});

test('the largest time there is stays exact in rotation and is in the future', () => {
  const token = encodePaddedBase64Url(forge({ seconds: 2n ** 64n - 1n }));
  const rotated = Buffer.from(fernet.rotate(token), 'base64url');
  assert.equal(rotated.readBigUInt64BE(1), 2n ** 64n - 1n);
  assert.equal(fernet.extractTimestamp(token), 2 ** 64);
  assert.throws(
    () => fernet.decrypt(token, { ttl: Number.MAX_SAFE_INTEGER }),
    (error) => isProblem(error, cryptoProblems.invalid_token),
  );
});

/** Texts of the same token; the reference implementation accepts what is marked. */
function variantsOf(token: string): readonly { what: string; text: string; python: boolean }[] {
  const bare = token.replace(/=+$/, '');
  const last = ALPHABET.indexOf(bare.at(-1) ?? '');
  const unused = bare.length % 4 === 2 ? 15 : 3;
  return [
    { what: 'a line end inside', text: `${token.slice(0, 20)}\n${token.slice(20)}`, python: true },
    { what: 'a line end after it', text: `${token}\n`, python: true },
    { what: 'a space after it', text: `${token} `, python: true },
    { what: 'a space before it', text: ` ${token}`, python: true },
    { what: 'junk inside', text: `${token.slice(0, 9)}%%${token.slice(9)}`, python: true },
    { what: 'junk after its padding', text: `${token}AAAA`, python: true },
    { what: 'one padding character too many', text: `${token}=`, python: true },
    { what: 'padding before it', text: `=${token}`, python: true },
    { what: 'the standard alphabet', text: token.replaceAll('-', '+').replaceAll('_', '/'), python: true },
    {
      what: 'unused bits set',
      text: bare.slice(0, -1) + ALPHABET[last | unused] + token.slice(bare.length),
      python: true,
    },
    { what: 'no padding', text: bare, python: false },
    {
      what: 'less padding than needed',
      text: `${bare}${'='.repeat(token.length - bare.length - 1)}`,
      python: false,
    },
    { what: 'a letter missing', text: token.slice(1), python: false },
    { what: 'a character beyond ASCII', text: `${token.slice(0, 20)}é${token.slice(20)}`, python: false },
  ];
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

test('one token has one text; lenient reading takes those that Python takes, and no other', () => {
  // Lengths whose tokens end in two characters of padding and in one.
  for (const length of [15, 16]) {
    const token = tokenWithSpecialLetters(length);
    for (const { what, text, python } of variantsOf(token)) {
      assert.notEqual(text, token, what);
      assert.ok(
        failureOf(() => fernet.decrypt(text)),
        what,
      );
      if (python) assert.equal(lenient.decrypt(text).length, length, what);
      else
        assert.ok(
          failureOf(() => lenient.decrypt(text)),
          what,
        );
    }
    assert.equal(fernet.decrypt(lenient.rotate(`${token}\n`)).length, length);
  }
});

test('lenient reading takes keys as openssl writes them, in the standard alphabet', () => {
  const bytes = Buffer.alloc(32, 0xfb);
  const standard = new Secret(bytes.toString('base64'));
  const token = createFernet({ keys: [new Secret(encodePaddedBase64Url(bytes))], clock }).encrypt(
    Buffer.from('x'),
  );
  assert.equal(createFernet({ keys: [standard], clock, lenient: true }).decrypt(token).length, 1);
  assert.throws(
    () => createFernet({ keys: [standard], clock }),
    (error) => isProblem(error, cryptoProblems.invalid_key),
  );
});

test('lenient reading authenticates as strict reading does: no other bytes are accepted', () => {
  const token = lenient.encrypt(Buffer.from('secret'));
  const bytes = Buffer.from(token, 'base64url');
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const copy = Buffer.from(bytes);
      copy[at]! ^= change;
      assert.ok(failureOf(() => lenient.decrypt(encodePaddedBase64Url(copy))));
    }),
    { numRuns: 200 },
  );
});

function tokenWithSpecialLetters(length: number): string {
  for (;;) {
    const token = fernet.encrypt(Buffer.alloc(length, 1));
    if (token.includes('-') && token.includes('_')) return token;
  }
}

function failureOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    assert.ok(isProblem(error, cryptoProblems.invalid_token), String(error));
    return error;
  }
  return undefined;
}

function split(bytes: Buffer): readonly [Buffer, Buffer] {
  return [bytes.subarray(0, 16), bytes.subarray(16)];
}

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as fc from 'fast-check';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { createFernet, generateFernetKey } from './fernet.ts';
import { importFernetKey, sealToken } from './fernet-token.ts';
import { parsePaddedBase64Url } from './token-text.ts';
import { cryptoProblems } from '../problems.ts';

interface Vector {
  readonly desc?: string;
  readonly token: string;
  readonly now: string;
  readonly iv?: readonly number[];
  readonly ttl_sec?: number;
  readonly src?: string;
  readonly secret: string;
}

const clock = createManualClock();
const key = generateFernetKey();
const fernet = createFernet({ keys: [key], clock });
const isInvalid = (error: unknown) => isProblem(error, cryptoProblems.invalid_token);

for (const vector of vectorsOf('generate')) {
  test(`makes the token of the specification for "${vector.src}"`, () => {
    const parsed = importFernetKey(parsePaddedBase64Url(vector.secret) ?? Buffer.alloc(0));
    assert.ok(parsed);
    const token = sealToken(parsed, {
      seconds: BigInt(Date.parse(vector.now) / 1000),
      iv: Uint8Array.from(vector.iv ?? []),
      plaintext: Buffer.from(vector.src ?? ''),
    });
    assert.equal(token, vector.token);
  });
}

for (const vector of vectorsOf('verify')) {
  test(`reads the token of the specification for "${vector.src}"`, () => {
    assert.equal(Buffer.from(open(vector)).toString(), vector.src);
  });
}

for (const vector of vectorsOf('invalid')) {
  test(`refuses the invalid token of the specification: ${vector.desc}`, () => {
    assert.throws(() => open(vector), isInvalid);
  });
}

test('gives back any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (plaintext) => {
      assert.deepEqual(new Uint8Array(fernet.decrypt(fernet.encrypt(plaintext))), plaintext);
    }),
    { numRuns: 100 },
  );
});

test('any other text than the token is refused, with one and the same problem', () => {
  const token = fernet.encrypt(Buffer.from('secret'));
  const seen = new Set<string>();
  const refuse = (text: string) =>
    assert.throws(
      () => fernet.decrypt(text),
      (error) => isProblem(error, cryptoProblems.invalid_token) && Boolean(seen.add(JSON.stringify(error))),
      text,
    );
  fc.assert(
    fc.property(
      fc.nat(token.length - 1),
      fc.constantFrom('A', 'B', 'a', '0', '-', '_', '+', '/', '=', '%', ' ', '\n'),
      (at, character) => {
        fc.pre(token[at] !== character);
        refuse(token.slice(0, at) + character + token.slice(at + 1));
      },
    ),
    { numRuns: 300 },
  );
  const standard = Buffer.from(token, 'base64url').toString('base64');
  for (const text of [
    '',
    `${token}\n`,
    ` ${token}`,
    `${token}=`,
    token.replace(/=+$/, ''),
    token.slice(0, -4),
  ])
    refuse(text);
  if (standard !== token) refuse(standard);
  assert.throws(() => createFernet({ keys: [generateFernetKey()], clock }).decrypt(token), isInvalid);
  assert.equal(seen.size, 1);
});

test('a token lives as long as its ttl says, and not in the future by more than a minute', () => {
  const token = fernet.encryptAt(Buffer.from('x'), 1000.9);
  assert.equal(fernet.extractTimestamp(token), 1000);
  const cases = [
    { ttl: 60, at: 940, lives: true },
    { ttl: 60, at: 939, lives: false },
    { ttl: 60, at: 1000, lives: true },
    { ttl: 60, at: 1060.9, lives: true },
    { ttl: 60, at: 1061, lives: false },
    { ttl: 0, at: 1000.5, lives: true },
    { ttl: 0, at: 1001, lives: false },
    { ttl: 0, at: 940, lives: true },
    { ttl: Number.MAX_SAFE_INTEGER, at: 2e9, lives: true },
  ];
  for (const { ttl, at, lives } of cases) {
    const read = () => fernet.decryptAt(token, at, { ttl });
    if (lives) assert.equal(Buffer.from(read()).toString(), 'x', `ttl ${ttl} at ${at}`);
    else assert.throws(read, isInvalid, `ttl ${ttl} at ${at}`);
  }
});

test('without a ttl no time matters, neither the past nor the far future', () => {
  for (const seconds of [0, 1, Number.MAX_SAFE_INTEGER]) {
    const token = fernet.encryptAt(Buffer.from('x'), seconds);
    assert.equal(fernet.decrypt(token).length, 1);
    assert.equal(fernet.extractTimestamp(token), seconds);
    assert.throws(() => fernet.decrypt(token, { ttl: 60 }), isInvalid);
  }
});

test('the clock gives the time of a token and of its reading', () => {
  const token = fernet.encrypt(Buffer.from('x'));
  assert.equal(fernet.extractTimestamp(token), Math.floor(clock.now() / 1000));
  clock.advance(61_000);
  assert.throws(() => fernet.decrypt(token, { ttl: 60 }), isInvalid);
  fernet.decrypt(token, { ttl: 61 });
});

test('rotation keeps content and time, under the first key', () => {
  const old = fernet.encryptAt(Buffer.from('kept'), 77);
  const next = generateFernetKey();
  const rotated = createFernet({ keys: [next, key], clock }).rotate(old);
  const after = createFernet({ keys: [next], clock });
  assert.equal(Buffer.from(after.decrypt(rotated)).toString(), 'kept');
  assert.equal(after.extractTimestamp(rotated), 77);
  assert.throws(() => after.decrypt(old), isInvalid);
});

test('what is too large is refused both ways, and points to the age format', () => {
  const tooLarge = (error: unknown) =>
    isProblem(error, cryptoProblems.too_large) && /use the age format/.test(error.detail);
  for (const lenient of [false, true]) {
    const small = createFernet({ keys: [key], clock, plaintextBytesMax: 100, lenient });
    assert.equal(small.decrypt(small.encrypt(Buffer.alloc(100))).length, 100);
    assert.throws(() => small.encrypt(Buffer.alloc(101)), tooLarge);
    const large = fernet.encrypt(Buffer.alloc(112));
    assert.throws(() => small.decrypt(large), tooLarge);
    assert.throws(() => small.extractTimestamp(large), tooLarge);
    assert.throws(() => small.rotate(large), tooLarge);
  }
});

test('every key of several tells the time of its tokens', () => {
  const other = generateFernetKey();
  const both = createFernet({ keys: [other, key], clock });
  assert.equal(both.extractTimestamp(fernet.encryptAt(Buffer.from('x'), 5)), 5);
  assert.throws(
    () => createFernet({ keys: [other], clock }).extractTimestamp(fernet.encrypt(Buffer.from('x'))),
    isInvalid,
  );
});

test('a key may stand in a file: one line end after it is no part of it', () => {
  const token = fernet.encrypt(Buffer.from('x'));
  for (const end of ['\n', '\r\n']) {
    const reader = createFernet({ keys: [new Secret(key.reveal() + end)], clock });
    assert.equal(reader.decrypt(token).length, 1);
  }
});

test('a key that is not 32 bytes in canonical base64url is refused without being quoted', () => {
  const text = key.reveal();
  const standard = Buffer.alloc(32, 0xff).toString('base64');
  const unusedBits = `${text.slice(0, 42)}B=`;
  for (const wrong of [
    '',
    '\n',
    text.slice(0, -1),
    `${text}\n\n`,
    `\n${text}`,
    `${text} `,
    `${text}=`,
    text.slice(0, 40),
    'A'.repeat(44),
    standard,
    unusedBits,
  ]) {
    assert.throws(
      () => createFernet({ keys: [new Secret(wrong)], clock }),
      (error) =>
        isProblem(error, cryptoProblems.invalid_key) &&
        (wrong.trim() === '' || !error.detail.includes(wrong.trim())),
      JSON.stringify(wrong),
    );
  }
  for (const lenient of [false, true]) {
    assert.throws(
      () => createFernet({ keys: [], clock, lenient }),
      (error) => isProblem(error, cryptoProblems.invalid_key),
    );
  }
});

test('a time or a ttl that is none is refused, instead of letting a token live for ever', () => {
  const token = fernet.encrypt(Buffer.from('x'));
  for (const wrong of [-1, -0.5, Number.NaN, Infinity]) {
    assert.throws(() => fernet.encryptAt(Buffer.from('x'), wrong), RangeError);
    assert.throws(() => fernet.decrypt(token, { ttl: wrong }), RangeError);
    assert.throws(() => fernet.decryptAt(token, 0, { ttl: wrong }), RangeError);
    assert.throws(() => fernet.decryptAt(token, wrong, { ttl: 0 }), RangeError);
  }
  assert.throws(() => fernet.encryptAt(Buffer.from('x'), 2 ** 64), RangeError);
});

function open({ token, secret, now, ttl_sec: ttl }: Vector): Uint8Array {
  assert.ok(ttl !== undefined);
  const reader = createFernet({ keys: [new Secret(secret)], clock });
  return reader.decryptAt(token, Date.parse(now) / 1000, { ttl });
}

function vectorsOf(name: string): readonly Vector[] {
  const file = new URL(`testdata/${name}.json`, import.meta.url);
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[];
  assert.ok(vectors.length > 0);
  return vectors;
}

import assert from 'node:assert/strict';
import { createCipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import test from 'node:test';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader, GeneralEncrypt } from 'jose';
import { isProblem, type Problem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { valueProblems } from './problems.ts';
import type { SealKeySource } from './seal-key.ts';
import { createSealKeySet } from './seal-key-set.ts';
import { createSealedValues } from './sealed-values.ts';

const bytes = { old: randomBytes(32), next: randomBytes(32), other: randomBytes(32) };
const ring = createSealKeySet([
  { name: 'secrets', version: 1, key: new Secret(bytes.old) },
  { name: 'secrets', version: 2, key: new Secret(bytes.next) },
  { name: 'other', version: 1, key: new Secret(bytes.other) },
]);
const values = createSealedValues({ ring });
const PATH = 'secrets/sec_1/value';
const plaintext = Buffer.from('hunter2');
const HEADER = { alg: 'dir', enc: 'A256GCM', kid: 'secrets.2', path: PATH, typ: 'modelkeep-value' };

test('a value opens at its own path and says the same in every direction', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }),
      async (content, path) => {
        const token = await values.seal('secrets', path, content);
        assert.deepEqual(new Uint8Array((await values.open(path, token)).reveal()), content);
        const { plaintextBytes, ...facts } = values.inspect(token);
        assert.deepEqual(facts, { key: 'secrets', version: 2, path, typ: 'modelkeep-value' });
        assert.equal(plaintextBytes, content.length);
      },
    ),
    { numRuns: 50 },
  );
});

test('any JOSE library reads a value, given the key: the header says which', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  assert.deepEqual(decodeProtectedHeader(token), HEADER);
  const read = await compactDecrypt(token, bytes.next);
  assert.equal(Buffer.from(read.plaintext).toString(), 'hunter2');
  assert.deepEqual(read.protectedHeader, HEADER);
});

test('a value that another JOSE library wrote for the path opens', async () => {
  const header = { typ: HEADER.typ, path: PATH, kid: 'secrets.1', enc: 'A256GCM', alg: 'dir' };
  const token = await new CompactEncrypt(plaintext).setProtectedHeader(header).encrypt(bytes.old);
  assert.equal(Buffer.from((await values.open(PATH, token)).reveal()).toString(), 'hunter2');
});

test('a value does not open at the path of another row or field', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  for (const path of [
    'secrets/sec_2/value',
    'secrets/sec_1/value/',
    'secrets/sec_1',
    `${PATH}\0`,
    PATH.toUpperCase(),
  ])
    await refused(() => values.open(path, token), /another path/);
  await refused(
    () => values.open('secrets/sec_2/value', withHeader(token, { path: 'secrets/sec_2/value' })),
    /changed/,
  );
});

test('a key version is what the header says: another one does not open the value', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  await refused(() => values.open(PATH, withHeader(token, { kid: 'secrets.1' })), /changed/);
  await refused(() => values.open(PATH, withHeader(token, { kid: 'other.1' })), /changed/);
  await refused(() => values.open(PATH, withHeader(token, { kid: 'secrets.3' })), /not available/);
  await refused(() => values.open(PATH, withHeader(token, { kid: 'gone.1' })), /not available/);
});

test('where one key alone can be right, a value of another key is refused though it would open', async () => {
  const token = await values.seal('other', PATH, plaintext);
  assert.equal((await values.open(PATH, token)).reveal().length, 7);
  assert.equal((await values.open(PATH, token, { key: 'other' })).reveal().length, 7);
  await refused(() => values.open(PATH, token, { key: 'secrets' }), /another key/);
});

test('two uses of one key do not open each other’s values', async () => {
  const items = createSealedValues({ ring, typ: 'modelkeep-item' });
  const token = await items.seal('secrets', PATH, plaintext);
  await refused(() => values.open(PATH, token), /another type/);
  await refused(() => values.open(PATH, withHeader(token, { typ: 'modelkeep-value' })), /changed/);
});

test('old versions still open, and the active one seals', async () => {
  const before = createSealedValues({
    ring: createSealKeySet([{ name: 'secrets', version: 1, key: new Secret(bytes.old) }]),
  });
  const token = await before.seal('secrets', PATH, plaintext);
  assert.equal(values.inspect(token).version, 1);
  assert.equal((await values.open(PATH, token)).reveal().length, 7);
  assert.equal(values.inspect(await values.seal('secrets', PATH, plaintext)).version, 2);
});

test('any other text than the value is refused, with one and the same problem', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  const seen = new Set<string>();
  const letters = ['A', 'B', 'w', '0', '-', '_', '+', '=', '.', ' ', '\n', 'é'];
  for (let at = 0; at < token.length; at++) {
    const letter = letters[at % letters.length] as string;
    if (token[at] === letter) continue;
    const changed = token.slice(0, at) + letter + token.slice(at + 1);
    seen.add(JSON.stringify(await refused(() => values.open(PATH, changed))));
  }
  const parts = token.split('.');
  const others = [
    '',
    '....',
    token.slice(0, -1),
    `${token}.`,
    `${token}=`,
    ` ${token}`,
    `${token}\n`,
    parts.slice(0, 4).join('.'),
    [...parts.slice(0, 4), ''].join('.'),
    [parts[0], '', '', ...parts.slice(3)].join('.'),
    [parts[0], '', parts[2], '', parts[4]].join('.'),
  ];
  for (const text of others) seen.add(JSON.stringify(await refused(() => values.open(PATH, text))));
  for (const at of [0, 3, 11])
    seen.add(JSON.stringify(await refused(() => values.open(PATH, flip(token, 2, at)))));
  for (const at of [0, 6])
    seen.add(JSON.stringify(await refused(() => values.open(PATH, flip(token, 3, at)))));
  for (const at of [0, 15])
    seen.add(JSON.stringify(await refused(() => values.open(PATH, flip(token, 4, at)))));
  assert.equal(seen.size, 1);
});

test('a tag or a nonce of another length is refused, even one that is right as far as it goes', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  const parts = token.split('.');
  for (const [part, lengths] of [
    [2, [0, 11, 13, 16]],
    [4, [0, 4, 8, 12, 15, 17]],
  ] as const) {
    for (const length of lengths) {
      const whole = Buffer.concat([Buffer.from(parts[part] ?? '', 'base64url'), Buffer.alloc(32)]);
      const cut = parts.with(part, whole.subarray(0, length).toString('base64url')).join('.');
      await refused(() => values.open(PATH, cut), /malformed/);
    }
  }
});

test('only dir with A256GCM is read, and no header member but the five', async () => {
  const key = createSecretKey(bytes.next);
  const wrapped = { ...HEADER, alg: 'A256KW' };
  const confused: readonly string[] = [
    await new CompactEncrypt(plaintext).setProtectedHeader(wrapped).encrypt(key),
    await new CompactEncrypt(plaintext).setProtectedHeader({ ...HEADER, alg: 'A256GCMKW' }).encrypt(key),
    await new CompactEncrypt(plaintext).setProtectedHeader({ ...HEADER, enc: 'A128CBC-HS256' }).encrypt(key),
    await new CompactEncrypt(plaintext).setProtectedHeader({ ...HEADER, zip: 'DEF' }).encrypt(key),
    await new CompactEncrypt(plaintext)
      .setProtectedHeader({ ...HEADER, crit: ['path'] })
      .encrypt(key, { crit: { path: true } }),
  ];
  for (const token of confused) await refused(() => values.open(PATH, token), /malformed|encrypted key/);
  const general = await new GeneralEncrypt(plaintext).setProtectedHeader(HEADER).addRecipient(key).encrypt();
  await refused(() => values.open(PATH, JSON.stringify(general)));

  const headers: readonly (readonly [string, string])[] = [
    ['a foreign key address', JSON.stringify({ ...HEADER, jku: 'https://attacker.example/keys' })],
    ['an embedded key', JSON.stringify({ ...HEADER, jwk: { kty: 'oct', k: 'AAAA' } })],
    ['a kid that is a URL', JSON.stringify({ ...HEADER, kid: 'https://attacker.example/k.1' })],
    ['a kid that is a path', JSON.stringify({ ...HEADER, kid: '../secrets.2' })],
    ['a kid without a version', JSON.stringify({ ...HEADER, kid: 'secrets' })],
    ['a version of 0', JSON.stringify({ ...HEADER, kid: 'secrets.0' })],
    ['a version with a leading zero', JSON.stringify({ ...HEADER, kid: 'secrets.02' })],
    ['a kid that is a number', JSON.stringify({ ...HEADER, kid: 2 })],
    ['no path', JSON.stringify({ ...HEADER, path: undefined })],
    ['an empty path', JSON.stringify({ ...HEADER, path: '' })],
    ['no type', JSON.stringify({ ...HEADER, typ: undefined })],
    ['two paths', JSON.stringify(HEADER).replace('{', '{"path":"elsewhere",')],
    ['a prototype', JSON.stringify(HEADER).replace('{', '{"__proto__":{},')],
    ['an array', JSON.stringify([HEADER])],
    ['text', 'secrets.2'],
    ['nothing', ''],
    ['a byte order mark', `\ufeff${JSON.stringify(HEADER)}`],
    ['nesting', JSON.stringify({ ...HEADER, path: { a: [] } })],
    ['a path of 513 characters', JSON.stringify({ ...HEADER, path: 'p'.repeat(513) })],
    ['5000 bytes of white space', JSON.stringify(HEADER) + ' '.repeat(5000)],
    ['a megabyte', JSON.stringify({ ...HEADER, path: 'p'.repeat(1024 * 1024) })],
  ];
  for (const [what, header] of headers) {
    // Authentic to the last byte, so that nothing but the header can be what is refused.
    const token = sealRaw(key, header);
    await refused(() => values.open(PATH, token), /malformed|too long/, what);
  }
  assert.equal((await values.open(PATH, sealRaw(key, JSON.stringify(HEADER)))).reveal().length, 7);
});

test('looking at a value asks for no key', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  const asked: string[] = [];
  const watching: SealKeySource = {
    sealKey(name) {
      asked.push(name);
      throw cryptoProblems.key_unavailable('no');
    },
  };
  const blind = createSealedValues({ ring: watching });
  assert.equal(blind.inspect(token).path, PATH);
  await refused(() => blind.open('elsewhere', token), /another path/);
  await refused(() => blind.open(PATH, token, { key: 'other' }), /another key/);
  assert.deepEqual(asked, []);
  await refused(() => blind.open(PATH, token), /not available/);
  assert.deepEqual(asked, ['secrets']);
});

test('a fault of the key source is not taken for a bad value', async () => {
  const token = await values.seal('secrets', PATH, plaintext);
  const broken = createSealedValues({
    ring: {
      sealKey() {
        throw new TypeError('closed');
      },
    },
  });
  await assert.rejects(broken.open(PATH, token), TypeError);
});

test('sizes: nothing, the limit, and one more', async () => {
  const small = createSealedValues({ ring, plaintextBytesMax: 100 });
  for (const size of [0, 1, 99, 100]) {
    const token = await small.seal('secrets', PATH, Buffer.alloc(size));
    assert.equal((await small.open(PATH, token)).reveal().length, size);
  }
  await assert.rejects(small.seal('secrets', PATH, Buffer.alloc(101)), (error) =>
    isProblem(error, valueProblems.value_too_large),
  );
  const large = await values.seal('secrets', PATH, Buffer.alloc(101));
  await refused(() => small.open(PATH, large), /too long/);
  for (const size of [20_000, 2_000_000]) {
    const huge = await createSealedValues({ ring, plaintextBytesMax: 1e7 }).seal(
      'secrets',
      PATH,
      Buffer.alloc(size),
    );
    await refused(() => small.open(PATH, huge), /too long/);
  }
});

test('a path or type that is none is refused before anything is sealed', async () => {
  for (const path of ['', 'p'.repeat(513), '\ud800'])
    await assert.rejects(values.seal('secrets', path, plaintext), RangeError);
  const longest = '\u001f'.repeat(512);
  assert.equal(
    (await values.open(longest, await values.seal('secrets', longest, plaintext))).reveal().length,
    7,
  );
  for (const typ of ['', 'Value', '-x', 'a/b'])
    assert.throws(() => createSealedValues({ ring, typ }), RangeError);
});

test('an unknown key to seal with is told as such', async () => {
  await assert.rejects(values.seal('gone', PATH, plaintext), (error) =>
    isProblem(error, cryptoProblems.key_unavailable),
  );
});

test('an opened value is not printed by accident', async () => {
  const opened = await values.open(PATH, await values.seal('secrets', PATH, plaintext));
  assert.equal(`${inspect(opened)} ${JSON.stringify(opened)}`, '[redacted] "[redacted]"');
});

test('no two values share a nonce, and equal values look different', async () => {
  const tokens = await Promise.all(Array.from({ length: 50 }, () => values.seal('secrets', PATH, plaintext)));
  assert.equal(new Set(tokens.map((token) => token.split('.')[2])).size, 50);
});

test('a set of keys refuses what is no key', () => {
  const key = new Secret(randomBytes(32));
  const cases = [
    [{ name: 'Upper', version: 1, key }],
    [{ name: 'a.b', version: 1, key }],
    [{ name: 'a', version: 0, key }],
    [{ name: 'a', version: 1.5, key }],
    [{ name: 'a', version: 1, key: new Secret(randomBytes(16)) }],
    [
      { name: 'a', version: 1, key },
      { name: 'a', version: 1, key },
    ],
  ];
  for (const keys of cases)
    assert.throws(
      () => createSealKeySet(keys),
      (error) => isProblem(error, cryptoProblems.invalid_key),
    );
});

async function refused(act: () => Promise<unknown>, reason = /./, what = ''): Promise<Problem> {
  const error: unknown = await act().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(isProblem(error, valueProblems.invalid_value), `${what}: ${String(error)}`);
  assert.match((error.cause as Error).message, reason, what);
  return error;
}

/** The same value with members of its header replaced, not sealed anew. */
function withHeader(token: string, members: Readonly<Record<string, string>>): string {
  const parts = token.split('.');
  const header = { ...(decodeProtectedHeader(token) as object), ...members };
  return parts.with(0, Buffer.from(JSON.stringify(header)).toString('base64url')).join('.');
}

function flip(token: string, part: number, at: number): string {
  const parts = token.split('.');
  const changed = Buffer.from(parts[part] ?? '', 'base64url');
  changed[at]! ^= 0x80;
  return parts.with(part, changed.toString('base64url')).join('.');
}

/** A JWE with any text for a header. */
function sealRaw(key: KeyObject, header: string): string {
  const iv = randomBytes(12);
  const head = Buffer.from(header).toString('base64url');
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 }).setAAD(Buffer.from(head));
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return [head, '', ...[iv, sealed, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.');
}

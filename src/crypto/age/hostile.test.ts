import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { drain, streamOf } from '../testing.ts';
import { decryptStream, type Opening } from './age.ts';
import { inspectHeader } from './detached.ts';
import { createFileKey, createFileKeyFor } from './file-key.ts';
import { formatHeader, parseHeader } from './header.ts';
import { generateIdentity } from './keys.ts';
import { encodeRawBase64, type Stanza } from './stanza.ts';

/** Headers that someone made to do harm. */

const alice = generateIdentity();
const hybrid = generateIdentity({ postQuantum: true });
const identities = [alice.identity, hybrid.identity];
const unasked: Opening = { identities, passphrase: () => assert.fail('asked for a passphrase') };

const classicalStanza = stanzaOf(createFileKeyFor([alice.recipient]).header);
const hybridStanza = stanzaOf(createFileKeyFor([hybrid.recipient]).header);
const passphraseStanza = stanzaOf(
  (await createFileKey({ passphrase: new Secret('horse'), workFactor: 2 })).header,
);

test('a body of another length than one file key is refused before any decryption', async () => {
  for (const stanza of [classicalStanza, hybridStanza, passphraseStanza]) {
    for (const length of [0, 16, 31, 33, 48, 64, 1000]) {
      await refuses([{ ...stanza, body: randomBytes(length) }], cryptoProblems.malformed_header);
    }
  }
});

test('a share of low order is refused', async () => {
  // All points of small order, and their other encodings (https://cr.yp.to/ecdh.html).
  const points = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => Buffer.from(hex, 'hex'));
  const encapsulated = Buffer.from(hybridStanza.args[0] as string, 'base64');
  for (const point of points) {
    await refuses([{ ...classicalStanza, args: [encodeRawBase64(point)] }], cryptoProblems.malformed_header);
    const share = encodeRawBase64(Buffer.concat([encapsulated.subarray(0, -32), point]));
    await refuses([{ ...hybridStanza, args: [share] }], cryptoProblems.malformed_header);
  }
});

test('a work factor that is no number, or above the limit, is refused before the passphrase is asked for', async () => {
  const [salt] = passphraseStanza.args as [string];
  const cases: readonly [string, ProblemDefinition][] = [
    ...['0', '018', '+5', '-1', '1e1', '5.0', '0x5', 'five', '٥'].map(
      (factor) => [factor, cryptoProblems.malformed_header] as [string, ProblemDefinition],
    ),
    ...['21', '64', '1024', '9'.repeat(400)].map(
      (factor) => [factor, cryptoProblems.scrypt_cost] as [string, ProblemDefinition],
    ),
  ];
  for (const [factor, problem] of cases) {
    await refuses([{ ...passphraseStanza, args: [salt, factor] }], problem);
  }
});

test('a passphrase stanza beside any other is refused before the passphrase is asked for', async () => {
  const grease: Stanza = { type: 'x-grease', args: [], body: randomBytes(10) };
  for (const stanzas of [
    [passphraseStanza, passphraseStanza],
    [passphraseStanza, classicalStanza],
    [grease, passphraseStanza],
  ]) {
    await refuses(stanzas, cryptoProblems.malformed_header);
  }
});

test('as many stanzas as a header holds are looked through, and one more is refused', async () => {
  const strangers = (count: number) => Array.from({ length: count }, () => classicalForSomeoneElse);
  const classicalForSomeoneElse = stanzaOf(createFileKeyFor([generateIdentity().recipient]).header);
  await refuses(strangers(2600), cryptoProblems.no_matching_key);
  const header = headerOf(strangers(2700));
  const { bytes, error } = await drain(decryptStream(streamOf(header), unasked));
  assert.ok(isProblem(error, cryptoProblems.malformed_header), String(error));
  assert.match(error.detail, /exceeds 262144 bytes/);
  assert.equal(bytes.length, 0);
  assert.throws(
    () => inspectHeader(header),
    (reason) => isProblem(reason, cryptoProblems.malformed_header),
  );
});

test('tens of thousands of tiny stanzas are counted', () => {
  const header = headerOf(
    Array.from({ length: 40_000 }, () => ({ type: 'x', args: [], body: Buffer.alloc(0) })),
  );
  assert.deepEqual(inspectHeader(header).recipients, [{ type: 'x', count: 40_000 }]);
});

test('one stanza may be as large as the header, and tells nothing about the others', async () => {
  const huge: Stanza = { type: 'x-grease', args: ['a'.repeat(1000)], body: randomBytes(150_000) };
  const { fileKey } = createFileKeyFor([alice.recipient]);
  const header = formatHeader([huge, classicalStanza], fileKey);
  assert.equal(inspectHeader(header).count, 2);
  // The MAC is made with another file key than the stanza holds.
  await refuses([huge, classicalStanza], cryptoProblems.tampered);
});

test('a header that comes one byte at a time is read at the same cost', async () => {
  const body = randomBytes(20_000);
  const header = headerOf([{ type: 'x-grease', args: [], body }, classicalStanza]);
  const { error } = await drain(decryptStream(streamOf(header, 1), { identities: [alice.identity] }));
  assert.ok(isProblem(error, cryptoProblems.tampered), String(error));
});

function stanzaOf(header: Uint8Array): Stanza {
  return parseHeader(header).stanzas[0] as Stanza;
}

/** A header as anyone can write it, with a MAC that nobody made. */
function headerOf(stanzas: readonly Stanza[]): Buffer {
  const text = stanzas.map(({ type, args, body }) => {
    const lines: string[] = encodeRawBase64(body).match(/.{1,64}/g) ?? [];
    if ((lines.at(-1)?.length ?? 64) === 64) lines.push('');
    return `-> ${[type, ...args].join(' ')}\n${lines.join('\n')}\n`;
  });
  return Buffer.from(`age-encryption.org/v1\n${text.join('')}--- ${encodeRawBase64(Buffer.alloc(32))}\n`);
}

async function refuses(stanzas: readonly Stanza[], problem: ProblemDefinition): Promise<void> {
  const { bytes, error } = await drain(decryptStream(streamOf(headerOf(stanzas)), unasked));
  assert.ok(isProblem(error, problem), String(error));
  assert.equal(bytes.length, 0);
}

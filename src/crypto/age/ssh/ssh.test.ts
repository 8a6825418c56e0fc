import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { isProblem, type ProblemDefinition } from '../../../kernel/problem.ts';
import { Secret } from '../../../kernel/secret.ts';
import { cryptoProblems } from '../../problems.ts';
import { collect, streamOf } from '../../testing.ts';
import { decryptStream, encryptStream } from '../age.ts';
import { createFileKeyFor, createUnwrapper } from '../file-key.ts';
import { formatHeader, parseHeader } from '../header.ts';
import { generateIdentity, parseIdentity, parseRecipient, recipientOf } from '../keys.ts';
import type { Stanza } from '../stanza.ts';
import { bcryptPbkdf } from './bcrypt-pbkdf.ts';
import { montgomeryPoint } from './edwards.ts';
import { rsaBlob } from './public-key.ts';
import { wireString } from './wire.ts';

const read = (name: string): Promise<string> =>
  readFile(join(import.meta.dirname, '..', 'testdata', 'ssh', name), 'utf8');
const passphrase = (text = 'correct horse') => Promise.resolve(new Secret(text));

for (const [name, publicName] of [
  ['ed25519', 'ed25519'],
  ['rsa', 'rsa'],
  ['rsa-pkcs1', 'rsa'],
  ['rsa-pkcs8', 'rsa'],
  ['ed25519-locked', 'ed25519-locked'],
  ['rsa-locked', 'rsa-locked'],
] as const) {
  test(`what is sealed to ${publicName}.pub, the key file ${name} opens`, async () => {
    const line = await read(`${publicName}.pub`);
    const plaintext = randomBytes(100);
    const other = generateIdentity();
    const recipients = [other.recipient, line];
    const sealed = await collect(encryptStream(streamOf(plaintext), { recipients }));
    const identity = parseIdentity(await read(name), passphrase);
    assert.equal(identity.recipient, line.split(' ').slice(0, 2).join(' '));
    assert.equal(identity.locked, name.endsWith('locked'));
    for (const identities of [[identity], [generateIdentity().identity, identity], [other.identity]]) {
      assert.ok(plaintext.equals(await collect(decryptStream(streamOf(sealed), { identities }))));
    }
  });
}

for (const name of ['ed25519', 'rsa']) {
  test(`what age sealed to ${name}.pub, the key file opens`, async () => {
    const sealed = await readFile(join(import.meta.dirname, '..', 'testdata', 'ssh', `${name}.age`));
    const identities = [await read(name)];
    assert.equal(
      (await collect(decryptStream(streamOf(sealed), { identities }))).toString(),
      'sealed by age 1.1.1\n',
    );
  });
}

test('line ends of Windows, and none at all, make no difference to a key file', async () => {
  const text = await read('ed25519');
  for (const variant of [text.replaceAll('\n', '\r\n'), text.trimEnd(), `${text}\n`]) {
    assert.equal(recipientOf(variant), recipientOf(text));
  }
});

test('a locked key asks only when a file is addressed to it, and only once', async () => {
  let asked = 0;
  const identity = parseIdentity(await read('ed25519-locked'), () => {
    asked++;
    return passphrase();
  });
  const unwrap = createUnwrapper({ identities: [identity] });
  const other = createFileKeyFor([
    await read('ed25519.pub'),
    await read('rsa.pub'),
    generateIdentity().recipient,
  ]);
  await assert.rejects(unwrap(other.header), (error) => isProblem(error, cryptoProblems.no_matching_key));
  assert.equal(asked, 0);
  for (let i = 0; i < 2; i++) {
    const { header, fileKey } = createFileKeyFor([await read('ed25519-locked.pub')]);
    assert.deepEqual(await unwrap(header), fileKey);
  }
  assert.equal(asked, 1);
});

test('a wrong or missing passphrase of a locked key is told, and may be given again', async () => {
  const answers = ['wrong', '', 'correct horse'];
  const identity = parseIdentity(await read('ed25519-locked'), () => passphrase(answers.shift()));
  const { header, fileKey } = createFileKeyFor([identity.recipient]);
  const unwrap = createUnwrapper({ identities: [identity] });
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      unwrap(header),
      (error) => isProblem(error, cryptoProblems.no_matching_key) && error.detail.includes('passphrase'),
    );
  }
  assert.deepEqual(await unwrap(header), fileKey);
  await assert.rejects(createUnwrapper({ identities: [await read('ed25519-locked')] })(header), (error) =>
    isProblem(error, cryptoProblems.no_matching_key),
  );
});

test('keys that cannot be read are refused, and the way to convert them is told', async () => {
  const gcm = await read('ed25519-gcm');
  const cases: readonly [string, string, ProblemDefinition, RegExp][] = [
    ['old locked PEM', await read('rsa-pkcs1-locked'), cryptoProblems.unsupported_key, /ssh-keygen -p -f/],
    [
      'another cipher',
      gcm,
      cryptoProblems.unsupported_key,
      /aes256-gcm.*ssh-keygen -p -f FILE -Z aes256-ctr/,
    ],
    ['ECDSA', await read('ecdsa'), cryptoProblems.unsupported_key, /ecdsa-sha2-nistp256/],
    [
      'a cut file',
      (await read('ed25519')).split('\n').slice(0, 4).join('\n'),
      cryptoProblems.invalid_key,
      /PEM/,
    ],
    [
      'junk',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n',
      cryptoProblems.invalid_key,
      /openssh-key-v1/,
    ],
    [
      'empty PKCS#8',
      '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
      cryptoProblems.invalid_key,
      /private key/,
    ],
  ];
  for (const [what, text, problem, detail] of cases) {
    assert.throws(
      () => parseIdentity(text),
      (error) => isProblem(error, problem) && detail.test(error.detail),
      what,
    );
  }
});

test('any changed byte of an unlocked key file is refused, or does not change the key', async () => {
  const text = await read('ed25519');
  const lines = text.trimEnd().split('\n');
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  const { header, fileKey } = createFileKeyFor([recipientOf(text)]);
  for (let at = 0; at < bytes.length; at += 3) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 4;
    const pem = [lines[0], changed.toString('base64'), lines.at(-1)].join('\n');
    const unwrapped = await Promise.resolve()
      .then(() => createUnwrapper({ identities: [pem] })(header))
      .catch((error: unknown) => assert.ok(isProblem(error), `byte ${at}: ${String(error)}`));
    // The comment and the copies of the public key are not secret parts: with one of them changed it may still open.
    if (unwrapped) assert.deepEqual(unwrapped, fileKey);
  }
});

test('a key file that asks for too much work is refused before it', async () => {
  const lines = (await read('ed25519-locked')).trimEnd().split('\n');
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  // The rounds follow the salt of 16 bytes in the key derivation's options.
  const at = bytes.indexOf('bcrypt') + 6 + 4 + 4 + 16;
  assert.equal(bytes.readUInt32BE(at), 4);
  bytes.writeUInt32BE(1_000_000, at);
  assert.throws(
    () => parseIdentity([lines[0], bytes.toString('base64'), lines.at(-1)].join('\n')),
    (error) => isProblem(error, cryptoProblems.scrypt_cost),
  );
});

test('public keys that cannot seal are refused', async () => {
  const blob = (...parts: (Uint8Array | string)[]) => Buffer.concat(parts.map(wireString)).toString('base64');
  const rsa = (bits: number, exponent = Buffer.of(1, 0, 1)) => {
    const modulus = randomBytes(bits / 8);
    modulus[0] = 0xc0;
    return `ssh-rsa ${rsaBlob(modulus, exponent).toString('base64')}`;
  };
  const offCurve = Buffer.alloc(32);
  offCurve[0] = 2;
  const good = (await read('ed25519.pub')).split(' ')[1] as string;
  const invalid: readonly string[] = [
    rsa(1024),
    rsa(17_000),
    rsa(2048, Buffer.of(2)),
    rsa(2048, Buffer.alloc(200, 3)),
    `ssh-ed25519 ${blob('ssh-ed25519', Buffer.alloc(31))}`,
    `ssh-ed25519 ${blob('ssh-ed25519', offCurve)}`,
    `ssh-ed25519 ${blob('ssh-ed25519', Buffer.alloc(32), 'more')}`,
    `ssh-rsa ${good}`,
    `ssh-ed25519 ${good.slice(0, -2)}`,
    'ssh-ed25519',
    `ssh-rsa ${Buffer.concat([wireString('ssh-rsa'), wireString(Buffer.of(0, 1)), wireString(Buffer.alloc(256, 0x81))]).toString('base64')}`,
  ];
  for (const text of invalid) {
    assert.throws(
      () => parseRecipient(text),
      (error) => isProblem(error, cryptoProblems.invalid_key),
      text,
    );
  }
  assert.throws(
    () => parseRecipient(`ssh-dss ${blob('ssh-dss', 'x')}`),
    (error) => isProblem(error, cryptoProblems.unsupported_key) && error.detail.includes('ssh-dss'),
  );
  const lowOrder = parseRecipient(
    `ssh-ed25519 ${blob('ssh-ed25519', Buffer.concat([Buffer.of(1), Buffer.alloc(31)]))}`,
  );
  assert.throws(
    () => lowOrder.wrap(randomBytes(16)),
    (error) => isProblem(error, cryptoProblems.invalid_key),
  );
});

test('malformed stanzas for a key are told apart from stanzas for others', async () => {
  const ed25519 = createFileKeyFor([await read('ed25519.pub')]);
  const rsa = createFileKeyFor([await read('rsa.pub')]);
  const stanzaOf = ({ header }: { header: Uint8Array }) => parseHeader(header).stanzas[0] as Stanza;
  const e = stanzaOf(ed25519);
  const r = stanzaOf(rsa);
  const flipped = Buffer.from(r.body);
  flipped[100] = (flipped[100] as number) ^ 1;
  const cases: readonly [string, Stanza, ProblemDefinition][] = [
    ['no share', { ...e, args: e.args.slice(0, 1) }, cryptoProblems.malformed_header],
    ['short share', { ...e, args: [e.args[0] as string, 'AAAA'] }, cryptoProblems.malformed_header],
    ['low order', { ...e, args: [e.args[0] as string, 'A'.repeat(43)] }, cryptoProblems.malformed_header],
    ['long body', { ...e, body: Buffer.alloc(33) }, cryptoProblems.malformed_header],
    ['changed body', { ...e, body: Buffer.alloc(32) }, cryptoProblems.no_matching_key],
    ["another's", { ...e, args: ['AAAAAA', e.args[1] as string] }, cryptoProblems.no_matching_key],
    ['RSA, more arguments', { ...r, args: [...r.args, 'x'] }, cryptoProblems.malformed_header],
    ['RSA, changed body', { ...r, body: flipped }, cryptoProblems.tampered],
    ['RSA, short body', { ...r, body: flipped.subarray(0, 32) }, cryptoProblems.tampered],
    ["RSA, another's", { ...r, args: ['AAAAAA'] }, cryptoProblems.no_matching_key],
  ];
  const unwrap = createUnwrapper({ identities: [await read('ed25519'), await read('rsa')] });
  for (const [what, stanza, problem] of cases) {
    await assert.rejects(
      unwrap(formatHeader([stanza], ed25519.fileKey)),
      (error) => isProblem(error, problem),
      what,
    );
  }
});

test('bcrypt_pbkdf gives the values of the reference', () => {
  const derive = (rounds: number, length: number) =>
    Buffer.from(bcryptPbkdf(Buffer.from('password'), Buffer.from('salt'), rounds, length)).toString('hex');
  assert.equal(derive(4, 32), '5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9');
  assert.equal(
    derive(8, 64),
    'e1367ec5151a33faac4cc1c144cd23fa15d5548493ecc99b9b5d9c0d3b27bec7' +
      '6227ea66088b849b20ab7aa478010246e74bba51723fefa9f9474d6508845e8d',
  );
});

test('the base point of Ed25519 is that of Curve25519, and other bytes are no points', () => {
  const base = Buffer.alloc(32, 0x66);
  base[0] = 0x58;
  const nine = Buffer.alloc(32);
  nine[0] = 9;
  assert.deepEqual(montgomeryPoint(base), nine);
  const offCurve = Buffer.alloc(32);
  offCurve[0] = 2;
  assert.equal(montgomeryPoint(offCurve), undefined);
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, streamOf } from '../testing.ts';
import { decryptStream, encryptStream } from './age.ts';
import { parseIdentityFile, parseRecipientFile } from './key-file.ts';
import { generateIdentity, parseIdentity, recipientOf } from './keys.ts';

const key = generateIdentity();
const hybrid = generateIdentity({ postQuantum: true });
const ssh = (name: string): Promise<string> =>
  readFile(join(import.meta.dirname, 'testdata', 'ssh', name), 'utf8');
const horse = () => Promise.resolve(new Secret('correct horse'));
const seal = (
  text: string,
  armor: boolean,
  sealing = { passphrase: new Secret('correct horse'), workFactor: 6 },
) => collect(encryptStream(streamOf(Buffer.from(text)), { ...sealing, armor }));

test('an identity file holds one key a line, with comments, and any line ends', async () => {
  for (const end of ['\n', '\r\n']) {
    for (const front of ['', '\ufeff']) {
      const lines = ['# mine', '', key.identity, `# ${hybrid.recipient}`, hybrid.identity, ''];
      const keys = await parseIdentityFile(front + lines.join(end));
      assert.deepEqual(
        keys.map(({ recipient }) => recipient),
        [key.recipient, hybrid.recipient],
      );
      assert.ok(keys.every(({ locked }) => locked !== true));
    }
  }
});

test('a key read from a file with its line break is the key', () => {
  assert.equal(recipientOf(`${key.identity}\n`), key.recipient);
  assert.equal(recipientOf(`${hybrid.identity}\r\n`), hybrid.recipient);
  for (const text of [`${key.identity}\n\n`, `${key.identity} `, ` ${key.identity}`, `\n${key.identity}`]) {
    assert.throws(
      () => parseIdentity(text),
      (error) => isProblem(error, cryptoProblems.invalid_key),
    );
  }
});

test('an identity file sealed with a passphrase opens, armored or not, and its keys count as locked', async () => {
  for (const armor of [false, true]) {
    const file = await seal(`# mine\n${key.identity}\n${hybrid.identity}\n`, armor);
    const keys = await parseIdentityFile(file, { passphrase: horse });
    assert.deepEqual(
      keys.map(({ recipient, locked }) => [recipient, locked]),
      [
        [key.recipient, true],
        [hybrid.recipient, true],
      ],
    );
    const sealed = await collect(
      encryptStream(streamOf(Buffer.from('x')), { recipients: [hybrid.recipient] }),
    );
    assert.equal((await collect(decryptStream(streamOf(sealed), { identities: keys }))).toString(), 'x');
  }
  const [own] = await parseIdentityFile(await seal(await ssh('rsa'), false), { passphrase: horse });
  assert.equal(own?.recipient, (await ssh('rsa.pub')).split(' ').slice(0, 2).join(' '));
});

test('an identity file that cannot be used says why, names the line, and quotes nothing', async () => {
  const toKeys = await collect(encryptStream(streamOf(Buffer.from('x')), { recipients: [key.recipient] }));
  const sealed = await seal(key.identity, false);
  const cases: readonly [string, Uint8Array | string, ProblemDefinition, RegExp, string?][] = [
    ['no key', '# nothing\n\n', cryptoProblems.invalid_key, /no key/],
    ['a changed key', `# a\n${key.identity.slice(0, -1)}`, cryptoProblems.invalid_key, /^line 2: /],
    [
      'a recipient',
      `\n\n${key.recipient}`,
      cryptoProblems.invalid_key,
      /^line 3: .*recipient, which is public/,
    ],
    ['a plugin key', 'AGE-PLUGIN-YUBIKEY-1QQQQ', cryptoProblems.unsupported_key, /^line 1: /],
    ['a sealed file without a passphrase', sealed, cryptoProblems.no_matching_key, /itself encrypted/],
    ['a file sealed to keys', toKeys, cryptoProblems.no_matching_key, /to keys/, 'unasked'],
    ['a cut sealed file', sealed.subarray(0, -1), cryptoProblems.tampered, /chunk 0/, 'correct horse'],
    ['a wrong passphrase', sealed, cryptoProblems.no_matching_key, /passphrase is wrong/, 'wrong'],
    [
      'a sealed sealed file',
      await seal((await seal('x', true)).toString(), true),
      cryptoProblems.invalid_key,
      /^line 1: /,
      'correct horse',
    ],
  ];
  for (const [what, content, problem, detail, passphrase] of cases) {
    const asking =
      passphrase === undefined ? {} : { passphrase: () => Promise.resolve(new Secret(passphrase)) };
    await assert.rejects(
      parseIdentityFile(content, asking),
      (error) =>
        isProblem(error, problem) &&
        detail.test(error.detail) &&
        !error.detail.includes(key.identity.slice(20, 30)),
      what,
    );
  }
});

test('a recipients file holds keys of every kind, and passes over SSH keys that cannot encrypt', async () => {
  const ed25519 = (await ssh('ed25519.pub')).trimEnd();
  const rsa = (await ssh('rsa.pub')).trimEnd();
  const lines = [
    '# team',
    key.recipient,
    '',
    ed25519,
    (await ssh('ecdsa.pub')).trimEnd(),
    rsa,
    hybrid.recipient,
    '',
  ];
  for (const end of ['\n', '\r\n']) {
    const { recipients, ignored } = parseRecipientFile(lines.join(end));
    assert.deepEqual(recipients, [key.recipient, ed25519, rsa, hybrid.recipient]);
    assert.deepEqual(ignored, [{ line: 5, type: 'ecdsa-sha2-nistp256' }]);
  }
});

test('a recipients file that cannot be used says why, and quotes nothing', async () => {
  const cases: readonly [string, string, ProblemDefinition, RegExp][] = [
    ['nothing', '', cryptoProblems.invalid_key, /no key/],
    ['only what is passed over', await ssh('ecdsa.pub'), cryptoProblems.invalid_key, /no key/],
    ['an identity', `#\n${key.identity}`, cryptoProblems.invalid_key, /^line 2: .*secret/],
    ['an SSH identity', await ssh('ed25519'), cryptoProblems.invalid_key, /^line 1: .*secret/],
    ['a wrong character', `${key.recipient}b`, cryptoProblems.invalid_key, /^line 1: /],
    ['a password file', 'hunter2\n', cryptoProblems.invalid_key, /^line 1: /],
    ['a plugin recipient', 'age1yubikey1qqqq', cryptoProblems.unsupported_key, /^line 1: /],
    ['a long line', `ssh-rsa ${'A'.repeat(9000)}`, cryptoProblems.invalid_key, /too long/],
    ['an age file', (await seal('x', true)).toString(), cryptoProblems.invalid_key, /encrypted/],
  ];
  for (const [what, text, problem, detail] of cases) {
    assert.throws(
      () => parseRecipientFile(text),
      (error) =>
        isProblem(error, problem) &&
        detail.test(error.detail) &&
        !/hunter2|[A-Za-z0-9]{40}/.test(error.detail),
      what,
    );
  }
});

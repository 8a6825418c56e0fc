import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, streamOf } from '../testing.ts';
import { decryptDetached, encryptDetached } from './age.ts';
import { inspectHeader, rewrapHeader } from './detached.ts';
import { createFileKey, createFileKeyFor, createUnwrapper } from './file-key.ts';
import { generateIdentity } from './keys.ts';

const [alice, bob, carol] = Array.from({ length: 3 }, () => generateIdentity()) as [Key, Key, Key];
const hybrid = generateIdentity({ postQuantum: true });
type Key = ReturnType<typeof generateIdentity>;

test('a rewrapped header opens the same payload to the new recipients, and to them alone', async () => {
  const plaintext = randomBytes(70_000);
  const { header, payload } = encryptDetached([alice.recipient], streamOf(plaintext));
  const stored = await collect(payload);
  const moved = await rewrapHeader(header, {
    identities: [alice.identity],
    recipients: [bob.recipient, carol.recipient],
  });
  const open = (bytes: Uint8Array, { identity }: Key) =>
    collect(decryptDetached({ header: bytes, payload: streamOf(stored), identities: [identity] }));
  for (const key of [bob, carol]) assert.ok(plaintext.equals(await open(moved, key)));
  await assert.rejects(open(moved, alice), (error) => isProblem(error, cryptoProblems.no_matching_key));
  // What was copied before stays open: rewrapping is not revocation.
  assert.ok(plaintext.equals(await open(header, alice)));
});

test('a header moves from classical to post-quantum keys, and off a passphrase', async () => {
  const { header, fileKey } = createFileKeyFor([alice.recipient]);
  const moved = await rewrapHeader(header, { identities: [alice.identity], recipients: [hybrid.recipient] });
  assert.equal(inspectHeader(moved).postQuantum, true);
  assert.deepEqual(await createUnwrapper({ identities: [hybrid.identity] })(moved), fileKey);
  const locked = await createFileKey({ passphrase: new Secret('horse'), workFactor: 5 });
  const freed = await rewrapHeader(locked.header, {
    passphrase: () => Promise.resolve(new Secret('horse')),
    recipients: [bob.recipient],
  });
  assert.deepEqual(await createUnwrapper({ identities: [bob.identity] })(freed), locked.fileKey);
});

test('two rewraps of one header share nothing that tells them apart from other files', async () => {
  const { header } = createFileKeyFor([alice.recipient]);
  const options = { identities: [alice.identity], recipients: [alice.recipient] };
  const texts = await Promise.all(
    [0, 1].map(async () => Buffer.from(await rewrapHeader(header, options)).toString()),
  );
  const lines = [Buffer.from(header).toString(), ...texts].map((text) => text.split('\n').slice(1, -1));
  assert.equal(new Set(lines.flat()).size, 9);
});

test('rewrapping fails as opening and sealing do', async () => {
  const { header } = createFileKeyFor([alice.recipient]);
  const changed = Buffer.from(header);
  changed[changed.length - 5] = changed[changed.length - 5] === 0x41 ? 0x42 : 0x41;
  const cases: readonly [string, Uint8Array, string[], string[], ProblemDefinition][] = [
    ['another identity', header, [bob.identity], [bob.recipient], cryptoProblems.no_matching_key],
    ['no identity', header, [], [bob.recipient], cryptoProblems.no_matching_key],
    ['no recipient', header, [alice.identity], [], cryptoProblems.invalid_key],
    ['a mix', header, [alice.identity], [bob.recipient, hybrid.recipient], cryptoProblems.invalid_key],
    ['a changed MAC', changed, [alice.identity], [bob.recipient], cryptoProblems.tampered],
    [
      'a cut header',
      header.subarray(0, -1),
      [alice.identity],
      [bob.recipient],
      cryptoProblems.malformed_header,
    ],
  ];
  for (const [what, bytes, identities, recipients, problem] of cases) {
    await assert.rejects(
      rewrapHeader(bytes, { identities, recipients }),
      (error) => isProblem(error, problem),
      what,
    );
  }
});

test('a header is inspected without a key: kinds and counts, and nothing else', async () => {
  const ssh = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII8dAol+iQa975CE1SuJM7WcVoql/f23kTttOoi04+sq';
  const mixed = createFileKeyFor([alice.recipient, ssh, bob.recipient]).header;
  assert.deepEqual(inspectHeader(mixed), {
    recipients: [
      { type: 'X25519', count: 2 },
      { type: 'ssh-ed25519', count: 1 },
    ],
    count: 3,
    passphrase: false,
    postQuantum: false,
  });
  // A hostile cost is no matter here: nothing is derived.
  const { header } = await createFileKey({ passphrase: new Secret('horse'), workFactor: 5 });
  const costly = Buffer.from(Buffer.from(header).toString().replace(/ 5\n/, ' 60\n'));
  assert.equal(inspectHeader(costly).passphrase, true);
  assert.throws(
    () => inspectHeader(Buffer.from('age-encryption.org/v1\n')),
    (error) => isProblem(error, cryptoProblems.malformed_header),
  );
});

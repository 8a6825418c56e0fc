import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from 'age-encryption';
import { isProblem } from '../../kernel/problem.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, drain, streamOf } from '../testing.ts';
import { decryptStream, encryptDetached, encryptStream } from './age.ts';
import { encodeBech32, parseBech32 } from './bech32.ts';
import { createFileKeyFor, createUnwrapper } from './file-key.ts';
import { formatHeader, parseHeader } from './header.ts';
import { generateIdentity, parseIdentity, parseRecipient, recipientOf } from './keys.ts';
import type { Recipient, Stanza } from './stanza.ts';

const alice = generateIdentity({ postQuantum: true });
const bob = generateIdentity({ postQuantum: true });
const classical = generateIdentity();
/** The identity of the example in c2sp.org/age. */
const EXAMPLE = 'AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR';

test('a post-quantum key pair looks as the specification has it', () => {
  assert.match(alice.identity, /^AGE-SECRET-KEY-PQ-1[A-Z0-9]{58}$/);
  assert.match(alice.recipient, /^age1pq1[a-z0-9]{1952}$/);
});

test("derives the example's recipient, and those that typage derives", async () => {
  const recipient = recipientOf(EXAMPLE);
  assert.ok(
    recipient.startsWith(
      'age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtzdxz95paef6ca',
    ),
  );
  assert.ok(recipient.endsWith('ykx3qheyty7saeq0d3fzv49zc0k'));
  const theirs = await generateHybridIdentity();
  assert.equal(recipientOf(theirs), await identityToRecipient(theirs));
});

test('post-quantum files go both ways with typage', async () => {
  const plaintext = randomBytes(70_000);
  const recipients = [bob.recipient, alice.recipient];
  const ours = await collect(encryptStream(streamOf(plaintext), { recipients }));
  const decrypter = new Decrypter();
  decrypter.addIdentity(alice.identity);
  assert.ok(plaintext.equals(await decrypter.decrypt(ours)));
  const encrypter = new Encrypter();
  encrypter.addRecipient(bob.recipient);
  encrypter.addRecipient(alice.recipient);
  const theirs = await encrypter.encrypt(plaintext);
  for (const { identity } of [alice, bob]) {
    assert.ok(plaintext.equals(await collect(decryptStream(streamOf(theirs), { identities: [identity] }))));
  }
});

test('post-quantum recipients do not mix with others, whichever comes first', () => {
  const ssh = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII8dAol+iQa975CE1SuJM7WcVoql/f23kTttOoi04+sq';
  for (const recipients of [
    [alice.recipient, classical.recipient],
    [classical.recipient, alice.recipient],
    [alice.recipient, ssh],
    [alice.recipient, bob.recipient, classical.recipient],
  ]) {
    assert.throws(
      () => encryptDetached(recipients, streamOf(Buffer.from('x'))),
      (error) => isProblem(error, cryptoProblems.invalid_key) && error.detail.includes('post-quantum'),
    );
  }
});

test("recipients of a library user's own kind mix only with those of the same labels", () => {
  const labeled = (...labels: string[]): Recipient => ({ ...parseRecipient(classical.recipient), labels });
  assert.ok(createFileKeyFor([labeled('a', 'b'), labeled('b', 'a')]).header.length > 0);
  for (const recipients of [
    [labeled('a'), labeled('b')],
    [labeled('a'), classical.recipient],
  ]) {
    assert.throws(
      () => createFileKeyFor(recipients),
      (error) => isProblem(error, cryptoProblems.invalid_key),
    );
  }
});

test('a classical identity does not open a post-quantum file, nor the other way round', async () => {
  for (const [key, other] of [
    [alice, classical],
    [classical, alice],
  ] as const) {
    const { header } = createFileKeyFor([key.recipient]);
    await assert.rejects(createUnwrapper({ identities: [other.identity] })(header), (error) =>
      isProblem(error, cryptoProblems.no_matching_key),
    );
    const opened = await createUnwrapper({ identities: [other.identity, key.identity] })(header);
    assert.equal(opened.length, 16);
  }
});

test('post-quantum keys that are cut, changed, or no keys are refused without being quoted', () => {
  const bytes = (parseBech32(alice.recipient) as { bytes: Uint8Array }).bytes;
  const beyondModulus = Buffer.from(bytes);
  beyondModulus.fill(0xff, 0, 1000);
  const recipients = [
    alice.recipient.slice(0, -1),
    alice.recipient.toUpperCase(),
    encodeBech32('age1pq', bytes.subarray(1)),
    encodeBech32('age1pq', Buffer.concat([bytes, Buffer.of(0)])),
    encodeBech32('age1pq', beyondModulus),
  ];
  for (const text of recipients) {
    assert.throws(
      () => parseRecipient(text),
      (error) => isProblem(error, cryptoProblems.invalid_key) && !error.detail.includes(text.slice(20, 40)),
    );
  }
  const identities = [
    alice.identity.slice(0, -1),
    alice.identity.toLowerCase(),
    encodeBech32('age-secret-key-pq-', randomBytes(31)).toUpperCase(),
    encodeBech32('age-secret-key-pq-', randomBytes(64)).toUpperCase(),
  ];
  for (const text of identities) {
    assert.throws(
      () => parseIdentity(text),
      (error) => isProblem(error, cryptoProblems.invalid_key) && !error.detail.includes(text.slice(20, 40)),
    );
  }
});

test('a recipient whose curve part is of low order is refused when sealing', () => {
  const bytes = Buffer.from((parseBech32(alice.recipient) as { bytes: Uint8Array }).bytes);
  bytes.fill(0, bytes.length - 32);
  const recipient = parseRecipient(encodeBech32('age1pq', bytes));
  assert.throws(
    () => recipient.wrap(randomBytes(16)),
    (error) => isProblem(error, cryptoProblems.invalid_key),
  );
});

test('a changed encapsulated key or body opens nothing', async () => {
  const { header, fileKey } = createFileKeyFor([alice.recipient]);
  const [stanza] = parseHeader(header).stanzas as [Stanza];
  const encapsulated = Buffer.from(stanza.args[0] as string, 'base64');
  const flipped = (bytes: Uint8Array, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] as number) ^ 1;
    return copy;
  };
  const open = createUnwrapper({ identities: [alice.identity] });
  for (const at of [0, 500, 1087, 1088, 1119]) {
    const changed = { ...stanza, args: [flipped(encapsulated, at).toString('base64').replace(/=+$/, '')] };
    await assert.rejects(open(formatHeader([changed], fileKey)), (error) =>
      isProblem(error, cryptoProblems.no_matching_key),
    );
  }
  const changed = { ...stanza, body: flipped(stanza.body, 3) };
  await assert.rejects(open(formatHeader([changed], fileKey)), (error) =>
    isProblem(error, cryptoProblems.no_matching_key),
  );
});

test('a file for more recipients than a header may hold is refused when sealing', async () => {
  const recipients = Array.from({ length: 170 }, () => alice.recipient);
  const { error } = await drain(encryptStream(streamOf(Buffer.from('x')), { recipients }));
  assert.ok(isProblem(error, cryptoProblems.invalid_key), String(error));
  assert.match(error.detail, /170 recipients are too many/);
});

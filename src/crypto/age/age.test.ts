import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, drain, streamOf } from '../testing.ts';
import { decryptDetached, decryptStream, encryptDetached, encryptStream } from './age.ts';
import { generateIdentity, recipientOf } from './keys.ts';
import { encodeBech32 } from './bech32.ts';
import { CHUNK_BYTES, chunkNonce } from './payload.ts';

const SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 20 * CHUNK_BYTES + 7];
const SEALED_CHUNK = CHUNK_BYTES + 16;
const alice = generateIdentity();
const bob = generateIdentity();
const passphrase = () => Promise.resolve(new Secret('correct horse'));

for (const size of SIZES) {
  test(`encrypts and decrypts ${size} bytes, in pieces of any size`, async () => {
    const plaintext = randomBytes(size);
    for (const piece of [undefined, 4093, CHUNK_BYTES]) {
      const sealed = await collect(
        encryptStream(streamOf(plaintext, piece), { recipients: [alice.recipient] }),
      );
      const opened = await collect(decryptStream(streamOf(sealed, piece), { identities: [alice.identity] }));
      assert.ok(opened.equals(plaintext));
    }
  });

  test(`typage reads ${size} bytes that we encrypted, and we read its`, async () => {
    const plaintext = randomBytes(size);
    const ours = await collect(
      encryptStream(streamOf(plaintext), { recipients: [bob.recipient, alice.recipient] }),
    );
    const decrypter = new Decrypter();
    decrypter.addIdentity(alice.identity);
    assert.ok(plaintext.equals(await decrypter.decrypt(ours)));
    const encrypter = new Encrypter();
    encrypter.addRecipient(alice.recipient);
    const theirs = await encrypter.encrypt(plaintext);
    assert.ok(
      plaintext.equals(await collect(decryptStream(streamOf(theirs), { identities: [alice.identity] }))),
    );
  });
}

test('derives the recipient that typage derives', async () => {
  const identity = await generateX25519Identity();
  assert.equal(recipientOf(identity), await identityToRecipient(identity));
  assert.equal(recipientOf(alice.identity), alice.recipient);
});

test('a passphrase file goes both ways with typage', async () => {
  const encrypter = new Encrypter();
  encrypter.setPassphrase('correct horse');
  encrypter.setScryptWorkFactor(10);
  const theirs = await encrypter.encrypt('hello');
  assert.equal((await collect(decryptStream(streamOf(theirs), { passphrase }))).toString(), 'hello');
  const ours = await collect(
    encryptStream(streamOf(Buffer.from('hello')), {
      passphrase: new Secret('correct horse'),
      workFactor: 10,
    }),
  );
  const decrypter = new Decrypter();
  decrypter.addPassphrase('correct horse');
  assert.equal(await decrypter.decrypt(ours, 'text'), 'hello');
});

test('opens with any of several identities, for any of several recipients', async () => {
  const recipients = [alice.recipient, bob.recipient];
  const sealed = await collect(encryptStream(streamOf(Buffer.from('both')), { recipients }));
  for (const { identity } of [alice, bob]) {
    const identities = [generateIdentity().identity, identity];
    assert.equal((await collect(decryptStream(streamOf(sealed), { identities }))).toString(), 'both');
  }
});

test('a detached header and its payload are together one age file', async () => {
  const plaintext = randomBytes(100_000);
  const { header, payload } = encryptDetached([alice.recipient], streamOf(plaintext, 1000));
  const stored = await collect(payload);
  const identities = [alice.identity];
  assert.ok(
    plaintext.equals(await collect(decryptDetached({ header, payload: streamOf(stored, 777), identities }))),
  );
  const file = Buffer.concat([header, stored]);
  assert.ok(plaintext.equals(await collect(decryptStream(streamOf(file), { identities }))));
});

test('the payload of another file does not open under a detached header', async () => {
  const one = encryptDetached([alice.recipient], streamOf(randomBytes(50)));
  const two = encryptDetached([alice.recipient], streamOf(randomBytes(50)));
  const { bytes, error } = await drain(
    decryptDetached({ header: one.header, payload: two.payload, identities: [alice.identity] }),
  );
  assert.ok(isProblem(error, cryptoProblems.tampered));
  assert.equal(bytes.length, 0);
});

test('armor round trips at every line length, and typage reads it', async () => {
  for (const size of [0, 1, 17, 18, 19, 47, 48, 49, 1000]) {
    const plaintext = randomBytes(size);
    const text = await collect(
      encryptStream(streamOf(plaintext), { recipients: [alice.recipient], armor: true }),
    );
    assert.match(
      text.toString(),
      /^-----BEGIN AGE ENCRYPTED FILE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END AGE ENCRYPTED FILE-----\n$/,
    );
    for (const piece of [undefined, 1]) {
      assert.ok(
        plaintext.equals(
          await collect(decryptStream(streamOf(text, piece), { identities: [alice.identity] })),
        ),
      );
    }
    const { armor } = await import('age-encryption');
    const decrypter = new Decrypter();
    decrypter.addIdentity(alice.identity);
    assert.ok(plaintext.equals(await decrypter.decrypt(armor.decode(text.toString()))));
  }
});

test('says that the key is wrong, and nothing else', async () => {
  const sealed = await collect(encryptStream(streamOf(Buffer.from('x')), { recipients: [alice.recipient] }));
  await refuses(sealed, cryptoProblems.no_matching_key, 0, { identities: [bob.identity] });
  await refuses(sealed, cryptoProblems.no_matching_key, 0, { passphrase });
  const locked = await collect(
    encryptStream(streamOf(Buffer.from('x')), { passphrase: new Secret('other'), workFactor: 5 }),
  );
  await refuses(locked, cryptoProblems.no_matching_key, 0, { passphrase });
  await refuses(locked, cryptoProblems.no_matching_key, 0, { identities: [alice.identity] });
});

test('asks for no passphrase where none is needed', async () => {
  const sealed = await collect(encryptStream(streamOf(Buffer.from('x')), { recipients: [alice.recipient] }));
  const opening = { identities: [alice.identity], passphrase: () => assert.fail('asked') };
  assert.equal((await collect(decryptStream(streamOf(sealed), opening))).toString(), 'x');
});

test('a changed, missing, added, swapped or repeated chunk is refused and named; chunks before it are released', async () => {
  const { header, payload } = encryptDetached(
    [alice.recipient],
    streamOf(randomBytes(3 * CHUNK_BYTES + 100)),
  );
  const sealed = await collect(payload);
  const salt = sealed.subarray(0, 16);
  const chunk = (n: number) => sealed.subarray(16 + n * SEALED_CHUNK, 16 + (n + 1) * SEALED_CHUNK);
  const [c0, c1, c2, c3] = [chunk(0), chunk(1), chunk(2), chunk(3)];
  const flipped = Buffer.from(c2);
  flipped[5] = (flipped[5] as number) ^ 1;
  const tampered = cryptoProblems.tampered;
  const cases: readonly [string, Uint8Array[], ProblemDefinition, chunk: number, released: number][] = [
    ['changed', [salt, c0, c1, flipped, c3], tampered, 2, 2],
    ['swapped', [salt, c1, c0, c2, c3], tampered, 0, 0],
    ['repeated', [salt, c0, c0, c1, c2, c3], tampered, 1, 1],
    ['removed', [salt, c0, c2, c3], tampered, 1, 1],
    ['cut at a border', [salt, c0, c1], cryptoProblems.truncated, 1, 2],
    ['cut inside the last', [salt, c0, c1, c2, c3.subarray(0, 50)], tampered, 3, 3],
    ['cut inside a tag', [salt, c0, c1, c2, c3.subarray(0, 9)], cryptoProblems.truncated, 3, 3],
    ['added to the end', [salt, c0, c1, c2, c3, c3], tampered, 3, 3],
    ['nothing', [salt], cryptoProblems.truncated, 0, 0],
  ];
  for (const [what, pieces, problem, named, released] of cases) {
    const { bytes, error } = await drain(
      decryptDetached({ header, payload: streamOf(Buffer.concat(pieces)), identities: [alice.identity] }),
    );
    assert.ok(isProblem(error, problem), `${what}: ${String(error)}`);
    assert.equal(error.members['chunk'], named, what);
    assert.match(error.detail, new RegExp(`chunk ${named}\\b`), what);
    assert.equal(bytes.length, released * CHUNK_BYTES, what);
  }
});

test('a file without payload or with half a header is cut short', async () => {
  const sealed = await collect(encryptStream(streamOf(Buffer.from('x')), { recipients: [alice.recipient] }));
  const end = sealed.lastIndexOf('\n--- ') + 49;
  await refuses(sealed.subarray(0, end), cryptoProblems.truncated);
  await refuses(sealed.subarray(0, end + 15), cryptoProblems.truncated);
  await refuses(sealed.subarray(0, end - 3), cryptoProblems.truncated);
  await refuses(sealed.subarray(0, 10), cryptoProblems.truncated);
});

test('what is no age file is refused at its first wrong byte', async () => {
  await refuses(Buffer.alloc(0), cryptoProblems.malformed_header);
  await refuses(Buffer.from('age-encryption.org/v2\nwhatever'), cryptoProblems.unsupported_version);
  let read = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (; ; read++) yield Buffer.alloc(1024, 0x41);
  }
  const { error } = await drain(decryptStream(endless(), { identities: [alice.identity] }));
  assert.ok(isProblem(error, cryptoProblems.malformed_header));
  assert.equal(read, 0);
});

test('an endless header is refused', async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('age-encryption.org/v1\n');
    for (;;) yield Buffer.from(`-> grease ${'a'.repeat(1000)}\n\n`);
  }
  const { error } = await drain(decryptStream(endless(), { identities: [alice.identity] }));
  assert.ok(isProblem(error, cryptoProblems.malformed_header));
});

test('a scrypt cost above the limit is refused before any work', async () => {
  const opening = { passphrase: () => assert.fail('asked'), workFactorMax: 4 };
  const sealed = await collect(
    encryptStream(streamOf(Buffer.from('x')), { passphrase: new Secret('p'), workFactor: 5 }),
  );
  await refuses(sealed, cryptoProblems.scrypt_cost, 0, opening);
  const hostile = sealed.toString('latin1').replace(/^(-> scrypt \S+) 5$/m, '$1 21');
  await refuses(Buffer.from(hostile, 'latin1'), cryptoProblems.scrypt_cost, 0, {
    passphrase: () => assert.fail('asked'),
  });
});

test('keys of other kinds and malformed keys are refused without being quoted', () => {
  const encrypt = (recipient: string) => encryptDetached([recipient], streamOf(Buffer.from('x')));
  const invalid: readonly string[] = [
    '',
    'age1',
    alice.recipient.toUpperCase(),
    `${alice.recipient} `,
    alice.identity,
    'age1pq1qqqq',
    'ssh-ed25519 AAAA',
  ];
  for (const text of invalid) {
    assert.throws(
      () => encrypt(text),
      (error) =>
        isProblem(error, cryptoProblems.invalid_key) &&
        (text.length < 20 || !error.detail.includes(text.slice(-20))),
    );
  }
  for (const text of [
    'age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t',
    'ecdsa-sha2-nistp256 AAAA',
  ]) {
    assert.throws(
      () => encrypt(text),
      (error) => isProblem(error, cryptoProblems.unsupported_key),
      text,
    );
  }
  const lowOrder = encodeBech32('age', new Uint8Array(32));
  assert.throws(
    () => encrypt(lowOrder),
    (error) => isProblem(error, cryptoProblems.invalid_key),
  );
  assert.throws(
    () => recipientOf('AGE-PLUGIN-YUBIKEY-1QQQQ'),
    (error) => isProblem(error, cryptoProblems.unsupported_key),
  );
  assert.throws(
    () => recipientOf(alice.identity.toLowerCase()),
    (error) => isProblem(error, cryptoProblems.invalid_key),
  );
  assert.throws(
    () => encryptDetached([], streamOf(Buffer.from('x'))),
    (error) => isProblem(error, cryptoProblems.invalid_key),
  );
});

test('the chunk counter carries through all its bytes', () => {
  assert.equal(chunkNonce(0, false).toString('hex'), '000000000000000000000000');
  assert.equal(chunkNonce(256, true).toString('hex'), '000000000000000000010001');
  assert.equal(chunkNonce(2 ** 32, false).toString('hex'), '000000000000010000000000');
  assert.equal(chunkNonce(2 ** 48 - 1, true).toString('hex'), '0000000000ffffffffffff01');
});

test('a reader that stops early ends the source', async () => {
  let ended = false;
  const sealed = await collect(
    encryptStream(streamOf(randomBytes(200_000)), { recipients: [alice.recipient], armor: true }),
  );
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* streamOf(sealed, 70_000);
    } finally {
      ended = true;
    }
  }
  for await (const piece of decryptStream(source(), { identities: [alice.identity] })) {
    assert.ok(piece.length > 0);
    break;
  }
  assert.equal(ended, true);
});

test('one huge piece is handled in parts', async () => {
  const size = 40 * CHUNK_BYTES;
  const { payload } = encryptDetached([alice.recipient], streamOf(Buffer.alloc(size)));
  for await (const piece of payload) assert.ok(piece.length <= 16 * SEALED_CHUNK + 16);
});

async function refuses(
  sealed: Uint8Array,
  problem: ProblemDefinition,
  released = 0,
  opening: Parameters<typeof decryptStream>[1] = { identities: [alice.identity] },
): Promise<void> {
  const { bytes, error } = await drain(decryptStream(streamOf(sealed), opening));
  assert.ok(isProblem(error, problem), String(error));
  assert.equal(bytes.length, released);
}

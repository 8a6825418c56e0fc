import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { generateIdentity } from '../age/keys.ts';
import { decryptFile, encryptFile } from './files.ts';
import { transformFile } from './transfer.ts';
import { cryptoProblems } from '../problems.ts';
import { streamOf, temporaryDirectory } from '../testing.ts';

const { identity, recipient } = generateIdentity();
const recipients = [recipient];
const identities = [identity];

test('a file goes there and back, private, with nothing beside it', async (t) => {
  const { directory, plain, sealed, opened } = await workspace(t);
  for (const [armor, size] of [
    [false, 0],
    [true, 100_000],
    [false, 1_500_000],
  ] as const) {
    const content = randomBytes(size);
    await writeFile(plain, content);
    await encryptFile({ input: plain, output: sealed, recipients, armor, force: true });
    await decryptFile({ input: sealed, output: opened, identities, force: true });
    assert.ok(content.equals(await readFile(opened)));
    assert.equal((await stat(sealed)).mode & 0o777, 0o600);
    assert.equal((await stat(opened)).mode & 0o777, 0o600);
  }
  assert.deepEqual(await readdir(directory), ['opened', 'plain', 'sealed']);
});

test('an open file is written from where it stands on, in order, though memory is used again', async (t) => {
  const { plain, sealed, opened } = await workspace(t);
  const content = randomBytes(20 * 2 ** 20 + 7);
  await writeFile(plain, 'before');
  await using output = await open(plain, 'r+');
  await output.read(Buffer.alloc(6));
  const source = streamOf(content, 100_000);
  const share = { jobs: 2, parallelBytesMin: 0 };
  await encryptFile({ input: source, output: { descriptor: output.fd }, recipients, ...share });
  const written = await readFile(plain);
  assert.equal(written.subarray(0, 6).toString(), 'before');
  await writeFile(sealed, written.subarray(6));
  await decryptFile({ input: streamOf(written.subarray(6), 99_991), output: opened, identities, ...share });
  assert.ok(content.equals(await readFile(opened)));
  // One that cannot be written is told, and stays open for whoever opened it.
  await using closed = await open(plain, 'r');
  await assert.rejects(
    decryptFile({ input: sealed, output: { descriptor: closed.fd }, identities }),
    (error: NodeJS.ErrnoException) => error.code === 'EBADF',
  );
  assert.equal((await closed.stat()).isFile(), true);
});

test('streams stand for files on both sides', async (t) => {
  const { sealed } = await workspace(t);
  const content = randomBytes(300_000);
  await encryptFile({
    input: streamOf(content, 10_000),
    output: sealed,
    passphrase: new Secret('p'),
    workFactor: 5,
  });
  const pieces: Buffer[] = [];
  const output = new Writable({
    highWaterMark: 10,
    write(piece: Buffer, _, done) {
      pieces.push(piece);
      done();
    },
  });
  await decryptFile({ input: sealed, output, passphrase: () => Promise.resolve(new Secret('p')) });
  assert.ok(content.equals(Buffer.concat(pieces)));
  assert.equal(output.writableEnded, false);
});

test('an existing output is kept, unless forced', async (t) => {
  const { plain, sealed, directory } = await workspace(t);
  await writeFile(sealed, 'old');
  await rejects(encryptFile({ input: plain, output: sealed, recipients }), cryptoProblems.output_exists);
  assert.equal(await readFile(sealed, 'utf8'), 'old');
  await encryptFile({ input: plain, output: sealed, recipients, force: true });
  assert.match(await readFile(sealed, 'latin1'), /^age-encryption/);
  assert.deepEqual(await readdir(directory), ['plain', 'sealed']);
});

test('a file that appears meanwhile is kept too', async (t) => {
  const { sealed, directory } = await workspace(t);
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x');
    await writeFile(sealed, 'theirs');
  }
  await rejects(encryptFile({ input: slow(), output: sealed, recipients }), cryptoProblems.output_exists);
  assert.equal(await readFile(sealed, 'utf8'), 'theirs');
  assert.deepEqual(await readdir(directory), ['plain', 'sealed']);
});

test('the input itself, links and directories are no outputs, even if forced', async (t) => {
  const { plain, directory } = await workspace(t);
  const at = (name: string) => join(directory, name);
  await symlink(plain, at('symbolic'));
  await symlink(at('nowhere'), at('dangling'));
  await writeFile(at('one'), 'shared');
  await link(at('one'), at('two'));
  await link(plain, at('hard'));
  await mkdir(at('sub'));
  for (const name of ['plain', 'hard', 'symbolic', 'dangling', 'two', 'sub']) {
    const transfer = { input: plain, output: at(name), recipients, force: true };
    await rejects(encryptFile(transfer), cryptoProblems.output_refused);
  }
  assert.equal(await readFile(at('one'), 'utf8'), 'shared');
  assert.equal(await readFile(plain, 'utf8'), 'plain text');
});

test('a wrong key, tampering and truncation leave nothing, and the old file stays', async (t) => {
  const { directory, plain, sealed, opened } = await workspace(t);
  await writeFile(plain, randomBytes(400_000));
  await encryptFile({ input: plain, output: sealed, recipients });
  const whole = await readFile(sealed);
  const flipped = Buffer.from(whole);
  flipped[200_000] = (flipped[200_000] as number) ^ 1;
  await writeFile(opened, 'old');
  const cases: readonly [Buffer, ProblemDefinition, readonly string[]][] = [
    [whole, cryptoProblems.no_matching_key, [generateIdentity().identity]],
    [flipped, cryptoProblems.tampered, identities],
    [whole.subarray(0, whole.indexOf('\n--- ') + 49 + 16 + 65_552), cryptoProblems.truncated, identities],
    [Buffer.from('no age file'), cryptoProblems.malformed_header, identities],
  ];
  for (const [content, problem, keys] of cases) {
    await writeFile(sealed, content);
    const force = true;
    await rejects(decryptFile({ input: sealed, output: opened, identities: keys, force }), problem);
    await rejects(decryptFile({ input: sealed, output: `${opened}-new`, identities: keys }), problem);
    assert.equal(await readFile(opened, 'utf8'), 'old');
  }
  assert.deepEqual(await readdir(directory), ['opened', 'plain', 'sealed']);
});

test('an abort leaves nothing, at once, even if the input is silent', async (t) => {
  const { directory, plain, sealed } = await workspace(t);
  const stop = new AbortController();
  async function* silent(): AsyncGenerator<Uint8Array> {
    yield randomBytes(200_000);
    queueMicrotask(() => stop.abort());
    await new Promise(() => {});
  }
  const { signal } = stop;
  await assert.rejects(encryptFile({ input: silent(), output: sealed, recipients, signal }), {
    name: 'AbortError',
  });
  await assert.rejects(encryptFile({ input: plain, output: sealed, recipients, signal }), {
    name: 'AbortError',
  });
  assert.deepEqual(await readdir(directory), ['plain']);
});

test('a source that fails leaves nothing and is told', async (t) => {
  const { directory, sealed } = await workspace(t);
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield randomBytes(200_000);
    throw new Error('the network is gone');
  }
  await assert.rejects(encryptFile({ input: broken(), output: sealed, recipients }), /network is gone/);
  assert.deepEqual(await readdir(directory), ['plain']);
});

test('an output stream that fails ends the work', async (t) => {
  const { plain } = await workspace(t);
  const output = new Writable({ write: (_, __, done) => done(new Error('EPIPE')) });
  await assert.rejects(encryptFile({ input: plain, output, recipients }), /EPIPE/);
});

test('an input that cannot be read and an output directory that is not there are told', async (t) => {
  const { directory, plain, sealed } = await workspace(t);
  const none = join(directory, 'none');
  await rejects(encryptFile({ input: none, output: sealed, recipients }), cryptoProblems.input_unreadable);
  await rejects(
    encryptFile({ input: directory, output: sealed, recipients }),
    cryptoProblems.input_unreadable,
  );
  await rejects(
    encryptFile({ input: plain, output: join(none, 'x'), recipients }),
    cryptoProblems.not_writable,
  );
});

test('progress counts the bytes of the input up to its size', async (t) => {
  const { plain, sealed } = await workspace(t);
  await writeFile(plain, randomBytes(1_200_000));
  const seen: [number, number | undefined][] = [];
  const onProgress = (done: number, total: number | undefined) => void seen.push([done, total]);
  await transformFile({ input: plain, output: sealed, onProgress }, (source) => source);
  assert.ok(seen.length > 1);
  assert.deepEqual(seen.at(-1), [1_200_000, 1_200_000]);
  assert.ok((await readFile(plain)).equals(await readFile(sealed)));
});

test('memory stays flat: what has passed is let go, however long the input is', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const pieces: WeakRef<Uint8Array>[] = [];
  let alive = 0;
  async function* long(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 100; i++) {
      const piece = Buffer.alloc(64 * 1024, i);
      pieces.push(new WeakRef(piece));
      yield piece;
    }
    // A weak reference holds its target until the turn of the event loop ends.
    await setImmediate();
    collectGarbage();
    alive = pieces.filter((piece) => piece.deref() !== undefined).length;
  }
  const output = new Writable({ write: (_, __, done) => done() });
  await encryptFile({ input: long(), output, recipients, signal: new AbortController().signal });
  assert.equal(pieces.length, 100);
  assert.ok(alive < 10, `${alive} of 100 pieces are still held`);
});

async function workspace(t: TestContext) {
  const directory = await temporaryDirectory(t);
  const plain = join(directory, 'plain');
  await writeFile(plain, 'plain text');
  return { directory, plain, sealed: join(directory, 'sealed'), opened: join(directory, 'opened') };
}

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isProblem(error, definition), String(error));
}

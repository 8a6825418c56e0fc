import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Header, type HeaderData } from 'tar';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { generateIdentity } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, streamOf, temporaryDirectory } from '../testing.ts';
import { decryptDirectory, encryptDirectory } from './directories.ts';
import { encryptFile } from './files.ts';
import { packDirectory } from './pack-directory.ts';
import { engineProblems } from './problems.ts';
import { unpackDirectory } from './unpack-directory.ts';

const { identity, recipient } = generateIdentity();
const recipients = [recipient];
const identities = [identity];

test('a directory goes there and back: names, content, modes, times and links', async (t) => {
  const at = await workspace(t);
  await makeTree(at('tree'));
  await encryptDirectory({ input: at('tree'), output: at('tree.tar.age'), recipients });
  await decryptDirectory({ input: at('tree.tar.age'), output: at('copy'), identities });
  assert.deepEqual(await readdir(at('.')), ['copy', 'tree', 'tree.tar.age']);
  assert.deepEqual(
    await readdir(at('copy'), { recursive: true }),
    await readdir(at('tree'), { recursive: true }),
  );
  for (const name of ['weights.bin', '@odd name', 'sub/deep/模型', 'sub/script.sh', 'sub/empty']) {
    assert.ok((await readFile(at(`tree/${name}`))).equals(await readFile(at(`copy/${name}`))), name);
    assert.equal((await stat(at(`copy/${name}`))).mtimeMs, (await stat(at(`tree/${name}`))).mtimeMs);
  }
  assert.equal((await stat(at('copy/sub/script.sh'))).mode & 0o777, 0o755);
  assert.equal((await stat(at('copy/weights.bin'))).mode & 0o777, 0o600);
  assert.equal((await stat(at('copy'))).mode & 0o777, 0o700);
  assert.equal(await readlink(at('copy/sub/latest')), '../weights.bin');
  assert.equal((await stat(at('copy/sub/twin'))).ino, (await stat(at('copy/weights.bin'))).ino);
});

test('the same content gives the same bytes, wherever and in whatever order it was made', async (t) => {
  const at = await workspace(t);
  await mkdir(at('one'));
  await mkdir(at('two'));
  for (const name of ['a', 'b', 'c']) await writeFile(at(`one/${name}`), name);
  for (const name of ['c', 'a', 'b']) await writeFile(at(`two/${name}`), name);
  for (const name of ['one/a', 'one/b', 'one/c', 'two/a', 'two/b', 'two/c'])
    await utimes(at(name), 1_700_000_000, 1_700_000_000);
  const one = await packDirectory(at('one'));
  const bytes = await collect(one.source);
  assert.ok(bytes.equals(await collect((await packDirectory(at('two'))).source)));
  assert.equal(bytes.length, one.bytes);
});

test('an empty directory, and one whose output lies within', async (t) => {
  const at = await workspace(t);
  await mkdir(at('empty'));
  await encryptDirectory({ input: at('empty'), output: at('empty/out.age'), recipients });
  await decryptDirectory({ input: at('empty/out.age'), output: at('copy'), identities });
  assert.deepEqual(await readdir(at('copy')), []);
  assert.deepEqual(await readdir(at('empty')), ['out.age']);
});

test('what could not be given back is not packed', async (t) => {
  const at = await workspace(t);
  const attempts: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    'a link outside': (path) => symlink('../secret', path),
    'an absolute link': (path) => symlink('/etc/passwd', path),
    'a socket': async (path) => {
      const server = createServer().listen(path);
      t.after(() => server.close());
      await once(server, 'listening');
    },
  };
  for (const [name, make] of Object.entries(attempts)) {
    await mkdir(at(name));
    await make(at(`${name}/it`));
    const packed = encryptDirectory({ input: at(name), output: at('out'), recipients });
    await rejects(packed, engineProblems.directory_refused, name);
  }
  await rejects(
    encryptDirectory({ input: at('none'), output: at('out'), recipients }),
    cryptoProblems.input_unreadable,
  );
  assert.deepEqual(await readdir(at('.')), Object.keys(attempts).toSorted());
});

test('a file that vanishes or shrinks while it is packed is no gap, but an error', async (t) => {
  const at = await workspace(t);
  await mkdir(at('tree'));
  await writeFile(at('tree/a'), randomBytes(10));
  const { source } = await packDirectory(at('tree'));
  const { unlink } = await import('node:fs/promises');
  await unlink(at('tree/a'));
  await rejects(collect(source), cryptoProblems.input_unreadable);
});

/** Archives that only an attacker makes. Each must leave nothing, inside or outside. */
const HOSTILE: Readonly<Record<string, readonly HeaderData[]>> = {
  'an absolute path': [{ path: join(tmpdir(), 'modelkeep-evil'), type: 'File' }],
  'a path that climbs': [{ path: '../evil', type: 'File' }],
  'a path that climbs in its middle': [{ path: 'a/../../evil', type: 'File' }],
  'a directory that climbs': [{ path: '../evil/', type: 'Directory' }],
  'a link to an absolute path': [{ path: 'l', type: 'SymbolicLink', linkpath: '/etc' }],
  'a link outside': [{ path: 'a/l', type: 'SymbolicLink', linkpath: '../../evil' }],
  'a file behind a link': [
    { path: 'l', type: 'SymbolicLink', linkpath: '.' },
    { path: 'l/evil', type: 'File' },
  ],
  'a file over a link': [
    { path: 'l', type: 'SymbolicLink', linkpath: 'x' },
    { path: 'l', type: 'File' },
  ],
  'a link over a file': [
    { path: 'l', type: 'File' },
    { path: 'l', type: 'SymbolicLink', linkpath: 'x' },
  ],
  'a link that climbs through another': [
    { path: 'sub/up', type: 'SymbolicLink', linkpath: '..' },
    { path: 'out', type: 'SymbolicLink', linkpath: 'sub/up/../evil' },
  ],
  'the same, in the other order and another case': [
    { path: 'out', type: 'SymbolicLink', linkpath: 'SUB/UP/../evil' },
    { path: 'sub/up', type: 'SymbolicLink', linkpath: '..' },
  ],
  'a hard link outside': [{ path: 'h', type: 'Link', linkpath: '../secret' }],
  'a hard link to an absolute path': [{ path: 'h', type: 'Link', linkpath: '/etc/passwd' }],
  'a hard link to a link': [
    { path: 'l', type: 'SymbolicLink', linkpath: 'x' },
    { path: 'h', type: 'Link', linkpath: 'l' },
  ],
  'a hard link to what is not there': [{ path: 'h', type: 'Link', linkpath: 'none' }],
  'a character device': [{ path: 'null', type: 'CharacterDevice', devmaj: 1, devmin: 3 }],
  'a block device': [{ path: 'disk', type: 'BlockDevice', devmaj: 8, devmin: 0 }],
  'a named pipe': [{ path: 'pipe', type: 'FIFO' }],
  'a file twice': [
    { path: 'a', type: 'File' },
    { path: './a', type: 'File' },
  ],
  'a file behind a file': [
    { path: 'a', type: 'File' },
    { path: 'a/b', type: 'File' },
  ],
  'a directory over a file': [
    { path: 'a', type: 'File' },
    { path: 'a', type: 'Directory' },
  ],
  'the directory as a file': [{ path: '.', type: 'File' }],
};

for (const [name, entries] of Object.entries(HOSTILE)) {
  test(`refuses an archive with ${name}, and leaves nothing`, async (t) => {
    const at = await workspace(t);
    await writeFile(at('secret'), 'mine');
    const sealed = at('evil.tar.age');
    await encryptFile({
      input: streamOf(archive([{ path: 'first', type: 'File' }, ...entries])),
      output: sealed,
      recipients,
    });
    const unpacked = decryptDirectory({ input: sealed, output: at('copy'), identities });
    await rejects(unpacked, engineProblems.archive_refused, name);
    assert.deepEqual(await readdir(at('.')), ['evil.tar.age', 'secret']);
    assert.equal((await lstat(at('secret'))).nlink, 1);
  });
}

test('setuid and other special modes are not taken over', async (t) => {
  const at = await workspace(t);
  await unpackDirectory(at('copy'), streamOf(archive([{ path: 'suid', type: 'File', mode: 0o6777 }])));
  assert.equal((await stat(at('copy/suid'))).mode & 0o7000, 0);
});

test('archives of other tools are read: with the directory itself, without parents, compressed', async (t) => {
  const at = await workspace(t);
  await makeTree(at('tree'));
  await unpackDirectory(at('gnu'), streamOf(execFileSync('tar', ['-C', at('tree'), '-cf', '-', '.']), 1000));
  await unpackDirectory(at('gz'), streamOf(gzipSync(archive([{ path: 'deep/in/it', type: 'File' }])), 7));
  assert.deepEqual(
    (await readdir(at('gnu'), { recursive: true })).toSorted(),
    (await readdir(at('tree'), { recursive: true })).toSorted(),
  );
  assert.deepEqual(await readdir(at('gz/deep/in')), ['it']);
});

test('what is no archive, or half of one, leaves nothing', async (t) => {
  const at = await workspace(t);
  const whole = archive([{ path: 'a', type: 'File' }], randomBytes(3000));
  for (const content of [randomBytes(5000), whole.subarray(0, 2000), Buffer.from('hello'), Buffer.alloc(0)]) {
    await rejects(
      unpackDirectory(at('copy'), streamOf(content)),
      engineProblems.archive_malformed,
      `${content.length} bytes`,
    );
  }
  assert.deepEqual(await readdir(at('.')), []);
});

test('tampering behind the first files leaves nothing', async (t) => {
  const at = await workspace(t);
  await mkdir(at('tree'));
  for (const name of ['a', 'b', 'c']) await writeFile(at(`tree/${name}`), randomBytes(200_000));
  await encryptDirectory({ input: at('tree'), output: at('sealed'), recipients });
  const sealed = await readFile(at('sealed'));
  sealed[500_000] = (sealed[500_000] as number) ^ 1;
  await writeFile(at('sealed'), sealed);
  await rejects(
    decryptDirectory({ input: at('sealed'), output: at('copy'), identities }),
    cryptoProblems.tampered,
  );
  await writeFile(at('sealed'), sealed.subarray(0, 300_000));
  await rejects(
    decryptDirectory({ input: at('sealed'), output: at('copy'), identities }),
    cryptoProblems.tampered,
  );
  assert.deepEqual(await readdir(at('.')), ['sealed', 'tree']);
});

test('a directory that exists is kept, and an interruption leaves none', async (t) => {
  const at = await workspace(t);
  await mkdir(at('tree'));
  await writeFile(at('tree/a'), randomBytes(300_000));
  await encryptDirectory({ input: at('tree'), output: at('sealed'), recipients });
  await rejects(
    decryptDirectory({ input: at('sealed'), output: at('tree'), identities }),
    cryptoProblems.output_exists,
  );
  const stop = new AbortController();
  const sealed = await readFile(at('sealed'));
  async function* silent(): AsyncGenerator<Uint8Array> {
    yield sealed.subarray(0, 200_000);
    setImmediate(() => stop.abort(new Error('enough')));
    await new Promise(() => {});
  }
  const unpacked = decryptDirectory({ input: silent(), output: at('copy'), identities, signal: stop.signal });
  await assert.rejects(unpacked, /enough/);
  assert.deepEqual(await readdir(at('.')), ['sealed', 'tree']);
});

async function workspace(t: TestContext): Promise<(name: string) => string> {
  const directory = await temporaryDirectory(t);
  return (name) => join(directory, name);
}

async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, 'sub/deep'), { recursive: true });
  await writeFile(join(root, 'weights.bin'), randomBytes(100_000), { mode: 0o600 });
  await writeFile(join(root, '@odd name'), 'odd');
  await writeFile(join(root, 'sub/deep/模型'), randomBytes(513));
  await writeFile(join(root, 'sub/script.sh'), '#!/bin/sh\n');
  await chmod(join(root, 'sub/script.sh'), 0o755);
  await writeFile(join(root, 'sub/empty'), '');
  await symlink('../weights.bin', join(root, 'sub/latest'));
  await link(join(root, 'weights.bin'), join(root, 'sub/twin'));
  for (const name of ['weights.bin', '@odd name', 'sub/deep/模型', 'sub/script.sh', 'sub/empty'])
    await utimes(join(root, name), 1_600_000_000, 1_600_000_000);
}

/** A tar archive of entries that no honest tool writes. Each file has the same content. */
function archive(entries: readonly HeaderData[], content = Buffer.from('evil')): Buffer {
  const blocks = entries.flatMap((entry) => {
    const body = entry.type === 'File' ? content : Buffer.alloc(0);
    const header = new Header({ mode: 0o644, mtime: new Date(0), ...entry, size: body.length });
    header.encode();
    return [header.block as Buffer, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

async function rejects(
  promise: Promise<unknown>,
  definition: ProblemDefinition,
  name?: string,
): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isProblem(error, definition), `${name ?? ''} ${String(error)}`);
}

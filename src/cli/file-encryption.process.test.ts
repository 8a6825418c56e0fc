import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { generateIdentity } from '../crypto/age/keys.ts';

/** What signals and limits of the system do to a whole process: neither a temporary file nor an output may be left. */

const MAIN = join(import.meta.dirname, '..', 'main.ts');
const { identity, recipient } = generateIdentity();
/** Work for seconds, so that a signal comes in its middle. Sparse: it takes no room itself. */
const LARGE = 4 * 2 ** 30;

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  for (const jobs of ['1', '2']) {
    test(`${signal} in the middle of a file leaves nothing, with --jobs ${jobs}`, async (t) => {
      const at = await workspace(t);
      await using file = await open(at('plain'), 'wx');
      await file.truncate(LARGE);
      const child = start(['encrypt', '-r', recipient, '--jobs', jobs, '-o', at('sealed'), at('plain')]);
      const temporary = await written(at('.'), 2 ** 20);
      assert.equal((await stat(temporary)).mode & 0o777, 0o600);
      child.kill(signal);
      const { code, stderr } = await ended(child);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /modelkeep: error: interrupted/);
      assert.deepEqual(await readdir(at('.')), ['key', 'plain']);
    });
  }
}

test('SIGTERM while a pipe is read leaves nothing, whether in or out', async (t) => {
  const at = await workspace(t);
  const child = start(['encrypt', '-r', recipient, '-o', at('sealed')]);
  // Enough that threads are at work, and the pipe stays open.
  const piece = Buffer.alloc(2 ** 20, 'x');
  for (let sent = 0; sent < 20; sent++)
    if (!child.stdin?.write(piece)) await once(child.stdin as NodeJS.WritableStream, 'drain');
  await written(at('.'), 2 ** 23);
  child.kill('SIGTERM');
  assert.equal((await ended(child)).code, 1);
  assert.deepEqual(await readdir(at('.')), ['key']);
});

test('SIGTERM ends a process whose reader takes nothing', async (t) => {
  const at = await workspace(t);
  await using file = await open(at('plain'), 'wx');
  await file.truncate(LARGE);
  const child = start(['encrypt', '-r', recipient, at('plain')]);
  await once(child.stdout as NodeJS.ReadableStream, 'readable');
  child.kill('SIGTERM');
  // Nobody reads its output, so only its exit can be waited for.
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 1);
  assert.deepEqual(await readdir(at('.')), ['key', 'plain']);
});

test('a file that the shell opened for stdout is written behind what is in it', async (t) => {
  const at = await workspace(t);
  const content = randomBytes(12 * 2 ** 20);
  await writeFile(at('plain'), content);
  await writeFile(at('sealed'), 'before');
  const shell = (line: string): Promise<unknown> =>
    ended(spawn('sh', ['-c', line, process.execPath, MAIN, recipient], { cwd: at('.'), stdio: 'pipe' }));
  const done = { code: 0, stderr: '' };
  assert.deepEqual(await shell('cat plain | "$0" "$1" encrypt -r "$2" >> sealed'), done);
  assert.deepEqual(await shell('tail -c +7 sealed | "$0" "$1" decrypt -i key > opened'), done);
  assert.ok(content.equals(await readFile(at('opened'))));
});

test('what a slow pipe gave is seen before it gives more', async (t) => {
  const at = await workspace(t);
  const child = start(['encrypt', '-r', recipient]);
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => void pieces.push(piece));
  const seen = (): number => Buffer.concat(pieces).length;
  child.stdin?.write(randomBytes(3 * 65_536));
  // The third chunk could be the last one, so it is held.
  while (seen() < 2 * 65_536) await once(child.stdout as NodeJS.ReadableStream, 'data');
  assert.ok(seen() < 3 * 65_536);
  child.stdin?.end('x');
  assert.deepEqual(await ended(child), { code: 0, stderr: '' });
  assert.ok(seen() > 3 * 65_536);
  assert.deepEqual(await readdir(at('.')), ['key']);
});

test('a failure ends the process though its pipe stays open', async (t) => {
  const at = await workspace(t);
  const child = start(['decrypt', '-i', at('key')]);
  child.stdin?.write('this is no age file\n'.repeat(10_000));
  const { code, stderr } = await ended(child);
  assert.equal(code, 1);
  assert.match(stderr, /modelkeep: error/);
});

test('SIGTERM while a directory is unpacked leaves nothing', async (t) => {
  const at = await workspace(t);
  await mkdir(at('data'));
  await using file = await open(at('data/large'), 'wx');
  await file.truncate(2 ** 26);
  assert.equal((await ended(start(['encrypt', '-r', recipient, '-o', at('sealed'), at('data')]))).code, 0);
  const sealed = await readFile(at('sealed'));
  const child = start(['decrypt', '-i', at('key'), '-x', '-C', at('copy')]);
  child.stdin?.write(sealed.subarray(0, 2 ** 25));
  await written(at('.'), 2 ** 20, true);
  child.kill('SIGTERM');
  assert.equal((await ended(child)).code, 1);
  assert.deepEqual(await readdir(at('.')), ['data', 'key', 'sealed']);
});

test('a full disk leaves nothing, and says so', async (t) => {
  const at = await workspace(t);
  await writeFile(at('plain'), Buffer.alloc(12 * 2 ** 20));
  for (const jobs of ['1', '2']) {
    // A limit on the size of files fails as a full disk does: in the middle of a write, after a part of it.
    const child = start(
      ['encrypt', '-r', recipient, '--jobs', jobs, '-f', '-o', at('sealed'), at('plain')],
      9000,
    );
    const { code, stderr } = await ended(child);
    assert.equal(code, 1);
    assert.match(stderr, /sealed" cannot be written \(EFBIG\)/);
    assert.deepEqual(await readdir(at('.')), ['key', 'plain']);
  }
  await writeFile(at('sealed'), 'old');
  const child = start(['encrypt', '-r', recipient, '-f', '-o', at('sealed'), at('plain')], 9000);
  assert.equal((await ended(child)).code, 1);
  assert.equal(await readFile(at('sealed'), 'utf8'), 'old');
});

async function workspace(t: TestContext): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-process-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'key'), `${identity}\n`, { mode: 0o600 });
  return (name) => join(directory, name);
}

/** The command line, with files limited to so many KiB. */
function start(args: readonly string[], fileKibMax?: number): ChildProcess {
  const command = [process.execPath, MAIN, ...args] as const;
  const limited = ['bash', '-c', `ulimit -f ${fileKibMax}; exec "$@"`, 'bash', ...command] as const;
  const [file, ...rest] = fileKibMax === undefined ? command : limited;
  const child = spawn(file, rest, { stdio: 'pipe' });
  // It may end before it has read all that it is given.
  child.stdin.on('error', () => {});
  return child;
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = '';
  child.stderr?.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  child.stdout?.resume();
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

/** The temporary file (or one in a temporary directory), as soon as it holds `bytes`. */
async function written(directory: string, bytes: number, within = false): Promise<string> {
  for (;;) {
    for (const name of await readdir(directory, { recursive: within })) {
      if (!/^\..*\.tmp/.test(name)) continue;
      const path = join(directory, name);
      const stats = await stat(path).catch(() => undefined);
      if (stats?.isFile() === true && stats.size >= bytes) return path;
    }
    await setImmediate();
  }
}

import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { Command } from 'commander';
import { createManualClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { reportOf } from './failure.ts';
import { addEncryptionCommands } from './file-encryption.ts';
import type { EncryptionIo } from './file-encryption-transfer.ts';

test('keygen writes the file that age-keygen writes, readable by its owner alone', async (t) => {
  const { run, at } = await shell(t);
  const { stderr, stdout } = await run(['keygen', '-o', at('key.txt')]);
  const text = await readFile(at('key.txt'), 'utf8');
  assert.match(
    text,
    /^# created: 2026-01-01T00:00:00Z\n# public key: age1[a-z0-9]{58}\nAGE-SECRET-KEY-1[A-Z0-9]{58}\n$/,
  );
  assert.equal((await stat(at('key.txt'))).mode & 0o777, 0o600);
  const recipient = /age1\w+/.exec(text)?.[0];
  assert.equal(stderr, `Public key: ${recipient}\n`);
  assert.equal(stdout, '');
  assert.equal((await run(['keygen', '-y', at('key.txt')])).stdout, `${recipient}\n`);
  assert.match((await run(['keygen'])).stdout, /^# created: .*\n# public key: age1.*\nAGE-SECRET-KEY-1.*\n$/);
});

test('keygen never overwrites a key', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key.txt')]);
  const before = await readFile(at('key.txt'), 'utf8');
  assert.match((await fails(run, ['keygen', '-o', at('key.txt')])).message, /exists/);
  assert.equal(await readFile(at('key.txt'), 'utf8'), before);
});

test('a file goes to recipients given by -r, -R and -i, and each reads it', async (t) => {
  const { run, at } = await shell(t);
  const recipients: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    await run(['keygen', '-o', at(name)]);
    recipients.push((await run(['keygen', '-y', at(name)])).stdout.trim());
  }
  await writeFile(at('plain'), 'weights');
  await writeFile(at('team'), `# the team\n\n${recipients[1]}\r\n`);
  const to = ['-r', recipients[0] as string, '-R', at('team'), '-i', at('c')];
  await run(['encrypt', ...to, '-o', at('sealed'), at('plain')]);
  for (const name of ['a', 'b', 'c']) {
    assert.equal((await run(['decrypt', '-i', at(name), at('sealed')])).stdout, 'weights');
  }
  await run(['keygen', '-o', at('d')]);
  const other = await fails(run, ['decrypt', '-i', at('d'), '-o', at('out'), at('sealed')]);
  assert.equal(other.code, 'crypto.no_matching_key');
  assert.deepEqual(await readdir(at('.')), ['a', 'b', 'c', 'd', 'plain', 'sealed', 'team']);
});

test('pipes work, armored', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  const sealed = await run(['encrypt', '-i', at('key'), '-a'], { stdin: 'through a pipe' });
  assert.match(sealed.stdout, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  assert.equal((await run(['decrypt', '-i', at('key')], { stdin: sealed.stdout })).stdout, 'through a pipe');
  assert.equal(
    (await run(['decrypt', '-i', at('key'), '-'], { stdin: sealed.stdout })).stdout,
    'through a pipe',
  );
});

test('a passphrase comes from a private file or the terminal, asked twice when new', async (t) => {
  const { run, at } = await shell(t);
  await writeFile(at('pass'), 'horse\n', { mode: 0o600 });
  const sealed = await run(['encrypt', '--passphrase-file', at('pass'), '-a'], { stdin: 'x' });
  const opened = await run(['decrypt'], { stdin: sealed.stdout, answers: ['horse'] });
  assert.equal(opened.stdout, 'x');
  assert.deepEqual(opened.asked, ['passphrase']);
  const failed = await fails(run, ['decrypt'], { stdin: sealed.stdout, answers: ['cow'] });
  assert.equal(failed.message, 'the passphrase is wrong');
  assert.match((await fails(run, ['encrypt', '-p'], { stdin: 'x', answers: ['a', 'b'] })).message, /differ/);
  assert.match((await fails(run, ['encrypt', '-p'], { stdin: 'x', answers: [''] })).message, /empty/);
  assert.match((await fails(run, ['encrypt', '-p'], { stdin: 'x' })).hint ?? '', /--passphrase-file/);
  await chmod(at('pass'), 0o644);
  assert.match((await fails(run, ['decrypt', '--passphrase-file', at('pass')])).message, /other users/);
});

test('without a key, decrypt of a file for recipients says how to name one', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  const sealed = await run(['encrypt', '-i', at('key'), '-a'], { stdin: 'x' });
  const failed = await fails(run, ['decrypt'], { stdin: sealed.stdout, answers: [] });
  assert.match(failed.hint ?? '', /-i/);
});

test('binary data is not written to a terminal, text is', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  const refused = await fails(run, ['encrypt', '-i', at('key')], { stdin: 'x', terminal: true });
  assert.match(refused.hint ?? '', /-o.*-a/);
  const sealed = await run(['encrypt', '-i', at('key'), '-a'], { stdin: 'text\n', terminal: true });
  assert.equal(
    (await run(['decrypt', '-i', at('key')], { stdin: sealed.stdout, terminal: true })).stdout,
    'text\n',
  );
  const escape = await run(['encrypt', '-i', at('key'), '-a'], { stdin: '\u001b[2J' });
  assert.match(
    (await fails(run, ['decrypt', '-i', at('key')], { stdin: escape.stdout, terminal: true })).message,
    /binary/,
  );
});

test('an output that exists is kept until --force', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  await writeFile(at('out'), 'old');
  const args = ['encrypt', '-i', at('key'), '-o', at('out')];
  assert.match((await fails(run, args, { stdin: 'x' })).hint ?? '', /--force/);
  assert.equal(await readFile(at('out'), 'utf8'), 'old');
  await run([...args, '-f'], { stdin: 'x' });
  assert.notEqual(await readFile(at('out'), 'utf8'), 'old');
});

test('Fernet goes there and back, rotates keys, and obeys --ttl', async (t) => {
  const { run, at, clock } = await shell(t);
  await run(['keygen', '--fernet', '-o', at('old')]);
  await run(['keygen', '--fernet', '-o', at('new')]);
  const token = await run(['encrypt', '--fernet', '--key-file', at('old')], { stdin: 'small' });
  assert.match(token.stdout, /^gAAAAA[\w-]+={0,2}$/);
  await writeFile(at('both'), (await readFile(at('new'), 'utf8')) + (await readFile(at('old'), 'utf8')));
  const read = (...more: string[]) => ['decrypt', '--fernet', '--key-file', at('both'), ...more];
  assert.equal((await run(read(), { stdin: `${token.stdout}\n` })).stdout, 'small');
  clock.advance(61_000);
  assert.equal((await run(read('--ttl', '61'), { stdin: token.stdout })).stdout, 'small');
  assert.equal((await fails(run, read('--ttl', '60'), { stdin: token.stdout })).code, 'crypto.invalid_token');
  const wrong = ['decrypt', '--fernet', '--key-file', at('new'), '-o', at('out')];
  assert.equal((await fails(run, wrong, { stdin: token.stdout })).code, 'crypto.invalid_token');
  assert.deepEqual(await readdir(at('.')), ['both', 'new', 'old']);
});

test('wrong usage exits 2 and says what to do', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  await run(['keygen', '--fernet', '-o', at('fernet')]);
  for (const args of [
    ['encrypt'],
    ['encrypt', '-p', '-i', at('key')],
    ['encrypt', '-p', '--passphrase-file', at('key')],
    ['encrypt', '--fernet'],
    ['encrypt', '--fernet', '--key-file', at('fernet'), '-a'],
    ['encrypt', '--key-file', at('fernet'), '-i', at('key')],
    ['encrypt', '-i', '-'],
    ['decrypt', '-i', '-', '-'],
    ['decrypt', '--ttl', '5', '-i', at('key')],
    ['decrypt', '--fernet', '--key-file', at('fernet'), '--ttl', 'soon'],
    ['keygen', at('key')],
    ['keygen', '-y', '--fernet', at('key')],
    ['encrypt', '--passphrase=secret', '-r', 'x'],
  ]) {
    assert.equal((await fails(run, args, { stdin: '' })).exitCode, 2, args.join(' '));
  }
});

test('a bad key in a file is named by its line, and not quoted', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  const secret = /AGE-SECRET-KEY-\w+/.exec(await readFile(at('key'), 'utf8'))?.[0] as string;
  await writeFile(at('bad'), `# mine\n${secret.slice(0, -1)}\n`);
  const bad = await fails(run, ['decrypt', '-i', at('bad')], { stdin: '' });
  assert.match(bad.message, /bad, line 2: /);
  assert.ok(!bad.message.includes(secret.slice(20, 40)));
  const mixed = await fails(run, ['encrypt', '-r', secret], { stdin: '' });
  assert.ok(!mixed.message.includes(secret));
  const sealed = await run(['encrypt', '-i', at('key'), '-a'], { stdin: 'x' });
  await writeFile(at('locked'), sealed.stdout);
  assert.match(
    (await fails(run, ['decrypt', '-i', at('locked')], { stdin: '' })).message,
    /itself encrypted/,
  );
  await writeFile(at('empty'), '# nothing\n');
  assert.match((await fails(run, ['decrypt', '-i', at('empty')], { stdin: '' })).message, /no key/);
});

test('a bar on the terminal follows a large file, and none a small one', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  await writeFile(at('small'), 'x');
  await writeFile(at('large'), Buffer.alloc(9 * 1024 * 1024));
  const sealed = (name: string) => ['encrypt', '-i', at('key'), '-o', at(`${name}.age`), at(name)];
  assert.equal((await run(sealed('small'), { terminal: true })).stderr, '');
  const { stderr } = await run(sealed('large'), { terminal: true });
  assert.match(stderr, /100% of 9 MiB, \S+ MiB\/s, 0s left/);
  assert.ok((await stat(at('large.age'))).size > 9 * 1024 * 1024);
  const opened = ['decrypt', '-i', at('key'), '-o', at('copy'), at('large.age')];
  assert.match((await run(opened, { terminal: true })).stderr, /% of 10 MiB, /);
  await run([...opened, '-f']);
  assert.equal((await run([...opened, '-f'])).stderr, '', 'no bar where there is no terminal');
});

test('a directory is packed and encrypted, and unpacked into a new one', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  await mkdir(at('data/sub'), { recursive: true });
  await writeFile(at('data/a.csv'), '1,2');
  await writeFile(at('data/sub/b.csv'), '3,4');
  await run(['encrypt', '-i', at('key'), '-o', at('data.tar.age'), at('data')]);
  const unpack = ['decrypt', '-i', at('key'), '--extract', '-C', at('copy'), at('data.tar.age')];
  await run(unpack);
  assert.equal(await readFile(at('copy/sub/b.csv'), 'utf8'), '3,4');
  const again = await fails(run, unpack);
  assert.match(again.message, /exists/);
  assert.match(again.hint ?? '', /not there yet/);
  const sealed = await readFile(at('data.tar.age'));
  await run(['decrypt', '-i', at('key'), '-x', '-C', at('piped')], { input: Readable.from([sealed]) });
  assert.equal(await readFile(at('piped/a.csv'), 'utf8'), '1,2');
  for (const args of [
    ['decrypt', '-x', at('data.tar.age')],
    ['decrypt', '-x', '-C', '-', at('data.tar.age')],
    ['decrypt', '-C', at('x'), at('data.tar.age')],
    ['decrypt', '-x', '-C', at('x'), '-o', at('y'), at('data.tar.age')],
    ['decrypt', '-x', '-C', at('x'), '-f', at('data.tar.age')],
  ]) {
    const failed = await fails(run, args);
    assert.equal(failed.exitCode, 2, args.join(' '));
  }
  assert.deepEqual(await readdir(at('.')), ['copy', 'data', 'data.tar.age', 'key', 'piped']);
});

test('--jobs is a number of threads', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  await writeFile(at('large'), Buffer.alloc(9 * 1024 * 1024, 'x'));
  for (const jobs of ['1', '3']) {
    await run(['encrypt', '-i', at('key'), '--jobs', jobs, '-f', '-o', at('sealed'), at('large')]);
    await run(['decrypt', '-i', at('key'), '--jobs', jobs, '-f', '-o', at('copy'), at('sealed')]);
    assert.ok((await readFile(at('large'))).equals(await readFile(at('copy'))));
  }
  for (const jobs of ['0', '-1', 'many', '1.5', '1000']) {
    const args = ['encrypt', '-i', at('key'), `--jobs=${jobs}`, '-o', at('x'), at('large')];
    assert.equal((await fails(run, args)).exitCode, 2, jobs);
  }
});

test('a post-quantum key pair goes the same ways', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '--pq', '-o', at('key')]);
  assert.match(
    await readFile(at('key'), 'utf8'),
    /^# created: .*\n# public key: age1pq1\w+\nAGE-SECRET-KEY-PQ-1\w+\n$/,
  );
  const sealed = await run(['encrypt', '-i', at('key'), '-a'], { stdin: 'x' });
  assert.equal((await run(['decrypt', '-i', at('key')], { stdin: sealed.stdout })).stdout, 'x');
  for (const args of [
    ['keygen', '--pq', '--fernet'],
    ['keygen', '--pq', '-y', at('key')],
  ])
    assert.equal((await fails(run, args)).exitCode, 2);
});

test('an interruption leaves nothing', async (t) => {
  const { run, at } = await shell(t);
  await run(['keygen', '-o', at('key')]);
  const stop = new AbortController();
  async function* silent(): AsyncGenerator<Buffer> {
    yield Buffer.from('x');
    queueMicrotask(() => stop.abort('SIGTERM'));
    await new Promise(() => {});
  }
  const args = ['encrypt', '-i', at('key'), '-o', at('out')];
  const failed = await fails(run, args, { input: Readable.from(silent()), interrupted: stop.signal });
  assert.equal(failed.message, 'interrupted');
  assert.deepEqual(await readdir(at('.')), ['key']);
});

interface Typed {
  readonly stdin?: string;
  readonly input?: Readable;
  readonly answers?: readonly string[];
  readonly terminal?: boolean;
  readonly interrupted?: AbortSignal;
}

type Run = (
  args: readonly string[],
  typed?: Typed,
) => Promise<{ stdout: string; stderr: string; asked: string[] }>;

async function shell(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-encrypt-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const clock = createManualClock();
  const run: Run = async (args, { stdin = '', input, answers, terminal = false, interrupted } = {}) => {
    const out = sink();
    const err = sink(terminal);
    const asked: string[] = [];
    const left = [...(answers ?? [])];
    const io: EncryptionIo = {
      stdin: input ?? Readable.from([Buffer.from(stdin)]),
      stdout: out.stream,
      stderr: err.stream,
      stdoutIsTerminal: terminal,
      stderrIsTerminal: terminal,
      clock,
      interrupted: interrupted ?? new AbortController().signal,
      prompt: answers && {
        password(question) {
          asked.push(question);
          return Promise.resolve(new Secret(left.shift() ?? ''));
        },
        confirm: () => assert.fail('asked to confirm'),
      },
    };
    const program = new Command('modelkeep').exitOverride().configureOutput({ writeErr: () => {} });
    addEncryptionCommands(program, io);
    await program.parseAsync(args, { from: 'user' });
    return { stdout: out.text(), stderr: err.text(), asked };
  };
  return { run, clock, at: (name: string) => join(directory, name) };
}

async function fails(run: Run, args: readonly string[], typed: Typed = {}) {
  const error: unknown = await run(args, typed).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error !== undefined, `"${args.join(' ')}" did not fail`);
  return reportOf(error);
}

function sink(terminal = false) {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write(piece: Buffer, _, done) {
      pieces.push(Buffer.from(piece));
      done();
    },
  });
  // What the progress bar asks of a terminal.
  if (terminal) Object.assign(stream, { isTTY: true, columns: 100 });
  return { stream, text: () => Buffer.concat(pieces).toString() };
}

import assert from 'node:assert/strict';
import { chmod, copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { decryptStream, encryptStream } from '../crypto/age/age.ts';
import { generateIdentity } from '../crypto/age/keys.ts';
import { collect, streamOf } from '../crypto/testing.ts';
import { Secret } from '../kernel/secret.ts';
import { CliFailure } from './failure.ts';
import { readIdentities, readRecipients } from './key-files.ts';

const SSH = join(import.meta.dirname, '..', 'crypto', 'age', 'testdata', 'ssh');
const key = generateIdentity();
const hybrid = generateIdentity({ postQuantum: true });

test('identities of all kinds come from several files, in order', async (t) => {
  const { at, io } = await desk(t);
  await writeFile(at('native'), `# two\n${key.identity}\r\n${hybrid.identity}\n`, { mode: 0o600 });
  await secretCopy('ed25519', at('ssh'));
  const identities = await readIdentities([at('native'), at('ssh')], io());
  const line = await readFile(join(SSH, 'ed25519.pub'), 'utf8');
  assert.deepEqual(
    identities.map(({ recipient }) => recipient),
    [key.recipient, hybrid.recipient, line.split(' ').slice(0, 2).join(' ')],
  );
  for (const { identity, recipient } of identities) {
    const sealed = await collect(encryptStream(streamOf(Buffer.from('x')), { recipients: [recipient] }));
    const opened = await collect(decryptStream(streamOf(sealed), { identities: [identity.reveal()] }));
    assert.equal(opened.toString(), 'x');
  }
  assert.ok(!JSON.stringify(identities).includes(key.identity));
});

test('identities come from stdin', async (t) => {
  const { io } = await desk(t);
  const [only] = await readIdentities(['-'], io({ stdin: `${key.identity}\n` }));
  assert.equal(only?.recipient, key.recipient);
});

test('an identity file that others may read is refused, and told how to close it', async (t) => {
  const { at, io } = await desk(t);
  await writeFile(at('open'), key.identity);
  await secretCopy('ed25519', at('ssh'));
  for (const [name, mode] of [
    ['open', 0o644],
    ['open', 0o640],
    ['ssh', 0o604],
  ] as const) {
    await chmod(at(name), mode);
    await assert.rejects(
      readIdentities([at(name)], io()),
      (error) => error instanceof CliFailure && error.hint === `chmod 600 ${at(name)}`,
    );
  }
  await chmod(at('open'), 0o600);
  await symlink(at('open'), at('link'));
  assert.equal((await readIdentities([at('link')], io())).length, 1);
});

test('a file that a passphrase protects may lie open; the passphrase is asked for by the name of the file', async (t) => {
  const { at, io, asked } = await desk(t);
  const sealing = { passphrase: new Secret('correct horse'), workFactor: 5 };
  await writeFile(at('sealed'), await collect(encryptStream(streamOf(Buffer.from(key.identity)), sealing)));
  const [own] = await readIdentities([at('sealed')], io({ answers: ['correct horse'] }));
  assert.equal(own?.recipient, key.recipient);
  assert.deepEqual(asked, [`passphrase of ${at('sealed')}`]);
  await assert.rejects(
    readIdentities([at('sealed')], io({ answers: ['wrong'] })),
    /sealed: the passphrase is wrong$/,
  );
  await assert.rejects(readIdentities([at('sealed')], io()), /sealed is itself encrypted/);

  await copyFile(join(SSH, 'ed25519-locked'), at('ssh'));
  asked.length = 0;
  const locked = await readIdentities([at('ssh')], io({ answers: ['correct horse'] }));
  assert.deepEqual(asked, [], 'not before a file is addressed to it');
  const recipients = locked.map(({ recipient }) => recipient);
  const sealed = await collect(encryptStream(streamOf(Buffer.from('x')), { recipients }));
  const identities = locked.map(({ identity }) => identity.reveal());
  assert.equal((await collect(decryptStream(streamOf(sealed), { identities }))).toString(), 'x');
  assert.deepEqual(asked, [`passphrase of ${at('ssh')}`]);
});

test('recipients files warn of the SSH keys that they pass over', async (t) => {
  const { at, io, warnings } = await desk(t);
  const ssh = (name: string): Promise<string> => readFile(join(SSH, `${name}.pub`), 'utf8');
  await writeFile(at('team'), `${await ssh('ecdsa')}${await ssh('rsa')}${key.recipient}\n`);
  await writeFile(at('more'), hybrid.recipient);
  const recipients = await readRecipients([at('team'), at('more')], io());
  assert.deepEqual(recipients, [(await ssh('rsa')).trimEnd(), key.recipient, hybrid.recipient]);
  assert.equal(
    warnings(),
    `modelkeep: warning: ${at('team')}, line 1: an SSH key of type ecdsa-sha2-nistp256 cannot encrypt; passed over\n`,
  );
});

test('files that hold no usable key are named with the line, and not quoted', async (t) => {
  const { at, io } = await desk(t);
  await writeFile(at('bad'), `#\n${key.identity.slice(0, -1)}`, { mode: 0o600 });
  await writeFile(at('large'), Buffer.alloc(1024 * 1024 + 1, 0x23), { mode: 0o600 });
  for (const read of [readIdentities, readRecipients]) {
    await assert.rejects(
      read([at('bad')], io()),
      (error) =>
        error instanceof CliFailure &&
        /bad, line 2: /.test(error.message) &&
        !error.message.includes(key.identity.slice(20, 40)),
    );
    await assert.rejects(read([at('large')], io()), /large is too large for a file of keys/);
    await assert.rejects(read([at('missing')], io()), { code: 'ENOENT' });
  }
});

async function secretCopy(name: string, to: string): Promise<void> {
  // A checkout makes test data readable to all.
  await copyFile(join(SSH, name), to);
  await chmod(to, 0o600);
}

async function desk(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-keys-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const asked: string[] = [];
  const written: string[] = [];
  const stderr = new Writable({
    write(piece: Buffer, _, done) {
      written.push(piece.toString());
      done();
    },
  });
  const io = ({ stdin = '', answers }: { stdin?: string; answers?: readonly string[] } = {}) => {
    const left = [...(answers ?? [])];
    const prompt = answers && {
      password(question: string) {
        asked.push(question);
        return Promise.resolve(new Secret(left.shift() ?? ''));
      },
      confirm: () => assert.fail('asked to confirm'),
    };
    return { stdin: Readable.from([Buffer.from(stdin)]), stderr, prompt };
  };
  return { at: (name: string) => join(directory, name), io, asked, warnings: () => written.join('') };
}

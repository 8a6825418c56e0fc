import { execFileSync, spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import {
  access,
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity } from '../src/crypto/age/keys.ts';
import { type Cost, measureCommand } from './child-cost.ts';
import { run as runTokens } from './crypto-tokens.ts';
import { median } from './load.ts';
import type { BenchTable } from './table.ts';

const MIB = 2 ** 20;
const ROUNDS = 3;
const ROOT = join(import.meta.dirname, '..');

interface Tool {
  readonly name: string;
  /** What has to be there; nothing for our own. */
  readonly needs?: string;
  readonly encrypt: Command;
  readonly decrypt?: Command;
  /** A quarter of the file: it is slow, or holds all of it in memory. */
  readonly quarter?: boolean;
}

/** A command line that makes `to` from `from`. */
type Command = (from: string, to: string) => readonly string[];

/** Whole files through our command line and library, and through the tools that people would take otherwise. */
export async function run(): Promise<readonly BenchTable[]> {
  const mebibytes = Number(process.env['BENCH_CRYPTO_MIB'] ?? 1024);
  const [memory, place] = await findPlace(mebibytes);
  const directory = await mkdtemp(join(place, 'modelkeep-bench-'));
  try {
    return [await benchFiles(directory, mebibytes, memory), await runTokens()];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function benchFiles(directory: string, mebibytes: number, memory: boolean): Promise<BenchTable> {
  const at = (name: string): string => join(directory, name);
  await writeRandom(at('plain'), mebibytes);
  await writeRandom(at('quarter'), Math.ceil(mebibytes / 4));
  const all = await createTools(at);
  const tools = all.filter(({ needs }) => needs === undefined || installed(needs));
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const tool of tools) {
      const plain = at(tool.quarter === true ? 'quarter' : 'plain');
      const sealed = await timed(costs, `${tool.name} encrypt`, tool.encrypt, plain, at('sealed'));
      if (tool.decrypt) {
        const opened = await timed(costs, `${tool.name} decrypt`, tool.decrypt, sealed, at('opened'));
        if (round === 0) await mustBeEqual(plain, opened, tool.name);
        await rm(opened);
      }
      await rm(sealed);
    }
  }
  const rows = tools.map((tool) => rowOf(tool, costs, mebibytes));
  const missing = all.filter((tool) => !tools.includes(tool)).map(({ name }) => name);
  return {
    name: 'Files',
    note: [
      `${mebibytes} MiB of random bytes in ${memory ? 'memory (tmpfs)' : 'a temporary directory on disk'}; whole processes`,
      `from start to end, medians of ${ROUNDS} interleaved rounds. Rows marked * took a quarter of the file. × age is throughput`,
      'beside `age` of the same run, in a pipe beside `age` in a pipe; CPU seconds are user and system together. `openssl enc` does not authenticate.',
      missing.length === 0 ? '' : `Not installed: ${missing.join(', ')}.`,
    ]
      .join(' ')
      .trim(),
    columns: [
      'tool',
      'encrypt MiB/s',
      '× age',
      'decrypt MiB/s',
      '× age',
      'CPU s/GiB encrypt',
      'decrypt',
      'peak MiB',
    ],
    rows,
  };
}

/** The tools, ours built as it is published. */
async function createTools(at: (name: string) => string): Promise<readonly Tool[]> {
  const { identity, recipient } = generateIdentity();
  await writeFile(at('key'), `${identity}\n`, { mode: 0o600 });
  await writeFile(at('passphrase'), `${randomBytes(16).toString('hex')}\n`, { mode: 0o600 });
  await mkdir(at('gnupg'), { mode: 0o700 });
  const built = await build();
  const main = [process.execPath, join(built, 'main.js')];
  const library = [process.execPath, join(import.meta.dirname, 'crypto-library.ts')];
  const piped = (command: readonly string[]): Command => {
    const quoted = command.map((part) => `'${part}'`).join(' ');
    return (from, to) => ['sh', '-c', `cat '${from}' | ${quoted} > '${to}'`];
  };
  const openssl = (...more: readonly string[]): Command => {
    const options = ['enc', '-aes-256-ctr', '-pbkdf2', '-pass', `file:${at('passphrase')}`, ...more];
    return (from, to) => ['openssl', ...options, '-in', from, '-out', to];
  };
  const gpg = ['gpg', '--homedir', at('gnupg'), '--batch', '--quiet', '--yes', '--pinentry-mode', 'loopback'];
  const withPassphrase = [...gpg, '--passphrase-file', at('passphrase')];
  return [
    {
      name: 'modelkeep',
      encrypt: (from, to) => [...main, 'encrypt', '-r', recipient, '-o', to, from],
      decrypt: (from, to) => [...main, 'decrypt', '-i', at('key'), '-o', to, from],
    },
    {
      name: 'modelkeep --jobs 1',
      encrypt: (from, to) => [...main, 'encrypt', '--jobs', '1', '-r', recipient, '-o', to, from],
      decrypt: (from, to) => [...main, 'decrypt', '--jobs', '1', '-i', at('key'), '-o', to, from],
    },
    {
      name: 'modelkeep in a pipe',
      encrypt: piped([...main, 'encrypt', '-r', recipient]),
      decrypt: piped([...main, 'decrypt', '-i', at('key')]),
    },
    {
      name: 'modelkeep/crypto, without start',
      encrypt: (from, to) => [
        ...library,
        'modelkeep',
        'encrypt',
        join(built, 'crypto/library.js'),
        recipient,
        from,
        to,
      ],
      decrypt: (from, to) => [
        ...library,
        'modelkeep',
        'decrypt',
        join(built, 'crypto/library.js'),
        identity,
        from,
        to,
      ],
    },
    {
      name: 'age',
      needs: 'age',
      encrypt: (from, to) => ['age', '-r', recipient, '-o', to, from],
      decrypt: (from, to) => ['age', '-d', '-i', at('key'), '-o', to, from],
    },
    {
      name: 'age in a pipe',
      needs: 'age',
      encrypt: piped(['age', '-r', recipient]),
      decrypt: piped(['age', '-d', '-i', at('key')]),
    },
    {
      name: 'age-encryption (npm), without start *',
      quarter: true,
      encrypt: (from, to) => [...library, 'typage', 'encrypt', 'age-encryption', recipient, from, to],
      decrypt: (from, to) => [...library, 'typage', 'decrypt', 'age-encryption', identity, from, to],
    },
    {
      name: 'Python cryptography, Fernet *',
      needs: 'python3 -c "import cryptography"',
      quarter: true,
      encrypt: (from, to) => ['python3', '-c', PYTHON, 'encrypt', FERNET_KEY, from, to],
      decrypt: (from, to) => ['python3', '-c', PYTHON, 'decrypt', FERNET_KEY, from, to],
    },
    { name: 'openssl enc -aes-256-ctr', needs: 'openssl', encrypt: openssl(), decrypt: openssl('-d') },
    {
      name: 'gpg -c, AES256, uncompressed *',
      needs: 'gpg',
      quarter: true,
      encrypt: (from, to) => [
        ...withPassphrase,
        '--cipher-algo',
        'AES256',
        '--compress-algo',
        'none',
        '-o',
        to,
        '-c',
        from,
      ],
      decrypt: (from, to) => [...withPassphrase, '-o', to, '-d', from],
    },
    { name: 'cp', needs: 'cp', encrypt: (from, to) => ['cp', from, to] },
  ];
}

const FERNET_KEY = Buffer.alloc(32, 'fernet').toString('base64url') + '=';
const PYTHON = `
import sys
from cryptography.fernet import Fernet
verb, key, source, target = sys.argv[1:]
open(target, "wb").write(getattr(Fernet(key), verb)(open(source, "rb").read()))
`;

async function timed(
  costs: Map<string, Cost[]>,
  name: string,
  command: Command,
  from: string,
  to: string,
): Promise<string> {
  const list = costs.get(name) ?? [];
  costs.set(name, list);
  list.push(await measureCommand(command(from, to)));
  return to;
}

function rowOf(tool: Tool, costs: ReadonlyMap<string, readonly Cost[]>, mebibytes: number): string[] {
  const of = (name: string, pick: (cost: Cost) => number): number =>
    median((costs.get(name) ?? []).map(pick));
  const size = tool.quarter === true ? Math.ceil(mebibytes / 4) : mebibytes;
  const rate = (verb: string): number => size / of(`${tool.name} ${verb}`, ({ seconds }) => seconds);
  const ofAge = (verb: string): string => {
    // Like beside like: what a pipe costs, it costs every tool.
    const peer = tool.name.endsWith('in a pipe') ? 'age in a pipe' : 'age';
    const age = mebibytes / of(`${peer} ${verb}`, ({ seconds }) => seconds);
    return Number.isFinite(age) ? (rate(verb) / age).toFixed(2) : '';
  };
  const cpu = (verb: string): string =>
    ((of(`${tool.name} ${verb}`, ({ cpuSeconds }) => cpuSeconds) * 1024) / size).toFixed(2);
  const peak = Math.max(
    ...['encrypt', 'decrypt'].map((verb) =>
      Math.max(0, ...(costs.get(`${tool.name} ${verb}`) ?? []).map(({ peakMib }) => peakMib)),
    ),
  );
  const decrypts = tool.decrypt !== undefined;
  return [
    tool.name,
    rate('encrypt').toFixed(0),
    ofAge('encrypt'),
    decrypts ? rate('decrypt').toFixed(0) : '',
    decrypts ? ofAge('decrypt') : '',
    cpu('encrypt'),
    decrypts ? cpu('decrypt') : '',
    peak.toFixed(0),
  ];
}

/** Compiled beside the packages it needs, without touching dist/. */
async function build(): Promise<string> {
  const cache = join(ROOT, 'node_modules', '.cache', 'bench-crypto');
  await rm(cache, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const outDir = join(cache, 'dist');
  execFileSync(
    process.execPath,
    [compiler, '-p', 'tsconfig.build.json', '--noCheck', '--declaration', 'false', '--outDir', outDir],
    {
      cwd: ROOT,
      stdio: 'inherit',
    },
  );
  // The command line reads its version there.
  await copyFile(join(ROOT, 'package.json'), join(cache, 'package.json'));
  return outDir;
}

/** Memory, where there is room for three copies; it measures the tools and not the disk. */
async function findPlace(mebibytes: number): Promise<readonly [boolean, string]> {
  const memory = '/dev/shm';
  const facts = await statfs(memory).catch(() => undefined);
  return facts !== undefined && facts.bavail * facts.bsize > 4 * mebibytes * MIB
    ? [true, memory]
    : [false, tmpdir()];
}

function installed(needs: string): boolean {
  const command = needs.includes(' ') ? needs : `command -v ${needs}`;
  return spawnSync('sh', ['-c', command], { stdio: 'ignore' }).status === 0;
}

async function writeRandom(path: string, mebibytes: number): Promise<void> {
  await writeFile(path, '');
  for (let written = 0; written < mebibytes; written += 64)
    await appendFile(path, randomBytes(Math.min(64, mebibytes - written) * MIB));
}

/** A tool that is fast and wrong is not measured. */
async function mustBeEqual(a: string, b: string, name: string): Promise<void> {
  await access(b);
  const [one, two] = [createReadStream(a)[Symbol.asyncIterator](), await open(b)];
  try {
    const sizes = [(await stat(a)).size, (await stat(b)).size];
    let equal = sizes[0] === sizes[1];
    for (let step = await one.next(); step.done !== true && equal; step = await one.next()) {
      const piece = step.value as Buffer;
      const { buffer } = await two.read(Buffer.alloc(piece.length), 0, piece.length);
      equal = piece.equals(buffer);
    }
    if (!equal) throw new Error(`${name} did not give back what it was given`);
  } finally {
    await two.close();
  }
}

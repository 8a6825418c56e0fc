import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createFernet, generateFernetKey } from '../src/crypto/fernet/fernet.ts';
import { median } from './load.ts';
import type { BenchTable } from './table.ts';

const BYTES = 100;
const CALLS = 20_000;
const ROUNDS = 5;

interface Peer {
  readonly name: string;
  /** Tokens per second made and read, in one round. Undefined if it is not installed. */
  rates(): Promise<readonly [number, number] | undefined>;
}

/** Small Fernet tokens, one after the other on one thread. */
export async function run(): Promise<BenchTable> {
  fetchPeers();
  const key = generateFernetKey();
  const text = 'x'.repeat(BYTES);
  const peers: readonly Peer[] = [ours(), fernetNodejs(), fernet(), python()];
  const found = new Map<Peer, (readonly [number, number])[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const peer of peers) {
      const rates = await peer.rates();
      if (rates) found.set(peer, [...(found.get(peer) ?? []), rates]);
    }
  }
  const missing = peers.filter((peer) => !found.has(peer)).map(({ name }) => name);
  return {
    name: 'Fernet tokens',
    note: [
      `${BYTES} bytes of plaintext, one thread, medians of ${ROUNDS} interleaved rounds of ${CALLS} calls.`,
      missing.length === 0 ? '' : `Not installed: ${missing.join(', ')}.`,
    ]
      .join(' ')
      .trim(),
    columns: ['implementation', 'made/s', 'read/s'],
    rows: [...found].map(([{ name }, rates]) => [
      name,
      ...[0, 1].map((at) =>
        Math.round(median(rates.map((pair) => pair[at] ?? Number.NaN))).toLocaleString('en'),
      ),
    ]),
  };

  function ours(): Peer {
    const tokens = createFernet({ keys: [key] });
    const plaintext = Buffer.from(text);
    const token = tokens.encrypt(plaintext);
    const rates = [() => tokens.encrypt(plaintext), () => tokens.decrypt(token)] as const;
    return { name: 'modelkeep', rates: async () => [await perSecond(rates[0]), await perSecond(rates[1])] };
  }

  function fernet(): Peer {
    return {
      name: 'fernet (npm)',
      async rates() {
        const module = (await optional('fernet')) as FernetModule | undefined;
        if (!module) return undefined;
        const { Secret, Token } = module.default;
        const secret = new Secret(key.reveal());
        const token = new Token({ secret }).encode(text);
        return [
          await perSecond(() => new Token({ secret }).encode(text)),
          await perSecond(() => new Token({ secret, token, ttl: 0 }).decode()),
        ];
      },
    };
  }

  function fernetNodejs(): Peer {
    return {
      name: 'fernet-nodejs (npm)',
      async rates() {
        const module = (await optional('fernet-nodejs')) as FernetNodejsModule | undefined;
        if (!module) return undefined;
        const { Fernet } = module.default;
        const token = Fernet.encrypt(text, key.reveal());
        return [
          await perSecond(() => Fernet.encrypt(text, key.reveal())),
          await perSecond(() => Fernet.decrypt(token, key.reveal())),
        ];
      },
    };
  }

  function python(): Peer {
    const present = spawnSync('python3', ['-c', 'import cryptography']).status === 0;
    return {
      name: 'Python cryptography',
      async rates() {
        if (!present) return undefined;
        const output = execFileSync('python3', ['-c', PYTHON, key.reveal(), text, String(CALLS)]).toString();
        const [made = Number.NaN, read = Number.NaN] = output.trim().split(' ').map(Number);
        return [made, read];
      },
    };
  }
}

interface FernetModule {
  readonly default: {
    readonly Secret: new (key: string) => object;
    readonly Token: new (options: object) => { encode(text: string): string; decode(): string };
  };
}

interface FernetNodejsModule {
  readonly default: {
    readonly Fernet: {
      encrypt(text: string, key: string): string;
      decrypt(token: string, key: string): string;
    };
  };
}

const PYTHON = `
import sys, time
from cryptography.fernet import Fernet
key, text, calls = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
fernet = Fernet(key)
token = fernet.encrypt(text)
def rate(work):
    start = time.perf_counter()
    for _ in range(calls): work()
    return calls / (time.perf_counter() - start)
print(rate(lambda: fernet.encrypt(text)), rate(lambda: fernet.decrypt(token)))
`;

async function perSecond(work: () => unknown): Promise<number> {
  const started = performance.now();
  for (let call = 0; call < CALLS; call++) work();
  return (CALLS * 1000) / (performance.now() - started);
}

/** Peers are fetched for the bench alone: they are old, and nothing here depends on them. */
const PEERS = join(import.meta.dirname, '..', 'node_modules', '.cache', 'bench-peers');

function fetchPeers(): void {
  mkdirSync(PEERS, { recursive: true });
  const packages = ['fernet@0.4.0', 'fernet-nodejs@1.0.6'];
  spawnSync('npm', [
    'install',
    '--prefix',
    PEERS,
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    ...packages,
  ]);
}

/** A package that may not be there: its registry was out of reach. */
async function optional(name: string): Promise<unknown> {
  try {
    const path = createRequire(join(PEERS, 'package.json')).resolve(name);
    return await import(pathToFileURL(path).href);
  } catch {
    return undefined;
  }
}

import { createMemoryStore as createAccessStore } from '../src/access/memory-store.ts';
import { createAccessControl } from '../src/access/service.ts';
import { createSecretKey, randomBytes } from 'node:crypto';
import type { KeyRing } from '../src/crypto/ring/key-ring.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { Secret } from '../src/kernel/secret.ts';
import { createMemoryStore } from '../src/identity/memory-store.ts';
import { createIdentity } from '../src/identity/service.ts';
import type { BenchTable } from './table.ts';

const KEYS = 10_000;
const CALLS = 100_000;
const HASHES = 40;
const SOURCE = { address: '192.0.2.1' };
const OWNER = {
  principal: { kind: 'local', id: 'local:bench', name: 'bench', groups: [] },
  credential: { kind: 'local', id: 'local:bench' },
} as const;

/**
 * What it costs to know who calls: with an API key, with a password seen before, and with a password at first sight; and
 * to know besides that the caller may.
 */
export async function run(): Promise<BenchTable> {
  const access = await createAccessControl({
    store: createAccessStore(),
    clock: systemClock,
    resolveSubject: async (reference) => identity.resolveSubject(reference),
  });
  const identity = await createIdentity({
    store: createMemoryStore(),
    keyRing: createRing(),
    clock: systemClock,
    groupsOf: (principalId) => access.groupsOf(principalId),
    grantAdmin: async () => {},
  });
  const password = 'violet tubas at noon';
  await identity.users.create({ name: 'ada', password: new Secret(password) });
  const robot = await identity.serviceAccounts.create({ name: 'robot' });
  await access.bindings.create(OWNER, {
    subject: robot.id,
    role: 'consumer',
    scope: '/projects/default',
    effect: 'allow',
    notBefore: null,
    expiresAt: null,
    reason: '',
  });
  const keys: string[] = [];
  for (let i = 0; i < KEYS; i++) {
    const { text } = await identity.apiKeys.create({ owner: 'service-account:robot' }, 'usr_bench');
    keys.push(`Bearer ${text.reveal()}`);
  }
  const basic = `Basic ${Buffer.from(`ada:${password}`).toString('base64')}`;
  const authenticate = (header: string | undefined, source: { address: string }) =>
    identity.authenticator.authenticate(header, source);

  const byKey = await microseconds(CALLS, (i) => authenticate(keys[i % KEYS], SOURCE));
  const allowed = await microseconds(CALLS, async (i) => {
    access.require(
      await authenticate(keys[i % KEYS], SOURCE),
      'model.invoke',
      '/projects/default/models/iris',
    );
  });
  const first = await microseconds(HASHES, (i) => authenticate(basic, { address: `198.51.100.${i}` }));
  const again = await microseconds(CALLS, () => authenticate(basic, { address: '198.51.100.0' }));
  await identity.close();

  const row = (what: string, us: number): string[] => [
    what,
    us < 100 ? us.toFixed(2) : us.toFixed(0),
    Math.round(1e6 / us).toLocaleString('en'),
    us === first ? '1' : Math.round(first / us).toLocaleString('en'),
  ];
  return {
    name: 'authenticate',
    note: `one caller at a time, ${KEYS.toLocaleString('en')} keys; the last column compares with hashing the password (argon2id, 19 MiB)`,
    columns: ['credential', 'µs', 'per second', 'times as fast'],
    rows: [
      row('API key', byKey),
      row('API key, and the right to invoke a model', allowed),
      row('Basic, password verified before', again),
      row('Basic, password at first sight', first),
    ],
  };
}

/** Mean time of a call, after a warm-up of a tenth of them at other inputs' cost. */
async function microseconds(calls: number, call: (i: number) => Promise<unknown>): Promise<number> {
  for (let i = 0; i < calls / 10; i++) await call(i);
  const started = performance.now();
  for (let i = 0; i < calls; i++) await call(i + calls / 10);
  return ((performance.now() - started) * 1000) / calls;
}

function createRing(): Pick<KeyRing, 'ensure' | 'list' | 'macKey'> {
  const key = createSecretKey(randomBytes(32));
  return { ensure: async () => {}, list: () => [], macKey: () => ({ version: 1, key }) };
}

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { decodeProtectedHeader } from 'jose';
import { ringProblems } from '../crypto/ring/problems.ts';
import { createSealKeySet } from '../crypto/values/seal-key-set.ts';
import { createSealedValues } from '../crypto/values/sealed-values.ts';
import { startServer } from '../http/server.harness.ts';
import { Secret } from '../kernel/secret.ts';
import { createEncryptionRoutes } from './encryption-routes.ts';
import { createEncryptionService, type EncryptionRing, ITEM_BYTES_MAX } from './encryption-service.ts';

const keys = ['a', 'b'].flatMap((name) =>
  [1, 2, 3].map((version) => ({ name, version, key: new Secret<Uint8Array>(randomBytes(32)) })),
);

/** A ring of two keys for values, `a` and `b`, and one that is not for values; versions above `active` do not exist yet. */
function createRing() {
  const states = new Map<number, string>([[1, 'active']]);
  const state = { active: 1, withheld: 0, broken: false };
  const ring: EncryptionRing = {
    find(name) {
      if (name === 'signing') return { purpose: 'sign', versions: [{ version: 1, state: 'active' }] };
      if (!keys.some((key) => key.name === name)) return undefined;
      return {
        purpose: 'seal',
        versions: [...states].map(([version, held]) => ({ version, state: held })),
      };
    },
    sealKey(name, version = state.active, use = {}) {
      if (state.broken) throw new TypeError('the ring is closed');
      if (version === state.withheld && use.compromised !== true)
        throw ringProblems.key_compromised('the version is compromised');
      return createSealKeySet(keys.filter((key) => key.version <= state.active)).sealKey(name, version);
    },
  };
  const rotate = (): void => {
    states.set(state.active, 'decrypt-only');
    state.active++;
    states.set(state.active, 'active');
  };
  return { ring, state, rotate };
}

interface Answer {
  readonly status: number;
  readonly code?: string;
  readonly failed?: number;
  readonly items: readonly {
    readonly ciphertext?: string;
    readonly plaintext?: string;
    readonly error?: string;
  }[];
}

async function open(t: TestContext) {
  const held = createRing();
  const encryption = createEncryptionService({ ring: held.ring });
  const server = await startServer(t, {
    extra: createEncryptionRoutes({ encryption }),
  });
  const send = async (path: string, body: unknown, as = 'ada'): Promise<Answer> => {
    const response = await server.fetch(`/api/v1/keys/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      as,
    });
    return { ...((await response.json()) as Omit<Answer, 'status'>), status: response.status };
  };
  const encrypt = async (key: string, items: readonly (readonly [string, string])[]) => {
    const answer = await send(`${key}/encrypt`, {
      items: items.map(([text, aad]) => ({ plaintext: Buffer.from(text).toString('base64'), aad })),
    });
    assert.equal(answer.status, 200);
    return answer.items.map(({ ciphertext = '' }, index) => ({ ciphertext, aad: items[index]?.[1] ?? '' }));
  };
  return { ...held, ...server, send, encrypt };
}

test('a batch goes there and back, and what comes out is a JWE that names its key and its use', async (t) => {
  const { send, encrypt } = await open(t);
  const texts = ['DE02 1203 0000 0000 2020 51', '', 'naïve ✓'];
  const sealed = await encrypt(
    'a',
    texts.map((text, index) => [text, `customers/${index}/iban`] as const),
  );
  assert.deepEqual(decodeProtectedHeader(sealed[0]?.ciphertext ?? ''), {
    alg: 'dir',
    enc: 'A256GCM',
    kid: 'a.1',
    path: 'customers/0/iban',
    typ: 'modelkeep-item',
  });
  const opened = await send('a/decrypt', { items: sealed });
  assert.deepEqual(opened, {
    status: 200,
    failed: 0,
    items: texts.map((text) => ({ plaintext: Buffer.from(text).toString('base64') })),
  });
});

test('items that do not open do not say why, and do not fail the others', async (t) => {
  const { send, encrypt, ring, state } = await open(t);
  const [good, row] = await encrypt('a', [
    ['x', 'row/1'],
    ['y', 'row/2'],
  ]);
  const [foreign] = await encrypt('b', [['x', 'row/1']]);
  assert.ok(good && row && foreign);
  const stored = await createSealedValues({ ring }).seal('a', 'row/1', Buffer.from('a stored secret'));
  const bad = [
    { ...good, aad: 'row/2' },
    { ...row, aad: 'row/1' },
    foreign,
    { ciphertext: stored, aad: 'row/1' },
    { ciphertext: `${good.ciphertext.slice(0, -2)}AA`, aad: 'row/1' },
    { ciphertext: good.ciphertext.replace('.', '.AAAA'), aad: 'row/1' },
    { ciphertext: '', aad: 'row/1' },
    { ciphertext: 'eyJhbGciOiJub25lIn0....', aad: 'row/1' },
  ];
  const refusals = bad.map(() => ({ error: 'crypto.invalid_value' }));
  const opened = await send('a/decrypt', { items: [...bad, good] });
  assert.deepEqual(opened, {
    status: 200,
    failed: bad.length,
    items: [...refusals, { plaintext: Buffer.from('x').toString('base64') }],
  });
  const rewrapped = await send('a/rewrap', { items: [...bad, good] });
  assert.deepEqual(rewrapped, {
    status: 200,
    failed: bad.length,
    items: [...refusals, { ciphertext: good.ciphertext }],
  });
  state.withheld = 1;
  const withheld = await send('a/decrypt', { items: [good] });
  assert.deepEqual(withheld.items, [{ error: 'crypto.invalid_value' }]);
});

test('rewrapping moves items to the active version, shows no plaintext, and leaves what is there alone', async (t) => {
  const { send, encrypt, rotate, state } = await open(t);
  const old = await encrypt('a', [
    ['first', '1'],
    ['second', '2'],
  ]);
  rotate();
  const [fresh] = await encrypt('a', [['third', '3']]);
  // A compromised version opens nothing, but what lies under it must be able to leave.
  state.withheld = 1;
  const { items, failed } = await send('a/rewrap', { items: [...old, fresh] });
  assert.equal(failed, 0);
  assert.deepEqual(
    items.map(({ ciphertext = '' }) => decodeProtectedHeader(ciphertext)['kid']),
    ['a.2', 'a.2', 'a.2'],
  );
  assert.deepEqual(items[2], { ciphertext: fresh?.ciphertext });
  assert.ok(items.every((item) => Object.keys(item).join() === 'ciphertext'));
  const moved = items.map(({ ciphertext }, index) => ({ ciphertext, aad: String(index + 1) }));
  const opened = await send('a/decrypt', { items: moved });
  assert.deepEqual(
    opened.items.map(({ plaintext = '' }) => Buffer.from(plaintext, 'base64').toString()),
    ['first', 'second', 'third'],
  );
});

test('every request is an entry with key, versions and counts, and nothing of what was encrypted', async (t) => {
  const { send, encrypt, rotate, gate, lines } = await open(t);
  const text = 'hunter2hunter2';
  const sealed = await encrypt('a', [[text, 'customers/42/pin']]);
  rotate();
  const fresh = await encrypt('a', [[text, 'customers/43/pin']]);
  await send('a/decrypt', { items: [...sealed, ...fresh, { ciphertext: 'x', aad: 'y' }] });
  await send('a/rewrap', { items: [...sealed, ...fresh] });
  await send('a/decrypt', { items: [] });
  await send('gone/encrypt', { items: [{ plaintext: '', aad: 'y' }] });
  assert.deepEqual(
    gate.records.map(({ attempt, outcome }) => ({
      action: attempt.action,
      resource: attempt.resource,
      permission: attempt.permission,
      reason: outcome.reason,
      facts: outcome.facts,
    })),
    [
      ['key.encrypt', 'a', 'allowed', { key: 'a', items: 1, version: '1', failed: 0 }],
      ['key.encrypt', 'a', 'allowed', { key: 'a', items: 1, version: '2', failed: 0 }],
      ['key.decrypt', 'a', 'allowed', { key: 'a', items: 3, version: '1,2', failed: 1 }],
      ['key.rewrap', 'a', 'allowed', { key: 'a', items: 2, version: '2', failed: 0 }],
      ['key.decrypt', 'a', 'http.invalid', undefined],
      ['key.encrypt', 'gone', 'keys.no_seal_key', { key: 'gone', items: 1 }],
    ].map(([action, key, reason, detail]) => ({
      action,
      resource: `/keys/${key as string}`,
      permission: 'key.use',
      reason,
      facts: detail === undefined ? {} : { detail },
    })),
  );
  // No effect on the database, so no entry of phase start.
  assert.ok(gate.events.every(({ kind }) => kind !== 'begin'));
  const everything = JSON.stringify([gate.events, lines]);
  for (const secret of [text, Buffer.from(text).toString('base64'), 'customers/42'])
    assert.ok(!everything.includes(secret), secret);
});

test('whoever may not use the key learns nothing, not even whether it exists', async (t) => {
  const { send, handled, gate } = await open(t);
  const bodies = await Promise.all(
    ['a', 'gone', 'signing'].flatMap((key) =>
      ['encrypt', 'decrypt', 'rewrap'].map(async (verb) => {
        const answer = await send(`${key}/${verb}`, { items: 'wrong' }, 'nobody');
        return [answer.status, answer.code];
      }),
    ),
  );
  assert.deepEqual(new Set(bodies.map((body) => JSON.stringify(body))), new Set(['[403,"test.denied"]']));
  assert.deepEqual(handled, []);
  assert.equal(gate.records.length, 9);
});

test('a key of another purpose is not lent out, and a name that is none is refused', async (t) => {
  const { send } = await open(t);
  const items = [{ plaintext: '', aad: 'x', ciphertext: undefined }];
  for (const key of ['signing', 'gone']) {
    const answer = await send(`${key}/encrypt`, { items });
    assert.deepEqual([answer.status, answer.code], [404, 'keys.no_seal_key']);
    const decrypted = await send(`${key}/decrypt`, { items: [{ ciphertext: 'x', aad: 'x' }] });
    assert.deepEqual([decrypted.status, decrypted.code], [404, 'keys.no_seal_key']);
  }
  for (const key of ['A', 'a.1', '-a'])
    assert.equal((await send(`${key}/encrypt`, { items })).status, 422, key);
});

test('a request that is not as it should be is refused, and its plaintext is not quoted', async (t) => {
  const { send } = await open(t);
  const item = { plaintext: 'aHVudGVyMg==', aad: 'x' };
  const bodies: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['no items', { items: [] }],
    ['257 items', { items: times(257, item) }],
    ['no aad', { items: [{ plaintext: item.plaintext }] }],
    ['an empty aad', { items: [{ ...item, aad: '' }] }],
    ['an aad of 513 characters', { items: [{ ...item, aad: 'x'.repeat(513) }] }],
    ['a member too many', { items: [{ ...item, key: 'b' }] }],
    ['another member beside the items', { items: [item], key: 'b' }],
    ['text that is not base64', { items: [{ ...item, plaintext: 'hunter2!' }] }],
    ['base64 without padding', { items: [{ ...item, plaintext: 'aHVudGVyMg' }] }],
    ['base64 with unused bits', { items: [{ ...item, plaintext: 'aHVudGVyMh==' }] }],
    ['base64url', { items: [{ ...item, plaintext: '_-8=' }] }],
    ['a number', { items: [{ ...item, plaintext: 7 }] }],
    ['a byte too many', { items: [{ ...item, plaintext: base64Of(ITEM_BYTES_MAX + 1) }] }],
  ];
  for (const [what, body] of bodies) {
    const answer = await send('a/encrypt', body);
    assert.equal(answer.status, 422, what);
    assert.equal(answer.code, 'http.invalid', what);
    assert.ok(!/hunter2|aHVudGVy/.test(JSON.stringify(answer)), what);
  }
});

test('a batch may hold 8 MiB and no byte more, in items of 1 MiB', async (t) => {
  const { send } = await open(t);
  const full = { plaintext: base64Of(ITEM_BYTES_MAX), aad: 'x' };
  const sealed = await send('a/encrypt', { items: times(8, full) });
  assert.equal(sealed.status, 200);
  const items = sealed.items.map((item) => ({ ...item, aad: 'x' }));
  const opened = await send('a/decrypt', { items });
  assert.deepEqual([opened.status, opened.failed], [200, 0]);
  assert.ok(opened.items.every(({ plaintext }) => plaintext === full.plaintext));
  const over = await send('a/encrypt', { items: [...times(8, full), { plaintext: 'AA==', aad: 'x' }] });
  assert.deepEqual([over.status, over.code], [413, 'keys.batch_too_large']);
  for (const verb of ['decrypt', 'rewrap']) {
    const answer = await send(`a/${verb}`, { items: [...items, items[0]] });
    assert.deepEqual([answer.status, answer.code], [413, 'keys.batch_too_large']);
  }
});

test('a fault of the ring fails the request instead of looking like bad items', async (t) => {
  const { send, encrypt, state } = await open(t);
  const items = await encrypt('a', [['x', 'y']]);
  state.broken = true;
  const answer = await send('a/decrypt', { items });
  assert.deepEqual([answer.status, answer.code], [500, 'http.internal']);
});

test('a caller who has gone is not worked for', async () => {
  const { ring } = createRing();
  const encryption = createEncryptionService({ ring });
  const gone = AbortSignal.abort(new Error('gone'));
  const items = [{ plaintext: Buffer.from('x'), aad: 'y' }];
  await assert.rejects(encryption.encrypt('a', items, gone), /gone/);
});

function times<Item>(count: number, item: Item): readonly Item[] {
  return Array.from({ length: count }, () => item);
}

function base64Of(bytes: number): string {
  return Buffer.alloc(bytes, 7).toString('base64');
}

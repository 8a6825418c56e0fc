import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createManualClock, type ManualClock } from '../src/kernel/clock.ts';
import { eventually } from './support/eventually.ts';
import { addUser, basic, PASSWORD } from './support/people.ts';
import { openTemporaryHouse, type TemporaryHouse } from './support/temporary-house.ts';

const HOME = '198.51.100.7';
const ATTACKER = '203.0.113.66';
const MINUTE = 60_000;

interface Watched extends AsyncDisposable {
  readonly place: TemporaryHouse;
  readonly clock: ManualClock;
  /** One request from an address, over real HTTP. */
  readonly ask: (headers: Record<string, string>, address: string, path?: string) => Promise<Answered>;
  alerts(rule: string): Promise<readonly Alert[]>;
  blocks(): Promise<readonly { readonly id: string; readonly kind: string; readonly address?: string }[]>;
  text(): Promise<string>;
}
interface Answered {
  readonly status: number;
  /** Without the id of the request. */
  readonly body: string;
  readonly headers: readonly string[];
}
interface Alert {
  readonly id: string;
  readonly index: number;
  readonly severity: string;
  readonly key: { readonly principal?: string; readonly address?: string };
}

async function openWatched(): Promise<Watched> {
  const clock = createManualClock(Date.now());
  const place = await openTemporaryHouse({ trustedProxies: '127.0.0.1' }, { clock });
  await addUser(place, 'ada', 'consumer');
  await place.house.watch();
  return {
    place,
    clock,
    async ask(headers, address, path = '/api/v1/whoami') {
      const method = path.endsWith('/predict') ? 'POST' : 'GET';
      const response = await fetch(`${place.base}${path}`, {
        method,
        headers: { ...headers, 'x-forwarded-for': address, 'content-type': 'application/json' },
        ...(method === 'POST' && { body: '{"value": 3}' }),
      });
      const body = (await response.text()).replace(/"requestId":"[^"]*"/, '').replace(/req_\w+/g, '');
      return { status: response.status, body, headers: [...response.headers.keys()].toSorted() };
    },
    async alerts(rule) {
      const path = '/api/v1/audit/alerts';
      const found = await place.client.request<{ alerts: Alert[] }>({ method: 'GET', path, query: { rule } });
      return found.alerts;
    },
    async blocks() {
      const path = '/api/v1/audit/blocks';
      type Blocks = { blocks: Awaited<ReturnType<Watched['blocks']>> };
      return (await place.client.request<Blocks>({ method: 'GET', path })).blocks;
    },
    async text() {
      const { source } = place.house.keep.audit;
      return JSON.stringify((await source.read(0, source.size())).map(({ entry }) => entry));
    },
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

const some = <T>(list: readonly T[]): T | undefined => list[0];

describe('somebody who guesses a password', () => {
  it('is blocked at the address alone, is not told, and the block outlives a restart and can be lifted', async () => {
    await using watched = await openWatched();
    const { place, clock, ask } = watched;
    const guesses = Array.from({ length: 25 }, (_, i) => `a wrong guess number ${i}`);
    assert.equal((await ask(basic('ada'), HOME)).status, 200);
    const seen: string[][] = [[], []];
    for (const guess of guesses) {
      const known = await ask(basic('ada', guess), ATTACKER);
      const unknown = await ask(basic('nobody', guess), '203.0.113.67');
      seen[0]?.push(`${known.status} ${known.body}`);
      seen[1]?.push(`${unknown.status} ${unknown.body}`);
    }
    const alert = await eventually(async () =>
      (await watched.alerts('A1')).find(({ key }) => key.address === ATTACKER),
    );
    const entry = await place.house.keep.audit.entry(alert.index);
    assert.equal(entry?.entry.action, 'detection.alert');
    const blocks = await watched.blocks();
    assert.deepEqual(
      blocks.map(({ kind, address }) => `${kind} ${address}`),
      [`block ${ATTACKER}`],
    );

    // From now on with a right password: all that is seen of it is what is seen of a name that nobody has.
    for (let i = 0; i < 12; i++) {
      const known = await ask(basic('ada'), ATTACKER);
      const unknown = await ask(basic('nobody'), '203.0.113.67');
      seen[0]?.push(`${known.status} ${known.body}`);
      seen[1]?.push(`${unknown.status} ${unknown.body}`);
      assert.deepEqual(known.headers, unknown.headers);
      clock.advance(i % 3 === 0 ? MINUTE : 700);
    }
    assert.deepEqual(seen[0], seen[1]);
    assert.ok(seen[0]?.slice(25).some((answer) => answer.startsWith('401')));
    assert.equal((await ask(basic('ada'), HOME)).status, 200);

    await place.restart();
    await place.house.watch();
    assert.equal((await watched.blocks()).filter(({ kind }) => kind === 'block').length, 1);
    assert.equal((await ask(basic('ada'), ATTACKER)).status, 401);
    assert.equal((await ask(basic('ada'), HOME)).status, 200);
    const path = `/api/v1/audit/blocks/${blocks[0]?.id}`;
    await place.client.request({ method: 'DELETE', path });
    assert.equal((await ask(basic('ada'), ATTACKER)).status, 200);

    const log = await watched.text();
    for (const secret of [...guesses, PASSWORD]) assert.ok(!log.includes(secret));
    assert.ok(!log.includes(btoa(`ada:${PASSWORD}`)));
    assert.match(log, /"reason":"identity\.wrong_password"[^}]*"secretTag":"[0-9a-f]{16}"/);
  });

  it('cannot have the owner blocked elsewhere, not even one who mistypes meanwhile', async () => {
    await using watched = await openWatched();
    const { clock, ask } = watched;
    assert.equal((await ask(basic('ada'), HOME)).status, 200);
    for (let i = 0; i < 25; i++) await ask(basic('ada', `guess ${i}`), ATTACKER);
    await eventually(async () => some(await watched.alerts('A1')));
    for (let i = 0; i < 3; i++) await ask(basic('ada', `typing error ${i}`), HOME);
    await ask(basic('ada', 'typing error'), '198.51.100.8');
    clock.advance(2 * MINUTE);
    assert.equal((await ask(basic('ada'), HOME)).status, 200);
    assert.equal((await ask(basic('ada'), '198.51.100.8')).status, 200);
    assert.equal((await watched.blocks()).length, 1);
  });

  it('from many addresses makes the owner prove more there, and changes nothing where the owner works', async () => {
    await using watched = await openWatched();
    const { clock, ask } = watched;
    const predict = '/projects/default/models/none/predict';
    assert.equal((await ask(basic('ada'), HOME, predict)).status, 404);
    clock.advance(MINUTE);
    for (let i = 0; i < 8; i++) {
      await ask(basic('ada', `guess ${i}`), `203.0.113.${i}`);
      clock.advance(MINUTE);
    }
    await eventually(async () => some(await watched.alerts('A5')));
    assert.equal((await ask(basic('ada'), '192.0.2.9')).status, 401);
    assert.equal((await ask(basic('ada'), HOME)).status, 200);
    assert.equal((await ask(basic('ada'), HOME, predict)).status, 404);
  });

  it('is not a client that goes on with one stale secret', async () => {
    await using watched = await openWatched();
    const { clock, ask } = watched;
    for (let i = 0; i < 200; i++, clock.advance(1000)) await ask(basic('ada', 'the old password'), HOME);
    const alert = await eventually(async () => some(await watched.alerts('A7')));
    assert.equal(alert.severity, 'low');
    assert.deepEqual([await watched.blocks(), await watched.alerts('A1')], [[], []]);
    clock.advance(20 * MINUTE);
    assert.equal((await ask(basic('ada'), HOME)).status, 200);
  });

  it('learns nothing of a name from a flood of names that nobody has', async () => {
    await using watched = await openWatched();
    const { ask } = watched;
    for (let i = 0; i < 120; i++) await ask(basic(`nobody-${i}`, 'guess'), ATTACKER);
    const known = await ask(basic('ada', 'guess'), ATTACKER);
    assert.deepEqual(known, await ask(basic('nobody', 'guess'), ATTACKER));
  });
});

describe('a principal that looks for what it may do', () => {
  it('is slowed down to one request in two seconds, predictions included, whoever else claims its name', async () => {
    await using watched = await openWatched();
    const { clock, ask } = watched;
    for (let i = 0; i < 10; i++)
      assert.equal((await ask(basic('ada'), HOME, `/api/v1/projects/other/models/m${i}`)).status, 403);
    await eventually(async () => some(await watched.alerts('B1')));
    const predict = '/projects/default/models/none/predict';
    for (const expected of [404, 429]) {
      await ask(basic('ada', 'a stranger'), ATTACKER);
      assert.equal((await ask(basic('ada'), HOME, predict)).status, expected);
    }
    clock.advance(2000);
    assert.equal((await ask(basic('ada'), HOME, predict)).status, 404);
  });
});

describe('a revoked key', () => {
  it('is an alert at its first use, and looks like any other that is refused', async () => {
    await using watched = await openWatched();
    const { place, ask } = watched;
    const { id, key } = await place.client.request<{ id: string; key: string }>({
      method: 'POST',
      path: '/api/v1/api-keys',
      body: { owner: 'user:ada' },
    });
    const bearer = { authorization: `Bearer ${key}` };
    assert.equal((await ask(bearer, HOME)).status, 200);
    await place.client.request({ method: 'DELETE', path: `/api/v1/api-keys/${id}` });
    const refused = await ask(bearer, HOME);
    assert.deepEqual(refused, await ask(basic('nobody'), HOME));
    const alert = await eventually(async () => some(await watched.alerts('C1')));
    assert.equal(alert.severity, 'critical');
    assert.ok(!(await watched.text()).includes(key));
  });
});

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createMonthFiles } from '../src/audit/privacy/month-files.ts';
import { ApiFailure } from '../src/cli/keep-client.ts';
import { createManualClock, type ManualClock } from '../src/kernel/clock.ts';
import { readSetting, writeSetting } from '../src/keys/settings.ts';
import { eventually } from './support/eventually.ts';
import { addUser, basic } from './support/people.ts';
import { openTemporaryHouse, type TemporaryHouse } from './support/temporary-house.ts';

const ATTACKER = '203.0.113.66';

interface Erasing extends AsyncDisposable {
  readonly place: TemporaryHouse;
  readonly clock: ManualClock;
  /** The answer as text, or the code of the problem. */
  readonly ask: (method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown) => Promise<string>;
  readonly alerts: () => Promise<string>;
  readonly found: () => Promise<string>;
}

/** A keep in March, where somebody was attacked. */
async function openAttacked(): Promise<Erasing> {
  const clock = createManualClock(Date.UTC(2026, 2, 10));
  const place = await openTemporaryHouse({ trustedProxies: '127.0.0.1' }, { clock });
  await addUser(place, 'ada');
  await place.house.watch();
  for (let i = 0; i < 25; i++) {
    const headers = { ...basic('ada', `guess ${i}`), 'x-forwarded-for': ATTACKER };
    await (await fetch(`${place.base}/api/v1/whoami`, { headers })).arrayBuffer();
  }
  const ask: Erasing['ask'] = async (method, path, body) => {
    try {
      const answer = await place.client.request({ method, path, ...(body !== undefined && { body }) });
      return JSON.stringify(answer ?? null);
    } catch (error) {
      if (error instanceof ApiFailure) return String(error.problem.code);
      throw error;
    }
  };
  const alerts = (): Promise<string> => ask('GET', '/api/v1/audit/alerts?rule=A1');
  const found = (): Promise<string> => ask('GET', `/api/v1/audit/entries?source=${ATTACKER}`);
  await eventually(async () => ((await alerts()).includes(ATTACKER) ? true : undefined));
  assert.match(await found(), /wrong_password/);
  clock.advance(1000);
  return { place, clock, ask, alerts, found, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
}

const MARCH = '/api/v1/audit/months/2026-03';

describe('a month of addresses', () => {
  it('is erased only when it is over and nothing is held; no entry changes, and no alert names them any more', async () => {
    await using attacked = await openAttacked();
    const { place, clock, ask, alerts, found } = attacked;
    assert.equal(await ask('DELETE', MARCH), 'privacy.month_current');
    clock.advance(40 * 86_400_000);
    await ask('PUT', '/api/v1/audit/hold', { reason: 'case 7' });
    assert.equal(await ask('DELETE', MARCH), 'privacy.held');
    await ask('DELETE', '/api/v1/audit/hold');
    const { audit } = place.house.keep;
    const before = await audit.source.read(0, 40);
    assert.equal(await ask('DELETE', MARCH), 'null');
    assert.deepEqual(await audit.source.read(0, 40), before);
    for (const asked of [alerts, found])
      assert.ok(await eventually(async () => ((await asked()).includes(ATTACKER) ? undefined : true)));
    await place.restart();
    await place.house.watch();
    for (const asked of [alerts, found]) assert.doesNotMatch(await asked(), new RegExp(ATTACKER));
    await place.client.request({ method: 'POST', path: '/api/v1/audit/verify' });
    assert.equal(await ask('DELETE', MARCH), 'privacy.month_not_found');
  });

  it('whose erasure was cut off is forgotten when the keep is opened again', async () => {
    await using attacked = await openAttacked();
    const { place, clock, alerts } = attacked;
    clock.advance(40 * 86_400_000);
    const { database, keyRing, paths } = place.house.keep;
    // What is on the disk when the process ends in the middle.
    await writeSetting(database, 'audit.erasing', '2026-03');
    await createMonthFiles(paths.privacy, keyRing).remove('2026-03');
    await place.restart();
    await place.house.watch();
    assert.doesNotMatch(await alerts(), new RegExp(ATTACKER));
    await place.restart();
    for (const file of await readdir(place.home, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const bytes = await readFile(join(file.parentPath, file.name));
      assert.ok(!bytes.includes(ATTACKER), file.name);
    }
    assert.equal(await readSetting(place.house.keep.database, 'audit.erasing'), undefined);
  });
});

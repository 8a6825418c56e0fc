import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { openAuditLog } from '../audit/log.ts';
import type { KeyState } from '../crypto/ring/key-ring.ts';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { createLogKeyPlace, LOG_KEY, logKeysOf } from './keep-log.ts';

const ORIGIN = 'keep.test/audit';
const MATERIAL = Array.from({ length: 5 }, () => generateKeyPairSync('ed25519').privateKey);

/** A ring whose versions of the log's key have these states; the last one is active. */
function ringOf(...states: readonly KeyState[]): Parameters<typeof logKeysOf>[0] {
  const versions = states.map((state, at) => {
    return { version: at + 1, state, createdAt: 0, stateSince: 0, uses: 0 };
  });
  return {
    find: (name) => (name === LOG_KEY ? { name, purpose: 'sign', rotateDays: null, versions } : undefined),
    signingKey(name, version = states.length) {
      assert.equal(name, LOG_KEY);
      return { version, key: MATERIAL[version - 1] ?? assert.fail(`there is no version ${version}`) };
    },
  };
}

it('the log gets the active key, then older ones, newest first, and none that was stolen or destroyed', () => {
  const ring = ringOf('decrypt-only', 'compromised', 'destroyed', 'decrypt-only', 'active');
  assert.deepEqual(
    logKeysOf(ring).map(({ version }) => version),
    [5, 4, 1],
  );
});

it('the log holds back every version that it still signs with, and no other', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'modelkeep-keep-log-'));
  t.after(() => rm(root, { recursive: true }));
  const directory = join(root, 'log');
  const clock = createManualClock();
  const [first, second] = MATERIAL as [(typeof MATERIAL)[number], (typeof MATERIAL)[number]];
  const place = createLogKeyPlace(directory, ORIGIN, ringOf('decrypt-only', 'active'));
  const versions = async () => (await place.usage()).map(({ version }) => version).toSorted((a, b) => a - b);
  assert.deepEqual(await versions(), [], 'there is no log yet');
  const open = (signingKey: typeof first, ...previousKeys: readonly (typeof first)[]) =>
    openAuditLog({ directory, signingKey, previousKeys, origin: ORIGIN, clock, log: silentLog });
  await (await open(first)).close();
  assert.deepEqual(await versions(), [1], 'rotated in the ring alone');
  await (await open(second, first)).close();
  assert.deepEqual(await versions(), [1, 2]);
  clock.advance(30 * 86_400_000);
  await (await open(second, first)).close();
  assert.deepEqual(await versions(), [2]);
});

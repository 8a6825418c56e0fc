import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { Secret } from '../../kernel/secret.ts';
import { generateIdentity } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { createKeyRing, openKeyRing } from '../ring/sealed-key-ring.ts';
import { temporaryDirectory } from '../testing.ts';
import { resealKeyRing } from './reseal.ts';
import { type RootKey, rootKeyOf } from './root-key-provider.ts';
import { rejects } from './testing.ts';

const newKey = (): RootKey => rootKeyOf(new Secret(generateIdentity().identity));
const clock = createManualClock();

test('a ring that the current key opens stays as it is, and nobody asks for the previous key', async (t) => {
  const { path, sealedTo } = await ringFile(t);
  const before = await readFile(path);
  const previous = async () => assert.fail('the previous key is not needed');
  const { rootKey, movedFrom } = await resealKeyRing(path, { current: sealedTo, previous });
  assert.deepEqual([rootKey.id, movedFrom], [sealedTo.id, undefined]);
  assert.deepEqual(await readFile(path), before);
});

test('a ring that the previous key opens is sealed to the current one, with the same content', async (t) => {
  const { path, sealedTo } = await ringFile(t);
  const listed = (await openKeyRing({ path, clock, rootIdentity: sealedTo.identity })).list();
  const current = newKey();
  const { rootKey, movedFrom } = await resealKeyRing(path, { current, previous: async () => sealedTo });
  assert.deepEqual([rootKey.id, movedFrom?.id], [current.id, sealedTo.id]);
  assert.deepEqual((await openKeyRing({ path, clock, rootIdentity: current.identity })).list(), listed);
  await rejects(openKeyRing({ path, clock, rootIdentity: sealedTo.identity }), cryptoProblems.wrong_root_key);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(path, '..')), ['keyring.age']);
  const again = await resealKeyRing(path, { current, previous: async () => sealedTo });
  assert.equal(again.movedFrom, undefined);
});

test('a ring that neither key opens stays as it is, and the keys are named', async (t) => {
  const { path } = await ringFile(t);
  const before = await readFile(path);
  const [current, other] = [newKey(), newKey()];
  for (const previous of [undefined, other]) {
    const problem = await rejects(
      resealKeyRing(path, { current, previous: async () => previous }),
      cryptoProblems.wrong_root_key,
    );
    assert.ok(problem.detail.includes(current.id));
    assert.equal(problem.detail.includes(other.id), previous !== undefined);
  }
  assert.deepEqual(await readFile(path), before);
});

test('a damaged ring is told as damaged under either key, and is not written over', async (t) => {
  const { path, sealedTo } = await ringFile(t);
  const whole = await readFile(path);
  for (const at of [3, whole.indexOf('--- ') + 10, whole.length - 1]) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ 1;
    await writeFile(path, changed);
    for (const keys of [
      { current: sealedTo, previous: async () => undefined },
      { current: newKey(), previous: async () => sealedTo },
    ]) {
      await rejects(resealKeyRing(path, keys), cryptoProblems.keyring_corrupt);
    }
    assert.deepEqual(await readFile(path), changed);
  }
  const none = { current: sealedTo, previous: async () => undefined };
  await rejects(resealKeyRing(`${path}.none`, none), cryptoProblems.keyring_missing);
});

async function ringFile(t: TestContext): Promise<{ path: string; sealedTo: RootKey }> {
  const path = join(await temporaryDirectory(t), 'keyring.age');
  const sealedTo = newKey();
  const ring = await createKeyRing({ path, clock, rootIdentity: sealedTo.identity });
  await ring.ensure('artifacts', 'wrap');
  return { path, sealedTo };
}

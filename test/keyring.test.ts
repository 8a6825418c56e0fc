import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { createManualClock } from '../src/kernel/clock.ts';
import { addUser, basic } from './support/people.ts';
import { openTemporaryHouse, type TemporaryHouse } from './support/temporary-house.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');

type Json = Readonly<Record<string, unknown>>;

async function openHouse(permissions: readonly string[]) {
  const clock = createManualClock(Date.now());
  const place = await openTemporaryHouse({}, { clock });
  await place.client.request({
    method: 'POST',
    path: '/api/v1/roles',
    body: { name: 'keymaster', description: 'keys', permissions },
  });
  await addUser(place, 'kim', 'keymaster', '/');
  await addUser(place, 'ada', 'consumer');
  const ask = async (
    name: string,
    line: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: Json }> => {
    const [method = '', path = ''] = line.split(' ');
    const response = await fetch(`${place.base}${path}`, {
      method,
      headers: { ...basic(name), ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Json };
  };
  return { clock, place, ask };
}

async function uploadPolarity({ client }: TemporaryHouse): Promise<void> {
  await client.request({
    method: 'POST',
    path: '/api/v1/projects/default/models/polarity/versions',
    query: { alias: 'production' },
    stream: Readable.from([await readFile(POLARITY)]),
  });
}

describe('the key that models are sealed under', () => {
  it('is rotated, left by what was under it, destroyed only then; and the model still predicts', async () => {
    const { clock, place, ask } = await openHouse(['key.list', 'key.rotate', 'key.destroy']);
    await using _ = place;
    await uploadPolarity(place);
    const predicts = async (): Promise<void> => {
      const line = 'POST /projects/default/models/polarity/predict';
      const { status, body } = await ask('ada', line, { value: 3 });
      assert.deepEqual([status, body], [200, { prediction: 'positive' }]);
    };
    const destroy = (version: number) =>
      ask('kim', `DELETE /api/v1/keys/artifacts/versions/${version}?confirm=artifacts`);
    assert.equal((await ask('ada', 'POST /api/v1/keys/artifacts/rotate')).status, 403);
    for (const [version, operation] of [
      [1, 'rewrap'],
      [2, 'reencrypt'],
    ] as const) {
      assert.equal((await ask('kim', 'POST /api/v1/keys/artifacts/rotate')).status, 200);
      assert.equal((await destroy(version)).body['code'], 'keys.version_recent');
      clock.advance(3_600_000);
      assert.equal((await destroy(version)).body['code'], 'keys.version_in_use');
      await place.restart();
      await predicts();
      const { body: job } = await ask('kim', `POST /api/v1/keys/artifacts/jobs/${operation}`);
      assert.deepEqual([job['finished'], job['version'], job['moved']], [true, version + 1, 1]);
      assert.equal((await destroy(version + 1)).body['code'], 'crypto.key_version_active');
      assert.equal((await destroy(version)).status, 200);
      await place.restart();
      await predicts();
    }
    const { body } = await ask('kim', 'GET /api/v1/keys/artifacts');
    assert.deepEqual(
      (body['versions'] as { state: string }[]).map(({ state }) => state),
      ['destroyed', 'destroyed', 'active'],
    );
  });
});

describe('encryption as a service', () => {
  it('opens a value for its purpose alone, over a rotation, and leaves nothing of it in the log', async () => {
    const { place, ask } = await openHouse(['key.list', 'key.create', 'key.rotate', 'key.use']);
    await using _ = place;
    const made = await ask('kim', 'POST /api/v1/keys', { name: 'pipeline', purpose: 'seal' });
    assert.equal(made.status, 201);
    const secret = 'DE02120300000000202051';
    const plaintext = Buffer.from(secret).toString('base64');
    const aad = 'customers/42/iban';
    const sealed = await ask('kim', 'POST /api/v1/keys/pipeline/encrypt', { items: [{ plaintext, aad }] });
    const [first] = sealed.body['items'] as { ciphertext: string }[];
    const ciphertext = first?.ciphertext ?? '';
    const open = (as: string, items: readonly Json[]) =>
      ask(as, 'POST /api/v1/keys/pipeline/decrypt', { items });
    await ask('kim', 'POST /api/v1/keys/pipeline/rotate');
    const opened = await open('kim', [
      { ciphertext, aad },
      { ciphertext, aad: 'customers/43/iban' },
      { ciphertext: `${ciphertext.slice(0, -1)}${ciphertext.endsWith('A') ? 'Q' : 'A'}`, aad },
    ]);
    assert.deepEqual(opened.body, {
      failed: 2,
      items: [{ plaintext }, { error: 'crypto.invalid_value' }, { error: 'crypto.invalid_value' }],
    });
    assert.equal((await open('ada', [{ ciphertext, aad }])).status, 403);
    assert.equal(
      (await ask('kim', 'POST /api/v1/keys/artifacts/decrypt', { items: [{ ciphertext, aad }] })).status >=
        400,
      true,
    );

    const { source } = place.house.keep.audit;
    const log = JSON.stringify(await source.read(0, source.size()));
    assert.match(log, /"action":"key\.decrypt"/);
    for (const told of [secret, plaintext, ciphertext, aad]) assert.ok(!log.includes(told), told);
  });

  it('takes a batch within its limits and refuses one beyond them', async () => {
    const { place, ask } = await openHouse(['key.create', 'key.use']);
    await using _ = place;
    await ask('kim', 'POST /api/v1/keys', { name: 'pipeline', purpose: 'seal' });
    const encrypt = (count: number, bytes: number) =>
      ask('kim', 'POST /api/v1/keys/pipeline/encrypt', {
        items: Array.from({ length: count }, () => ({
          plaintext: Buffer.alloc(bytes).toString('base64'),
          aad: 'a',
        })),
      });
    assert.equal((await encrypt(256, 16)).status, 200);
    assert.equal((await encrypt(257, 16)).status, 422);
    assert.equal((await encrypt(1, 2 ** 20 + 1)).status, 422);
    assert.equal((await encrypt(9, 2 ** 20)).status, 413);
  });
});

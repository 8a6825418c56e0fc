import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openTemporaryHouse, type TemporaryHouse } from './support/temporary-house.ts';

const PASSWORD = 'a long and unguessable sentence';

describe('what the log knows of a refusal, and the caller does not', () => {
  let place: TemporaryHouse;

  before(async () => {
    place = await openTemporaryHouse({ 'serving.defaultModel': 'default/score' });
    const { client } = place;
    await client.request({
      method: 'POST',
      path: '/api/v1/users',
      body: { name: 'bob', password: PASSWORD },
    });
  });
  after(() => place[Symbol.asyncDispose]());

  async function attempt(
    name: string,
    password: string,
  ): Promise<{ text: string; reason: string; entry: string }> {
    const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
    const response = await fetch(`${place.base}/predict`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"value": 3}',
    });
    const { audit } = place.house.keep;
    const request = response.headers.get('x-request-id') ?? '';
    const found = (await audit.source.read(0, 1000)).find(({ entry }) => entry.request === request);
    return {
      text: await response.text(),
      reason: found?.entry.reason ?? '',
      entry: JSON.stringify(found?.entry),
    };
  }

  it('is the reason of a failed authentication, without the secret', async () => {
    const wrong = await attempt('bob', 'another long sentence altogether');
    const unknown = await attempt('nobody', 'another long sentence altogether');
    assert.deepEqual(
      [wrong.reason, unknown.reason],
      ['identity.wrong_password', 'identity.unknown_principal'],
    );
    for (const { text, entry } of [wrong, unknown]) {
      assert.doesNotMatch(text, /wrong_password|unknown_principal/);
      assert.doesNotMatch(entry, /another long sentence/);
    }
  });

  it('is the reason of a decision', async () => {
    const { text, reason } = await attempt('bob', PASSWORD);
    assert.equal(reason, 'access.no_matching_binding');
    assert.doesNotMatch(text, /no_matching_binding/);
  });

  it('a credential for a principal who holds more is refused as a takeover', async () => {
    const { client, base } = place;
    await client.request({ method: 'POST', path: '/api/v1/service-accounts', body: { name: 'deployer' } });
    const bind = (subject: string, role: string): Promise<unknown> =>
      client.request({ method: 'POST', path: '/api/v1/bindings', body: { subject, role, scope: '/' } });
    await bind('service-account:deployer', 'admin');
    await bind('user:bob', 'security-officer');
    const response = await fetch(`${base}/api/v1/api-keys`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`bob:${PASSWORD}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ owner: 'service-account:deployer' }),
    });
    assert.equal(response.status, 403);
    assert.equal(((await response.json()) as { code: string }).code, 'identity.takeover');
  });

  it('the last administrator is neither disabled nor deleted', async () => {
    const { client } = place;
    const path = '/api/v1/service-accounts/deployer';
    const lastAdmin = { problem: { code: 'access.last_admin' } };
    const disable = client.request({ method: 'PATCH', path, body: { state: 'disabled' } });
    await assert.rejects(disable, (error: typeof lastAdmin) => error.problem.code === 'access.last_admin');
    const remove = client.request({ method: 'DELETE', path });
    await assert.rejects(remove, (error: typeof lastAdmin) => error.problem.code === 'access.last_admin');
    const kept = await client.request<{ state: string }>({ method: 'GET', path });
    assert.equal(kept.state, 'active');
  });
});

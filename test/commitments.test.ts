import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { opensTo } from '../src/audit/privacy/commitment.ts';
import { openTemporaryHouse } from './support/temporary-house.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');
const PREDICT = '/projects/default/models/polarity/predict';

describe('an answered prediction', () => {
  it('lets its caller, and nobody else, open what the log committed to', async () => {
    await using keep = await openTemporaryHouse();
    const { client, house, base } = keep;
    await client.request({
      method: 'POST',
      path: '/api/v1/projects/default/models/polarity/versions',
      query: { alias: 'production' },
      stream: Readable.from([await readFile(POLARITY)]),
    });
    const password = 'correct horse battery staple 9';
    await client.request({ method: 'POST', path: '/api/v1/users', body: { name: 'ada' } });
    await client.request({ method: 'PUT', path: '/api/v1/users/ada/password', body: { password } });
    await client.request({
      method: 'POST',
      path: '/api/v1/bindings',
      body: { subject: 'user:ada', role: 'consumer', scope: '/projects/default' },
    });
    const ask = (body: string): Promise<Response> =>
      fetch(`${base}${PREDICT}`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(`ada:${password}`)}`,
          'content-type': 'application/json',
        },
        body,
      });
    const sent = '{ "value":3}';
    const response = await ask(sent);
    const received = await response.text();
    assert.equal(response.status, 200, received);
    const found = await house.keep.audit.entry(Number(response.headers.get('audit-index')));
    assert.ok(found);
    assert.equal(Buffer.from(found.leaf).toString('base64'), response.headers.get('audit-leaf'));
    const [inputNonce = '', outputNonce = ''] = response.headers.get('audit-nonce')?.split(',') ?? [];
    assert.equal(opensTo(found.entry.input ?? '', inputNonce, sent), true);
    assert.equal(opensTo(found.entry.output ?? '', outputNonce, received), true);
    assert.equal(opensTo(found.entry.input ?? '', inputNonce, '{"value":3}'), false);
    assert.equal(opensTo(found.entry.output ?? '', inputNonce, received), false);

    const failed = await ask('{"value":"not a number"}');
    assert.equal(failed.status, 422);
    const nonce = failed.headers.get('audit-nonce') ?? '';
    const attempt = await house.keep.audit.entry(Number(failed.headers.get('audit-index')));
    assert.equal(opensTo(attempt?.entry.input ?? '', nonce, '{"value":"not a number"}'), true);
    assert.equal(attempt?.entry.output, undefined);
  });
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { opensTo } from '../src/audit/privacy/commitment.ts';
import { openTemporaryHouse } from './support/temporary-house.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');
const IRIS = join(import.meta.dirname, '..', 'examples', 'models', 'iris.onnx');
/** A setosa as there are many, and a flower between versicolor and virginica. */
const CLEAR = [5.1, 3.5, 1.4, 0.2];
const UNSURE = [6, 2.9, 4.923, 1.662];
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

  it('has a mark in its entry where the model was unsure, by either protocol', async () => {
    await using keep = await openTemporaryHouse();
    const { client, house } = keep;
    await client.request({
      method: 'POST',
      path: '/api/v1/projects/default/models/iris/versions',
      query: { alias: 'production' },
      stream: Readable.from([await readFile(IRIS)]),
    });
    const isMarked = async (path: string, body: object): Promise<boolean> => {
      await client.request({ method: 'POST', path, body });
      const found = await house.keep.audit.entry(house.keep.audit.size() - 1);
      assert.equal(found?.entry.action, 'model.invoke');
      return found.entry.detail?.['nearBoundary'] === true;
    };
    const plain = '/projects/default/models/iris/predict';
    const named = (features: readonly number[]) => ({ features });
    assert.equal(await isMarked(plain, { features: CLEAR }), false);
    assert.equal(await isMarked(plain, { features: UNSURE }), true);
    assert.equal(await isMarked(plain, { instances: [CLEAR, UNSURE, CLEAR, CLEAR].map(named) }), false);
    assert.equal(await isMarked(plain, { instances: [CLEAR, UNSURE, CLEAR].map(named) }), true);
    const infer = (data: readonly number[]) => ({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 4], data }],
    });
    assert.equal(await isMarked('/v2/models/iris/infer', infer(CLEAR)), false);
    assert.equal(await isMarked('/v2/models/iris/infer', infer(UNSURE)), true);
  });
});

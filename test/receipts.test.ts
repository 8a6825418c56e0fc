import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { parseReceipt } from '../src/audit/receipt/receipt.ts';
import { verifyReceipt } from '../src/audit/receipt/verify-receipt.ts';
import { addUser, basic } from './support/people.ts';
import { openTemporaryHouse, type TemporaryHouse } from './support/temporary-house.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');
const INPUT = '{ "value":3}';

describe('the receipt of a prediction', () => {
  let place: TemporaryHouse;
  before(async () => {
    place = await openTemporaryHouse();
    await place.client.request({
      method: 'POST',
      path: '/api/v1/projects/default/models/polarity/versions',
      query: { alias: 'production' },
      stream: Readable.from([await readFile(POLARITY)]),
    });
    await addUser(place, 'ada', 'consumer');
    await addUser(place, 'eve', 'consumer');
    await addUser(place, 'rita', 'auditor', '/');
    await place.house.watch();
  });
  after(() => place[Symbol.asyncDispose]());

  const predict = (prefer: string, name = 'ada', body = INPUT): Promise<Response> =>
    fetch(`${place.base}/projects/default/models/polarity/predict`, {
      method: 'POST',
      headers: { ...basic(name), 'content-type': 'application/json', prefer },
      body,
    });
  const get = async (path: string, name?: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(place.base + path, name === undefined ? {} : { headers: basic(name) });
    return { status: response.status, text: await response.text() };
  };

  it('comes with the answer, and proves input, output and place to whoever holds the key of the log', async () => {
    const response = await predict('audit-receipt=full');
    const output = Buffer.from(await response.arrayBuffer());
    assert.equal(response.headers.get('preference-applied'), 'audit-receipt=full');
    const receipt = Buffer.from(response.headers.get('audit-receipt') ?? '', 'base64').toString();
    const keys = [place.house.keep.audit.vkey];
    const verified = verifyReceipt({ receipt, keys, input: Buffer.from(INPUT), output });
    assert.ok(verified.ok);
    assert.deepEqual([verified.input, verified.output], ['proven', 'proven']);
    assert.equal(verified.index, Number(response.headers.get('audit-index')));
    assert.equal(verified.entry.principal.name, 'ada');
    const nonces = response.headers.get('audit-nonce')?.split(',');
    const inside = parseReceipt(receipt).nonces;
    assert.deepEqual(
      nonces,
      [inside.input, inside.output].map((nonce) => Buffer.from(nonce ?? []).toString('base64')),
    );

    assert.equal(verifyReceipt({ receipt, keys, input: Buffer.from('{"value":3}') }).ok, false);
    assert.equal(verifyReceipt({ receipt, keys, output: Buffer.from(INPUT) }).ok, false);
    const bytes = Buffer.from(receipt);
    for (let at = 5; at < bytes.length; at += 97) {
      const flipped = bytes.with(at, (bytes[at] ?? 0) ^ 1);
      assert.equal(
        verifyReceipt({ receipt: flipped, keys, input: Buffer.from(INPUT) }).ok,
        false,
        String(at),
      );
    }
  });

  it('is given to its own principal and to an auditor, without nonces, and to nobody else', async () => {
    const response = await predict('return=minimal');
    await response.arrayBuffer();
    assert.equal(response.headers.get('audit-receipt'), null);
    const path = `/log/receipts/${response.headers.get('audit-index')}?wait=1`;
    for (const name of ['ada', 'rita']) {
      const { status, text } = await get(path, name);
      assert.equal(status, 200, text);
      assert.deepEqual(parseReceipt(text).nonces, {});
      assert.ok(verifyReceipt({ receipt: text, keys: [place.house.keep.audit.vkey] }).ok);
    }
    assert.equal((await get(path, 'eve')).status, 403);
    assert.equal((await get(path)).status, 401);
  });

  it('leads to a checkpoint that is public, as the tree is, while the entries are not', async () => {
    const checkpoint = await get('/log/checkpoint');
    assert.equal(checkpoint.status, 200);
    assert.match(checkpoint.text, /^modelkeep\.local\/[^\n]*\n\d+\n/);
    const size = Number(checkpoint.text.split('\n')[1]);
    assert.equal((await get(`/log/tile/0/000.p/${size}`)).status, 200);
    assert.equal((await get(`/log/tile/entries/000.p/${size}`)).status, 401);
    assert.equal((await get(`/log/tile/entries/000.p/${size}`, 'ada')).status, 403);
    assert.equal((await get(`/log/tile/entries/000.p/${size}`, 'rita')).status, 200);
  });

  it('is not reached by a path or an index that was not meant', async () => {
    for (const path of [
      `/log/tile/0/${encodeURIComponent('../../checkpoint')}`,
      '/log/tile/0/%2e%2e/%2e%2e/vkey',
      '/log/tile/0/000%00',
      '/log/tile/64/000',
      '/log/tile/-1/000',
      '/log/tile/0/x999/x999/x999/999',
      '/log/tile/0/000.p/0',
      '/log/tile/0/000.p/256',
      '/log/tile/0/000.p/1e2',
      '/log/tile/entries/..%2f000',
      '/log/receipts/9007199254740993',
      '/log/receipts/999999999999999',
      '/log/receipts/-1',
      '/log/receipts/0x1',
      '/log/receipts/01',
      '/log/receipts/1e3',
      '/log/receipts/%2e%2e',
    ]) {
      const { status, text } = await get(path, 'rita');
      assert.ok(status === 400 || status === 404 || status === 422, `${path}: ${status} ${text}`);
      assert.doesNotMatch(text, /ENOENT|\/tmp\//);
    }
  });

  it('asked for by everybody at once, fails nobody', async () => {
    const { audit } = place.house.keep;
    const before = (await get('/log/checkpoint')).text;
    const all = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const response = await predict('audit-receipt=full', i % 2 === 0 ? 'ada' : 'eve');
        await response.arrayBuffer();
        const receipt = Buffer.from(response.headers.get('audit-receipt') ?? '', 'base64').toString();
        assert.equal(response.status, 200);
        assert.ok(verifyReceipt({ receipt, keys: [audit.vkey], input: Buffer.from(INPUT) }).ok);
        return parseReceipt(receipt).checkpoint;
      }),
    );
    assert.ok(!all.includes(before));
  });

  it('cannot be asked for in a way that puts something into the headers of the answer', async () => {
    for (const prefer of [
      'audit-receipt="full\t"',
      'audit-receipt=full%0d%0ax-evil: 1',
      'audit-receipt=full-x',
    ]) {
      const response = await predict(prefer);
      await response.arrayBuffer();
      assert.equal(response.status, 200);
      assert.deepEqual(
        [response.headers.get('preference-applied'), response.headers.get('x-evil')],
        [null, null],
      );
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { encodeBase64, encodeBase64Url, parseBase64, parseBase64Url, parseHex } from './base64.ts';

describe('base64', () => {
  it('gives back every sequence of bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        assert.deepEqual(new Uint8Array(parseBase64(encodeBase64(bytes)) ?? []), bytes);
        assert.deepEqual(new Uint8Array(parseBase64Url(encodeBase64Url(bytes)) ?? []), bytes);
        assert.deepEqual(new Uint8Array(parseHex(Buffer.from(bytes).toString('hex')) ?? []), bytes);
      }),
    );
  });

  it('encodes a view, not the buffer behind it', () => {
    const view = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
    assert.equal(encodeBase64(view), 'AgM=');
    assert.equal(encodeBase64Url(view), 'AgM');
  });

  it('refuses every spelling but the canonical one', () => {
    for (const text of ['AgM', 'AgN=', 'Ag M=', 'AgM=\n', '-_8=', 'AgM==', '=', 'A']) {
      assert.equal(parseBase64(text), undefined, text);
    }
    for (const text of ['AgM=', 'AgN', '+/8', 'A', 'Ag M'])
      assert.equal(parseBase64Url(text), undefined, text);
    for (const text of ['0', 'AB', '0g', '0x00', ' 00']) assert.equal(parseHex(text), undefined, text);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { canonicalJson, type Json, JsonError } from './canonical-json.ts';

describe('canonicalJson', () => {
  it('sorts keys by UTF-16 code units, as the example of RFC 8785 §3.2.3 does', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
    assert.equal(
      canonicalJson(value),
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    );
  });

  it('prints numbers as ECMAScript does', () => {
    assert.equal(
      canonicalJson([333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, -0]),
      '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
    );
  });

  it('has one text for a value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true }),
        (value) => {
          const reversed = Object.fromEntries(Object.entries(value).toReversed());
          const text = canonicalJson(value as Json);
          assert.equal(canonicalJson(reversed as Json), text);
          assert.equal(canonicalJson(JSON.parse(text) as Json), text);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('refuses what has no JSON form', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '\ud800', { '\udc00': 1 }, [[Number.NaN]]]) {
      assert.throws(() => canonicalJson(value), TypeError);
    }
  });
});

describe('JsonError', () => {
  it('says where', () => {
    const error = new JsonError('unexpected', 7);
    assert.equal(error.offset, 7);
    assert.equal(error.message, 'unexpected at offset 7');
  });
});

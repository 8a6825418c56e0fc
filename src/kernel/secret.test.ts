import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { format, inspect } from 'node:util';
import { Secret } from './secret.ts';

describe('a secret', () => {
  const secret = new Secret('hunter2');

  it('is given by reveal alone', () => {
    assert.equal(secret.reveal(), 'hunter2');
    const bytes = new Uint8Array([1, 2]);
    assert.equal(new Secret(bytes).reveal(), bytes);
  });

  it('says [redacted] however it is printed', () => {
    const spellings = [
      JSON.stringify({ secret }),
      String(secret),
      inspect(secret),
      inspect({ nested: [secret] }, { depth: 9, showHidden: true }),
      format('%s %o %j', secret, secret, secret),
    ];
    for (const text of spellings) {
      assert.ok(text.includes('[redacted]'), text);
      assert.ok(!text.includes('hunter2'), text);
    }
    assert.deepEqual(Object.keys(secret), []);
  });
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { createCommit, opensTo } from './commitment.ts';

const expected = (nonce: string, content: Uint8Array | string): string =>
  createHash('sha256').update(Buffer.from(nonce, 'base64')).update(content).digest('hex');

describe('a commitment', () => {
  it('is SHA-256 of 16 bytes and the content, whatever its size and form', () => {
    const commit = createCommit();
    const texts = ['', '{"value":3}', 'größer €', '€'.repeat(2730), '€'.repeat(2731), 'x'.repeat(100_000)];
    for (const text of texts) {
      const bytes = new TextEncoder().encode(text);
      for (const content of [text, bytes]) {
        const { hash, nonce } = commit(content);
        assert.equal(Buffer.from(nonce, 'base64').length, 16);
        assert.equal(hash, expected(nonce, bytes));
        assert.equal(opensTo(hash, nonce, content), true);
      }
    }
    for (const length of [8191, 8192, 8193]) {
      const bytes = new Uint8Array(length).fill(7);
      const { hash, nonce } = commit(bytes);
      assert.equal(hash, expected(nonce, bytes));
    }
  });

  it('never uses a nonce twice, so that equal contents look different', () => {
    const commit = createCommit();
    const made = Array.from({ length: 2000 }, () => commit('{"value":3}'));
    assert.equal(new Set(made.map(({ nonce }) => nonce)).size, 2000);
    assert.equal(new Set(made.map(({ hash }) => hash)).size, 2000);
    const other = createCommit()('{"value":3}');
    assert.equal(
      made.some(({ nonce }) => nonce === other.nonce),
      false,
    );
  });

  it('opens to nothing else: another content, another nonce, a nonce of another length', () => {
    const { hash, nonce } = createCommit()('{"value":3}');
    assert.equal(opensTo(hash, nonce, '{"value":4}'), false);
    assert.equal(opensTo(hash, createCommit()('').nonce, '{"value":3}'), false);
    const whole = Buffer.concat([Buffer.from(nonce, 'base64'), Buffer.from('{')]).toString('base64');
    assert.equal(opensTo(hash, whole, '"value":3}'), false);
  });
});

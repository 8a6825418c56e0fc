import assert from 'node:assert/strict';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { createTags } from './tags.ts';

const key = randomBytes(32);
const tags = createTags(createSecretKey(key));

describe('a tag', () => {
  it('is a keyed hash of what it stands for, whatever its length', () => {
    for (const length of [0, 1, 100, 8191, 8192, 8193, 100_000]) {
      const bytes = randomBytes(length);
      const full = createHash('sha512-256').update(key).update('modelkeep/input\0').update(bytes);
      assert.equal(tags.input(bytes), full.digest('hex').slice(0, 16), `${length} bytes`);
    }
  });

  it('does not depend on what was tagged before', () => {
    const short = tags.input(Buffer.from('ab'));
    tags.input(Buffer.from('abcdefgh'));
    assert.equal(tags.input(Buffer.from('ab')), short);
  });

  it('differs by key and by what it is for', () => {
    const other = createTags(createSecretKey(randomBytes(32)));
    const all = [tags.secret('x'), tags.claim('x'), tags.input(Buffer.from('x')), other.secret('x')];
    assert.equal(new Set(all).size, 4);
    for (const each of all) assert.match(each, /^[0-9a-f]{16}$/);
  });
});

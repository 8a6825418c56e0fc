import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entryOf } from './harness.ts';
import { meets } from './query.ts';
import { createKeyOf, createTermWriter, queryTerms } from './terms.ts';
import { wordsOf, wordsOfEntry } from './words.ts';

describe('words', () => {
  it('are runs of letters and digits without case and accents', () => {
    const table: readonly (readonly [string, readonly string[]])[] = [
      ['', []],
      ['  \t\n', []],
      ['model.invoke', ['model', 'invoke']],
      ['/projects/Fraud-2/models', ['projects', 'fraud', '2', 'models']],
      ['no_matching_binding', ['no', 'matching', 'binding']],
      ['Été CAFÉ cafe\u0301', ['ete', 'cafe', 'cafe']],
      ['İ ﬁn Ⅷ', ['i', 'fin', 'viii']],
      ['東京 モデル', ['東京', 'モテル']],
      ['"quoted" OR (a*)', ['quoted', 'or', 'a']],
      ['a\0b\ud800c', ['a', 'b', 'c']],
      ['x'.repeat(70), ['x'.repeat(64)]],
    ];
    for (const [text, words] of table) assert.deepEqual(wordsOf(text), words, JSON.stringify(text));
  });

  it('of an entry are bounded, and its detail is what is lost', () => {
    const detail = Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [`k${at}`, `w${at}a w${at}b w${at}c w${at}d w${at}e w${at}f`]),
    );
    const words = wordsOfEntry(entryOf(0, { detail, reason: 'the_reason' }));
    assert.equal(words.size, 256);
    assert.ok(words.has('reason') && words.has('w1a') && !words.has('w59f'));
  });
});

describe('terms', () => {
  const keyOf = createKeyOf(7);
  const keysOf = createTermWriter(keyOf);

  it('of a query stand in every entry that meets it', () => {
    const entry = entryOf(0, {
      action: 'a.b.c.d.e.f.g',
      resource: '/1/2/3/4/5/6/7/8/9/10',
      reason: 'identity.locked',
      credential: { kind: 'api_key', id: 'k "1"' },
      source: { address: '::1', port: 1 },
      request: 'r 1',
    });
    const held = new Set(keysOf(entry));
    for (const query of [
      { action: 'a.b.*' },
      { action: 'a.b.c.d.e.f.*' },
      { action: 'a.b.c.d.e.f.g' },
      { resource: '/1/2/3/4/5/6/7/8/9' },
      { resource: '/' },
      { reason: 'identity.*', credential: 'k "1"', source: '::1', request: 'r 1', principal: 'ada' },
      { q: 'LOCKED 10', decision: 'allow' as const },
    ]) {
      assert.ok(meets(entry, query), JSON.stringify(query));
      for (const term of queryTerms(query))
        assert.ok(held.has(keyOf(term)), `${term} of ${JSON.stringify(query)}`);
    }
  });

  it('hold any text, and nothing but what the entry says', () => {
    const wild = 'a "b" \'c\' \0 \u001b\td';
    const entry = entryOf(0, {
      action: wild,
      reason: wild,
      resource: wild,
      principal: { kind: 'user', id: wild, name: wild },
      detail: { wild },
    });
    const asked = queryTerms({ action: wild, reason: wild, resource: wild, principal: wild, q: wild });
    const held = new Set(keysOf(entry));
    assert.equal(asked.length, 8);
    for (const term of asked) assert.ok(held.has(keyOf(term)), JSON.stringify(term));
    const said = new Set([...asked, 'd=allow', 'allow', 'user', 'wild'].map(keyOf));
    for (const key of held) assert.ok(said.has(key));
  });

  it('have keys of 31 bits, others for another seed', () => {
    const terms = Array.from({ length: 20_000 }, (_, at) => `p=usr_${at}`);
    const keys = terms.map(keyOf);
    assert.ok(keys.every((key) => Number.isInteger(key) && key >= 0 && key < 2 ** 31));
    assert.ok(new Set(keys).size >= terms.length - 2);
    const others = terms.map(createKeyOf(8));
    assert.ok(others.filter((key, at) => key === keys[at]).length < 2);
    // As if drawn by lot: of every two keys one is odd, one is large.
    for (const half of [keys.filter((key) => key % 2 === 1), keys.filter((key) => key >= 2 ** 30)])
      assert.ok(Math.abs(half.length - terms.length / 2) < 500, String(half.length));
  });
});

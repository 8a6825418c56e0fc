import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { encodeBech32, parseBech32 } from './bech32.ts';

test('reads the keys of the age specification', () => {
  const identity = parseBech32('AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX');
  assert.equal(identity?.hrp, 'AGE-SECRET-KEY-');
  assert.deepEqual(identity?.bytes, new Uint8Array(32).fill(0x42));
  const recipient = parseBech32('age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj');
  assert.equal(recipient?.hrp, 'age');
  assert.equal(recipient?.bytes.length, 32);
});

test('accepts what BIP 173 lists as valid, where it carries whole bytes', () => {
  assert.equal(parseBech32('A12UEL5L')?.hrp, 'A');
  assert.equal(parseBech32('a12uel5l')?.bytes.length, 0);
  assert.equal(parseBech32('?1ezyfcl')?.hrp, '?');
});

test('refuses what BIP 173 lists as invalid', () => {
  for (const text of [
    ' 1nwldj5',
    '\x7f1axkwrx',
    '\x801eym55h',
    'pzry9x0s0muk',
    '1pzry9x0s0muk',
    'x1b4n0q5v',
    'li1dgmt3',
    'de1lg7wt\xff',
    'A1G7SGD8',
    '10a06t8',
    '1qzzfhee',
    'a12UEL5L',
    '',
  ]) {
    assert.equal(parseBech32(text), undefined, JSON.stringify(text));
  }
});

test('gives back what was encoded, and one changed character is refused', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.nat(),
      fc.integer({ min: 1, max: 31 }),
      (bytes, at, shift) => {
        const text = encodeBech32('age', bytes);
        assert.deepEqual(parseBech32(text)?.bytes, bytes);
        assert.deepEqual(parseBech32(text.toUpperCase())?.bytes, bytes);
        const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
        const place = 4 + (at % (text.length - 4));
        const other = alphabet[(alphabet.indexOf(text[place] as string) + shift) % 32];
        assert.equal(parseBech32(text.slice(0, place) + other + text.slice(place + 1)), undefined);
      },
    ),
    { numRuns: 200 },
  );
});

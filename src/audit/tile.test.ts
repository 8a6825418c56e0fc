import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { edgeTiles, encodeBundle, encodeTile, parseBundle, parseTile, tilePath } from './tile.ts';
import { leafHash } from './tree.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('tiles', () => {
  it('lie under the paths of the specification', () => {
    assert.equal(tilePath(0, 1_234_067), 'tile/0/x001/x234/067');
    assert.equal(tilePath(1, 0, 17), 'tile/1/000.p/17');
    assert.equal(tilePath('entries', 273, 112), 'tile/entries/273.p/112');
    assert.equal(tilePath('entries', 1000), 'tile/entries/x001/000');
    assert.equal(tilePath(2, 999), 'tile/2/999');
  });

  it('of 70,000 entries end in 112, 17 and 1 hashes', () => {
    assert.deepEqual(edgeTiles(70_000), [
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ]);
    assert.deepEqual(edgeTiles(0), []);
    assert.deepEqual(edgeTiles(256), [{ level: 1, index: 0, width: 1 }]);
  });

  it('hold their hashes, and refuse half a hash or too few', () => {
    const hashes = [1, 2, 3].map((each) => leafHash(Buffer.from([each])));
    const bytes = encodeTile(hashes);
    assert.deepEqual(parseTile(bytes, 3)?.map(hex), hashes.map(hex));
    assert.equal(parseTile(bytes, 2)?.length, 2);
    assert.equal(parseTile(bytes, 4), undefined);
    assert.equal(parseTile(bytes.subarray(1), 2), undefined);
  });
});

describe('an entry bundle', () => {
  it('gives back what was put in, and what is left when it is cut', () => {
    const entry = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), fc.nat(), (entries, choice) => {
        const bytes = encodeBundle(entries);
        const whole = parseBundle(bytes);
        assert.equal(whole.whole, true);
        assert.deepEqual(whole.entries.map(hex), entries.map(hex));
        if (bytes.length === 0) return;
        const cut = parseBundle(bytes.subarray(0, choice % bytes.length));
        assert.ok(cut.entries.length < entries.length);
      }),
      { numRuns: 100 },
    );
  });

  it('refuses empty entries and those of more than 65,535 bytes', () => {
    assert.throws(() => encodeBundle([new Uint8Array()]), RangeError);
    assert.throws(() => encodeBundle([new Uint8Array(65_536)]), RangeError);
    assert.equal(parseBundle(encodeBundle([new Uint8Array(65_535)])).entries[0]?.length, 65_535);
  });
});

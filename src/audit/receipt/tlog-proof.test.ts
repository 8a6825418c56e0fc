import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { formatTlogProof, parseTlogProof, ReceiptError } from './tlog-proof.ts';

const HASH = Buffer.alloc(32, 5).toString('base64');
const NOTE = 'log.example/a\n9\nAAAA\n\n\u2014 log.example/a AAAAAAAA\n';
const whole = `c2sp.org/tlog-proof@v1\nextra YWJj\nindex 7\n${HASH}\n${HASH}\n\n${NOTE}`;

describe('a tlog-proof', () => {
  it('is read as the specification writes it', () => {
    const proof = parseTlogProof(whole);
    assert.equal(Buffer.from(proof.extra ?? []).toString(), 'abc');
    assert.equal(proof.index, 7);
    assert.equal(proof.hashes.length, 2);
    assert.equal(proof.checkpoint, NOTE);
    assert.equal(formatTlogProof(proof), whole);
  });

  it('may hold no extra data, and no hashes', () => {
    const text = `c2sp.org/tlog-proof@v1\nindex 0\n\n${NOTE}`;
    assert.deepEqual(parseTlogProof(text), { index: 0, hashes: [], checkpoint: NOTE });
    assert.equal(formatTlogProof(parseTlogProof(text)), text);
  });

  it('goes through its text and back, whatever it holds', () => {
    const bytes = fc.uint8Array({ maxLength: 80 });
    const proofs = fc.record(
      {
        extra: bytes,
        index: fc.maxSafeNat(),
        hashes: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 53 }),
        checkpoint: fc.string(),
      },
      { requiredKeys: ['index', 'hashes', 'checkpoint'] },
    );
    fc.assert(
      fc.property(proofs, (proof) => {
        const text = formatTlogProof(proof);
        assert.equal(formatTlogProof(parseTlogProof(text)), text);
      }),
      { numRuns: 100 },
    );
  });

  const refused: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['another version', whole.replace('@v1', '@v2')],
    ['garbage before', `\n${whole}`],
    ['a byte order mark', `\ufeff${whole}`],
    ['Windows line ends', whole.replaceAll('\n', '\r\n')],
    ['no checkpoint', whole.slice(0, whole.indexOf('\n\n'))],
    ['no index', whole.replace('index 7\n', '')],
    ['an index with a leading zero', whole.replace('index 7', 'index 07')],
    ['a negative index', whole.replace('index 7', 'index -7')],
    ['an index in hex', whole.replace('index 7', 'index 0x7')],
    ['an index with a sign', whole.replace('index 7', 'index +7')],
    ['an index beyond 2^53', whole.replace('index 7', 'index 9007199254740993')],
    ['an index of 20 digits', whole.replace('index 7', 'index 18446744073709551615')],
    ['two spaces', whole.replace('index 7', 'index  7')],
    ['a space behind the index', whole.replace('index 7', 'index 7 ')],
    ['two indices', whole.replace('index 7\n', 'index 7\nindex 7\n')],
    ['two extras', whole.replace('extra YWJj\n', 'extra YWJj\nextra YWJj\n')],
    ['extra behind the index', whole.replace('extra YWJj\nindex 7\n', 'index 7\nextra YWJj\n')],
    ['extra that is not base64', whole.replace('YWJj', 'YW*j')],
    ['extra without padding', whole.replace('YWJj', 'YWI')],
    ['extra with trailing bits', whole.replace('YWJj', 'YWJ=')],
    ['extra in base64url', whole.replace('YWJj', '_-_-')],
    ['a hash of 31 bytes', whole.replace(HASH, Buffer.alloc(31).toString('base64'))],
    ['a hash of 33 bytes', whole.replace(HASH, Buffer.alloc(33).toString('base64'))],
    ['a hash with trailing bits', whole.replace(HASH, HASH.replace('U=', 'V='))],
    ['a hash with a space', whole.replace(HASH, `${HASH} `)],
    ['a hash in hex', whole.replace(HASH, '05'.repeat(32))],
    ['54 hashes', whole.replace(`${HASH}\n`, `${HASH}\n`.repeat(53))],
    ['more than 2 MB', whole.padEnd(2_000_001, 'A')],
  ];
  for (const [what, text] of refused) {
    it(`is refused with ${what}`, () => {
      assert.notEqual(text, whole);
      assert.throws(() => parseTlogProof(text), ReceiptError);
    });
  }
});

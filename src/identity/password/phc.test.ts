import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatPhc, parsePhc, type Phc } from './phc.ts';

const phc: Phc = {
  memoryKib: 19_456,
  passes: 2,
  parallelism: 1,
  pepperVersion: 1,
  salt: Buffer.alloc(16, 1),
  tag: Buffer.alloc(32, 2),
};

test('a hash is written in the PHC string format, without base64 padding', () => {
  assert.equal(
    formatPhc(phc),
    '$argon2id$v=19$m=19456,t=2,p=1,keyid=MQ$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI',
  );
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 64, max: 262_144 }),
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 99_999_999 }),
      fc.uint8Array({ minLength: 8, maxLength: 64 }),
      fc.uint8Array({ minLength: 16, maxLength: 64 }),
      (memoryKib, passes, parallelism, pepperVersion, salt, tag) => {
        const value = { memoryKib, passes, parallelism, pepperVersion, salt, tag };
        const read = parsePhc(formatPhc(value));
        assert.deepEqual(
          { ...read, salt: Buffer.from(read?.salt ?? []), tag: Buffer.from(read?.tag ?? []) },
          { ...value, salt: Buffer.from(salt), tag: Buffer.from(tag) },
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('every other spelling is refused', () => {
  const text = formatPhc(phc);
  const wrong = [
    '',
    text.replace('argon2id', 'argon2i'),
    text.replace('v=19', 'v=16'),
    text.replace('m=19456', 'm=019456'),
    text.replace('m=19456,t=2', 't=2,m=19456'),
    text.replace(',keyid=MQ', ''),
    text.replace('keyid=MQ', 'keyid=MR'),
    text.replace('keyid=MQ', 'keyid=MA'),
    `${text}=`,
    `${text}\n`,
    ` ${text}`,
    `${text}$`,
    text.slice(0, -1) + 'J',
    text.replace('AQEB', 'AQ-B'),
  ];
  for (const each of wrong) assert.equal(parsePhc(each), undefined, each);
});

test('costs beyond the bounds are refused, so that no row makes a login exhaust the machine', () => {
  for (const [name, changes] of Object.entries({
    memory: { memoryKib: 262_145 },
    'too little memory': { memoryKib: 7 },
    passes: { passes: 17 },
    lanes: { parallelism: 9 },
    'short salt': { salt: Buffer.alloc(7) },
    'long salt': { salt: Buffer.alloc(65) },
    'short tag': { tag: Buffer.alloc(15) },
    'long tag': { tag: Buffer.alloc(65) },
    pepper: { pepperVersion: 100_000_000 },
  })) {
    assert.equal(parsePhc(formatPhc({ ...phc, ...changes })), undefined, name);
  }
});

import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isApiKeyShaped, macOfApiKey, newApiKeyText, parseApiKeyText } from './api-key.ts';

test('a new key has the documented form and names its public part', () => {
  const { text, publicId } = newApiKeyText();
  assert.match(text, /^mk_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}$/);
  assert.deepEqual(parseApiKeyText(text), { publicId });
  assert.notEqual(newApiKeyText().text, text);
});

test('the checksum is the CRC-32 of everything before it, in base62', () => {
  // Made with zlib.crc32 of Python: 0xba6f5180.
  assert.deepEqual(parseApiKeyText(`mk_${'0'.repeat(10)}_${'0'.repeat(32)}3PgAd6`), {
    publicId: '0'.repeat(10),
  });
});

test('refuses a key with any one character changed', () => {
  const { text } = newApiKeyText();
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('a', 'B', '3', '_', '-'), (at, char) => {
      const changed = text.slice(0, at) + char + text.slice(at + 1);
      return changed === text || parseApiKeyText(changed) === undefined;
    }),
    { numRuns: 200 },
  );
});

test('whatever is not a key is not one, and nothing throws', () => {
  for (const text of [
    '',
    'mk_',
    "' OR '1'='1",
    `${newApiKeyText().text}\n`,
    ` ${newApiKeyText().text}`,
    '__proto__',
  ]) {
    assert.equal(parseApiKeyText(text), undefined);
    assert.equal(isApiKeyShaped(text), false);
  }
});

test('the MAC depends on every character and on the ring key', () => {
  const { text } = newApiKeyText();
  const one = createSecretKey(Buffer.alloc(32, 1));
  const other = createSecretKey(Buffer.alloc(32, 2));
  assert.equal(macOfApiKey(text, one).length, 32);
  assert.notDeepEqual(macOfApiKey(text, one), macOfApiKey(text, other));
  assert.notDeepEqual(macOfApiKey(text, one), macOfApiKey(`${text}x`, one));
});

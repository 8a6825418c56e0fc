import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { macOfApiKey, newApiKeyText } from './api-key.ts';
import { createKeyCheck } from './key-check.ts';
import type { ApiKeyRecord } from './record.ts';

const macKey = createSecretKey(randomBytes(32));

function recordOf({ text, publicId }: { text: string; publicId: string }, key = macKey): ApiKeyRecord {
  return {
    id: `key_${publicId}`,
    publicId,
    mac: macOfApiKey(text, key),
    macKeyVersion: 1,
    ownerId: 'svc_1',
    label: '',
    scopes: null,
    createdAt: 0,
    createdBy: 'usr_1',
    notBefore: 0,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  };
}

test('a key is known the first time and every time after, a wrong one never, and one for another never', () => {
  const isKeyOf = createKeyCheck();
  const right = newApiKeyText();
  const record = recordOf(right);
  const wrong = `${right.text.slice(0, -1)}${right.text.endsWith('0') ? '1' : '0'}`;
  for (let time = 0; time < 3; time++) {
    assert.equal(isKeyOf(wrong, record, macKey), false);
    assert.equal(isKeyOf(newApiKeyText().text, record, macKey), false);
    assert.equal(isKeyOf(right.text, record, macKey), true);
  }
  assert.equal(isKeyOf(right.text, recordOf(newApiKeyText()), macKey), false);
});

test('without a record nothing is a key', () => {
  assert.equal(createKeyCheck()(newApiKeyText().text, undefined, macKey), false);
});

test('what was proved under a MAC key that is withdrawn is proved no more', () => {
  const isKeyOf = createKeyCheck();
  const right = newApiKeyText();
  const record = recordOf(right);
  assert.equal(isKeyOf(right.text, record, macKey), true);
  const decoy = createSecretKey(randomBytes(32));
  assert.equal(isKeyOf(right.text, record, decoy), false);
  assert.equal(isKeyOf(right.text, record, macKey), true);
});

test('what was proved of a record is not believed of the one that replaces it', () => {
  const isKeyOf = createKeyCheck();
  const right = newApiKeyText();
  const record = recordOf(right);
  assert.equal(isKeyOf(right.text, record, macKey), true);
  const replaced = { ...record, mac: macOfApiKey(newApiKeyText().text, macKey) };
  assert.equal(isKeyOf(right.text, replaced, macKey), false);
});

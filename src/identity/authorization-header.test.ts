import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { newApiKeyText } from './api-key.ts';
import { parseAuthorization } from './authorization-header.ts';
import { basic } from './testing.ts';

test('reads a name and a password, which may hold colons and any UTF-8', () => {
  const presented = parseAuthorization(basic('ada', 'pass:wörd:🦊'));
  assert.equal(presented.kind, 'password');
  assert.ok(presented.kind === 'password');
  assert.equal(presented.name, 'ada');
  assert.equal(presented.password.reveal(), 'pass:wörd:🦊');
});

test('the scheme is read in any case', () => {
  const { text, publicId } = newApiKeyText();
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    const presented = parseAuthorization(`${scheme} ${text}`);
    assert.ok(presented.kind === 'api_key');
    assert.equal(presented.publicId, publicId);
    assert.equal(presented.name, undefined);
  }
});

test('a Basic password of the form of an API key is one, and its name is kept', () => {
  const { text } = newApiKeyText();
  const presented = parseAuthorization(basic('robot', text));
  assert.ok(presented.kind === 'api_key');
  assert.equal(presented.name, 'robot');
  assert.equal(parseAuthorization(basic('robot', `${text.slice(0, -6)}000000`)).kind, 'bad_checksum');
});

test('nothing presented is missing; everything else unreadable is malformed', () => {
  assert.equal(parseAuthorization(undefined).kind, 'missing');
  assert.equal(parseAuthorization('').kind, 'missing');
  for (const header of [
    'Basic',
    'Basic ',
    'Basic !!!!',
    'Basic YWRh', // no colon
    'Basic OnBhc3M=', // no name
    'Basic YWRhOnBhc3M', // no padding
    'Basic YWRhOnBhc3N=', // bits in the padding
    `Basic ${Buffer.from([0x61, 0x3a, 0xff, 0xfe]).toString('base64')}`,
    `Basic ${Buffer.from('ada\0:x').toString('base64')}`,
    `Basic ${Buffer.from('ada:x\n').toString('base64')}`,
    `Basic ${'A'.repeat(9000)}`,
    'Bearer eyJhbGciOiJub25lIn0.e30.',
    "Bearer ' OR '1'='1",
    'Negotiate YWRhOnBhc3M=',
    'Basic YWRhOnBhc3M=, Bearer x',
    'Basic\tYWRhOnBhc3M=',
  ]) {
    assert.equal(parseAuthorization(header).kind, 'malformed', header);
  }
});

test('never throws, whatever arrives', () => {
  const kinds = new Set(['missing', 'malformed', 'bad_checksum', 'api_key', 'password']);
  const garbage = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.string({ maxLength: 60 }).map((text) => `Bearer ${text}`),
    fc.uint8Array({ maxLength: 80 }).map((bytes) => `Basic ${Buffer.from(bytes).toString('base64')}`),
    fc.base64String({ maxLength: 80 }).map((text) => `basic ${text}`),
    fc.string({ maxLength: 30 }).map((text) => `Bearer mk_${text}`),
  );
  fc.assert(
    fc.property(garbage, (header) => kinds.has(parseAuthorization(header).kind)),
    { numRuns: 1000 },
  );
});

test('a presented secret does not appear when the result is printed', () => {
  const { text } = newApiKeyText();
  assert.ok(!JSON.stringify(parseAuthorization(`Bearer ${text}`)).includes(text));
  assert.ok(!JSON.stringify(parseAuthorization(basic('ada', 'violet tubas'))).includes('violet'));
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isProblem } from '../kernel/problem.ts';
import type { Entry } from './entry.ts';
import { auditProblems } from './problems.ts';
import { ENTRY_BYTES_MAX, mayBeCut, parseEntry, phaseOf, serialiseEntry } from './serialise.ts';

const WHOLE: Entry = {
  v: 1,
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  time: '2026-01-01T00:00:00.000Z',
  phase: 'end',
  of: '01890a5d-ac96-774b-bcce-b302099a8056',
  request: 'req_1',
  action: 'model.invoke',
  principal: { kind: 'user', id: 'usr_1', name: 'ada' },
  credential: { kind: 'api_key', id: 'key_1' },
  source: { address: '::1', port: 4242 },
  http: { method: 'POST', route: '/predict', status: 200 },
  resource: '/projects/default/models/score',
  permission: 'model.invoke',
  decision: 'allow',
  reason: 'allowed',
  model: { version: '3', digest: 'ab' },
  input: 'cd',
  output: 'ef',
  detail: { rows: 2, ok: true, name: 'x' },
  latencyUs: 12,
};

const least: Entry = {
  v: 1,
  id: WHOLE.id,
  time: WHOLE.time,
  phase: 'single',
  action: 'a.b',
  principal: { kind: 'anonymous' },
  decision: 'deny',
  reason: 'identity.unauthenticated',
};

const bytes = (text: string): Uint8Array => Buffer.from(text);
const invalid = (error: unknown): boolean => isProblem(error, auditProblems.entry_invalid);

describe('an entry', () => {
  it('is one line of JSON whose keys stand in one order, whatever order they came in', () => {
    const shuffled = Object.fromEntries(Object.entries(WHOLE).toReversed()) as unknown as Entry;
    const text = serialiseEntry(shuffled);
    assert.equal(text, JSON.stringify(WHOLE));
    assert.deepEqual(parseEntry(bytes(text)), WHOLE);
    assert.equal(serialiseEntry(least), JSON.stringify(least));
  });

  it('refuses unknown keys at every depth, wrong types and values outside the table', () => {
    for (const change of [
      { secret: 'x' },
      { principal: { kind: 'user', token: 'x' } },
      { principal: { kind: 'root' } },
      { source: { address: '::1', port: '1' } },
      { http: { method: 'GET', route: '/', body: '' } },
      { decision: 'maybe' },
      { phase: undefined },
      { v: 2 },
      { action: 7 },
      { latencyUs: 1.5 },
      { latencyUs: Number.NaN },
      { detail: { nested: {} } },
      { detail: { nan: Number.NaN } },
      { detail: [] },
    ]) {
      assert.throws(
        () => serialiseEntry({ ...least, ...change } as unknown as Entry),
        invalid,
        JSON.stringify(change),
      );
    }
  });

  it('holds no raw control, direction or separator character, whatever a caller called itself', () => {
    const name = 'eve\n{"v":1}\u001b[2J\u009b31m\u202eadmin\u2028\ufeff\u007f';
    const text = serialiseEntry({ ...least, principal: { kind: 'user', name } });
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    assert.equal(parseEntry(bytes(text))?.principal.name, name);
  });

  it('is read back as it was, for any texts', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 250 }),
        fc.dictionary(fc.string(), fc.string()),
        (name, detail) => {
          const entry = { ...least, principal: { kind: 'user', name }, detail } as const;
          const text = serialiseEntry(entry);
          assert.deepEqual(parseEntry(bytes(text)), JSON.parse(text));
          assert.equal(parseEntry(bytes(text))?.principal.name, name);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('never exceeds 65,535 bytes: texts are cut, then the detail, never the decision', () => {
    const long = '\u0001'.repeat(70_000);
    const detail = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`key${at}`, long]));
    const huge: Entry = {
      ...WHOLE,
      request: long,
      action: long,
      resource: long,
      reason: long,
      principal: { kind: 'user', id: long, name: long },
      http: { method: long, route: long },
      model: { version: long, digest: long },
      detail,
    };
    const text = serialiseEntry(huge);
    assert.ok(Buffer.byteLength(text) <= ENTRY_BYTES_MAX);
    const read = parseEntry(bytes(text));
    assert.equal(read?.decision, 'allow');
    assert.equal(read?.detail?.['truncated'], true);
    assert.ok(read.reason.endsWith('…'));
  });

  it('is what its text is parsed to, unless something may have been cut', () => {
    let whole = 0;
    const check = (entry: Entry): void => {
      const text = serialiseEntry(entry);
      if (mayBeCut(text)) return;
      whole++;
      assert.deepEqual(JSON.parse(text), entry);
    };
    check(WHOLE);
    check(least);
    assert.equal(whole, 2);
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 600 }),
        fc.dictionary(fc.string({ maxLength: 600 }), fc.string({ maxLength: 9000 })),
        (reason, detail) => check({ ...least, reason, detail: { ...detail } }),
      ),
      { numRuns: 200 },
    );
    for (const cut of [{ reason: 'x'.repeat(513) }, { detail: { x: 'x'.repeat(4097) } }])
      assert.equal(mayBeCut(serialiseEntry({ ...least, ...cut })), true);
    const large = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`k${at}`, '漢'.repeat(2000)]));
    assert.equal(mayBeCut(serialiseEntry({ ...least, detail: large })), true);
  });

  it('is parsed only from the very bytes that would have been written', () => {
    const text = serialiseEntry(least);
    for (const changed of [
      ` ${text}`,
      `${text}\n`,
      text.replace('"v":1', '"v":2'),
      text.replace('"v":1,', ''),
      text.replace('"reason"', '"reason":"x","reason"'),
      text.replace('"decision":"deny"', '"decision":"allowed"'),
      text.replace('}', ',"x":1}'),
      text.replace('a.b', '\\u0061.b'),
      text.slice(0, -1),
      '',
      '[]',
      'null',
    ]) {
      assert.equal(parseEntry(bytes(changed)), undefined, changed);
    }
    const broken = Buffer.from(text);
    broken[broken.indexOf('a.b')] = 0xff;
    assert.equal(parseEntry(broken), undefined);
  });

  it('shows its phase and what it ends without being parsed', () => {
    assert.deepEqual(phaseOf(bytes(serialiseEntry(WHOLE))), { kind: 'end', id: WHOLE.id, of: WHOLE.of });
    assert.deepEqual(phaseOf(bytes(serialiseEntry(least))), { kind: 'single', id: WHOLE.id });
    assert.deepEqual(phaseOf(bytes(serialiseEntry({ ...least, phase: 'start' }))), {
      kind: 'start',
      id: WHOLE.id,
    });
  });
});

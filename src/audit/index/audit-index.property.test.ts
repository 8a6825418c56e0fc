import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { Entry } from '../entry.ts';
import type { AuditIndex } from './audit-index.ts';
import { createTestSource, START, withIndex } from './harness.ts';
import { HOUR_MS } from './protocol.ts';
import { type IndexQuery, meets } from './query.ts';

const names = [
  'ada',
  'bob',
  'Ada',
  'sa_1',
  'O\u2019Neill',
  'a"b',
  "x' OR 1=1 --",
  'été',
  '東京',
  'a b',
  'p=ada',
];
const actions = [
  'model.invoke',
  'model.create',
  'models.invoke',
  'user.update',
  'a.b.c.d.e.f',
  'setup',
  '.x',
];
const reasons = ['allowed', 'no_matching_binding', 'identity.unauthenticated', 'identity.locked'];
const resources = [
  '/',
  '/projects/a',
  '/projects/a/models/m',
  '/projects/ab/models/m',
  '/projects/a/models/m/versions/3',
  '/1/2/3/4/5/6/7/8/9/10',
  '/1/2/3/4/5/6/7/8/other',
  '//odd/',
];
const requests = ['req_1', 'req_2', 'REQ_1', 'x y'];
const sources = ['10.0.0.1', '10.0.0.11', '::1'];
const decisions = ['allow', 'deny', 'error'] as const;
const anyName = fc.constantFrom(...names);

const entry: fc.Arbitrary<Partial<Entry>> = fc
  .record(
    {
      action: fc.constantFrom(...actions),
      reason: fc.constantFrom(...reasons),
      decision: fc.constantFrom(...decisions),
      resource: fc.constantFrom(...resources),
      request: fc.constantFrom(...requests),
      address: fc.constantFrom(...sources),
      credential: anyName,
      note: fc.oneof(anyName, fc.string({ maxLength: 12, unit: 'binary' })),
      at: fc.integer({ min: 0, max: 5 * HOUR_MS }),
      id: anyName,
      name: anyName,
    },
    { requiredKeys: ['action', 'reason', 'decision', 'at'] },
  )
  .map(({ address, credential, note, at, id, name, ...fields }) => ({
    ...fields,
    time: new Date(START + at).toISOString(),
    principal: {
      kind: id === undefined ? 'anonymous' : 'user',
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
    },
    ...(address !== undefined && { source: { address, port: 1 } }),
    ...(credential !== undefined && { credential: { kind: 'api_key', id: credential } }),
    ...(note !== undefined && { detail: { note } }),
  }));

const query: fc.Arbitrary<IndexQuery> = fc.record(
  {
    principal: anyName,
    action: fc.constantFrom(...actions, 'model.*', 'a.b.*', 'a.b.c.d.e.*', '.*', 'nothing.*'),
    reason: fc.constantFrom(...reasons, 'identity.*'),
    decision: fc.constantFrom(...decisions),
    resource: fc.constantFrom(
      ...resources,
      '/projects',
      '/1/2/3/4/5/6/7/8',
      '/1/2/3/4/5/6/7/8/9',
      '/none',
      '//odd',
    ),
    credential: anyName,
    source: fc.constantFrom(...sources, '10.0.0'),
    request: fc.constantFrom(...requests),
    q: fc.oneof(
      anyName,
      fc.constantFrom('MODEL invoke', 'ete', 'a OR b', '"', 'NEAR(a b)', 'ada*', '-ada', 'terms:ada', '\0'),
    ),
    from: fc.integer({ min: START - 1, max: START + 5 * HOUR_MS }),
    to: fc.integer({ min: START, max: START + 5 * HOUR_MS }),
    limit: fc.integer({ min: 1, max: 7 }),
    before: fc.integer({ min: 0, max: 40 }),
    after: fc.integer({ min: 0, max: 40 }),
  },
  { requiredKeys: [] },
);

/** Most conditions hold for few entries: with many of them at once nothing would ever be found. */
const sparse = fc
  .tuple(
    query,
    fc.shuffledSubarray(
      [
        'principal',
        'action',
        'reason',
        'decision',
        'resource',
        'credential',
        'source',
        'request',
        'q',
        'from',
        'to',
        'before',
        'after',
      ],
      { maxLength: 2 },
    ),
  )
  .map(([whole, kept]): IndexQuery => {
    const rows = Object.entries(whole).filter(([name]) => kept.includes(name) || name === 'limit');
    return Object.fromEntries(rows) as IndexQuery;
  });

/** As a client does: goes on until it has as many as it wanted. */
async function ask(index: AuditIndex, query: IndexQuery): Promise<readonly number[]> {
  const { limit = 100 } = query;
  const { entries, before } = await index.search(query);
  const found = entries.map((row) => row.index);
  if (before === undefined || found.length >= limit) return found;
  assert.ok(before < (query.before ?? Infinity), 'each page goes further down');
  return [...found, ...(await ask(index, { ...query, before, limit: limit - found.length }))];
}

describe('the search index, against reading the whole log', () => {
  it('answers any query over any entries alike, indexed wholly, in part or not at all', async () => {
    let nonempty = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { minLength: 12, maxLength: 40 }),
        fc.array(sparse, { minLength: 16, maxLength: 32 }),
        fc.nat(40),
        fc.boolean(),
        async (entries, queries, indexedFirst, isRest) => {
          const source = createTestSource();
          source.add(...entries.slice(0, indexedFirst));
          await withIndex({ source, tuning: { batch: 7 } }, async (index) => {
            if (indexedFirst > 0) await index.settle();
            source.add(...entries.slice(indexedFirst));
            if (isRest) await index.settle();
            for (const query of queries) {
              const { limit = 100, before = Infinity, after = -1 } = query;
              const expected = source.rows
                .filter((row) => row.index < before && row.index > after && meets(row.entry, query))
                .toReversed()
                .slice(0, limit);
              assert.deepEqual(
                await ask(index, query),
                expected.map((row) => row.index),
                JSON.stringify(query),
              );
              if (expected.length > 0) nonempty++;
            }
          });
        },
      ),
      { numRuns: 16 },
    );
    assert.ok(nonempty > 50, `only ${nonempty} queries found anything`);
  });
});

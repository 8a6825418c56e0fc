import { z } from 'zod';
import type { Route, ScopeOf } from '../../http/route.ts';
import { auditProblems as problems } from '../problems.ts';
import { LIMIT_DEFAULT, LIMIT_MAX } from '../search.ts';
import type { AuditIndex, IndexStats } from './audit-index.ts';
import { entryPage, viewEntry } from './entry-view.ts';

const log: ScopeOf = () => '/audit';

const time = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .describe('ISO 8601, with Z or an offset');
const index = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const text = z.string().min(1).max(512);
const decision = z.enum(['allow', 'deny', 'error']);
const action = text.describe('model.invoke, or model.* for every action on models');

const entriesQuery = z.strictObject({
  principal: text.optional().describe('id or name of the principal'),
  credential: text.optional().describe('id of the credential'),
  action: action.optional(),
  resource: text.optional().describe('a node of the resource tree, its subtree included'),
  decision: decision.optional(),
  reason: text.optional().describe('no_matching_binding, or identity.* for every reason of a room'),
  source: text.optional().describe('source address'),
  request: text.optional().describe('request id, as answered in x-request-id'),
  q: text.optional().describe('words that all stand in the entry, in any order, without case'),
  from: time.optional(),
  to: time.optional(),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  before: index.optional().describe('only entries with a smaller index'),
  after: index.optional().describe('only entries with a greater index'),
});

const statsQuery = z.strictObject({
  from: time.optional().describe('ISO 8601; widened to whole hours, UTC'),
  to: time.optional().describe('ISO 8601; widened to whole hours, UTC'),
  by: z.enum(['hour', 'day']).default('hour').describe('what a point of the series counts, UTC'),
  split: z.enum(['action', 'decision', 'reason']).default('decision').describe('what the series tells apart'),
  action: action.optional(),
  decision: decision.optional(),
  top: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(10)
    .describe('names in each list of the most frequent'),
});

const counted = z.array(z.object({ name: z.string(), count: z.number() }));
const stats = z.object({
  from: z.string().optional().describe('what was counted: whole hours; absent if nothing is recorded'),
  to: z.string().optional(),
  total: z.number(),
  series: z
    .array(z.object({ start: z.string(), key: z.string(), count: z.number() }))
    .describe('oldest first; hours and days without entries are left out'),
  isCut: z.boolean().describe('the series would be longer: it holds the newest points'),
  actions: counted,
  reasons: counted,
  principals: z
    .array(
      z.object({
        kind: z.string(),
        id: z.string().optional(),
        name: z.string().optional(),
        count: z.number(),
      }),
    )
    .describe('over all actions'),
  resources: counted.describe('over all actions'),
  indexed: z.number().describe('entries counted; fewer than size only while the index is being built'),
  size: z.number(),
});

export function createSearchRoutes(
  search: Pick<AuditIndex, 'search' | 'stats'>,
): readonly Route<'audit.search'>[] {
  const common = { tag: 'audit', kind: 'read', method: 'GET' } as const;
  return [
    {
      ...common,
      path: '/api/v1/audit/entries',
      guard: { permission: 'audit.search', scope: log },
      audit: 'audit.search',
      summary: 'Search the audit log, newest entries first',
      request: { query: entriesQuery },
      response: entryPage,
      async handle({ query }) {
        const { entries, before } = await search.search(query);
        return { body: { entries: entries.map(viewEntry), ...(before !== undefined && { before }) } };
      },
    },
    {
      ...common,
      path: '/api/v1/audit/stats',
      guard: { permission: 'audit.search', scope: log },
      audit: 'audit.stats',
      summary: 'Count entries by hour or day, and the most frequent names',
      request: { query: statsQuery },
      response: stats,
      problems: [problems.unavailable],
      handle: async ({ query }) => ({
        body: viewStats(await search.stats(query as unknown as z.output<typeof statsQuery>)),
      }),
    },
  ];
}

function viewStats({ from, to, series, ...counts }: IndexStats): Readonly<Record<string, unknown>> {
  return {
    ...(from !== undefined && { from: iso(from) }),
    ...(to !== undefined && { to: iso(to) }),
    ...counts,
    series: series.map(({ start, key, count }) => ({ start: iso(start), key, count })),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

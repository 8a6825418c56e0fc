import { z } from 'zod';
import type { Route, ScopeOf } from '../http/route.ts';
import { encodeBase64 } from '../kernel/base64.ts';
import type { AuditLog, IndexedEntry } from './audit-log.ts';
import { auditProblems as problems } from './problems.ts';
import { LIMIT_DEFAULT, LIMIT_MAX } from './search.ts';

const log: ScopeOf = () => '/audit';

const time = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .describe('ISO 8601');
const index = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const text = z.string().min(1).max(512);

const entriesQuery = z.strictObject({
  principal: text.optional().describe('id or name of the principal'),
  action: text.optional().describe('model.invoke, or model.* for every action on models'),
  resource: text.optional().describe('a node of the resource tree, its subtree included'),
  decision: z.enum(['allow', 'deny', 'error']).optional(),
  from: time.optional(),
  to: time.optional(),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  before: index.optional().describe('only entries with a smaller index'),
  after: index.optional().describe('only entries with a greater index'),
});

const principal = z.object({ kind: z.string(), id: z.string().optional(), name: z.string().optional() });
const entry = z.object({
  v: z.literal(1),
  id: z.string(),
  time: z.string(),
  phase: z.enum(['single', 'start', 'end']),
  of: z.string().optional().describe('for an end: the id of its start'),
  request: z.string().optional(),
  action: z.string(),
  principal,
  credential: z.object({ kind: z.string(), id: z.string() }).optional(),
  source: z.object({ address: z.string(), port: z.number() }).optional(),
  http: z.object({ method: z.string(), route: z.string(), status: z.number().optional() }).optional(),
  resource: z.string().optional(),
  permission: z.string().optional(),
  decision: z.enum(['allow', 'deny', 'error']),
  reason: z.string(),
  model: z.object({ version: z.string(), digest: z.string() }).optional(),
  input: z.string().optional().describe('SHA-256 of the bytes received, hex'),
  output: z.string().optional().describe('SHA-256 of the bytes sent, hex'),
  detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  latencyUs: z.number().optional(),
});
const indexed = z.object({
  index: z.number(),
  leaf: z.string().describe('RFC 6962 leaf hash, base64'),
  entry,
});
const page = z.object({
  entries: z.array(indexed),
  before: z.number().optional().describe('ask again with this to go on; absent at the start of the log'),
});
const verification = z.object({
  ok: z.boolean(),
  size: z.number(),
  root: z.string().describe('signed root hash, base64'),
  unsealed: z.number(),
  problems: z.array(
    z.object({
      kind: z.enum(['checkpoint', 'entry', 'tile', 'wal', 'state']),
      index: z.number().optional(),
      file: z.string(),
      message: z.string(),
    }),
  ),
});

type AuditPermission = 'audit.search' | 'audit.read' | 'audit.verify';
type AuditReader = Pick<AuditLog, 'entries' | 'entry' | 'checkpoint' | 'vkey' | 'verify'>;

export function createAuditRoutes(audit: AuditReader): readonly Route<AuditPermission>[] {
  const common = { tag: 'audit', kind: 'read' } as const;
  return [
    {
      ...common,
      method: 'GET',
      path: '/api/v1/audit/entries',
      guard: { permission: 'audit.search', scope: log },
      audit: 'audit.search',
      summary: 'Search the audit log, newest entries first',
      request: { query: entriesQuery },
      response: page,
      async handle({ query }) {
        const { entries, before } = await audit.entries(query);
        return { body: { entries: entries.map(view), ...(before !== undefined && { before }) } };
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/api/v1/audit/entries/{index}',
      guard: { permission: 'audit.read', scope: log },
      audit: 'audit.read',
      summary: 'Show one audit entry',
      request: { params: z.object({ index: z.string().regex(/^(0|[1-9][0-9]{0,14})$/) }) },
      response: indexed,
      problems: [problems.not_found],
      async handle({ params }) {
        const found = await audit.entry(Number(params['index']));
        if (found === undefined) throw problems.not_found(`there is no entry ${params['index']}`);
        return { body: view(found) };
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/api/v1/audit/checkpoint',
      guard: { permission: 'audit.verify', scope: log },
      audit: 'audit.checkpoint',
      summary: 'Sign and show a checkpoint of everything recorded so far',
      handle: async () => ({
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: await audit.checkpoint(),
      }),
    },
    {
      ...common,
      method: 'GET',
      path: '/api/v1/audit/vkey',
      guard: { permission: 'audit.verify', scope: log },
      audit: 'audit.vkey',
      summary: 'Show the verifier key of the log',
      response: z.object({ vkey: z.string() }),
      handle: () => ({ body: { vkey: audit.vkey } }),
    },
    {
      ...common,
      method: 'POST',
      path: '/api/v1/audit/verify',
      guard: { permission: 'audit.verify', scope: log },
      audit: 'audit.verify',
      summary: 'Check every byte of the log against its signed checkpoint',
      response: verification,
      async handle(call) {
        const result = await audit.verify();
        call.note({ detail: { ok: result.ok, size: result.size } });
        return { body: result };
      },
    },
  ];
}

function view({ index, leaf, entry }: IndexedEntry): Readonly<Record<string, unknown>> {
  return { index, leaf: encodeBase64(leaf), entry };
}

import { z } from 'zod';
import type { Route, ScopeOf } from '../http/route.ts';
import type { AuditLog } from './audit-log.ts';
import { indexedEntry, viewEntry } from './index/entry-view.ts';
import { auditProblems as problems } from './problems.ts';

const log: ScopeOf = () => '/audit';

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
  successors: z
    .array(z.string())
    .optional()
    .describe('verifier keys that follow, by entries of the log, from those it was checked with'),
});

type AuditPermission = 'audit.read' | 'audit.verify';
type AuditReader = Pick<AuditLog, 'entry' | 'checkpoint' | 'vkey' | 'vkeys' | 'verify' | 'reveal'>;

export function createAuditRoutes(audit: AuditReader): readonly Route<AuditPermission>[] {
  const common = { tag: 'audit', kind: 'read' } as const;
  return [
    {
      ...common,
      method: 'GET',
      path: '/api/v1/audit/entries/{index}',
      guard: { permission: 'audit.read', scope: log },
      audit: 'audit.read',
      summary: 'Show one audit entry',
      request: { params: z.object({ index: z.string().regex(/^(0|[1-9][0-9]{0,14})$/) }) },
      response: indexedEntry,
      problems: [problems.not_found],
      async handle({ params }) {
        const found = await audit.entry(Number(params['index']));
        if (found === undefined) throw problems.not_found(`there is no entry ${params['index']}`);
        return { body: viewEntry({ ...found, entry: audit.reveal(found.entry) }) };
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
      summary: 'Show the verifier key of the log, and the old one while it changes',
      response: z.object({
        vkey: z.string(),
        vkeys: z
          .array(z.string())
          .describe('the present one first; while the log changes its key, two; that of ML-DSA-44 last'),
      }),
      handle: () => ({ body: { vkey: audit.vkey, vkeys: [...audit.vkeys()] } }),
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

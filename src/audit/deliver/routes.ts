import { z } from 'zod';
import type { Route, ScopeOf } from '../../http/route.ts';
import type { EntrySource } from '../entry-source.ts';
import type { Delivery } from './delivery.ts';
import { exportPage } from './export.ts';
import { createFormat, FORMATS } from './format/format.ts';

const log: ScopeOf = () => '/audit';
const LINES_MAX = 1000;

const time = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .describe('ISO 8601');
const exportQuery = z.strictObject({
  format: z.enum(FORMATS).default('json'),
  from: time.optional(),
  to: time.optional(),
  start: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).describe('first index'),
  limit: z.coerce.number().int().min(1).max(LINES_MAX).default(LINES_MAX),
});
const exported = z.object({
  lines: z.array(z.string()).describe('one event each'),
  next: z.number().optional().describe('ask again with this as `start`; absent at the end of the log'),
});
const sink = z.object({
  name: z.string(),
  kind: z.enum(['webhook', 'syslog', 'otlp', 'splunk', 'file']),
  state: z.enum(['idle', 'sending', 'retrying', 'stopped']),
  next: z.number().describe('first entry that the sink has not taken'),
  lagEntries: z.number(),
  lagMs: z.number(),
  deadLetters: z.number(),
  lastDeadLetters: z.array(z.object({ index: z.number(), reason: z.string() })),
  failure: z.string().optional().describe('why the last attempt failed'),
});

export interface DeliveryRouteParts {
  readonly source: Pick<EntrySource, 'size' | 'read'>;
  readonly origin: string;
  /** Modelkeep's own. */
  readonly version: string;
  readonly delivery: Pick<Delivery, 'status'>;
}

export function createDeliveryRoutes({
  source,
  origin,
  version,
  delivery,
}: DeliveryRouteParts): readonly Route<'audit.read' | 'audit.export'>[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/audit/export',
      guard: { permission: 'audit.export', scope: log },
      audit: 'audit.export',
      kind: 'read',
      tag: 'audit',
      summary: 'Export entries of the audit log as lines of OCSF, ECS, CEF or JSON, oldest first',
      request: { query: exportQuery },
      response: exported,
      async handle(call) {
        const { format, ...range } = call.query as z.output<typeof exportQuery>;
        const page = await exportPage(source, { origin, format: createFormat(format, version), range });
        call.note({ detail: { format, start: range.start, lines: page.lines.length } });
        return { body: page };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/audit/sinks',
      guard: { permission: 'audit.read', scope: log },
      audit: 'audit.sinks',
      kind: 'read',
      tag: 'audit',
      summary: 'Show where the audit log is sent, and how far each receiver has come',
      response: z.object({ sinks: z.array(sink) }),
      handle: () => ({ body: { sinks: delivery.status() } }),
    },
  ];
}

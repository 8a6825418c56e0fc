import { z } from 'zod';
import type { Call, Route, ScopeOf } from '../../http/route.ts';
import { SEVERITIES } from './alert.ts';
import { detectionProblems as problems } from './problems.ts';
import { DISMISS, LIFT, type ListedAlert, type Measure, type Responses } from './responses.ts';
import { RULES } from './rules/table.ts';

const log: ScopeOf = () => '/audit';
const time = z.iso.datetime().describe('ISO 8601, UTC');

const alert = z.object({
  id: z.string(),
  index: z.number().describe('entry of the alert in the log'),
  state: z.enum(['open', 'dismissed']),
  rule: z.string(),
  version: z.number(),
  name: z.string(),
  severity: z.enum(SEVERITIES),
  key: z.object({
    principal: z.string().optional(),
    address: z.string().optional(),
    network: z.string().optional(),
    credential: z.string().optional(),
    model: z.string().optional(),
  }),
  time,
  windowMs: z.number(),
  evidence: z.array(z.number()).describe('entries of the log that prove it'),
  attack: z.array(z.string()).describe('MITRE ATT&CK techniques'),
  atlas: z.array(z.string()).describe('MITRE ATLAS techniques'),
  response: z.string(),
  expiresAt: time,
});
const measure = z.object({
  id: z.string(),
  alert: z.string(),
  kind: z.enum(['throttle', 'step-up', 'block']),
  address: z.string().optional(),
  network: z.string().optional(),
  principal: z.string().optional(),
  credential: z.string().optional(),
  model: z.string().optional(),
  since: time,
  until: time,
});

const alertsQuery = z.strictObject({
  rule: z.enum(RULES.map(({ id }) => id)).optional(),
  severity: z.enum(SEVERITIES).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

type DetectionPermission = 'audit.search' | 'audit.configure';

/** Alerts, and what is done because of them. */
export function createDetectionRoutes(
  responses: Pick<Responses, 'alerts' | 'dismiss' | 'measures' | 'lift'>,
): readonly Route<DetectionPermission>[] {
  const reads = { tag: 'audit', kind: 'read', guard: { permission: 'audit.search', scope: log } } as const;
  const changes = { tag: 'audit', guard: { permission: 'audit.configure', scope: log } } as const;
  return [
    {
      ...reads,
      method: 'GET',
      path: '/api/v1/audit/alerts',
      audit: 'detection.list',
      summary: 'List alerts, newest first',
      request: { query: alertsQuery },
      response: z.object({ alerts: z.array(alert) }),
      handle({ query }) {
        const { rule, severity, limit } = query as z.infer<typeof alertsQuery>;
        const found = responses.alerts({
          ...(rule !== undefined && { rule }),
          ...(severity !== undefined && { severity }),
        });
        return { body: { alerts: found.slice(0, limit).map(alertView) } };
      },
    },
    {
      ...changes,
      method: 'POST',
      path: '/api/v1/audit/alerts/{alert}/dismiss',
      audit: DISMISS,
      summary: 'Dismiss an alert, and end what was done because of it',
      request: { params: z.object({ alert: z.string().regex(/^alr_[0-9a-f]{16}$/) }) },
      response: alert,
      problems: [problems.alert_not_found],
      handle(call) {
        const id = call.params['alert'] ?? '';
        call.note({ detail: { alert: id } });
        return { body: alertView(responses.dismiss(id)) };
      },
    },
    {
      ...reads,
      method: 'GET',
      path: '/api/v1/audit/blocks',
      audit: 'detection.list_blocks',
      summary: 'List who is blocked, slowed down or asked for more, and until when',
      response: z.object({ blocks: z.array(measure) }),
      handle: () => ({ body: { blocks: responses.measures().map(measureView) } }),
    },
    {
      ...changes,
      method: 'DELETE',
      path: '/api/v1/audit/blocks/{block}',
      audit: LIFT,
      summary: 'End one of them before its time',
      request: { params: z.object({ block: z.string().regex(/^msr_[0-9a-f]{16}_\d{1,4}$/) }) },
      response: measure,
      problems: [problems.measure_not_found],
      handle: (call: Call) => {
        const id = call.params['block'] ?? '';
        call.note({ detail: { measure: id } });
        return { body: measureView(responses.lift(id)) };
      },
    },
  ];
}

function alertView({ at: _at, principals: _principals, wholeAddress: _whole, ...rest }: ListedAlert) {
  return { ...rest, time: iso(rest.time), expiresAt: iso(rest.expiresAt) };
}

function measureView(each: Measure) {
  return { ...each, since: iso(each.since), until: iso(each.until) };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

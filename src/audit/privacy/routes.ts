import { z } from 'zod';
import type { Route, ScopeOf } from '../../http/route.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Holds } from './hold.ts';
import type { Privacy } from './privacy.ts';
import { privacyProblems as problems } from './problems.ts';
import type { Retention } from './retention.ts';

const log: ScopeOf = () => '/audit';
const month = z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/, 'expected a month such as 2026-11');
const hold = z.object({ reason: z.string(), since: z.string(), by: z.string() });
const plan = z.object({
  policy: z.string().describe('forever, or an ISO 8601 period'),
  keptFrom: z.string().optional().describe('first month that is kept whole'),
  first: z.number().describe('first entry that is there'),
  below: z.number().describe('first entry that the policy keeps'),
  size: z.number(),
  held: z.boolean(),
});

export interface CustodyRouteOptions {
  readonly privacy: Pick<Privacy, 'months' | 'erase'>;
  readonly retention: Retention;
  readonly holds: Holds;
  readonly clock: Pick<Clock, 'now'>;
}

/** What may be erased of the log, and what must not be. */
export function createCustodyRoutes(
  options: CustodyRouteOptions,
): readonly Route<'audit.read' | 'audit.configure'>[] {
  const { privacy, retention, holds, clock } = options;
  const common = { tag: 'audit', guard: { permission: 'audit.configure', scope: log } } as const;
  const read = { ...common, guard: { permission: 'audit.read', scope: log } } as const;
  return [
    {
      ...read,
      method: 'GET',
      path: '/api/v1/audit/months',
      audit: 'audit.months',
      summary: 'List the months whose addresses can be revealed',
      response: z.object({ months: z.array(z.object({ month })) }),
      handle: () => ({ body: { months: privacy.months().map((each) => ({ month: each })) } }),
    },
    {
      ...common,
      method: 'DELETE',
      path: '/api/v1/audit/months/{month}',
      audit: 'audit.erase_month',
      summary: 'Erase the addresses and clients of a month for good; no entry changes',
      request: { params: z.object({ month }) },
      status: 204,
      problems: [problems.month_current, problems.month_not_found, problems.held],
      async handle(call) {
        const { month: erased = '' } = call.params;
        call.note({ detail: { month: erased } });
        await holds.assertNone();
        await privacy.erase(erased);
        return {};
      },
    },
    {
      ...read,
      method: 'GET',
      path: '/api/v1/audit/retention',
      audit: 'audit.retention',
      summary: 'Show how long entries are kept, and what could be deleted now',
      response: plan,
      handle: async () => ({ body: await retention.plan() }),
    },
    {
      ...common,
      method: 'POST',
      path: '/api/v1/audit/retention/apply',
      audit: 'audit.apply_retention',
      summary: 'Delete the entries that the policy no longer keeps; their hashes stay',
      response: z.object({ deleted: z.number() }),
      problems: [problems.held],
      async handle(call) {
        const deleted = await retention.apply();
        call.note({ detail: { deleted } });
        return { body: { deleted } };
      },
    },
    {
      ...read,
      method: 'GET',
      path: '/api/v1/audit/hold',
      audit: 'audit.read_hold',
      summary: 'Show the legal hold',
      response: hold,
      problems: [problems.not_held],
      async handle() {
        const current = await holds.current();
        if (current === undefined) throw problems.not_held('there is no legal hold');
        return { body: current };
      },
    },
    {
      ...common,
      method: 'PUT',
      path: '/api/v1/audit/hold',
      audit: 'audit.set_hold',
      summary: 'Set a legal hold: nothing of the log is erased or deleted while it stands',
      request: { body: z.strictObject({ reason: z.string().trim().min(1).max(500) }) },
      response: hold,
      async handle(call) {
        const { reason } = call.body as { reason: string };
        const since = new Date(clock.now()).toISOString();
        const current = { reason, since, by: call.caller.principal.id };
        call.note({ detail: { reason } });
        await holds.set(current);
        return { body: current };
      },
    },
    {
      ...common,
      method: 'DELETE',
      path: '/api/v1/audit/hold',
      audit: 'audit.lift_hold',
      summary: 'Lift the legal hold',
      status: 204,
      problems: [problems.not_held],
      async handle() {
        await holds.lift();
        return {};
      },
    },
  ];
}

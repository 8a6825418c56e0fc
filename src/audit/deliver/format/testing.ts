import { leafHash } from '../../tree.ts';
import type { Entry } from '../../entry.ts';
import { entryEvent, type LogEvent } from './event.ts';

/** Events for tests of what renders and sends them. */
export const ORIGIN = 'keep.test/audit';

export function sampleEntry(members: Partial<Entry> = {}): Entry {
  return {
    v: 1,
    id: '0196b5a2-7c00-7000-8000-000000000001',
    time: '2026-01-31T12:00:00.250Z',
    phase: 'single',
    request: 'req_01',
    action: 'model.invoke',
    principal: { kind: 'user', id: 'usr_1', name: 'ada' },
    credential: { kind: 'api_key', id: 'key_1' },
    source: { address: '203.0.113.7', port: 40_001 },
    http: { method: 'POST', route: '/projects/{project}/models/{model}/predict', status: 200 },
    resource: '/projects/fraud/models/score',
    permission: 'model.invoke',
    decision: 'allow',
    reason: 'allowed',
    model: { version: '3', digest: 'ab'.repeat(32) },
    input: 'cd'.repeat(32),
    output: 'ef'.repeat(32),
    latencyUs: 1234,
    ...members,
  };
}

export function sampleEvent(members: Partial<Entry> = {}, index = 12): LogEvent {
  const entry = sampleEntry(members);
  return entryEvent(ORIGIN, { index, leaf: leafHash(Buffer.from(JSON.stringify(entry))), entry });
}

/** One of each kind of thing that the log tells. */
export const SAMPLES: Readonly<Record<string, LogEvent>> = {
  prediction: sampleEvent(),
  'denied prediction': sampleEvent({ decision: 'deny', reason: 'access.no_matching_binding' }),
  'failed prediction': sampleEvent({ decision: 'error', reason: 'serving.deadline_exceeded' }),
  'wrong key': bare({ decision: 'deny', reason: 'identity.unknown_key', principal: { kind: 'anonymous' } }),
  'IPv6 source': sampleEvent({ source: { address: '2001:db8::1', port: 5 } }),
  'sealed source': sampleEvent({ source: { address: '2026-01:c2VhbGVk', port: 0 } }),
  'local call': bare({ action: 'project.create', principal: { kind: 'local', id: 'local:root' } }),
  'start of a change': bare({ action: 'model.delete', phase: 'start' }),
  'end of a change': bare({
    action: 'model.delete',
    phase: 'end',
    of: '0196b5a2-7c00-7000-8000-000000000000',
  }),
  'new user': bare({ action: 'user.create', resource: '/users/usr_2', detail: { name: 'bob' } }),
  'changed account': bare({ action: 'serviceaccount.update', resource: '/service-accounts/sa_1' }),
  'refused setup': bare({ action: 'setup.complete', decision: 'deny', reason: 'identity.setup_token' }),
  'new key': bare({ action: 'apikey.create', detail: { key: 'key_2', owner: 'sa_1' } }),
  'new role': bare({ action: 'role.create', resource: '/roles/rol_1', detail: { name: 'caller' } }),
  'new binding': bare({
    action: 'binding.create',
    resource: '/projects/fraud',
    detail: { binding: 'bnd_1', subject: 'usr_2', role: 'invoker', effect: 'allow' },
  }),
  'refused binding': bare({
    action: 'binding.delete',
    decision: 'deny',
    reason: 'access.no_matching_binding',
  }),
  'new member': bare({
    action: 'group.add_member',
    resource: '/groups/grp_1',
    detail: { group: 'ops', member: 'usr_2' },
  }),
  session: bare({ action: 'session.create' }),
  alert: bare({
    action: 'detection.alert',
    principal: { kind: 'system' },
    detail: {
      rule: 'A1',
      version: 1,
      severity: 'high',
      evidence: '3, 4, 9',
      attack: 'T1110.001 AML.T0024.002',
    },
  }),
  'alert without facts': bare({ action: 'detection.alert', principal: { kind: 'system' } }),
  'clock step': bare({
    action: 'audit.clock_step',
    principal: { kind: 'system' },
    detail: { stepMs: -5000 },
  }),
};

function bare(members: Partial<Entry>): LogEvent {
  const { model: _m, input: _i, output: _o, resource: _r, permission: _p, ...rest } = sampleEntry();
  const entry: Entry = { ...rest, ...members };
  return entryEvent(ORIGIN, { index: 7, leaf: leafHash(Buffer.from(JSON.stringify(entry))), entry });
}

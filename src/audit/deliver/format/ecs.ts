import type { Entry } from '../../entry.ts';
import {
  isFailedAuthentication,
  isFinding,
  leafHex,
  type Level,
  levelOf,
  type LogEvent,
  messageOf,
  outcomeOf,
  sourceIp,
  techniquesOf,
} from './event.ts';
import { defined, lineOfJson } from './text.ts';

export const ECS_VERSION = '9.4.0';

const SEVERITY: Readonly<Record<Level, number>> = { info: 1, low: 3, medium: 5, high: 7, critical: 10 };
const OUTCOME = { success: 'success', failure: 'failure', started: 'unknown' } as const;
const IAM = /^(?:user|serviceaccount|apikey|role|binding|group|setup)\./;

/** One Elastic Common Schema document as a line of JSON; what ECS has no field for stands under `modelkeep`. */
export function formatEcs(event: LogEvent, version: string): string {
  return lineOfJson(ecsDocument(event, version));
}

export function ecsDocument(event: LogEvent, version: string): Readonly<Record<string, unknown>> {
  const { entry, origin, index, key } = event;
  const { principal, source, http, detail } = entry;
  const ip = sourceIp(entry);
  const techniques = techniquesOf(entry);
  return defined({
    '@timestamp': entry.time,
    ecs: { version: ECS_VERSION },
    message: messageOf(entry),
    event: defined({
      id: entry.id,
      kind: isFinding(entry) ? 'alert' : 'event',
      category: categories(entry),
      type: types(entry),
      action: entry.action,
      outcome: OUTCOME[outcomeOf(entry)],
      reason: entry.reason,
      sequence: index,
      hash: leafHex(event),
      severity: SEVERITY[levelOf(entry)],
      duration: entry.latencyUs === undefined ? undefined : entry.latencyUs * 1000,
      module: 'modelkeep',
      dataset: 'modelkeep.audit',
      provider: origin,
    }),
    user: principal.kind === 'anonymous' ? undefined : defined({ id: principal.id, name: principal.name }),
    source:
      source === undefined
        ? undefined
        : defined({ address: source.address, ip, port: ip === undefined ? undefined : source.port }),
    http:
      http === undefined
        ? undefined
        : defined({
            request: defined({ method: http.method, id: entry.request }),
            response: http.status === undefined ? undefined : { status_code: http.status },
          }),
    related: defined({
      user: principal.id === undefined ? undefined : [principal.id],
      ip: ip === undefined ? undefined : [ip],
    }),
    rule: isFinding(entry)
      ? defined({ id: String(detail?.['rule'] ?? 'unknown'), version: text(detail?.['version']) })
      : undefined,
    threat: techniques.length === 0 ? undefined : { technique: { id: techniques } },
    observer: { vendor: 'Modelkeep', product: 'Modelkeep', version, type: 'model-gateway' },
    modelkeep: defined({
      key,
      phase: entry.phase,
      of: entry.of,
      route: http?.route,
      principal: principal.kind,
      credential: entry.credential,
      resource: entry.resource,
      permission: entry.permission,
      decision: entry.decision,
      model: entry.model,
      input: entry.input,
      output: entry.output,
      // A member that is a text in one entry and a number in another would not fit one mapping.
      detail:
        detail === undefined
          ? undefined
          : Object.fromEntries(Object.entries(detail).map(([name, value]) => [name, String(value)])),
    }),
  });
}

function categories(entry: Entry): readonly string[] {
  if (isFinding(entry)) return ['intrusion_detection'];
  if (isFailedAuthentication(entry)) return ['api', 'authentication'];
  return IAM.test(entry.action) ? ['api', 'iam'] : ['api'];
}

function types(entry: Entry): readonly string[] {
  if (isFinding(entry)) return ['info'];
  const verdict = entry.decision === 'allow' ? ['allowed'] : entry.decision === 'deny' ? ['denied'] : [];
  if (isFailedAuthentication(entry)) return ['start', ...verdict];
  const [noun = '', verb = ''] = entry.action.split('.');
  const what = IAM.test(entry.action) ? (noun === 'group' ? ['group'] : ['user']) : [];
  if (/^(?:create|add|complete)/.test(verb)) return ['creation', ...what, ...verdict];
  if (/^(?:delete|remove|destroy|revoke)/.test(verb)) return ['deletion', ...what, ...verdict];
  if (/^(?:update|set|rotate|disable|enable)/.test(verb)) return ['change', ...what, ...verdict];
  return ['access', ...verdict];
}

function text(value: string | number | boolean | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

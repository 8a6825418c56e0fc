import type { Entry } from '../../entry.ts';
import {
  isFinding,
  leafHex,
  type Level,
  levelOf,
  type LogEvent,
  messageOf,
  modelOf,
  outcomeOf,
  resourceType,
  sourceIp,
  techniquesOf,
  timeMs,
} from './event.ts';
import { type OcsfClass, ocsfClass } from './ocsf-class.ts';
import { defined, lineOfJson } from './text.ts';

export const OCSF_VERSION = '1.8.0';

type Members = Readonly<Record<string, unknown>>;

const SEVERITY: Readonly<Record<Level, readonly [id: number, caption: string]>> = {
  info: [1, 'Informational'],
  low: [2, 'Low'],
  medium: [3, 'Medium'],
  high: [4, 'High'],
  critical: [5, 'Critical'],
};
const STATUS = { success: [1, 'Success'], failure: [2, 'Failure'], started: [99, 'Started'] } as const;
/** action_id and disposition_id of the security_control profile: Allowed, Denied and Blocked, Unknown and Error. */
const CONTROL = { allow: [1, 1], deny: [2, 2], error: [0, 27] } as const;
const USER_TYPES = { user: 1, service_account: 4, local: 1, anonymous: 0, system: 3 } as const;
const SHA_256 = { algorithm_id: 3, algorithm: 'SHA-256' } as const;
const RULE_ANALYTIC = 1;

/** One OCSF 1.8 event as a line of JSON. `version` is Modelkeep's own. */
export function formatOcsf(event: LogEvent, version: string): string {
  return lineOfJson(ocsfEvent(event, version));
}

export function ocsfEvent(event: LogEvent, version: string): Members {
  const { entry, origin, index } = event;
  const which = ocsfClass(entry);
  const [severityId, severity] = SEVERITY[levelOf(entry)];
  const leaf = leafHex(event);
  const isModelCall = which.uid === 6003 && modelOf(entry.resource) !== undefined;
  return defined({
    category_uid: Math.floor(which.uid / 1000),
    class_uid: which.uid,
    class_name: which.name,
    activity_id: which.activityId,
    activity_name: which.activity,
    type_uid: which.uid * 100 + which.activityId,
    type_name: `${which.name}: ${which.activity}`,
    severity_id: severityId,
    severity,
    time: timeMs(entry),
    message: messageOf(entry),
    metadata: defined({
      version: OCSF_VERSION,
      product: { name: 'Modelkeep', vendor_name: 'Modelkeep', version },
      profiles: isModelCall ? ['security_control', 'ai_operation'] : ['security_control'],
      uid: entry.id,
      sequence: index,
      log_name: origin,
      original_time: entry.time,
      correlation_uid: entry.request,
      original_event_uid: event.key,
    }),
    raw_data_hash: leaf === undefined ? undefined : { ...SHA_256, value: leaf },
    ...status(entry),
    ...control(entry),
    ...subject(entry, which),
    unmapped: unmapped(entry),
  });
}

function status(entry: Entry): Members {
  if (isFinding(entry)) return { status_id: 1, status: 'New' };
  const [id, caption] = STATUS[outcomeOf(entry)];
  return defined({
    status_id: id,
    status: caption,
    status_code: entry.http?.status === undefined ? undefined : String(entry.http.status),
    status_detail: entry.reason,
    duration: entry.latencyUs === undefined ? undefined : Math.round(entry.latencyUs / 1000),
  });
}

function control(entry: Entry): Members {
  if (isFinding(entry)) return { is_alert: true };
  const [action, disposition] = CONTROL[entry.decision];
  const { permission, decision } = entry;
  return defined({
    action_id: action,
    disposition_id: disposition,
    authorizations: permission === undefined ? undefined : [{ decision, policy: { name: permission } }],
  });
}

/** What the class asks for besides the attributes that all have. */
function subject(entry: Entry, { uid }: OcsfClass): Members {
  const resources =
    entry.resource === undefined
      ? undefined
      : [defined({ uid: entry.resource, type: resourceType(entry.resource) })];
  const actor = { user: user(entry) };
  const source = { src_endpoint: endpoint(entry), http_request: httpRequest(entry) };
  const detail = entry.detail ?? {};
  const named = (name: string): string | undefined =>
    typeof detail[name] === 'string' && detail[name] !== '' ? detail[name] : undefined;
  switch (uid) {
    case 2004:
      return defined({ finding_info: findingInfo(entry), evidences: evidences(entry), resources });
    case 3001:
      return defined({ actor, ...source, user: account(entry, named('name')) });
    case 3002:
      return defined({
        ...source,
        user: user(entry),
        service: { name: 'Modelkeep' },
        status_detail: entry.reason,
      });
    case 3004: {
      const name = named('key') ?? named('name');
      const entity = { uid: entry.resource ?? entry.action, type: entry.action.split('.')[0], name };
      return defined({ actor, ...source, entity: defined(entity) });
    }
    case 3005: {
      const privileges = [named('role') ?? 'unknown'];
      const holder = named('subject');
      const to = holder === undefined ? { name: 'unknown' } : { uid: holder };
      return defined({ actor, ...source, user: to, privileges, resources });
    }
    case 3006: {
      const member = named('member');
      const group = { uid: entry.resource ?? 'unknown', name: named('name') ?? named('group') };
      return defined({
        actor,
        ...source,
        group: defined(group),
        user: member === undefined ? undefined : { uid: member },
      });
    }
    case 6003:
    default: {
      const { status } = entry.http ?? {};
      return defined({
        actor,
        ...source,
        api: defined({
          operation: entry.action,
          service: { name: 'Modelkeep', version: 'v1' },
          request: entry.request === undefined ? undefined : { uid: entry.request },
        }),
        http_response: status === undefined ? undefined : { code: status },
        resources,
        ai_model: aiModel(entry),
      });
    }
  }
}

function user({ principal, credential }: Entry): Members {
  return defined({
    name: principal.name ?? (principal.id === undefined ? principal.kind : undefined),
    uid: principal.id,
    type_id: USER_TYPES[principal.kind],
    credential_uid: credential?.id,
  });
}

/** The account that is changed: the resource, not who changes it. */
function account({ action, resource }: Entry, name: string | undefined): Members {
  const uid = resource?.split('/')[2];
  return defined({
    uid: uid ?? (name === undefined ? 'unknown' : undefined),
    name,
    type_id: action.startsWith('serviceaccount.') ? 4 : 1,
  });
}

function endpoint(entry: Entry): Members {
  const { source, principal } = entry;
  const ip = sourceIp(entry);
  if (source !== undefined && ip !== undefined)
    return defined({ ip, port: source.port > 0 ? source.port : undefined });
  if (source?.address !== undefined && source.address !== '') return { uid: source.address };
  return { name: principal.kind === 'local' || principal.kind === 'system' ? 'localhost' : 'unknown' };
}

/** The route template stands for the path: the log holds no raw URL. */
function httpRequest({ http, request }: Entry): Members | undefined {
  if (http === undefined) return undefined;
  return defined({ http_method: http.method, url: { path: http.route }, uid: request });
}

function aiModel({ resource, model }: Entry): Members | undefined {
  const named = modelOf(resource);
  if (named === undefined) return undefined;
  return defined({
    ai_provider: 'Modelkeep',
    name: `${named.project}/${named.model}`,
    version: model?.version,
    uid: model?.digest,
  });
}

function findingInfo(entry: Entry): Members {
  const { rule = 'unknown', version } = entry.detail ?? {};
  const techniques = techniquesOf(entry);
  return defined({
    uid: entry.id,
    title: messageOf(entry),
    created_time: timeMs(entry),
    analytic: defined({
      type_id: RULE_ANALYTIC,
      uid: String(rule),
      version: version === undefined ? undefined : String(version),
    }),
    attacks:
      techniques.length === 0
        ? undefined
        : techniques.map((technique) => ({ technique: { uid: technique } })),
  });
}

function evidences({ detail }: Entry): readonly Members[] | undefined {
  const text = detail?.['evidence'];
  if (text === undefined) return undefined;
  const indices = String(text).match(/\d+/g) ?? [];
  return [{ name: 'entries of the audit log', data: { indices: indices.map(Number) } }];
}

function unmapped({ phase, of, credential, input, output, model, detail }: Entry): Members {
  return defined({ phase, of, credential, input, output, model, detail });
}

import { isIP } from 'node:net';
import type { IndexedEntry } from '../../audit-log.ts';
import type { Entry } from '../../entry.ts';

/** One thing to tell a receiver: an entry of the log, or a signed checkpoint of it. */
export interface LogEvent {
  /** Unique and stable: a receiver that has seen it drops it. `origin/12`, `origin/checkpoint/13`. */
  readonly key: string;
  /** Names the log. */
  readonly origin: string;
  /** Absent for a checkpoint. */
  readonly index?: number;
  /** RFC 6962 leaf hash. Absent for a checkpoint. */
  readonly leaf?: Uint8Array;
  readonly entry: Entry;
}

/** The same in every format: how grave it is. */
export type Level = 'info' | 'low' | 'medium' | 'high' | 'critical';

export function entryEvent(origin: string, { index, leaf, entry }: IndexedEntry): LogEvent {
  return { key: `${origin}/${index}`, origin, index, leaf, entry };
}

/** A signed checkpoint (C2SP tlog-checkpoint) as an event, so that whoever receives the log can hold us to it. */
export function checkpointEvent(origin: string, note: string, nowMs: number): LogEvent {
  const size = Number(note.split('\n')[1]);
  const key = `${origin}/checkpoint/${size}`;
  const entry: Entry = {
    v: 1,
    id: key,
    time: new Date(nowMs).toISOString(),
    phase: 'single',
    action: 'audit.checkpoint',
    principal: { kind: 'system' },
    resource: '/audit',
    decision: 'allow',
    reason: 'allowed',
    detail: { size, checkpoint: note },
  };
  return { key, origin, entry };
}

/** Claims that the entry is an alert of a detection rule. */
export function isFinding({ action }: Entry): boolean {
  return action === 'detection.alert';
}

/** Claims that the entry is an attempt by someone who did not prove who they are. */
export function isFailedAuthentication({ decision, principal, reason }: Entry): boolean {
  return decision === 'deny' && principal.kind === 'anonymous' && reason.startsWith('identity.');
}

export function levelOf(entry: Entry): Level {
  const said = isFinding(entry) ? entry.detail?.['severity'] : undefined;
  if (said === 'low' || said === 'medium' || said === 'high' || said === 'critical') return said;
  if (isFinding(entry)) return 'medium';
  return entry.decision === 'allow' ? 'info' : entry.decision === 'deny' ? 'low' : 'medium';
}

/** A start tells that something was allowed and begun, not how it ended. */
export function outcomeOf({ decision, phase }: Entry): 'success' | 'failure' | 'started' {
  if (decision !== 'allow') return 'failure';
  return phase === 'start' ? 'started' : 'success';
}

/** One sentence for people. */
export function messageOf(entry: Entry): string {
  const { principal, action, resource, decision, reason, phase } = entry;
  const who = principal.name ?? principal.id ?? principal.kind;
  const what = phase === 'single' ? action : `${action} (${phase})`;
  return `${who}: ${what}${resource === undefined ? '' : ` on ${resource}`}: ${decision}, ${reason}`;
}

/** The address of the source if it is one: a sealed address is not. */
export function sourceIp({ source }: Entry): string | undefined {
  return source !== undefined && isIP(source.address) !== 0 ? source.address : undefined;
}

export function timeMs({ time }: Entry): number {
  return Date.parse(time);
}

/** MITRE ATT&CK and ATLAS ids that an alert names, each once. */
export function techniquesOf({ detail = {} }: Entry): readonly string[] {
  const text = Object.entries(detail)
    .filter(([name]) => /^(?:mitre|attack|atlas|techniques?)$/.test(name))
    .map(([, value]) => String(value))
    .join(' ');
  return [...new Set(text.match(/\b(?:AML\.)?T\d{4}(?:\.\d{3})?\b/g) ?? [])];
}

/** `model` of `/projects/fraud/models/score`; undefined for the root. */
export function resourceType(resource: string): string | undefined {
  const steps = resource.split('/').filter((step) => step !== '');
  const collection = steps.length % 2 === 0 ? steps.at(-2) : steps.at(-1);
  return collection?.replace(/s$/, '');
}

/** Project and model that a resource path names. */
export function modelOf(resource: string | undefined): { project: string; model: string } | undefined {
  const [, project, model] = /^\/projects\/([^/]+)\/models\/([^/]+)/.exec(resource ?? '') ?? [];
  return project === undefined || model === undefined ? undefined : { project, model };
}

export function leafHex({ leaf }: LogEvent): string | undefined {
  return leaf === undefined ? undefined : Buffer.from(leaf).toString('hex');
}

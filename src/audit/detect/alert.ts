import type { IndexedEntry } from '../audit-log.ts';
import type { Entry, EntryDraft } from '../entry.ts';
import { DETECTION_ALERT } from './event.ts';

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Graded: each does more than the one before it. All expire, and all can be lifted. */
export const RESPONSES = ['observe', 'throttle', 'step-up', 'block-pair', 'block-key'] as const;
export type Response = (typeof RESPONSES)[number];

/** What an alert is about: all that is given, together. */
export interface AlertKey {
  readonly principal?: string;
  readonly address?: string;
  /** Instead of an address: a network. */
  readonly network?: string;
  readonly credential?: string;
  readonly model?: string;
}

export interface Alert {
  /** The same entries give the same id: `alr_` and sixteen hexadecimal digits. */
  readonly id: string;
  readonly rule: string;
  readonly version: number;
  readonly name: string;
  readonly severity: Severity;
  readonly key: AlertKey;
  readonly windowMs: number;
  /** Time and index of the entry that completed the evidence. */
  readonly time: number;
  readonly at: number;
  /** Indices of up to twenty entries, ascending. */
  readonly evidence: readonly number[];
  readonly attack: readonly string[];
  readonly atlas: readonly string[];
  readonly response: Response;
  /** When the response ends, milliseconds since 1970 UTC. */
  readonly expiresAt: number;
  /** Principals that were tried from the address. */
  readonly principals?: readonly string[];
  /** Nobody came in from the address and nearly all who tried were refused: it may be blocked as a whole. */
  readonly wholeAddress?: boolean;
}

/**
 * The entry that an alert becomes. The address stands in `source`, where addresses are sealed and can be erased, never in
 * `detail`.
 */
export function draftOf(alert: Alert): EntryDraft {
  const { key, principals = [] } = alert;
  const address = key.address ?? key.network;
  return {
    phase: 'single',
    action: DETECTION_ALERT,
    principal: { kind: 'system' },
    ...(key.credential !== undefined && { credential: { kind: 'subject', id: key.credential } }),
    ...(address !== undefined && { source: { address, port: 0 } }),
    resource: key.model ?? '/audit',
    decision: 'allow',
    reason: `detection.${alert.name}`,
    detail: {
      alert: alert.id,
      rule: alert.rule,
      version: alert.version,
      severity: alert.severity,
      at: alert.at,
      time: new Date(alert.time).toISOString(),
      windowMs: alert.windowMs,
      evidence: alert.evidence.join(','),
      attack: alert.attack.join(','),
      atlas: alert.atlas.join(','),
      response: alert.response,
      expiresAt: new Date(alert.expiresAt).toISOString(),
      ...(key.principal !== undefined && { principal: key.principal }),
      ...(key.network !== undefined && { source: 'network' }),
      ...(principals.length > 0 && { principals: principals.join(',') }),
      ...(alert.wholeAddress === true && { wholeAddress: true }),
    },
  };
}

/** The alert that an entry holds; undefined for any other entry. `address` is unknown where the source was erased. */
export function alertOf({ entry }: Pick<IndexedEntry, 'entry'>): Alert | undefined {
  const { detail = {}, action, principal, reason } = entry;
  if (action !== DETECTION_ALERT || principal.kind !== 'system') return undefined;
  const text = (name: string): string => String(detail[name] ?? '');
  const list = (name: string): string[] =>
    text(name)
      .split(',')
      .filter((each) => each !== '');
  const severity = SEVERITIES.find((each) => each === detail['severity']);
  const response = RESPONSES.find((each) => each === detail['response']);
  const [time, expiresAt] = [Date.parse(text('time')), Date.parse(text('expiresAt'))];
  if (severity === undefined || response === undefined) return undefined;
  if (Number.isNaN(time) || Number.isNaN(expiresAt)) return undefined;
  return {
    id: text('alert'),
    rule: text('rule'),
    version: Number(detail['version']),
    name: reason.replace(/^detection\./, ''),
    severity,
    key: keyOf(entry),
    windowMs: Number(detail['windowMs']),
    time,
    at: Number(detail['at']),
    evidence: list('evidence').map(Number),
    attack: list('attack'),
    atlas: list('atlas'),
    response,
    expiresAt,
    ...('principals' in detail && { principals: list('principals') }),
    ...(detail['wholeAddress'] === true && { wholeAddress: true }),
  };
}

function keyOf({ credential, source, resource, detail = {} }: Entry): AlertKey {
  const place = detail['source'] === 'network' ? 'network' : 'address';
  return {
    ...(typeof detail['principal'] === 'string' && { principal: detail['principal'] }),
    ...(source !== undefined && typeof source.address === 'string' && { [place]: source.address }),
    ...(credential !== undefined && { credential: credential.id }),
    ...(resource !== undefined && resource !== '/audit' && { model: resource }),
  };
}

import { isIPv4 } from 'node:net';
import {
  isFinding,
  leafHex,
  type Level,
  levelOf,
  type LogEvent,
  messageOf,
  outcomeOf,
  sourceIp,
  timeMs,
} from './event.ts';
import { cut, lineOfJson, visible } from './text.ts';

const SEVERITY: Readonly<Record<Level, number>> = { info: 1, low: 3, medium: 5, high: 8, critical: 10 };
/** What receivers keep of one value. */
const VALUE_UNITS_MAX = 4000;

/** One event in ArcSight's Common Event Format, version 0: a line without its end. */
export function formatCef(event: LogEvent, version: string): string {
  const { entry, origin, index, key } = event;
  const { principal, source, http, model, credential, detail } = entry;
  const ip = sourceIp(entry);
  const header = ['Modelkeep', 'Modelkeep', version, entry.action, messageOf(entry)].map(headerField);
  const custom = (slot: string, label: string, value: string | undefined): readonly Pair[] =>
    value === undefined
      ? []
      : [
          [slot, value],
          [`${slot}Label`, label],
        ];
  const pairs: readonly Pair[] = [
    ['rt', timeMs(entry)],
    ['cat', isFinding(entry) ? 'Detection' : 'Audit'],
    ['act', entry.decision],
    ['outcome', outcomeOf(entry)],
    ['reason', entry.reason],
    ['externalId', key],
    ['dvchost', origin.split('/')[0]],
    ...(ip === undefined || isIPv4(ip) ? [['src', ip] as const] : custom('c6a2', 'Source IPv6 Address', ip)),
    ['spt', ip === undefined ? undefined : source?.port],
    ['suser', principal.name ?? (principal.id === undefined ? principal.kind : undefined)],
    ['suid', principal.id],
    ['requestMethod', http?.method],
    ['request', http?.route],
    ...(http?.status === undefined ? [] : custom('cn1', 'status', String(http.status))),
    ...(index === undefined ? [] : custom('cn2', 'index', String(index))),
    ...custom('cs1', 'resource', entry.resource),
    ...custom('cs2', 'permission', entry.permission),
    ...custom('cs3', 'leaf', leafHex(event)),
    ...custom('cs4', 'model', model === undefined ? undefined : `${model.version} ${model.digest}`),
    ...custom('cs5', 'credential', credential?.id),
    ...custom('cs6', 'detail', detail === undefined ? undefined : lineOfJson(detail)),
    ...custom('flexString1', 'requestId', entry.request),
    ...custom('flexString2', 'phase', entry.of === undefined ? entry.phase : `${entry.phase} ${entry.of}`),
  ];
  const extension = pairs
    .filter((pair) => pair[1] !== undefined)
    .map(([name, value]) => `${name}=${extensionValue(String(value))}`)
    .join(' ');
  return `CEF:0|${header.join('|')}|${SEVERITY[levelOf(entry)]}|${extension}`;
}

type Pair = readonly [name: string, value: string | number | undefined];

/** A pipe would end the field. Line ends are not allowed here at all, so they are spelt out. */
function headerField(text: string): string {
  return visible(cut(text, 512)).replace(/[\\|]/g, '\\$&');
}

/** An equals sign would begin a pair, a line end a forged record. */
function extensionValue(text: string): string {
  const lines = cut(text, VALUE_UNITS_MAX).split(/\r\n|\r|\n/);
  return lines.map((line) => visible(line).replace(/[\\=]/g, '\\$&')).join('\\n');
}

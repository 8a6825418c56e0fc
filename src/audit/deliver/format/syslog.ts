import { type Level, levelOf, type LogEvent, timeMs } from './event.ts';
import { toAsciiJson, visible } from './text.ts';

/** Log audit (RFC 5424, table 1). */
const FACILITY = 13;
const SEVERITY: Readonly<Record<Level, number>> = { info: 6, low: 5, medium: 4, high: 3, critical: 2 };
const SEQUENCE_MAX = 2_147_483_647;
const BOM = '\ufeff';

export interface SyslogOptions {
  readonly hostname: string;
  readonly version: string;
  readonly processId: number;
}

/**
 * An RFC 5424 message around a line that a `Format` made. The structured data are registered with IANA (`origin`,
 * `meta`). JSON is sent in ASCII, which every receiver reads; a CEF line with other characters is marked as UTF-8 by a
 * byte order mark, as the RFC asks.
 */
export function formatSyslog(
  event: LogEvent,
  line: string,
  { hostname, version, processId }: SyslogOptions,
): string {
  const priority = FACILITY * 8 + SEVERITY[levelOf(event.entry)];
  const header = [
    `<${priority}>1`,
    new Date(timeMs(event.entry)).toISOString(),
    nameField(hostname, 255),
    'modelkeep',
    processId,
    nameField(event.entry.action, 32),
  ].join(' ');
  const sequence = event.index === undefined ? '' : ` sequenceId="${(event.index % SEQUENCE_MAX) + 1}"`;
  const data = `[origin software="Modelkeep" swVersion="${paramValue(version)}"][meta${sequence} language="en"]`;
  return `${header} ${data} ${message(line)}`;
}

/** RFC 5425: octets, a space, the message. */
export function frameSyslog(message: string): string {
  return `${Buffer.byteLength(message)} ${message}`;
}

function message(line: string): string {
  if (line.startsWith('{')) return toAsciiJson(line);
  // oxlint-disable-next-line no-control-regex -- ASCII is what it asks for
  return /^[\u0000-\u007f]*$/.test(line) ? line : BOM + line;
}

/** PRINTUSASCII or the nil value. */
function nameField(text: string, charsMax: number): string {
  return text.replace(/[^!-~]/g, '').slice(0, charsMax) || '-';
}

function paramValue(text: string): string {
  return visible(text).replace(/["\\\]]/g, '\\$&');
}
